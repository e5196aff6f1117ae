"""``python -m tools.draw``: make every table and drawing of hardware/ anew. ``--check`` changes nothing and fails on a stale one."""

from __future__ import annotations

import re
import sys

from neurorack.drivers import board
from tools.draw import audio_stage, classic_stage, cv_stage, gate_stage, panel, parts, power, schematics, wiring, wiring_picture

REAL = ("pi", "pi-ads1115", "classic")
_MARKED = re.compile(r"(<!-- table (\S+) -->\n).*?(<!-- /table -->)", re.DOTALL)


def tables() -> dict[str, str]:
    """Name as in the documents' marks -> Markdown."""
    boards = {name: board.load(name) for name in REAL}
    made = {f"wiring-{name}": wiring.table(settings) for name, settings in boards.items()}
    return {**made, "parts": parts.table(boards), "panel": panel.table(),
            "cv-stages": cv_stage.stage_table(), "cv-resolution": cv_stage.resolution_table(), "cv-tolerances": cv_stage.tolerance_table(),
            "cv-currents": cv_stage.current_table(), "gate-facts": gate_stage.facts(), "gate-trials": gate_stage.table(),
            "power-computers": power.computer_table(), "power-analog": power.analog_table(), "power-inrush": power.inrush_table(),
            "audio": audio_stage.facts(), "classic-input": classic_stage.facts()}


def drawings() -> dict[str, str]:
    """File name in hardware/ -> SVG."""
    made = {f"wiring-{name}.svg": wiring_picture.picture(board.load(name)) for name in REAL}
    return {**made, **{f"{name}.svg": draw() for name, draw in schematics.DRAWINGS.items()}, "panel.svg": panel.drawing()}


def fresh() -> dict[str, str]:
    """File name in hardware/ -> what it should hold: the drawings, and the documents with their tables filled in."""
    made, known = drawings(), tables()
    for path in sorted(board.HARDWARE.glob("*.md")):
        made[path.name] = _MARKED.sub(lambda mark: mark[1] + known[mark[2]] + mark[3], path.read_text())
    return made


def outdated() -> dict[str, str]:
    """Of ``fresh`` what the files do not hold."""
    def held(name: str) -> str | None:
        path = board.HARDWARE / name
        return path.read_text() if path.is_file() else None

    return {name: text for name, text in fresh().items() if held(name) != text}


def main() -> int:
    stale = outdated()
    for name, text in stale.items():
        print(("stale: " if "--check" in sys.argv else "made: ") + name)
        if "--check" not in sys.argv:
            (board.HARDWARE / name).write_text(text)
    return int("--check" in sys.argv and bool(stale))


if __name__ == "__main__":
    sys.exit(main())

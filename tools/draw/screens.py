"""``python -m tools.draw.screens``: the pictures of ``docs/panel.md``, into ``docs/panel``, and their places in it. ``--check`` changes
nothing and fails on what is stale. A document's ``<!-- shots map -->`` … ``<!-- /shots -->`` is filled with the shots ``map`` and ``map-…``.

``SHOTS`` is the list of screens; the tests keep a reference picture of each, at both sizes, under the same names
(``tests/panel/reference``; ``pytest tests/panel --renew-references`` makes them anew).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

from PIL import Image

from neurorack.panel.canvas import LARGE, SMALL, Layout
from neurorack.panel.view import View
from tools.draw import panel_script, panel_shots, panel_view
from tools.draw.panel_view import BOTH, VIEW, with_answers

FOLDER = Path(__file__).resolve().parent.parent.parent / "docs" / "panel"
DOCUMENT = FOLDER.parent / "panel.md"
SMALL_SCALE, GAP = 4, 16
PLACES = {"points": [[0.2, 0.3], [0.8, 0.75], [0.35, 0.8]]}
MODEL = {"name": "birds", "notes": "a field recording of one morning", "line": "plays: 4 % of one core, 43 ms, −18 LUFS", "author": "A. Musician", "licence": "CC-BY-4.0",
         "sample_rate_hz": 48000, "hop_frames": 128, "source_file": "birds.ts", "bytes": 18_400_000, "check": {"notes": []},
         "controls": [{"name": "pitch"}, {"name": "colour"}, {"name": "noisiness"}], "gestures": []}
#: What is answered to a request, by its ``do``; SCREENS of others add theirs.
ANSWERS = {"model": {"model": MODEL}, "bench": {"bench": {"blocks": [{"block_frames": 64, "median_us": 31.2, "load_p99": 0.0251},
                                                                      {"block_frames": 128, "median_us": 55.2, "load_p99": 0.0221}]}},
           "scene_save": {"number": 3}, "lighter_keep": {"name": "birds-light", "line": "plays"}, **panel_shots.ANSWERS}


@dataclass(frozen=True)
class Shot:
    """A picture: how to come to it from Home, and the moment it shows. ``caption``: for the documents; "" leaves it out of them."""

    name: str
    script: str
    view: View = VIEW
    caption: str = ""
    answers: Mapping = field(default_factory=lambda: ANSWERS)

    def image(self, layout: Layout) -> Image.Image:
        return panel_script.shot(layout, self.script, self.view, self.answers)


_NOTICE = {"notices": [{"id": "1", "text": "birds is new in the library", "remedy": "play it from Models", "level": "info", "at_ns": 1}]}
_STATUS = {"job": {"model": "birds", "phase": "loading"}}
_MAP = with_answers(waypoints=PLACES)
_LIGHTER = {phase: with_answers(lighter={"lighter": {"birds": {"phase": phase, **more}}}) for phase, more in (
    ("working", {"stage": "listening to its layers", "share": 0.42}), ("made", {"line": "1.9x lighter, 0.9 dB"}),
    ("failed", {"line": "no unit of birds can go within 1 dB (with 97% kept it is 2.3 dB): the model stays as it is"}))}
SHOTS: list[Shot] = [
    Shot("home", "", VIEW, "Home: the wave, the meter, four CVs with the names of what they move, gates, clock, load"),
    Shot("home-spectrum", "1", BOTH, "Two models at once, and the spectrum; the mark on the line is the crossfade"),
    Shot("home-underrun", "", replace(VIEW, underruns=3, underrun_age=0.0, recording=True), "A gap in the sound flashes; the dot: a take is being recorded"),
    Shot("home-notice", "", with_answers(notices=_NOTICE), "A notice runs along the bottom; a press opens it"),
    Shot("home-notice-open", "p", with_answers(notices=_NOTICE), "What happened, and what to do"),
    Shot("home-hold", "d", VIEW, "Holding shows where letting go leads"),
    Shot("home-saved", "s", VIEW, "Held for a second: the scene is saved"),
    Shot("home-starting", "", replace(VIEW, slots=(panel_view.Slot("A"), panel_view.Slot("B")), clock="none", gates_high=0), ""),
    Shot("menu", "p", VIEW, "The main menu"),
    Shot("map", "p p", _MAP, "Map: the point, its trail, and saved places; a press on *keep* saves the present one"),
    Shot("map-place", "p p 2", _MAP, "A place chosen: a press goes there, holding for 1 s deletes it"),
    Shot("map-clips", "p p", replace(_MAP, slots=(panel_view.MAPPED, panel_view.Slot("B"))), "A model of the lab: the clips it was trained on, and the nearest one's name"),
    Shot("map-none", "p p", replace(VIEW, slots=(replace(panel_view.A, plane=None), panel_view.Slot("B"))), ""),
    Shot("models", "p 1 p 2", VIEW, "Models: what is in the slots, then the library: its share of a core, ✗ refused, ? not checked yet"),
    Shot("models-two", "p 1 p 2", BOTH, "With two models in, they can be blended and swapped"),
    Shot("models-loading", "p 1 p", with_answers(status=_STATUS), ""),
    Shot("model", "p 1 p 3 p", VIEW, "A model that was refused still says why"),
    Shot("model-why", "p 1 p 3 p p", VIEW, "Why not"),
    Shot("model-info", "p 1 p 2 p 3 p", VIEW, "Its card"),
    Shot("model-menu", "p 1 p 2 p 5", _LIGHTER["made"], "What can be done with a model: a lighter one waits to be kept"),
    Shot("models-lighter", "p 1 p 2", _LIGHTER["working"], ""),
    Shot("lighter", "p 1 p 2 p 5 p", _LIGHTER["working"], "A lighter one is made while the sound goes on"),
    Shot("lighter-made", "p 1 p 2 p 5 p", _LIGHTER["made"], "Its figure: kept as a model of its own, or discarded"),
    Shot("lighter-failed", "p 1 p 2 p 5 p", _LIGHTER["failed"], "Why there is none"),
    Shot("lighter-kept", "p 1 p 2 p 5 p p", _LIGHTER["made"], ""),
    Shot("audition", "p 1 p 2 p 1 p", VIEW, "Audition: a press keeps it, holding brings back what played"),
    Shot("measure", "p 1 p 2 p 4 p", VIEW, "Measured on this very board, while the sound goes on"),
    Shot("slot", "p 1 p p", BOTH, "What can be done with a model in a slot"),
    Shot("gestures", "p 1 p p 1 p", replace(VIEW, slots=(panel_view.MAPPED, panel_view.Slot("B"))), "Its gestures: new ones, or ones like the chosen one; what was kept can be removed"),
    Shot("blend", "p 1 p 2 p", BOTH, "The crossfade by hand"),
    Shot("blend-fine", "p 1 p 2 p 5", BOTH, ""),
    *(Shot(*one) for one in panel_shots.SHOTS),
]


def picture(shot: Shot) -> Image.Image:
    """Both sizes beside each other."""
    small, large = shot.image(SMALL).convert("RGB"), shot.image(LARGE)
    small = small.resize((SMALL_SCALE * small.width, SMALL_SCALE * small.height), Image.Resampling.NEAREST)
    sheet = Image.new("RGB", (small.width + large.width + 3 * GAP, small.height + 2 * GAP), (30, 32, 36))
    sheet.paste(small, (GAP, GAP))
    sheet.paste(large, (small.width + 2 * GAP, (sheet.height - large.height) // 2))
    return sheet


def made() -> dict[str, bytes]:
    """File name -> PNG, of every shot that the documents show."""
    found = {}
    for shot in SHOTS:
        if shot.caption:
            data = BytesIO()
            picture(shot).quantize(64).save(data, "PNG", optimize=True)
            found[f"{shot.name}.png"] = data.getvalue()
    return found


def document(text: str) -> str:
    """The document with its pictures in their places."""
    def shots(found: re.Match) -> str:
        mine = [shot for shot in SHOTS if shot.caption and (shot.name == found[2] or shot.name.startswith(f"{found[2]}-"))]
        lines = [f"![{shot.caption}](panel/{shot.name}.png)\n\n*{shot.caption}.*\n" for shot in mine]
        return f"{found[1]}\n" + "\n".join(lines) + f"\n{found[3]}"
    return re.sub(r"(<!-- shots (\S+) -->)\n.*?(<!-- /shots -->)", shots, text, flags=re.DOTALL)


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    check, fresh = "--check" in sys.argv, made()
    page = DOCUMENT.read_text()
    if document(page) != page:
        print(("stale: " if check else "made: ") + DOCUMENT.name)
        if check:
            return 1
        DOCUMENT.write_text(document(page))
    stale = [name for name, data in fresh.items() if not (FOLDER / name).is_file() or (FOLDER / name).read_bytes() != data]
    gone = [path for path in FOLDER.glob("*.png") if path.name not in fresh]
    for name in stale + [path.name for path in gone]:
        print(("stale: " if check else "made: ") + name)
    if not check:
        for name in stale:
            (FOLDER / name).write_bytes(fresh[name])
        for path in gone:
            path.unlink()
    return int(check and bool(stale or gone))


if __name__ == "__main__":
    sys.exit(main())

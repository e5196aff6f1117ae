"""Applies what ``neurorack doctor`` asks for and what cannot keep a board from starting; ``deploy.sh --tune`` runs it as root.

    tune.py [--board B] [--root FOLDER]

Lines for config.txt go into a block of their own at its end, each only where the file does not have it; a copy of the file
as it was is kept beside it. The kernel's command line is never touched: doctor tells what to add by hand.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from releases import replace_text  # noqa: E402

BEGIN, END = "# neurorack: begin", "# neurorack: end"
BOOT = ("boot/firmware/config.txt", "boot/config.txt")
LINES = {
    "pi": ["dtparam=spi=on", "dtoverlay=hifiberry-dac"],
    "pi-ads1115": ["dtparam=spi=on", "dtparam=i2c_arm=on", "dtparam=i2c_arm_baudrate=400000", "dtoverlay=hifiberry-dac"],
}
DAC_WORDS = ("dac", "audio", "codec", "wm8", "pcm")


def config_text(text: str, lines: list[str]) -> str:
    """config.txt with what is missing of ``lines`` in our block, which starts over each time. Another DAC's overlay keeps ours out."""
    own, kept = False, []
    for line in text.splitlines():
        own = own or line == BEGIN
        if not own:
            kept.append(line)
        own = own and line != END
    there = {line.strip() for line in kept}
    other_dac = any(line.startswith("dtoverlay=") and any(word in line for word in DAC_WORDS) for line in there)
    missing = [line for line in lines if line not in there and not (other_dac and line.startswith("dtoverlay="))]
    block = [BEGIN, "[all]", *missing, END] if missing else []
    return "\n".join([*kept, *block]) + "\n"


def tune_boot(root: Path, board: str) -> list[str]:
    """Returns what was done, a line each."""
    path = next((root / name for name in BOOT if (root / name).is_file()), None)
    if path is None or board not in LINES:
        if not board:
            return ["warning: which buses it needs is not known: give --board along with --tune"]
        return [f"no config.txt is touched for board {board}" if board not in LINES else "there is no config.txt here: buses and DAC are as they were"]
    before = path.read_text()
    after = config_text(before, LINES[board])
    if after.split() == before.split():
        return [f"{path.name} has all it needs"]
    copy = path.with_name("config.txt.before-neurorack")
    if not copy.exists():
        shutil.copyfile(path, copy)
    replace_text(path, after)
    return [f"{path.name} changed (as it was: {copy.name}); start the board anew for it to count"]


def tune_processor() -> list[str]:
    done = subprocess.run(["systemctl", "enable", "--now", "neurorack-tune.service"], capture_output=True, text=True)
    return ["governor and interrupts: now and at each boot"] if done.returncode == 0 else [f"warning: governor and interrupts: {done.stderr.strip()}"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--board", default="", help="whose buses config.txt is to switch on")
    parser.add_argument("--root", type=Path, default=Path("/"))
    options = parser.parse_args()
    for told in [*tune_boot(options.root, options.board), *(tune_processor() if options.root == Path("/") else [])]:
        print(told)

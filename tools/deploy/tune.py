"""Applies what ``neurorack doctor`` asks for and what cannot keep a board from starting; ``deploy.sh --tune`` runs it as root.

    tune.py [--board B] [--undo] [--root FOLDER]

Lines for config.txt go into a block of their own at its end, each only where the file does not have it. The kernel's command
line gets one word more, isolcpus=3, where there is a fourth core and the file is the one line that it should be. A copy of
each file as it was is kept beside it. ``--undo`` takes out what was put in, and leaves alone what others changed since.
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
ISOLATE, CORE = "isolcpus", "3"
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


def command_line(text: str, undo: bool = False) -> str | None:
    """cmdline.txt with the isolated core, or without ours. None: it is no line that a kernel could start with, and stays."""
    lines = text.splitlines()
    words = text.split()
    if len(lines) != 1 or not any(word.startswith("root=") for word in words):
        return None
    ours = f"{ISOLATE}={CORE}"
    if undo:
        return text if ours not in words else " ".join(word for word in words if word != ours) + "\n"
    return text if any(word.partition("=")[0] == ISOLATE for word in words) else f"{text.rstrip()} {ours}\n"


def tune_core(root: Path, board: str, undo: bool = False) -> list[str]:
    """Returns what was done, a line each."""
    path = next((found for name in BOOT if (found := (root / name).with_name("cmdline.txt")).is_file()), None)
    if path is None or board not in LINES and not undo:
        return []
    copy = path.with_name("cmdline.txt.before-neurorack")
    if undo and not copy.exists():
        return []
    if not undo and not (root / f"sys/devices/system/cpu/cpu{CORE}").is_dir():
        return [f"there is no core {CORE} to set apart"]
    before = path.read_text()
    after = command_line(before, undo)
    if after is None:
        return [f"warning: {path.name} is not one line with a root= in it; it stays as it is"]
    if after == before:
        return [] if undo else [f"{path.name} has an isolated core"]
    if not copy.exists():
        shutil.copyfile(path, copy)
    replace_text(path, after)
    if undo:
        copy.unlink()
        return [f"{path.name} is without {ISOLATE}={CORE} again; start the board anew for it to count"]
    return [f"{path.name}: core {CORE} is the audio process's alone (as it was: {copy.name}); start the board anew for it to count"]


def undo_boot(root: Path) -> list[str]:
    """config.txt without our block."""
    path = next((root / name for name in BOOT if (root / name).is_file()), None)
    if path is None or BEGIN not in (before := path.read_text()):
        return []
    replace_text(path, config_text(before, []))
    path.with_name("config.txt.before-neurorack").unlink(missing_ok=True)
    return [f"{path.name} is without our lines again; start the board anew for it to count"]


def undo_processor() -> list[str]:
    done = subprocess.run(["systemctl", "disable", "--now", "neurorack-tune.service"], capture_output=True, text=True)
    return ["governor and interrupts: as the system has them, from the next boot on"] if done.returncode == 0 else [f"warning: {done.stderr.strip()}"]


def tune_processor() -> list[str]:
    done = subprocess.run(["systemctl", "enable", "--now", "neurorack-tune.service"], capture_output=True, text=True)
    return ["governor and interrupts: now and at each boot"] if done.returncode == 0 else [f"warning: governor and interrupts: {done.stderr.strip()}"]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--board", default="", help="whose buses config.txt is to switch on")
    parser.add_argument("--undo", action="store_true", help="take out again what was put in")
    parser.add_argument("--root", type=Path, default=Path("/"))
    options = parser.parse_args()
    real = options.root == Path("/")
    if options.undo:
        done = [*undo_boot(options.root), *tune_core(options.root, "", undo=True), *(undo_processor() if real else [])] or ["there is nothing of ours to take out"]
    else:
        done = [*tune_boot(options.root, options.board), *tune_core(options.root, options.board), *(tune_processor() if real else [])]
    for told in done:
        print(told)

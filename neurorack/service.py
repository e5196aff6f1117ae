"""Starts the instrument as a service: ``python -m neurorack.service``; the units in ``systemd/`` call it.

What to play with stands in one line of the state folder's file ``options``, as after ``neurorack play``. **Safe mode** comes
after three starts in a row that did not hold, or when a file ``safe-mode`` lies in the state folder, or when the panel's
button is held at power-up: the factory model with its default patch, on the same board and sound card; after six, on
defaults alone. A start has held when sound flowed for ten seconds, or when it was ended properly; pulling the plug later
counts for nothing. The next start after a safe one that held is a usual one again.

``python -m neurorack.service first-boot`` examines a fresh machine once and keeps the findings in the state folder.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

from neurorack import cli, health, library
from neurorack.errors import NeurorackError
from neurorack.library import files
from neurorack.process import tell

FAILED_STARTS, HOPELESS_STARTS = 3, 6
CALM_SECONDS = 10.0
GLYPH_PIXELS = 6              # a letter's width in PIL's own font
KEPT_IN_SAFE_MODE = ("--board", "--device")
FLAG, OPTIONS, STARTS, GOOD = "safe-mode", "options", "starts.json", "good-release"


def state_folder() -> Path:
    """Everything this instrument must not forget lies here."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "neurorack"


class Starts:
    """How the last starts went; on disk before and after each, whole or not at all.

    ``reason``: why this start is a safe one, "" for a usual one. A state folder that cannot be written is said and keeps nobody
    from playing.
    """

    def __init__(self, folder: Path, button_held: bool = False):
        self.folder = folder
        failed = files.read_json(folder / STARTS).get("failed", 0)
        self.failed = failed if isinstance(failed, int) else 0
        if (folder / FLAG).exists():
            self.reason = "asked for by the file safe-mode"
        elif button_held:
            self.reason = "the button was held at power-up"
        elif self.failed >= FAILED_STARTS:
            self.reason = f"{self.failed} starts in a row did not hold"
        else:
            self.reason = ""

    def begin(self) -> None:
        self._write(self.failed + 1)

    def held(self) -> None:
        """It sounded for a while, or was ended properly; the flag has been heeded."""
        self._write(0)
        try:
            (self.folder / FLAG).unlink(missing_ok=True)
        except OSError:
            pass

    def _write(self, failed: int) -> None:
        self.failed = failed
        self._keep(STARTS, json.dumps({"failed": failed, "safe_mode": self.reason, "at": time.strftime("%Y-%m-%d %H:%M:%S")}))

    def release_is_good(self) -> None:
        """For the guard of a deployment: this release has played."""
        self._keep(GOOD, Path(__file__).resolve().parents[1].name)

    def _keep(self, name: str, text: str) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with files.writing(self.folder / name) as file:
                file.write(text.encode() + b"\n")
        except (OSError, NeurorackError) as error:
            tell(f"neurorack: warning: StateFolder: {error}\n")


def options(folder: Path) -> list[str]:
    """What ``neurorack play`` is to be given; an empty list where the file is missing. Raises ``NeurorackError``."""
    try:
        return shlex.split((folder / OPTIONS).read_text())
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise NeurorackError(f"{folder / OPTIONS}: {error}; write one line of options for neurorack play, or remove it") from None


def option(given: list[str], name: str) -> str | None:
    """The value of ``--name value`` or ``--name=value``."""
    for i, word in enumerate(given):
        if word == name and i + 1 < len(given):
            return given[i + 1]
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
    return None


def safe_options(given: list[str], failed: int) -> list[str]:
    """The simplest that can sound: the factory's own file, never one of the same name in the library."""
    kept = {name: option(given, name) for name in KEPT_IN_SAFE_MODE} if failed < HOPELESS_STARTS else {}
    model = library.FACTORY / library.DEFAULT_MODEL / f"{library.DEFAULT_MODEL}{library.SUFFIX}"
    return ["--model", str(model), *(word for name, value in kept.items() if value for word in (name, value))]


def button_held(given: list[str]) -> bool:
    """Whether the panel's button is down now. A board without one, or whose lines cannot be read, has none that is held."""
    from neurorack.drivers import board, gpio

    try:
        settings = board.load(option(given, "--board") or board.detect()[0])
        line = (settings.get("controls") or {}).get("button")
        if line is None:
            return False
        lines = gpio.open_lines(settings["gpio"], [line])      # pulled up, switched to ground
        try:
            return not lines.levels()[0]
        finally:
            lines.close()
    except (NeurorackError, OSError, ImportError, KeyError):
        return False


def show(text: str) -> None:
    """On the panel's display, where this board has one; in a process of its own, so that its libraries cost the instrument nothing."""
    from PIL import Image, ImageDraw

    from neurorack.drivers import board
    from neurorack.drivers.display import open_display

    settings = board.load(option(options(state_folder()), "--board") or board.detect()[0])
    if not settings.get("display"):
        return
    device = open_display(settings)
    device.persist = True        # it stays when this process ends
    image = Image.new(device.mode, device.size)
    lines = textwrap.wrap(text, device.width // GLYPH_PIXELS)
    ImageDraw.Draw(image).multiline_text((0, 0), "\n".join(lines), fill="white")
    device.display(image)


def _show_in_background(text: str) -> None:
    """Never waits, and a display that is not there is no matter."""
    try:
        subprocess.Popen([sys.executable, "-m", "neurorack.service", "show", text], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    except OSError:
        pass


def _watch(starts: Starts) -> None:
    """In a thread: wait until this start has held."""
    since = None
    while since is None or time.monotonic() - since < CALM_SECONDS:
        time.sleep(0.5)
        try:
            well = not health.problems(health.ask(os.getpid()))
        except NeurorackError:
            well = False
        since = (since or time.monotonic()) if well else None
    starts.held()
    if not starts.reason:
        starts.release_is_good()


def play() -> int:
    """One run; the exit code of ``neurorack play``."""
    folder = state_folder()
    try:
        given, wrong = options(folder), None
    except NeurorackError as error:
        given, wrong = [], error
    starts = Starts(folder, button_held(given))
    starts.begin()
    if starts.reason:
        os.environ["NEURORACK_NOTICE"] = f"safe mode ({starts.reason})"
        tell(f"neurorack: warning: safe mode, the factory model with its default patch: {starts.reason}\n")
        _show_in_background(f"SAFE MODE: {starts.reason}")
        given, wrong = safe_options(given, starts.failed - 1), None
    if wrong:
        tell(f"neurorack: {wrong}\n")
        return 2
    threading.Thread(target=_watch, args=(starts,), name="start watch", daemon=True).start()
    code = cli.main(["play", *given])
    if code == 0:
        starts.held()
    return code


def first_boot() -> int:
    """What this machine is like: findings and speed, once. Nothing it finds keeps the instrument from starting."""
    from neurorack import bench, doctor

    findings = doctor.examine()
    tell(doctor.table(findings) + "\n")
    told = {"findings": findings}
    try:
        told["bench"] = bench.measure()
    except NeurorackError as error:
        told["bench"] = {"error": str(error)}
    folder = state_folder()
    folder.mkdir(parents=True, exist_ok=True)
    files.write_json(folder / "first-boot.json", told)
    return 0


if __name__ == "__main__":
    try:
        if sys.argv[1:2] == ["show"]:
            show(sys.argv[2])
        else:
            sys.exit(first_boot() if sys.argv[1:] == ["first-boot"] else play())
    except NeurorackError as wrong:
        tell(f"neurorack: {wrong}\n")
        sys.exit(2)

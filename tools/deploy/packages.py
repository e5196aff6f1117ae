"""The Python environment of a release: wheels fit for this board, never torch, no compiling where the distribution has it.

An environment is named after what it was made of, so a second deployment that needs the same takes seconds, and going
back needs no network.
"""

from __future__ import annotations

import ast
import hashlib
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from releases import COMPLETE, Base, Refused

#: pip's name -> (module, Debian's package): where there is no wheel (spidev has none at all, lgpio and python-rtmidi none
#: for Python 3.13 on arm64), the distribution's own serves, if its Python is ours.
OF_THE_DISTRIBUTION = {"spidev": ("spidev", "python3-spidev"), "smbus2": ("smbus2", "python3-smbus2"), "gpiod": ("gpiod", "python3-libgpiod"),
                       "rpi-lgpio": ("RPi", "python3-rpi-lgpio"), "python-rtmidi": ("rtmidi", "python3-rtmidi")}
PIP_SECONDS = 1800


def requirements(setup_py: Path) -> dict[str, list[str]]:
    """``play``, ``board`` and ``midi`` as setup.py states them, without running it."""
    call = next(node for node in ast.walk(ast.parse(setup_py.read_text()))
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setup")
    said = {word.arg: word.value for word in call.keywords if word.arg in ("install_requires", "extras_require")}
    extras = ast.literal_eval(said["extras_require"])
    return {"play": ast.literal_eval(said["install_requires"]), "board": extras["board"], "midi": extras["midi"]}


def bare(requirement: str) -> str:
    """The name alone: numpy>=1.26 -> numpy."""
    return next((requirement[:i] for i, letter in enumerate(requirement) if letter in "<>=!~[; "), requirement)


def environment_id(wanted: dict[str, list[str]], python: str) -> str:
    """What an environment is called: the Python and everything it was asked for."""
    text = repr((sorted(wanted.items()), python, platform.machine(), ".".join(map(str, sys.version_info[:2]))))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Environment:
    """Made once and left alone: ``make()`` returns it.

    Args:
        wanted: part -> requirements; ``play`` must be had, the others are warnings, each by name.
        wheels: a folder of wheels to take instead of the network, or None.
        install: brings a package of the distribution where that is allowed; returns whether it did.
    """

    def __init__(self, base: Base, wanted: dict[str, list[str]], wheels: Path | None, say: Callable[[str], None], install: Callable[[str], bool]):
        self.wanted, self.wheels, self.say, self.install = wanted, wheels, say, install
        self.folder = base.environments / environment_id(wanted, sys.executable)
        self.python = self.folder / "bin" / "python"

    def make(self) -> Path:
        """Raises ``Refused``."""
        if (self.folder / COMPLETE).is_file():
            self.say("the Python environment is there already")
            return self.folder
        shutil.rmtree(self.folder, ignore_errors=True)
        self.say(f"making the Python environment with Python {platform.python_version()}")
        done = subprocess.run([sys.executable, "-m", "venv", str(self.folder)], capture_output=True, text=True)
        if done.returncode:
            raise Refused(f"no virtual environment could be made: {_last(done)}; on the board: sudo apt-get install python3-venv")
        done = self._pip(["--only-binary", ":all:", *self.wanted["play"]])
        if done.returncode:
            raise Refused(f"pip could not install {' '.join(self.wanted['play'])}: {_last(done)} (no network on the board? give --wheels FOLDER)")
        for part, names in self.wanted.items():
            for requirement in names if part != "play" else ():
                self._optional(requirement, part)
        if self._run("-c", "import torch").returncode == 0:
            raise Refused("torch came along, and must not: some requirement asks for it")
        (self.folder / COMPLETE).touch()
        return self.folder

    def _run(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([str(self.python), *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PIP_SECONDS)

    def _pip(self, arguments: list[str]) -> subprocess.CompletedProcess:
        source = ["--no-index", "--find-links", str(self.wheels)] if self.wheels else []
        return self._run("-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", *source, *arguments)

    def _optional(self, requirement: str, part: str) -> None:
        """A wheel, else the distribution's own, else built here, else a warning."""
        module, package = OF_THE_DISTRIBUTION.get(bare(requirement), (None, None))
        if self._pip(["--only-binary", ":all:", requirement]).returncode == 0:
            return
        if module and (self._borrow(module) or (self.install(package) and self._borrow(module))):
            self.say(f"{bare(requirement)}: no wheel for this Python; the distribution's {package} is used")
            return
        if self._pip([requirement]).returncode:
            remedy = f"; on the board: sudo apt-get install {package}" if package else ""
            self.say(f"warning: {bare(requirement)} ({part}) has no wheel for Python {platform.python_version()} on {platform.machine()} "
                     f"and could not be built{remedy}")

    def _borrow(self, module: str) -> bool:
        """Link a module of the distribution's Python into the environment, if its version is ours and it works here."""
        code = f"import importlib, sys; print(sys.version_info[:2] == {sys.version_info[:2]}); print(importlib.import_module({module!r}).__file__)"
        system = subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True, text=True)
        told = system.stdout.splitlines()
        if system.returncode or told[0] != "True":
            return False
        place = Path(told[1])
        top = module.split(".")[0]
        place = next(parent for parent in (place, *place.parents) if parent.name.split(".")[0] == top)
        target = Path(self._run("-c", "import sysconfig; print(sysconfig.get_path('platlib'))").stdout.strip())
        beside = place.parent.glob(f"_{top}*.so")            # lgpio's compiled half
        for source in (place, *beside):
            if not (target / source.name).exists():
                (target / source.name).symlink_to(source)
        return self._run("-c", f"import {module}").returncode == 0


def _last(done: subprocess.CompletedProcess) -> str:
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"

"""Brings the instrument's environment up to date. Run by ``make`` through setup.sh; standard library only.

    environment.py --venv FOLDER PART...

Parts: ``play`` (the instrument and, where it can be had, MIDI), ``test``, ``bench``, ``lab`` (the last three with
torch, unless TORCH=no). What was done is stamped into the environment with a fingerprint of everything it came from, so a
second run only looks, and compiles the core anew if one of its sources changed.

Whatever can be done without goes on with one line of warning that names the command to run; exit code 2 and one line
where it cannot.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import system

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PARTS = ("play", "test", "bench", "lab")
NEEDS_TORCH = {"test", "bench", "lab"}

BOARD_MODEL = Path("/proc/device-tree/model")
BOARD_PACKAGES = ("smbus2", "spidev", "gpiod", "rpi-lgpio", "luma.oled", "luma.lcd")

#: The plain package of the default index that runs without a GPU's libraries, where PyTorch's own index cannot be had.
#: On x86-64 that package brings CUDA along; on arm64, 2.10 is the last that does without.
PLAIN_TORCH = {"x86_64": "torch==2.13.0", "aarch64": "torch==2.10.0"}


class Failed(Exception):
    """Setup cannot go on; the message is one line with the remedy."""


def say(text: str):
    print(f"setup: {text}", flush=True)


def warn(text: str):
    print(f"setup: warning: {text}", file=sys.stderr, flush=True)


class Environment:
    """One virtual environment and what has been put into it."""

    def __init__(self, folder: Path):
        self.folder = folder.absolute()
        self.python = self.folder / "bin" / "python"
        self.stamp = self.folder / "neurorack-setup.json"

    def fingerprint(self) -> str:
        """Of all that decides what an install leads to; the compiled core looks after itself."""
        digest = hashlib.sha256(f"{ROOT} {self.folder} {platform.machine()}".encode())
        for path in [ROOT / "setup.py", ROOT / "neurorack" / "__init__.py", *sorted(HERE.glob("*.py"))]:
            digest.update(path.read_bytes())
        config = self.folder / "pyvenv.cfg"
        digest.update(config.read_bytes() if config.exists() else b"")
        return digest.hexdigest()

    def stamped(self) -> dict:
        """What the last complete setup left: {"fingerprint", "parts", "cc"}; empty if nothing it left still holds."""
        try:
            stamp = json.loads(self.stamp.read_text())
        except (OSError, ValueError):
            return {}
        return stamp if stamp.get("fingerprint") == self.fingerprint() and self.python.exists() else {}

    def write_stamp(self, parts: set[str], cc: str):
        part = self.stamp.with_suffix(".part")
        part.write_text(json.dumps({"fingerprint": self.fingerprint(), "parts": sorted(parts), "cc": cc}))
        os.replace(part, self.stamp)

    def run(self, *arguments: str, check: bool = False, **more) -> subprocess.CompletedProcess:
        return subprocess.run([str(self.python), *arguments], stdin=subprocess.DEVNULL, cwd=ROOT, check=check, **more)

    def pip(self, *arguments: str, quiet: bool = False) -> bool:
        done = self.run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", *arguments,
                        capture_output=quiet)
        return done.returncode == 0

    def has(self, module: str) -> bool:
        code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
        return self.run("-c", code, capture_output=True).returncode == 0

    def works(self) -> bool:
        """Whether it is there, of this interpreter's version, and can install."""
        code = "import sys, pip; print('%d.%d' % sys.version_info[:2])"
        try:
            done = self.run("-c", code, capture_output=True, text=True)
        except OSError:
            return False
        return done.returncode == 0 and done.stdout.strip() == "%d.%d" % sys.version_info[:2]

    def create(self):
        """Make it with this interpreter. Debian keeps the module that does so in a package of its own."""
        if self.works():
            return
        if not all(_importable(module) for module in ("venv", "ensurepip")) and not system.install(["venv"], say):
            raise Failed(f"Python {platform.python_version()} cannot make a virtual environment here. "
                         f"Run: {system.command(['venv'])}")
        say(f"making {self.folder.name} with Python {platform.python_version()}")
        base = getattr(sys, "_base_executable", sys.executable)
        done = subprocess.run([base, "-m", "venv", "--clear", str(self.folder)], capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"{base} -m venv {self.folder} failed: {(done.stdout + done.stderr).strip().splitlines()[-1]}")


def _importable(module: str) -> bool:
    # In a fresh interpreter: this one would remember that it was not there before a package brought it.
    base = getattr(sys, "_base_executable", sys.executable)
    return subprocess.run([base, "-c", f"import {module}"], capture_output=True).returncode == 0


def system_packages(parts: set[str]):
    """What the distribution has to bring: PortAudio to be heard, ALSA's headers for the tests' fake sound card."""
    wanted = [("portaudio", system.have_portaudio, "no sound card can be played (a silent one takes its place)"),
              ("desktop sound", system.have_desktop_sound, "the sound server of this desktop cannot be reached")]
    if "test" in parts:
        wanted.append(("alsa headers", system.have_alsa_headers, "tests on the fake sound card are skipped"))
    missing = [entry for entry in wanted if not entry[1]()]
    if missing:
        system.install([entry[0] for entry in missing], say)
    for thing, there, loss in missing:
        if not there():
            warn(f"{thing} is missing: {loss}. Run: {system.command([thing])}")


def compiler(env: Environment) -> str:
    """The C compiler for the core, as CC takes it: the system's, else one apt-get may bring, else the ziglang wheel's."""
    found = system.working_compiler()
    if found is None and system.install(["compiler"], say):
        found = system.working_compiler()
    if found is None:
        say("no C compiler on this system; fetching the ziglang package's")
        if not env.has("ziglang") and not env.pip("ziglang"):
            raise Failed(f"no C compiler, and ziglang could not be fetched. Run: {system.command(['compiler'])}")
        found = f"{shlex.quote(str(env.python))} -m ziglang cc"
    return found


def packages(env: Environment, parts: set[str], cc: str):
    """The instrument itself, editable, with the extras of ``parts``; MIDI if it can be had without compiling."""
    extras = sorted(parts & {"test", "bench"})  # lab's are torch, which is fetched by itself, and scipy
    say("installing the instrument" + (f" and what {', '.join(extras)} needs" if extras else ""))
    os.environ["CC"] = cc
    with_midi = f".[{','.join(['midi', *extras])}]"
    if env.pip("--editable", with_midi, "--only-binary", "python-rtmidi", quiet=True):
        return
    plain = f".[{','.join(extras)}]" if extras else "."
    if not env.pip("--editable", plain):
        raise Failed(f"pip could not install {plain}; its message is above (is there a network?)")
    warn(f"MIDI is off: python-rtmidi has no wheel for Python {platform.python_version()} on {platform.machine()}. "
         f"To build it: {system.command(['compiler', 'alsa headers'])} && {env.python} -m pip install mido python-rtmidi")


def board(env: Environment, parts: set[str]):
    """The bus and display libraries of the real boards: on a board, and for the tests, which play them against simulated chips."""
    if "test" not in parts and not BOARD_MODEL.exists():
        return
    if env.pip("--editable", ".[board]", quiet=True):
        return
    missing = [package for package in BOARD_PACKAGES if not env.pip(package, quiet=True)]
    if missing:
        warn(f"{', '.join(missing)} could not be installed for Python {platform.python_version()} on {platform.machine()}: the boards that need them "
             f"are out of reach. To build them: {system.command(['compiler'])} && {env.python} -m pip install {' '.join(missing)}")


def torch(env: Environment):
    """torch for CPUs: from PyTorch's own index if that answers (uv knows the way), else the plain package."""
    if env.has("torch"):
        return
    say("fetching torch (200 MB; more where only the default index can be had)")
    os.environ.update(UV_HTTP_TIMEOUT="10", UV_HTTP_RETRIES="0")
    if env.pip("uv", quiet=True):
        done = env.run("-m", "uv", "pip", "install", "--quiet", "--python", str(env.python), "--torch-backend=cpu",
                       "torch>=2.6,<2.14", capture_output=True)
        if done.returncode == 0:
            return
    plain = PLAIN_TORCH.get(platform.machine(), "torch")
    if not env.pip(plain, quiet=True):
        warn(f"torch could not be installed: importing and training are off, and the tests that need it are skipped. "
             f"To try again: {env.python} -m pip install {plain}")


def build_core(env: Environment, cc: str):
    # By the environment's own interpreter: the compiler may live in there.
    done = env.run(str(ROOT / "neurorack" / "build_core.py"), stdout=subprocess.DEVNULL, env={**os.environ, "CC": cc})
    if done.returncode:
        raise Failed(f"the compiled core could not be built with {cc}; the messages are above")


def bring_up_to_date(env: Environment, parts: set[str]):
    stamp = env.stamped()
    if stamp and parts <= set(stamp["parts"]) and shutil.which(shlex.split(stamp["cc"])[0]):
        if not system.have_portaudio():
            warn(f"portaudio is missing: no sound card can be played. Run: {system.command(['portaudio'])}")
        build_core(env, stamp["cc"])
        return
    env.create()
    system_packages(parts)
    cc = compiler(env)
    packages(env, parts, cc)
    board(env, parts)
    if "torch" in parts:
        torch(env)
    if "lab" in parts and not env.pip("scipy"):
        raise Failed("pip could not install scipy; its message is above (is there a network?)")
    build_core(env, cc)
    env.write_stamp(parts | set(stamp.get("parts", [])), cc)
    say("done")


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument("parts", nargs="+", choices=PARTS)
    options = parser.parse_args()
    parts = set(options.parts)
    if parts & NEEDS_TORCH and os.environ.get("TORCH", "yes") != "no":
        parts.add("torch")
    lock = ROOT / "build" / "setup.lock"
    try:
        lock.parent.mkdir(exist_ok=True)
        with open(lock, "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # two makes at once would install over each other
            bring_up_to_date(Environment(options.venv), parts)
    except Failed as why:
        print(f"setup: {why}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

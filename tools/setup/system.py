"""System packages: what they are called here, installing them where that is allowed, the exact command where not."""

from __future__ import annotations

import ctypes.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

#: package manager's program -> (command to install, names of what we may need)
MANAGERS = {
    "apt-get": ("apt-get install -y", {"portaudio": "libportaudio2", "compiler": "gcc libc6-dev",
                                       "alsa headers": "libasound2-dev", "desktop sound": "libasound2-plugins",
                                       "venv": f"python3.{sys.version_info[1]}-venv"}),
    "dnf": ("dnf install", {"portaudio": "portaudio", "compiler": "gcc", "alsa headers": "alsa-lib-devel",
                            "desktop sound": "alsa-plugins-pulseaudio", "venv": "python3"}),
    "pacman": ("pacman -S", {"portaudio": "portaudio", "compiler": "gcc", "alsa headers": "alsa-lib",
                             "desktop sound": "alsa-plugins", "venv": "python"}),
    "zypper": ("zypper install", {"portaudio": "libportaudio2", "compiler": "gcc", "alsa headers": "alsa-devel",
                                  "desktop sound": "alsa-plugins-pulse", "venv": "python3"}),
    "brew": ("brew install", {"portaudio": "portaudio", "compiler": "gcc", "alsa headers": "portaudio",
                              "desktop sound": "portaudio", "venv": "python"}),
}


def manager() -> str | None:
    """The package manager of this system, or None for one we do not know."""
    return next((name for name in MANAGERS if shutil.which(name)), None)


def command(things: list[str]) -> str:
    """What a person types to install ``things`` (keys of ``MANAGERS``), or their names where we know no command."""
    name = manager()
    if name is None:
        return "install " + ", ".join(things) + " with your system's package manager"
    install, names = MANAGERS[name]
    sudo = "" if name == "brew" or os.geteuid() == 0 else "sudo "
    packages = dict.fromkeys(" ".join(names[thing] for thing in things).split())
    return sudo + install.replace(" -y", "") + " " + " ".join(packages)


def root_prefix() -> list[str] | None:
    """How to run a command as root without a question: nothing, or sudo without a password; None if there is no way."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n"]
    return None


def install(things: list[str], say=print) -> bool:
    """Install ``things`` if that is allowed (apt-get, as root or with a sudo that asks nothing); True if it worked."""
    prefix = root_prefix()
    if manager() != "apt-get" or prefix is None:
        return False
    names = MANAGERS["apt-get"][1]
    packages = " ".join(names[thing] for thing in things).split()
    say(f"installing {' '.join(packages)}")
    quiet = {"stdin": subprocess.DEVNULL, "capture_output": True}
    run = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"]
    for attempt in ("as the lists are", "with new lists"):
        if attempt == "with new lists":
            subprocess.run([*run, "update"], **quiet)
        if subprocess.run([*run, "install", "-y", "--no-install-recommends", *packages], **quiet).returncode == 0:
            return True
    return False


def have_portaudio() -> bool:
    return ctypes.util.find_library("portaudio") is not None


def have_alsa_headers() -> bool:
    return Path("/usr/include/alsa/asoundlib.h").exists()


def have_desktop_sound() -> bool:
    """False where a desktop's sound server runs and ALSA has no way to it: the card would be taken."""
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}"))
    if not (runtime / "pulse" / "native").exists():
        return True
    plugins = [path.name for folder in ("/usr/lib", "/usr/lib64") for path in Path(folder).glob("**/alsa-lib/*.so")]
    return any("pulse" in name or "pipewire" in name for name in plugins)


def compiles(compiler: list[str]) -> bool:
    """Whether ``compiler`` makes a shared library; one without the C library's headers does not."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "try.c"
        source.write_text("#include <math.h>\n#include <stdio.h>\ndouble f(double x) { return sin(x); }\n")
        try:
            done = subprocess.run([*compiler, "-shared", "-fPIC", str(source), "-o", str(source.with_suffix(".so")), "-lm"],
                                  capture_output=True)
        except OSError:
            return False
    return done.returncode == 0


def working_compiler() -> str | None:
    """A C compiler's command line that works here, as ``CC`` takes it; None if there is none."""
    for candidate in filter(None, [os.environ.get("CC"), "cc", "gcc", "clang"]):
        words = shlex.split(candidate)
        if shutil.which(words[0]) and compiles(words):
            return candidate
    return None


def install_package(name: str) -> bool:
    """One package by its name, with apt-get, where that is allowed; True if it worked."""
    prefix = root_prefix()
    if manager() != "apt-get" or prefix is None:
        return False
    return subprocess.run([*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "install", "-y", "--no-install-recommends", name],
                          stdin=subprocess.DEVNULL, capture_output=True).returncode == 0

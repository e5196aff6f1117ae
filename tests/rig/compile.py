"""Compiles the rig's C parts on demand, once for each state of their sources."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

from neurorack import build_core

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "rig"  # ignored by git


class Unavailable(RuntimeError):
    """A part of the rig cannot be built here; the message is a reason a test may skip with."""


def compiled(name: str, sources: tuple[str, ...], headers: tuple[str, ...] = (), flags: tuple[str, ...] = ()) -> Path:
    """The library or program ``name`` made of ``sources`` (files of this folder). Raises `Unavailable`."""
    try:
        compiler = build_core.find_compiler()
    except build_core.NoCompiler as why:
        raise Unavailable(f"the test rig needs a C compiler: {why}") from None
    command = [*compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-pthread", *flags]
    digest = hashlib.sha256(repr(command).encode())
    for path in (*sources, *headers):
        digest.update((HERE / path).read_bytes())
    result = _folder() / digest.hexdigest()[:16] / name
    if result.exists():
        return result
    result.parent.mkdir(parents=True, exist_ok=True)
    part = result.with_name(f"{name}.{os.getpid()}")
    # Libraries follow the sources: a linker that drops what nobody has asked for yet would drop them otherwise.
    libraries = [flag for flag in flags if flag.startswith("-l")]
    done = subprocess.run([*command, *[str(HERE / path) for path in sources], "-o", str(part), *libraries],
                          capture_output=True, text=True)
    if done.returncode:
        if "asoundlib.h" in done.stderr or "asound" in done.stderr.rpartition("cannot find")[2]:
            raise Unavailable("the fake sound card needs ALSA's headers: sudo apt-get install libasound2-dev")
        raise RuntimeError(f"{name} does not compile:\n{done.stderr}")
    os.replace(part, result)
    return result


def _folder() -> Path:
    try:
        BUILD.mkdir(parents=True, exist_ok=True)
        if os.access(BUILD, os.W_OK):
            return BUILD
    except OSError:
        pass
    return Path(tempfile.gettempdir()) / f"neurorack-rig-{os.getuid()}"

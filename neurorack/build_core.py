"""Compile the real-time core (every ``*.c`` below this package) into one shared library, ``_core.so``.

The simulated buses (``simbus/``) become a library of their own, ``_simbus.so``, because it is preloaded into programs.

Standard library only: ``setup.py`` runs it before anything is installed, and ``python -m neurorack.build_core``
rebuilds by hand. No Python headers are needed, because the library is called through ctypes.

A file named ``*_simd.c`` is compiled once for each instruction set of this machine's architecture, with
``NR_ISA`` set to its name; the right one is picked when the program starts, so one build runs on every CPU of
its architecture (an SD card moved from one board to another, say).

The compiler is ``$CC``, else cc, gcc or clang, else the one inside the ``ziglang`` wheel, which
``make setup`` brings where the system has none.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
LIBRARY = PACKAGE / "_core.so"
SIMBUS = PACKAGE / "_simbus.so"
STAMP = PACKAGE / "_core.json"

#: Instruction sets compiled for each architecture, from the plainest to the widest.
ISAS = {
    "x86_64": [("sse", ["-march=x86-64-v2"]), ("avx2", ["-march=x86-64-v3"]), ("avx512", ["-march=x86-64-v4"])],
    "aarch64": [("neon", ["-mcpu=generic"])],
}

#: No -ffast-math: NaN and infinity must stay visible to the checks that refuse them.
FLAGS = ["-std=gnu11", "-O3", "-fPIC", "-fvisibility=hidden", "-fno-math-errno", "-fno-trapping-math",
         "-ffp-contract=fast", "-Wall", "-Wextra", "-Wno-unused-parameter", "-pthread"]


class NoCompiler(RuntimeError):
    """No C compiler could be found."""


def machine() -> str:
    """The architecture as ``ISAS`` names it; raises ``NoCompiler`` for one we have no kernels for."""
    name = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    if name not in ISAS:
        raise NoCompiler(f"this machine is {name}; the core is written for {' and '.join(ISAS)} (a 64-bit system)")
    return name


def find_compiler() -> list[str]:
    """The compiler's command line, as a list."""
    if os.environ.get("CC"):
        return shlex.split(os.environ["CC"])
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    if importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", "cc"]
    raise NoCompiler("no C compiler: install gcc (apt-get install gcc libc6-dev) or run: pip install ziglang")


def sources() -> list[Path]:
    """All C files of the core, in a stable order."""
    return sorted(path for path in PACKAGE.glob("*/*.c") if path.parent.name != "simbus")


def simbus_sources() -> list[Path]:
    return sorted(PACKAGE.glob("simbus/*.c"))


def headers() -> list[Path]:
    return sorted(PACKAGE.glob("*/*.h"))


#: Files that define a block of memory for C and Python alike, and the headers made of them
TABLES = {"shm/table.py": "rack_table.h", "simbus/layout.py": "simbus_layout.h"}


def generated_header(table: str = "shm/table.py") -> str:
    """A block of memory as C, from its one definition."""
    spec = importlib.util.spec_from_file_location("_neurorack_table", PACKAGE / table)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.c_header()


def fingerprint() -> str:
    """Changes when any input of the build does."""
    digest = hashlib.sha256(repr((find_compiler(), FLAGS, ISAS, machine())).encode())
    for path in [*sources(), *simbus_sources(), *headers(), *(PACKAGE / table for table in TABLES)]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def compile_commands(compiler: list[str], arch: str, folder: Path) -> list[tuple[list[str], Path]]:
    """One command for each object file, and the object it makes."""
    jobs = []
    zig = any("zig" in Path(word).name for word in compiler)  # which spells the levels with underscores
    for path in [*sources(), *simbus_sources()]:
        variants = ISAS[arch] if path.stem.endswith("_simd") else [("", ISAS[arch][0][1])]
        for isa, flags in variants:
            obj = folder / f"{path.parent.name}_{path.stem}{'_' + isa if isa else ''}.o"
            flags = [flag.replace("x86-64-v", "x86_64_v") for flag in flags] if zig else flags
            define = [f"-DNR_ISA={isa}", f"-DNR_ISA_{isa}"] if isa else []
            jobs.append(([*compiler, *FLAGS, *flags, *define, f"-I{PACKAGE}", f"-I{folder}", "-c", str(path), "-o", str(obj)], obj))
    return jobs


def build(force: bool = False, verbose: bool = False) -> Path:
    """Build the library if any of its inputs changed; returns its path. Replaces the old one atomically."""
    stamp = {"fingerprint": fingerprint()}
    if not force and LIBRARY.exists() and SIMBUS.exists() and STAMP.exists() and json.loads(STAMP.read_text()) == stamp:
        return LIBRARY
    compiler = find_compiler()
    with tempfile.TemporaryDirectory(prefix="neurorack-core-") as name:
        folder = Path(name)
        for table, header in TABLES.items():
            (folder / header).write_text(generated_header(table))
        jobs = compile_commands(compiler, machine(), folder)

        def run(job):
            done = subprocess.run(job[0], capture_output=True, text=True)
            if done.returncode or (verbose and done.stderr):
                sys.stderr.write(" ".join(job[0]) + "\n" + done.stderr)
            return done.returncode

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            if any(pool.map(run, jobs)):
                raise RuntimeError("the core did not compile; the compiler's messages are above")
        for library, ours in ((SIMBUS, True), (LIBRARY, False)):
            objects = [str(obj) for _, obj in jobs if obj.name.startswith("simbus_") == ours]
            out = library.with_suffix(f".{os.getpid()}.tmp")
            subprocess.run([*compiler, "-shared", "-pthread", *objects, "-o", str(out), "-lm", "-ldl"], check=True)
            os.replace(out, library)
        STAMP.write_text(json.dumps(stamp))
    return LIBRARY


if __name__ == "__main__":
    print(build(force="--force" in sys.argv, verbose=True))

"""The kernels' own test in C, for this machine and, under emulation, for arm64."""

import importlib.util
import shutil
import subprocess
import sys

import pytest

from neurorack import build_core

from pathlib import Path

SOURCE = Path(__file__).with_name("selftest.c")


def build(compiler, arch, folder, *flags):
    """The self-test with the engine's C files, each as the core's own build compiles it."""
    (folder / "rack_table.h").write_text(build_core.generated_header())
    jobs = [
        (command, obj)
        for command, obj in build_core.compile_commands(compiler, arch, folder)
        if obj.name.startswith("engine_")
    ]
    jobs.append(
        (
            [
                *compiler,
                *build_core.FLAGS,
                f"-I{build_core.PACKAGE}",
                "-c",
                str(SOURCE),
                "-o",
                str(folder / "selftest.o"),
            ],
            folder / "selftest.o",
        )
    )
    for command, _ in jobs:
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    program = folder / "selftest"
    subprocess.run(
        [*compiler, *flags, *[str(obj) for _, obj in jobs], "-o", str(program), "-lm", "-pthread"], check=True
    )
    return program


def check(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout and done.stdout.count("ok ") >= 15
    return done.stdout


def test_this_machine(tmp_path):
    try:
        compiler = build_core.find_compiler()
    except build_core.NoCompiler as error:
        pytest.skip(str(error))
    program = build(compiler, build_core.machine(), tmp_path)
    for isa, _ in build_core.ISAS[build_core.machine()]:
        check(["env", f"NEURORACK_ISA={isa}", str(program)])


@pytest.mark.soak     # half a minute of emulation
@pytest.mark.skipif(
    not importlib.util.find_spec("ziglang"), reason="the cross compiler is missing: pip install ziglang"
)
def test_arm64(tmp_path):
    program = build(
        [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-musl"], "aarch64", tmp_path, "-static"
    )
    emulator = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if build_core.machine() == "aarch64":
        emulator = "env"
    if not emulator:
        pytest.skip("it compiles for arm64; to run it too: apt-get install qemu-user-static")
    assert "neon, 4 lanes" in check([emulator, str(program)])

"""A board that is not there: Debian for arm64 in a folder, run by an emulator, and deployed to like any other.

    python -m tests.deploy.arm64 [--suite NAME] [--folder DIR] [--fresh]        (make test-arm64)

1. ``mmdebstrap`` makes the root file system from the sources that this machine's apt is configured with (kept for the next time).
2. ``deploy.sh`` installs this very tree there, through a real sshd whose logins land in it: its Python, wheels for arm64, the core
   compiled by its compiler, ``neurorack doctor``, ``neurorack bench``. An emulator is no fast board: that it is refused for being too
   slow, and for nothing else, is taken for a success.
3. ``neurorack render`` plays the factory model's demo there and here; the two sounds must agree to 100 dB.
4. The kernels' own test (``tests/engine/selftest.c``) is compiled and run there.

Needs root for the mounts and for ``chroot`` (asks before it takes it), about 1.5 GB, a network, and a quarter of an hour.
Nothing of the system is changed but the emulator's registration, which is taken back if it was not there before.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from tests.deploy import board as boards
from tests.deploy.board import ROOT

TOOLS = {"mmdebstrap": "mmdebstrap", "arch-test": "arch-test", "unshare": "util-linux"}
PACKAGES = "python3,python3-venv,libportaudio2,gcc,libc6-dev,ca-certificates"
FORMATS = Path("/proc/sys/fs/binfmt_misc")
EMULATOR = "qemu-aarch64"
AGREEMENT_DB, CHECKS = 100.0, 13
TOO_SLOW = "too slow for this board"
DONE = "etc/neurorack-test-root"
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"


class Missing(Exception):
    """It cannot be tried here: one line that says why and what to do."""


def step(text: str) -> None:
    print(f"arm64: {text}", flush=True)


def need_tools() -> None:
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if platform.machine() != "aarch64" and not Path(f"/usr/lib/binfmt.d/{EMULATOR}.conf").is_file():
        missing.append("qemu-user-static")
    if missing:
        raise Missing(f"this machine lacks {', '.join(missing)}: sudo apt-get install {' '.join(missing)}")
    if why := boards.unavailable():
        raise Missing(why)


def become_root() -> None:
    """In a mount namespace of its own, so that nothing stays mounted whatever happens."""
    command = ["unshare", "--mount", sys.executable, "-m", "tests.deploy.arm64", *sys.argv[1:]]
    if os.getuid() != 0:
        print("A root file system is made, mounted and entered (chroot), which needs root; sudo may ask for your password.")
        if not sys.stdin.isatty() or input("Go on (y/n)? ").strip().lower() != "y":
            raise Missing("it needs root: run it as root, or answer y")
        command = ["sudo", "env", f"PYTHONPATH={ROOT}", *command]
    os.execvpe(command[0], command, {**os.environ, "NEURORACK_OWN_MOUNTS": "yes"} if os.getuid() == 0 else os.environ)


@contextlib.contextmanager
def emulation():
    """The kernel starts arm64 programs: as they are, by an emulator that is registered, or by one that is registered meanwhile."""
    ours = FORMATS / EMULATOR
    if platform.machine() == "aarch64":
        yield
        return
    if not (FORMATS / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", str(FORMATS)], capture_output=True)
    if not (FORMATS / "register").exists():
        raise Missing("this kernel has no binfmt_misc: arm64 programs cannot be started as if they were its own")
    before = ours.exists()
    if not before:
        (FORMATS / "register").write_text(Path(f"/usr/lib/binfmt.d/{EMULATOR}.conf").read_text())
    try:
        yield
    finally:
        if not before:
            ours.write_text("-1")


def make_root(folder: Path, suite: str) -> None:
    if (folder / DONE).is_file():
        step(f"the root file system in {folder} is there already (--fresh makes it anew)")
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    step(f"making Debian {suite} for arm64 in {folder}; some minutes")
    done = subprocess.run(["mmdebstrap", "--architectures=arm64", "--variant=minbase", f"--include={PACKAGES}", "--quiet", suite, str(folder)])
    if done.returncode:
        raise Missing(f"mmdebstrap could not make it (exit code {done.returncode}); its message is above")
    (folder / DONE).touch()


def enter(folder: Path) -> None:
    """What every system has; this machine's names and certificates, so that its network is reached the way it is reached here."""
    for name in ("proc", "dev"):
        subprocess.run(["mount", "--rbind", f"/{name}", str(folder / name)], check=True)
    for name in ("etc/resolv.conf", CERTIFICATES):
        if (Path("/") / name).exists():
            shutil.copyfile(Path("/") / name, folder / name)


def inside(folder: Path, *command: str, **more) -> subprocess.CompletedProcess:
    return subprocess.run(["chroot", str(folder), "env", "-i", "HOME=/root", "PATH=/usr/bin:/bin", "LANG=C.UTF-8", *command], text=True, **more)


def deploy(folder: Path) -> Path:
    """Returns the release's folder, as it is called in there."""
    board = boards.make()
    try:
        board.start(wrap=f"chroot {folder}", account="root", home="/root")
        run = board.deploy("--board", "desk", "--options", "--device null", "--watch", "5")
        last = ""
        for line in run.stdout:
            print(f"  {line}", end="", flush=True)
            last = line
        if run.wait() and TOO_SLOW not in last:
            raise SystemExit(f"arm64: FAILED: deploy.sh: {last.strip()}")
        step("deployed and playing" if run.returncode == 0 else "installed, compiled and examined; as a board it would be too slow, as an emulator is")
    finally:
        pid = folder / "root/.local/opt/neurorack/run/pid"
        if pid.exists():
            subprocess.run(["kill", pid.read_text().strip()], capture_output=True)
        board.sshd.terminate()
        board.sshd.wait()
        shutil.rmtree(board.folder, ignore_errors=True)
    release = max((folder / "root/.local/opt/neurorack/releases").iterdir(), key=lambda path: path.name)
    return Path("/") / release.relative_to(folder)


def examine(folder: Path, release: Path) -> None:
    """Its own words on the machine it is on."""
    done = inside(folder, f"{release}/tools/deploy/run", "-m", "neurorack", "doctor", capture_output=True)
    core = next((line for line in done.stdout.splitlines() if "core:" in line), "")
    if "[fail]" in done.stdout or "neon" not in core:
        raise SystemExit(f"arm64: FAILED: doctor: {done.stdout}{done.stderr}")
    step(f"doctor: {core.strip()}")


def same_sound(folder: Path, release: Path) -> None:
    import numpy as np
    import soundfile

    sounds = []
    for where in ("there", "here"):
        out = folder / "tmp" / f"{where}.wav"
        if where == "there":
            done = inside(folder, f"{release}/tools/deploy/run", "-m", "neurorack", "render", f"{release}/models/impacts/demo.yaml", "/tmp/there.wav", capture_output=True)
        else:
            done = subprocess.run([sys.executable, "-m", "neurorack", "render", "models/impacts/demo.yaml", str(out)], cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"arm64: FAILED: render {where}: {done.stdout}{done.stderr}")
        step(f"render {where}: {done.stdout.strip().split(': ', 1)[-1]}")
        sounds.append(soundfile.read(out, dtype="float64")[0])
    there, here = sounds
    if there.shape != here.shape or not (there ** 2).sum():
        raise SystemExit(f"arm64: FAILED: the sounds are {there.shape} and {here.shape} long, or silent")
    difference = ((there - here) ** 2).sum()
    agreement = 10 * np.log10((here ** 2).sum() / difference) if difference else np.inf
    if agreement < AGREEMENT_DB:
        raise SystemExit(f"arm64: FAILED: the two sounds agree to {agreement:.0f} dB only; {AGREEMENT_DB:g} are wanted")
    step(f"the sound there and here agrees to {agreement:.0f} dB")


#: -O1 for the test itself: GCC 12 for arm64 falls over one of its loops at -O3.
SELFTEST = """
import subprocess, sys
from pathlib import Path
from neurorack import build_core
folder = Path(sys.argv[1])
(folder / "rack_table.h").write_text(build_core.generated_header())
compiler, machine = build_core.find_compiler(), build_core.machine()
jobs = [(command, obj) for command, obj in build_core.compile_commands(compiler, machine, folder) if obj.name.startswith("engine_")]
jobs.append(([*compiler, *build_core.FLAGS, "-O1", f"-I{build_core.PACKAGE}", "-c", sys.argv[2], "-o", str(folder / "selftest.o")], folder / "selftest.o"))
for command, _ in jobs:
    subprocess.run(command, check=True)
subprocess.run([*compiler, *[str(obj) for _, obj in jobs], "-o", str(folder / "selftest"), "-lm", "-pthread"], check=True)
sys.exit(subprocess.run([str(folder / "selftest")]).returncode)
"""


def kernels(folder: Path, release: Path) -> None:
    place = folder / "tmp" / "selftest"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    shutil.copy(ROOT / "tests/engine/selftest.c", place / "selftest.c")
    done = inside(folder, f"{release}/tools/deploy/run", "-c", SELFTEST, "/tmp/selftest", "/tmp/selftest/selftest.c", capture_output=True)
    passed = done.stdout.count("ok ")
    if done.returncode or "FAIL" in done.stdout or passed < CHECKS or "neon" not in done.stdout:
        raise SystemExit(f"arm64: FAILED: the kernels' own test: {done.stdout}{done.stderr}")
    step(f"the kernels' own test: {passed} checks, neon")


def main() -> None:
    parser = argparse.ArgumentParser(description="Deploy to an emulated arm64 Debian and compare its sound with this machine's.")
    parser.add_argument("--suite", default=os.environ.get("SUITE") or platform.freedesktop_os_release().get("VERSION_CODENAME", "bookworm"), help="of Debian (default: this system's)")
    parser.add_argument("--folder", type=Path, help="where the root file system lies (default build/arm64-SUITE)")
    parser.add_argument("--fresh", action="store_true", help="make it anew")
    args = parser.parse_args()
    folder = (args.folder or ROOT / "build" / f"arm64-{args.suite}").absolute()
    need_tools()
    if os.getuid() != 0 or "NEURORACK_OWN_MOUNTS" not in os.environ:
        become_root()
    if args.fresh:
        (folder / DONE).unlink(missing_ok=True)
    with emulation():
        make_root(folder, args.suite)
        enter(folder)
        release = deploy(folder)
        examine(folder, release)
        same_sound(folder, release)
        kernels(folder, release)
    step("all well")


if __name__ == "__main__":
    try:
        main()
    except Missing as why:
        sys.exit(f"arm64: skipped: {why}")

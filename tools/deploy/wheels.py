"""Which of the instrument's packages have wheels for 64-bit ARM boards, and fetching them for a board without a network.

    wheels.py [--python 3.11 3.12 3.13] [--glibc 2.36] [--into FOLDER]

Exit code 1 when one of those that playing needs has none. With ``--into`` (and one --python) the wheels are kept:
``deploy.sh --wheels FOLDER user@host`` installs from them. glibc is the board's: 2.27 of the Jetson Nano's image, 2.36 of
Raspberry Pi OS 12, 2.41 of 13.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import packages  # noqa: E402


def platforms(glibc: str) -> list[str]:
    """The tags a board with this glibc takes, newest first, as pip spells them."""
    minor = int(glibc.split(".")[1])
    words = [word for low in range(minor, 16, -1) for word in ("--platform", f"manylinux_2_{low}_aarch64")]
    return [*words, "--platform", "manylinux2014_aarch64"]


def fetch(requirement: str, python: str, glibc: str, folder: Path) -> str | None:
    """Download it and all it needs; None, or why not."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--only-binary", ":all:",
               "--python-version", python, "--implementation", "cp", *platforms(glibc), "--dest", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return None if done.returncode == 0 else (lines or ["pip failed"])[-1].removeprefix("ERROR: ")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", nargs="+", default=["3.11", "3.12", "3.13"])
    parser.add_argument("--glibc", default="2.36")
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    if options.into and len(options.python) != 1:
        parser.error("--into needs one --python: the board's")
    wanted = packages.requirements(HERE.parents[1] / "setup.py")
    wanted["compiler, where the board has none"] = ["ziglang"]
    missing = False
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.into or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for python in options.python:
            for part, requirements in wanted.items():
                for requirement in requirements:
                    why = fetch(requirement, python, options.glibc, folder)
                    print(f"{python}  {part:<6}  {requirement:<22}  {'wheel' if why is None else 'none: ' + why}", flush=True)
                    missing |= why is not None and part == "play"
            torch = sorted(path.name for path in folder.glob("torch-*"))
            if torch:
                print(f"{python}  {torch[0]} came along, and must not", flush=True)
                missing = True
    return int(missing)


if __name__ == "__main__":
    sys.exit(main())

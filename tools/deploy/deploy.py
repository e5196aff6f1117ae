"""The half of a deployment that runs on your computer: looks at the board, sends what is new, has the board do the rest.

Standard library only, Python 3.8 or newer, ssh, and rsync where both sides have it (else tar). NEURORACK_SSH may hold another
ssh command line ("ssh -p 2222").
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SENT = ("neurorack", "models", "hardware", "systemd", "tools", "docs", "setup.py", "README.md")
STAGING = ".cache/neurorack-deploy/tree"          # below the home of the account on the board
NEEDED_MB = 600


class Failed(Exception):
    """One line for the person at the terminal."""


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="deploy.sh", description="Install the instrument, or models, on a board over ssh; what runs there is only "
                                     "replaced by what has proven itself.")
    parser.add_argument("target", nargs="?", metavar="user@host")
    parser.add_argument("--model", type=Path, nargs="+", action="extend", default=[], metavar="FILE",
                        help="models to check there and take into its library")
    parser.add_argument("--firmware", action="store_true", help="the instrument itself; what happens without --model too")
    parser.add_argument("--board", help="the board file it plays with from now on (a name of hardware/)")
    parser.add_argument("--options", help='more options of neurorack play there, such as "--device hifiberry --rate 48000"')
    parser.add_argument("--dry-run", action="store_true", help="look at the board and say each step; change nothing")
    parser.add_argument("--tune", action="store_true", help="apply the safe settings that doctor asks for: buses, isolated core, governor, interrupts (root)")
    parser.add_argument("--user", action="store_true", help="into the account's own folder, even where root could be had")
    parser.add_argument("--watch", type=float, default=20.0, metavar="SECONDS", help="how long its health is watched (default 20)")
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="take Python packages from these wheels: for a board without a network")
    parser.add_argument("--python", type=Path, metavar="FILE.tar.gz",
                        help="a standalone Python (python/bin/python3 in it) for a board that has none of 3.11 to 3.13")
    args = parser.parse_intermixed_args(arguments)
    if args.target is None and len(args.model) > 1:
        args.target = str(args.model.pop())       # --model FILE... user@host
    if args.target is None:
        raise Failed("say which board: deploy.sh user@host")
    for path in args.model:
        if not path.is_file():
            raise Failed(f"there is no file {path}")
    if args.board and not (ROOT / "hardware" / f"{args.board}.yaml").is_file():
        raise Failed(f"there is no board {args.board!r}; the boards are {', '.join(sorted(p.stem for p in (ROOT / 'hardware').glob('*.yaml')))}")
    if not 0 < args.watch <= 3600:
        raise Failed(f"--watch is {args.watch:g}; it must lie above 0 and not above 3600 seconds")
    if args.target.startswith("-"):
        raise Failed(f"{args.target!r} is no user@host")
    args.firmware = args.firmware or not args.model
    return args


class Target:
    """The board behind ssh. One connection is kept and shared, so that a password is asked for once."""

    def __init__(self, name: str):
        self.name = name
        self.folder = tempfile.mkdtemp(prefix="nr-ssh-")
        self.ssh = [*shlex.split(os.environ.get("NEURORACK_SSH", "ssh")), "-o", "ControlMaster=auto", "-o", f"ControlPath={self.folder}/s",
                    "-o", "ControlPersist=30", "-o", "ServerAliveInterval=15"]

    def run(self, command: str, **more) -> subprocess.CompletedProcess:
        return subprocess.run([*self.ssh, self.name, command], **more)

    def close(self) -> None:
        subprocess.run([*self.ssh, "-O", "exit", self.name], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def look(self) -> dict[str, str]:
        done = self.run("sh -s", input=(ROOT / "tools" / "deploy" / "look.sh").read_text(), capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"{self.name} cannot be reached: {(done.stderr.strip().splitlines() or ['ssh failed'])[-1]}")
        return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)

    def send(self, files: dict[str, Path], rsync: bool) -> None:
        """``files``: path there -> file here. A cut leaves a part there, which the next time completes."""
        quoted = shlex.quote(STAGING)
        if self.run(f"mkdir -p {quoted}").returncode:
            raise Failed(f"no folder could be made in the home of {self.name}; is its disk full?")
        with tempfile.TemporaryDirectory(prefix="nr-deploy-") as name:
            tree = Path(name)
            for there, here in files.items():
                (tree / there).parent.mkdir(parents=True, exist_ok=True)
                (tree / there).symlink_to(here.resolve())
            if rsync:
                command = ["rsync", "--recursive", "--copy-links", "--perms", "--times", "--checksum", "--delete", "--compress",
                           "-e", shlex.join(self.ssh), f"{tree}/", f"{self.name}:{STAGING}/"]
                sent = subprocess.run(command).returncode == 0
            else:
                unpack = subprocess.Popen([*self.ssh, self.name, f"tar -xzf - -C {quoted}"], stdin=subprocess.PIPE)
                try:
                    with tarfile.open(fileobj=unpack.stdin, mode="w|gz", dereference=True) as stream:
                        stream.add(tree, ".")
                    unpack.stdin.close()
                except BrokenPipeError:
                    pass
                sent = unpack.wait() == 0
        if not sent:
            raise Failed("the connection was cut while files were sent; what runs there is untouched. "
                         "Run deploy.sh again: what has arrived is not sent twice")


def tree() -> dict[str, Path]:
    """What a release is made of: path in it -> file here."""
    found = {}
    for name in SENT:
        place = ROOT / name
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            hidden = any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(ROOT).parts)
            if path.is_file() and not hidden and path.suffix not in (".so", ".pyc", ".wav") and path.name != "_core.json":
                found[str(path.relative_to(ROOT))] = path
    return found


def copied(files: dict[str, Path], folder: str) -> dict[str, Path]:
    """As they are now: who goes on writing while they are sent does not spoil a deployment."""
    for there, here in files.items():
        (Path(folder) / there).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(here, Path(folder) / there)
    return {there: Path(folder) / there for there in files}


def sums(files: dict[str, Path]) -> dict[str, str]:
    return {there: hashlib.sha256(here.read_bytes()).hexdigest() for there, here in files.items()}


def make_request(args: argparse.Namespace, facts: dict[str, str], digests: dict[str, str]) -> dict:
    """All the board must know. Raises ``Failed`` for a board that cannot be one."""
    if facts.get("machine") not in ("aarch64", "x86_64"):
        raise Failed(f"{args.target} is {facts.get('machine')}: a 64-bit system is needed (on a Raspberry Pi, the 64-bit Raspberry Pi OS)")
    if "python" not in facts and not args.python:
        raise Failed(f"{args.target} ({facts.get('system')}) has no Python 3.11 to 3.13; install one there, "
                     "or give a standalone one with --python FILE.tar.gz")
    if int(facts.get("free_mb") or 0) < NEEDED_MB:
        raise Failed(f"{args.target} has {facts.get('free_mb')} MB free; {NEEDED_MB} are needed")
    rights = facts["root"] != "no" and not args.user
    service = "system" if rights and "systemd" in facts else "user" if not rights and "user_manager" in facts else "nobody"
    version = re.search(r'"(.*?)"', (ROOT / "neurorack" / "__init__.py").read_text().split("__version__", 1)[1]).group(1)
    whole = hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()[:8]
    has_panel = args.board != "desk" if args.board else bool(re.search("Raspberry|Jetson", facts.get("model", "")))
    options = " ".join(filter(None, [f"--board {args.board}" if args.board else "", args.options]))
    return {"id": f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{version}-{whole}", "files": digests, "firmware": args.firmware,
            "base": "/opt/neurorack" if service == "system" else f"{facts['home']}/.local/opt/neurorack", "service": service, "board": args.board,
            "options": options or None, "has_panel": has_panel, "tune": args.tune, "watch_seconds": args.watch, "wheels": args.wheels is not None}


def plan(args: argparse.Namespace, facts: dict[str, str], request: dict, files: dict[str, Path]) -> list[str]:
    """What will be done, a line a step."""
    keeper = {"system": "systemd, as the account neurorack", "user": "systemd of the user (no real-time limits, no device rules)",
              "nobody": "nobody: there is no systemd; it is started once and not again"}[request["service"]]
    size = sum(path.stat().st_size for path in files.values())
    way = "rsync, only what differs" if "rsync" in facts else "tar: there is no rsync"
    lines = [f"{args.target}: {facts.get('model') or 'a computer'}, {facts.get('machine')}, {facts.get('system')}, "
             f"Python {facts.get('python') or args.python}", f"send {len(files)} files ({size / 1e6:.1f} MB) to ~/{STAGING} with {way}"]
    if args.python:
        lines.append(f"unpack {args.python} into {request['base']}/python")
    if request["firmware"]:
        source = f"wheels of {args.wheels}" if args.wheels else "wheels"
        lines += [f"lay release {request['id']} beside what runs, in {request['base']}/releases",
                  f"make its Python environment, or take the one that fits: {source}, no torch{'' if request['has_panel'] else ', no libraries of a panel'}",
                  "build the compiled core, or take over the one that is unchanged", "self-test: neurorack doctor, neurorack bench"]
    lines += [f"check the model {path.name} there and add it to the library" for path in args.model]
    if request["firmware"]:
        lines += [f"write its options: {request['options']}" if request["options"] else "keep its options",
                  f"switch {request['base']}/current, start it, which wakes as it was; kept running by {keeper}",
                  f"watch its health for {args.watch:g} s; go back to the release before if it is not well",
                  "remove all but three releases"]
    if args.tune:
        lines.append("tune: buses and DAC in config.txt, an isolated core in cmdline.txt, governor, interrupts (a copy of each file is kept)" if request["service"] == "system"
                     else "tune: not without root; doctor names what to do")
    return lines


def send_python(target: Target, archive: Path, request: dict, sudo: str) -> str:
    """A standalone Python beside the releases; returns its interpreter."""
    base = shlex.quote(request["base"])
    command = f"{sudo}sh -c 'mkdir -p {base}/.python && tar -xzf - -C {base}/.python && {{ [ -d {base}/python ] || mv {base}/.python/python {base}/python; }}'"
    with open(archive, "rb") as stream:
        if target.run(command, stdin=stream).returncode:
            raise Failed(f"{archive} could not be unpacked in {request['base']}")
    return f"{request['base']}/python/bin/python3"


def deploy(args: argparse.Namespace) -> int:
    target = Target(args.target)
    try:
        facts = target.look()
        files = copied({there: here for there, here in tree().items() if args.firmware or there.startswith("tools/")}, target.folder)
        files.update({f"models.new/{path.name}": path for path in args.model})
        if args.wheels:
            files.update({f"wheels/{path.name}": path for path in sorted(args.wheels.glob("*.whl"))})
        if not shutil.which("rsync"):
            facts.pop("rsync", None)
        request = make_request(args, facts, sums(files))
        for line in plan(args, facts, request, files):
            print(f"{'would' if args.dry_run else 'will'}: {line}", flush=True)
        if args.dry_run:
            return 0
        target.send(files, "rsync" in facts)
        sudo = "sudo -n " if request["service"] == "system" and facts["root"] == "sudo" else ""
        python = send_python(target, args.python, request, sudo) if args.python else facts["python"]
        command = f"{sudo}{shlex.quote(python)} -B {STAGING}/tools/deploy/board.py install"
        code = target.run(command, input=json.dumps(request).encode()).returncode
        if code == 255:
            raise Failed(f"the connection was cut; the board goes on by itself and goes back if it must. Its words are in {request['base']}/deploy.log")
        return code
    finally:
        target.close()


if __name__ == "__main__":
    try:
        sys.exit(deploy(parse(sys.argv[1:])))
    except Failed as why:
        print(f"deploy.sh: {why}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)

"""A board to deploy to: a real sshd on loopback whose logins land in a home of their own, without root where that can be had."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SSHD = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")
NOBODY = 54321            # an account that owns nothing else on this machine
sys.path.insert(0, str(ROOT / "tools" / "deploy"))
import packages  # noqa: E402
from releases import COMPLETE, Base  # noqa: E402


def unavailable() -> str | None:
    """Why there can be no such board here."""
    if SSHD is None or shutil.which("ssh") is None:
        return "OpenSSH's sshd and ssh are not installed (apt-get install openssh-server)"
    if board_python() is None:
        return "no Python that the board's account may use"
    return None


def _as_nobody(command: list[str]) -> list[str]:
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        return command
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "env", *command]


def board_python() -> str | None:
    """A Python of the tests' version, with venv, that the board's account may run; compiled modules are shared with the tests."""
    code = f"import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    for python in (getattr(sys, "_base_executable", sys.executable), "/usr/bin/python3", sys.executable):
        if Path(python).exists() and subprocess.run(_as_nobody([python, "-c", code]), capture_output=True, cwd="/").returncode == 0:
            return python
    return None


class Board:
    """``home`` on the board; ``ssh`` a command line that reaches it; ``base`` where an instrument lands."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.home = folder / "home"
        self.base = Base(self.home / ".local" / "opt" / "neurorack")
        self.python = board_python()
        self.home.mkdir()
        folder.chmod(0o755)
        (folder / "bin").mkdir()
        (folder / "bin" / "python3").symlink_to(self.python)
        self.sshd: subprocess.Popen | None = None
        self.ssh = ""

    def start(self, wrap: str = "", account: str = "", home: str = "") -> None:
        """``wrap``: a command before each login's shell; ``account`` root: as it stands in what ``wrap`` enters, with that ``home``."""
        folder, port = self.folder, _free_port()
        for name in ("host", "key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
        shutil.copy(folder / "key.pub", folder / "authorized")
        home = home or str(self.home)
        login = ["env", "-i", f"HOME={home}", f"PATH={folder}/bin:/usr/local/bin:/usr/sbin:/usr/bin:/bin", "LANG=C.UTF-8"]
        login = shlex.join(login if account == "root" else _as_nobody(login))
        (folder / "login").write_text(f'#!/bin/sh\numask 022\nexec {wrap} {login} sh -c "cd {home}; $SSH_ORIGINAL_COMMAND"\n')
        (folder / "login").chmod(0o755)
        (folder / "sshd_config").write_text(f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
                                            f"StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nPasswordAuthentication no\nForceCommand {folder}/login\n")
        Path("/run/sshd").mkdir(exist_ok=True) if os.getuid() == 0 else None
        self.log = open(folder / "sshd.log", "w")
        self.sshd = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=self.log, stdin=subprocess.DEVNULL)
        self.ssh = (f"ssh -p {port} -i {folder}/key -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no -o LogLevel=ERROR "
                    f"-o UserKnownHostsFile={folder}/known -F none")
        self.target = f"{pwd.getpwuid(os.getuid()).pw_name}@127.0.0.1"
        deadline = time.monotonic() + 20
        while subprocess.run([*shlex.split(self.ssh), self.target, "true"], capture_output=True).returncode:
            assert time.monotonic() < deadline and self.sshd.poll() is None, (folder / "sshd.log").read_text()
            time.sleep(0.1)

    def prepare(self) -> None:
        """The parts that need a network and minutes are there already: the Python environment (the tests' own) and the core."""
        wanted = packages.requirements(ROOT / "setup.py")
        del wanted["board"]
        done = self.run(self.python, "-c", f"import sys; sys.path.insert(0, {str(ROOT / 'tools/deploy')!r}); import packages; "
                        f"print(packages.environment_id({wanted!r}, {str(self.folder / 'bin/python3')!r}))")
        folder = self.base.environments / done.stdout.strip()
        site = next(path for path in sys.path if path.endswith("site-packages"))
        self.run(self.python, "-m", "venv", "--without-pip", str(folder))
        self.write(folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages" / "tests.pth", f"{site}\n")
        self.write(folder / COMPLETE, "")
        for name in ("_core.so", "_simbus.so", "_core.json"):
            self.run("mkdir", "-p", str(self.base.release("0-seed") / "neurorack"))
            self.run("cp", str(ROOT / "neurorack" / name), str(self.base.release("0-seed") / "neurorack" / name))
        self.write(self.base.release("0-seed") / COMPLETE, "")

    def run(self, *command: str) -> subprocess.CompletedProcess:
        """A command as the board's account, at home."""
        return subprocess.run(_as_nobody(["env", "-i", f"HOME={self.home}", "PATH=/usr/bin:/bin", *command]), cwd=self.home, capture_output=True, text=True)

    def write(self, path: Path, text: str) -> None:
        subprocess.run(_as_nobody(["tee", str(path)]), input=text, text=True, check=True, stdout=subprocess.DEVNULL)

    def deploy(self, *options: str, tree: Path = ROOT, **environment: str) -> subprocess.Popen:
        return subprocess.Popen([str(tree / "deploy.sh"), *options, self.target], env={**os.environ, "NEURORACK_SSH": self.ssh, "TMPDIR": str(self.folder), **environment}, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)

    def neurorack(self, *arguments: str) -> subprocess.CompletedProcess:
        """The installed command line."""
        return self.run(str(self.base.folder / "neurorack"), *arguments)

    def stop(self) -> None:
        lock = self.base.folder / "deploy.lock"
        if lock.exists():       # a deployment whose connection was cut comes to its end first
            subprocess.run(["flock", "--timeout", "120", str(lock), "true"])
        pid = self.base.folder / "run" / "pid"
        if pid.exists():
            self.run("kill", pid.read_text().strip())
        if self.sshd:
            self.sshd.terminate()
            self.sshd.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make() -> Board:
    """In a folder with a short name: sockets lie in it."""
    board = Board(Path(tempfile.mkdtemp(prefix="nrb", dir="/tmp")))
    if os.getuid() == 0 and shutil.which("setpriv"):
        shutil.chown(board.home, NOBODY, NOBODY)
    return board

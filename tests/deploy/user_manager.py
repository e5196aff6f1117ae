"""A systemd that runs as the board's account, in a mount namespace with a /run of its own and in a control group of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from tests.deploy.board import NOBODY

GROUPS = Path("/sys/fs/cgroup")
SYSTEMD = Path("/lib/systemd/systemd")


def unavailable() -> str | None:
    if os.getuid() != 0 or not SYSTEMD.exists() or not all(map(shutil.which, ("unshare", "nsenter", "setpriv"))):
        return "a systemd of our own needs root, systemd, unshare, nsenter and setpriv"
    return None


class Manager:
    """``enter``: the words before a command that runs in its namespace."""

    def __init__(self, folder: Path):
        self.folder = folder
        # the hierarchies systemd uses: all in one, or its own beside the old ones
        self.groups = [place / f"neurorack-test-{os.getpid()}" for place in (GROUPS, GROUPS / "systemd", GROUPS / "unified") if (place / "cgroup.procs").exists()]
        self.process: subprocess.Popen | None = None

    def start(self) -> str | None:
        """Returns why it could not, None when it runs."""
        running = f"/run/user/{NOBODY}"
        lines = ["set -e", "mount -t tmpfs tmpfs /run", f"mkdir -p /run/systemd/system {running}", f"chown {NOBODY} {running}", f"chmod 700 {running}"]
        for group in self.groups:
            lines += [f"mkdir -p {group}", f"chown -R {NOBODY} {group}", f"echo $$ > {group}/cgroup.procs"]
        lines.append(f"exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups env -i HOME={self.folder}/home XDG_RUNTIME_DIR={running} "
                     f"PATH=/usr/local/bin:/usr/bin:/bin {SYSTEMD} --user --log-target=console")
        (self.folder / "manager.sh").write_text("\n".join(lines) + "\n")
        log = open(self.folder / "manager.log", "w")
        self.process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", str(self.folder / "manager.sh")], stdout=log, stderr=log,
                                        stdin=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.systemctl("is-system-running").stdout.strip() == "running":
                return None
            time.sleep(0.2)
        return "systemd does not run here: " + ((self.folder / "manager.log").read_text().strip().splitlines() or ["no word"])[-1]

    @property
    def enter(self) -> str:
        return f"nsenter --target={self.process.pid} --mount"

    def systemctl(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([*self.enter.split(), "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "env",
                               f"XDG_RUNTIME_DIR=/run/user/{NOBODY}", "systemctl", "--user", *arguments], capture_output=True, text=True)

    def stop(self) -> None:
        if self.process:
            self.systemctl("exit")
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for group in self.groups:
            if group.exists():
                for inner in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
                    _remove(inner)
                _remove(group)


def _remove(group: Path) -> None:
    try:
        group.rmdir()
    except OSError:
        pass      # something still leaves it

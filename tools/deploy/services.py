"""Who keeps the instrument running on this board: systemd as root, systemd of the user, or nobody."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from releases import Base, Refused, replace_text

SYSTEM_UNITS = Path("/etc/systemd/system")
PLACE = "/opt/neurorack"            # as the unit files are written
UNIT = "neurorack.service"
LEAVE_SECONDS = 5.0


def run(*command: str, **more) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, **more)


class Systemd:
    """The system's manager or the user's."""

    def __init__(self, base: Base, user: bool):
        self.base, self.user = base, user
        os.environ.setdefault("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
        self.units = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user" if user else SYSTEM_UNITS

    def _systemctl(self, *arguments: str) -> subprocess.CompletedProcess:
        return run("systemctl", *(["--user"] if self.user else []), *arguments)

    def install(self, release: Path) -> None:
        """The units of this release, enabled; they lead through ``current``, so an older release can live with them too."""
        self.units.mkdir(parents=True, exist_ok=True)
        for unit in sorted((release / "systemd" / ("user" if self.user else "")).iterdir()):
            if unit.is_file():
                replace_text(self.units / unit.name, unit.read_text().replace(PLACE, str(self.base.folder)))
        self._systemctl("daemon-reload")
        enabled = [UNIT] if self.user else [UNIT, "neurorack-first-boot.service"]
        done = self._systemctl("enable", "--quiet", *enabled)
        if done.returncode:
            raise Refused(f"systemd does not take the unit: {done.stderr.strip()}")
        if self.user:
            run("loginctl", "enable-linger")       # so that it starts with the board, not with the first login

    def start(self) -> None:
        self._systemctl("reset-failed", UNIT)
        self._systemctl("start", "--no-block", UNIT)

    def stop(self) -> None:
        self._systemctl("stop", UNIT)

    def trouble(self) -> str | None:
        """Why it will not come up; None while it may, or runs."""
        shown = dict(line.split("=", 1) for line in self._systemctl("show", UNIT, "-p", "NRestarts,ActiveState").stdout.splitlines())
        if shown.get("ActiveState") == "failed":
            return "the unit has failed"
        restarts = int(shown.get("NRestarts") or 0)
        return f"systemd had to start it {restarts + 1} times" if restarts > 1 else None

    def last_words(self) -> list[str]:
        done = run("journalctl", *(["--user"] if self.user else []), "-u", UNIT, "-n", "8", "-o", "cat", "--no-pager")
        return done.stdout.splitlines()


class Nobody:
    """No systemd: started once, in the background."""

    def __init__(self, base: Base):
        self.base, self.pid_file, self.log = base, base.folder / "run" / "pid", base.folder / "neurorack.log"

    def install(self, release: Path) -> None:
        pass

    def _pid(self) -> int | None:
        try:
            pid = int(self.pid_file.read_text())
            if "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]:
                os.kill(pid, 0)
                return pid
        except (OSError, ValueError):
            pass
        return None

    def start(self) -> None:
        run("/bin/sh", str(self.base.folder / "guard.sh"), str(self.base.folder))
        with open(self.log, "w") as log:
            process = subprocess.Popen([str(self.base.folder / "current" / "tools" / "deploy" / "run"), "-m", "neurorack.service"], stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log, start_new_session=True, cwd=self.base.folder / "current",
                                       env={**os.environ, **environment(self.base)})
        replace_text(self.pid_file, f"{process.pid}\n")

    def stop(self) -> None:
        pid, deadline = self._pid(), time.monotonic() + LEAVE_SECONDS
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not self._pid():
                return
            os.kill(pid, number)
            while self._pid() and time.monotonic() < deadline:
                time.sleep(0.05)

    def trouble(self) -> str | None:
        return None if self._pid() else "it ended by itself"

    def last_words(self) -> list[str]:
        try:
            return self.log.read_text().splitlines()[-8:]
        except OSError:
            return []


def environment(base: Base) -> dict[str, str]:
    """What the service and everyone who talks to it must share; state in one folder."""
    system = str(base.folder) == PLACE
    state, running = ("/var/lib", "/run/neurorack") if system else (str(base.folder / "var"), str(base.folder / "run"))
    return {"XDG_DATA_HOME": state, "XDG_STATE_HOME": state, "XDG_CACHE_HOME": f"{state}/neurorack/cache", "XDG_RUNTIME_DIR": running}


def manager(base: Base, kind: str):
    return Nobody(base) if kind == "nobody" else Systemd(base, user=kind == "user")


def make_account(name: str = "neurorack") -> None:
    """The account the instrument runs as, in the groups that exist here. Raises ``Refused``."""
    groups = [line.split(":")[0] for line in Path("/etc/group").read_text().splitlines()]
    if run("id", name).returncode:
        done = run("useradd", "--system", "--home-dir", "/var/lib/neurorack", "--no-create-home", "--shell", "/usr/sbin/nologin", name)
        if done.returncode:
            raise Refused(f"the account {name} could not be made: {done.stderr.strip()}")
    for group in ("audio", "i2c", "spi", "gpio"):
        if group in groups:
            run("usermod", "-aG", group, name)
    state = Path("/var/lib/neurorack")
    state.mkdir(mode=0o750, exist_ok=True)
    shutil.chown(state, name, name)

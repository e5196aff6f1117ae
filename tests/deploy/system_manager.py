"""A whole systemd as process 1 of its own namespaces, on an overlay of this machine's files that is gone with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
HIERARCHIES = ("systemd", "unified", "devices")      # of a machine with the old layout; the new one has one for all
NOT_OURS = ("systemd-sysctl.service", "systemd-modules-load.service", "systemd-remount-fs.service", "systemd-binfmt.service", "systemd-udevd.service",
            "systemd-udev-trigger.service", "systemd-tmpfiles-setup-dev.service", "kmod-static-nodes.service", "systemd-logind.service",
            "dev-hugepages.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-fs-fuse-connections.mount",
            "proc-sys-fs-binfmt_misc.automount", "tmp.mount")     # they would reach beyond the namespaces
SCRIPT = """set -e
cd {folder}
mount -t tmpfs tmpfs layers
mkdir layers/upper layers/work
mount -t overlay overlay -o lowerdir=/,upperdir=layers/upper,workdir=layers/work root
cd root
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs tmpfs dev
for node in null zero full random urandom tty; do cp -a /dev/$node dev/; done
mkdir dev/shm dev/pts
mount -t tmpfs tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx; ln -s /proc/self/fd dev/fd; ln -s fd/0 dev/stdin; ln -s fd/1 dev/stdout; ln -s fd/2 dev/stderr
{groups}
rm -rf etc/systemd/system/*.wants opt/neurorack usr/local/bin/neurorack
for unit in {masked}; do ln -sf /dev/null etc/systemd/system/$unit; done
printf '[Unit]\\nRequires=basic.target\\nAfter=basic.target\\n' > etc/systemd/system/default.target
exec chroot . env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --log-target=console --show-status=no
"""


def unavailable() -> str | None:
    if os.getuid() != 0 or not Path("/lib/systemd/systemd").exists() or not all(map(shutil.which, ("unshare", "nsenter"))):
        return "a systemd of our own needs root, systemd, unshare and nsenter"
    return None


class System:
    """``enter``: the words before a command that runs in it, as root."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.groups = {name: GROUPS / name / f"neurorack-test-{os.getpid()}" for name in HIERARCHIES if (GROUPS / name / "cgroup.procs").exists()}
        if (GROUPS / "cgroup.controllers").exists():
            self.groups = {"": GROUPS / f"neurorack-test-{os.getpid()}"}
        self.process: subprocess.Popen | None = None
        self.first = 0

    def start(self) -> str | None:
        """Returns why it could not, None when it runs."""
        for name in ("layers", "root"):
            (self.folder / name).mkdir()
        mounts = ["mount -t tmpfs tmpfs sys/fs/cgroup"] if "" not in self.groups else []
        kinds = {"": "cgroup2 cgroup2", "unified": "cgroup2 cgroup2", "systemd": "cgroup -o none,name=systemd cgroup", "devices": "cgroup -o devices cgroup"}
        for name in self.groups:
            mounts.append(f"mkdir -p sys/fs/cgroup/{name}; mount -t {kinds[name]} sys/fs/cgroup/{name}")
        (self.folder / "inside.sh").write_text(SCRIPT.format(folder=self.folder, groups="\n".join(mounts), masked=" ".join(NOT_OURS)))
        join = "".join(f"mkdir -p {group}; echo $$ > {group}/cgroup.procs; " for group in self.groups.values())
        log = open(self.folder / "system.log", "w")
        self.process = subprocess.Popen(["sh", "-ec", f"{join} exec unshare --mount --pid --cgroup --uts --ipc --fork --propagation private sh {self.folder}/inside.sh"],
                                        stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 40
        while time.monotonic() < deadline and self.process.poll() is None:
            time.sleep(0.3)
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            self.first = int(children[0]) if children else 0
            if self.first and self.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"):
                return None
        return "systemd does not run here: " + ((self.folder / "system.log").read_text().strip().splitlines() or ["no word"])[-1]

    @property
    def enter(self) -> str:
        return f"nsenter --target={self.first} --mount --pid --cgroup chroot {self.folder}/root"

    def run(self, *command: str) -> subprocess.CompletedProcess:
        return subprocess.run([*self.enter.split(), "env", "-i", "HOME=/root", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", *command],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def stop(self) -> None:
        if self.first:
            os.kill(self.first, 9)        # and the kernel ends all that lives in its namespace
        if self.process:
            self.process.wait()
        for group in self.groups.values():
            inner = sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True) if group.exists() else []
            for path in [*inner, group]:
                try:
                    path.rmdir()
                except OSError:
                    pass      # something still leaves it

"""The folders of an installed instrument, and what may be done to them without ever leaving it unable to start.

::

    BASE/                     /opt/neurorack, or ~/.local/opt/neurorack without root
      releases/ID/            one version; whole once it holds .complete
      environments/ID/        Python environments, shared by the releases that need the same
      current -> releases/ID  the only thing that is switched
      trial, trial.starts     a release that has not proven itself yet, and the one before it (guard.sh)
      environment, guard.sh, power.sh, neurorack
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

KEEP_RELEASES = 3
COMPLETE = ".complete"


class Refused(Exception):
    """A deployment that cannot go on; one line, and what runs is untouched or back."""


def verify(folder: Path, files: dict[str, str]) -> None:
    """Every file of the list (path -> sha256) is there and whole. Raises ``Refused``."""
    for name, sha256 in files.items():
        path = folder / name
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise Refused(f"the list names {name!r}, which lies outside of it")
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise Refused(f"{name} did not arrive ({error.strerror}); run deploy.sh again") from None
        if found != sha256:
            raise Refused(f"{name} did not arrive whole; run deploy.sh again")


def replace_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Whole or not at all, also when the power goes."""
    part = path.with_name(f".{path.name}.part")
    with open(part, "w") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Base:
    """The folder an instrument is installed in."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.releases, self.environments = folder / "releases", folder / "environments"

    def release(self, name: str) -> Path:
        return self.releases / name

    def current(self) -> str | None:
        """The release that starts next; None where there is none that is whole."""
        try:
            name = Path(os.readlink(self.folder / "current")).name
        except OSError:
            return None
        return name if self.complete(name) else None

    def complete(self, name: str) -> bool:
        return (self.release(name) / COMPLETE).is_file()

    def proven(self, state: Path) -> str | None:
        """The release to go back to: the present one, or the one before while the present one is still on trial."""
        current, trial = self.current(), self.trial()
        if trial.get("new") == current and _text(state / "good-release") != current and self.complete(trial.get("old", "")):
            return trial["old"]
        return current

    def trial(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in _text(self.folder / "trial").splitlines() if "=" in line)

    def begin_trial(self, new: str, old: str | None) -> None:
        (self.folder / "trial.starts").unlink(missing_ok=True)
        replace_text(self.folder / "trial", f"new={new}\nold={old or ''}\n")

    def end_trial(self) -> None:
        for name in ("trial", "trial.starts"):
            (self.folder / name).unlink(missing_ok=True)

    def switch(self, name: str) -> None:
        """``current`` leads to this release from one moment to the next. Raises ``Refused`` for one that is not whole."""
        if not self.complete(name):
            raise Refused(f"release {name} is not whole")
        link = self.folder / f".current.{os.getpid()}"
        link.unlink(missing_ok=True)
        link.symlink_to(Path("releases") / name)
        os.replace(link, self.folder / "current")
        sync_folder(self.folder)

    def finish(self, name: str) -> None:
        """Everything of it is on the disk before it counts as whole."""
        os.sync()
        replace_text(self.release(name) / COMPLETE, f"{name}\n")

    def discard(self, name: str) -> None:
        (self.release(name) / COMPLETE).unlink(missing_ok=True)     # a half-removed one is none
        shutil.rmtree(self.release(name), ignore_errors=True)

    def clean(self) -> None:
        """Remove what deployments that were cut left behind."""
        for place in (self.releases, self.environments):
            place.mkdir(parents=True, exist_ok=True)
            for path in place.iterdir():
                if not (path / COMPLETE).is_file():
                    shutil.rmtree(path, ignore_errors=True)

    def prune(self, keep: set[str]) -> list[str]:
        """Remove all but the newest releases; those in ``keep`` and the current one stay. Returns the removed names."""
        names = sorted(path.name for path in self.releases.iterdir())
        stay = keep | {self.current() or ""} | {trial for trial in self.trial().values()}
        for name in reversed(names):
            if len(stay & set(names)) < KEEP_RELEASES:
                stay.add(name)
        gone = [name for name in names if name not in stay]
        for name in gone:
            self.discard(name)
        used = {Path(os.readlink(path / ".venv")).name for path in self.releases.iterdir() if (path / ".venv").is_symlink()}
        for path in self.environments.iterdir():
            if path.name not in used:
                (path / COMPLETE).unlink(missing_ok=True)
                shutil.rmtree(path, ignore_errors=True)
        return gone


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""

"""Shutdown, restart and the change of release, asked for from the panel or the page.

The instrument has no rights over the machine. On a module that ``deploy.sh`` installed with systemd it writes one line into the file that
``NEURORACK_POWER`` names; ``neurorack-power.path`` sees it, and ``power.sh`` (as root) takes it away and acts. Being stopped
for it, the instrument fades out and saves as always. Elsewhere all of this is refused.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from neurorack.errors import NeurorackError
from neurorack.inputs import store

WAYS = ("shutdown", "reboot")
TAKEN_SECONDS = 5.0           # for the request to be taken away
HERE = Path(__file__).resolve().parents[1]
COMPLETE = ".complete"        # as tools/deploy/releases.py marks a whole release


def why_not() -> str | None:
    """None where shutdown and reboot can be asked for."""
    if not os.environ.get("NEURORACK_POWER"):
        return "this machine is not a module of ours: switch it off as you always do"
    return None


def release() -> str:
    """The name of the release that runs, "" where none is installed."""
    return HERE.name if HERE.parent.name == "releases" else ""


def releases() -> list[dict]:
    """Whole releases that are installed here, the newest first: name, and whether it is the one that runs."""
    if not release():
        return []
    names = sorted((path.name for path in HERE.parent.iterdir() if (path / COMPLETE).is_file()), reverse=True)
    return [{"name": name, "runs": name == release()} for name in names]


def ask(what: str) -> None:
    """Shutdown or reboot. Returns once it is on its way. Raises ``NeurorackError``."""
    if what not in WAYS:
        raise NeurorackError(f"what is {what!r}; it must be {' or '.join(WAYS)}")
    if reason := why_not():
        raise NeurorackError(reason)
    _request(what)


def change(name: str) -> None:
    """Another release from now on; the instrument is started anew with it. Raises ``NeurorackError``."""
    known = releases()
    if not known or why_not():
        raise NeurorackError("there are no releases to choose from here: this was not installed by deploy.sh as a service of the system")
    if name not in [one["name"] for one in known]:
        raise NeurorackError(f"there is no release {name!r}; there are {', '.join(one['name'] for one in known)}")
    if name == release():
        raise NeurorackError(f"release {name} runs already")
    _request(f"release {name}")


def _request(line: str) -> None:
    """Leave it for the unit and see it taken."""
    where = Path(os.environ["NEURORACK_POWER"])
    store.replace(where, line + "\n")
    deadline = time.monotonic() + TAKEN_SECONDS
    while where.exists():
        if time.monotonic() > deadline:
            where.unlink(missing_ok=True)
            raise NeurorackError("nobody took the request; look with: systemctl status neurorack-power.path")
        time.sleep(0.02)

"""Tells systemd how the instrument is doing, by its datagram protocol (man page sd_notify(3)): ready, status, watchdog, stopping.

READY=1 goes out once sound flows, not when the program has started. WATCHDOG=1 follows only while the audio process and
a synth beat, so a supervisor that stands still, or one that has lost its children for good, is started again from
outside. A dead inputs process never costs the sound, so it is not asked. Without systemd all of this does nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time

STATUS_SECONDS = 2.0      # between two status lines; watchdog messages come at least three times within its patience


class Notifier:
    """One for each run; ``tick`` belongs into the supervisor's loop.

    Reads and removes ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID``, so that no child speaks for the supervisor.
    """

    def __init__(self, environment=os.environ):
        address = environment.pop("NOTIFY_SOCKET", "")
        patience_us, for_pid = environment.pop("WATCHDOG_USEC", "0"), environment.pop("WATCHDOG_PID", "")
        self.address = "\0" + address[1:] if address.startswith("@") else address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None
        if self.socket:
            self.socket.setblocking(False)       # a full queue of systemd's keeps nobody from playing
        ours = patience_us.isdigit() and for_pid in ("", str(os.getpid()))
        self.patience_seconds = int(patience_us) / 1e6 if ours else 0.0
        self.pause_seconds = min(STATUS_SECONDS, self.patience_seconds / 3) if self.patience_seconds else STATUS_SECONDS
        self.next_at, self.ready = 0.0, False
        self.notice = environment.get("NEURORACK_NOTICE", "")

    def send(self, **values) -> None:
        """One message of ``NAME=value`` lines. Nothing happens where nobody listens."""
        if self.socket:
            with contextlib.suppress(OSError):
                self.socket.sendto("\n".join(f"{name}={value}" for name, value in values.items()).encode(), self.address)

    def tick(self, run, now: float) -> None:
        """Look at the ``Instrument`` and say what is due; ``now`` in seconds of ``time.monotonic``."""
        if not self.socket or now < self.next_at:
            return
        self.next_at = now + self.pause_seconds
        words = {"STATUS": self._status(run)}
        if run.sounding_at is not None:
            if not self.ready:
                words["READY"], self.ready = 1, True
            if beats(run, now):
                words["WATCHDOG"] = 1
        self.send(**words)

    def _status(self, run) -> str:
        notice = f"{self.notice}; " if self.notice else ""
        if run.sounding_at is None:
            return f"{notice}starting"
        slot = run.slots.slots[run.slots.heard]
        late = sum(map(int, run.rack.audio.late_blocks))
        return f"{notice}{slot.title} plays on {run.rack.audio.device_name or '?'}; {late} underruns, {sum(run.rack.run.restarts)} restarts"

    def stopping(self) -> None:
        self.send(STOPPING=1, STATUS="fading out")


def beats(run, now: float | None = None) -> bool:
    """Whether the audio process and at least one slot's synth show signs of life."""
    now = time.monotonic() if now is None else now
    synths = [slot.child for slot in run.slots.slots if slot.holds]
    return _alive(run.others[0], now) and any(_alive(child, now) for child in synths)


def _alive(child, now: float) -> bool:
    return child.state(now) == "runs" and child.section.heartbeat_ns != 0

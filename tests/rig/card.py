"""A sound card that isn't there, for tests and benchmarks: paced in real time, and it records what it plays.

The card is an ALSA plug-in (``pcm_rig.c`` and its neighbours; the contract is in ``rig.h``) that any program finds
through ``card.env``; it appears in PortAudio's device list as ``rig``, alone. No daemon, no root, no kernel module.

    with FakeCard(tmp_path) as card:
        subprocess.run([...], env={**os.environ, **card.env})
        heard = card.played()                    # float32 [frames, channels]
        onset_ns = card.frame_ns(int(np.argmax(np.abs(heard).max(1) > 1e-3)))

What PortAudio's ALSA code makes of ``latency`` (seconds), measured with Debian's 19.6 at block 128:

    latency            period   buffer
    1 block / rate     128      256       two periods: the least a card can have
    2 blocks / rate    128      384
    3 blocks / rate    128      512
    4 blocks / rate    256      768       callbacks come in pairs from here on

(19.7 makes two periods of both one and two blocks.) Before it starts the card, PortAudio fills the whole buffer with
zeros: the first ``run.buffer_frames`` frames of every run are that.
"""

from __future__ import annotations

import mmap
import shutil
import struct
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.rig.compile import Unavailable, compiled

#: Name on the ALSA side -> (bit in rig_control.formats, ALSA's number, numpy type, full scale)
FORMATS = {"s16": (1, 2, np.int16, 2.0**15), "s32": (2, 10, np.int32, 2.0**31), "float": (4, 14, np.float32, 1.0)}

#: struct rig_control of rig.h, up to its table of commands.
CONTROL = struct.Struct("=II8I4III" "IIII" "qQQ" "II")
CONTROL_MAGIC = 0x31676972
UNPLUG_COUNT, UNPLUGGED, UNPLUG_HOW, UNPLUG_NS = 64, 68, 72, 80
XRUNS, OVERRUNS, COMMANDS = 88, 96, 104
COMMAND = struct.Struct("=qqq")
COMMAND_SLOTS = 64

#: struct rig_record of rig.h.
RECORD = np.dtype([(name, "<u4") for name in ("type", "run", "capture", "format", "channels", "rate", "period", "buffer")]
                  + [("frame", "<i8"), ("ns", "<i8")])
START, CLOCK, STOP, XRUN, UNPLUG = 1, 2, 3, 4, 5
UNPLUG_ENDS, UNPLUG_SPINS = 1, 2
ENDED = {STOP: "stopped", XRUN: "xrun", UNPLUG: "unplugged"}


def build() -> Path:
    """Compile the plug-in; returns the library's path. Raises `Unavailable`."""
    return compiled("libasound_module_pcm_rig.so", ("pcm_rig.c", "rig_callbacks.c", "rig_clock.c"), ("rig.h",),
                    ("-shared", "-fPIC", "-DPIC", "-lasound", "-lm"))


def unavailable() -> str | None:
    """Why there can be no fake card here, for ``pytest.mark.skipif``; None where there can."""
    try:
        build()
    except Unavailable as why:
        return str(why)
    return None


@dataclass(frozen=True)
class Run:
    """One start of the card, up to its stop, underrun or unplugging.

    ``clock`` holds the card's clock as rows of (frame, ns): from that frame on, frame ``f`` passes the jack at
    ``ns + (f - frame) / rate``. ``frames`` counts what has passed so far. ``ended`` is "stopped", "xrun",
    "unplugged" or "" for a run still going (or whose program was killed: the card then plays what it had).
    """

    number: int
    capture: bool
    format: str
    channels: int
    rate: int
    period_frames: int
    buffer_frames: int
    clock: np.ndarray
    frames: int
    end_ns: int
    ended: str

    @property
    def start_ns(self) -> int:
        """CLOCK_MONOTONIC when its first frame passed the jack."""
        return int(self.clock[0, 1])

    def frame_ns(self, frame):
        """When ``frame`` (an index or an array of them, from the run's start) passes the jack, CLOCK_MONOTONIC ns."""
        frame = np.asarray(frame, np.int64)
        row = np.clip(np.searchsorted(self.clock[:, 0], frame, side="right") - 1, 0, None)
        ahead = frame - self.clock[row, 0]
        whole, rest = np.divmod(ahead, self.rate)
        ns = self.clock[row, 1] + whole * 1_000_000_000 + (rest * 1_000_000_000 + self.rate - 1) // self.rate
        return ns if ns.ndim else int(ns)

    def position_at(self, ns: int) -> int:
        """Frames that had passed the jack by ``ns``."""
        row = max(int(np.searchsorted(self.clock[:, 1], ns, side="right")) - 1, 0)
        frame, base = (int(x) for x in self.clock[row])
        return frame + max(ns - base, 0) * self.rate // 1_000_000_000


class FakeCard:
    """A paced, recording sound card.

    Args:
        folder: an existing folder for the recording (384 kB a second for stereo float32 at 48 kHz), which goes when
            the ``with`` block ends.
        rates: sample rates it offers, Hz.
        channels: fewest and most channels.
        formats: of "s16", "s32", "float".
        periods: shortest and longest period, frames; an open outside fails with EINVAL.
        periods_max: most periods in its buffer.
        capture: float32 [frames, channels] that the capture side hears from each start on, then silence.

    Raises:
        Unavailable: it cannot be built here.
    """

    def __init__(self, folder, *, rates=(44100, 48000, 96000), channels=(1, 8), formats=("s16", "s32", "float"),
                 periods=(32, 16384), periods_max=64, capture=None):
        library = build()
        self.folder = Path(tempfile.mkdtemp(prefix="card-", dir=folder))
        heard = None if capture is None else np.atleast_2d(np.ascontiguousarray(capture, np.float32))
        if heard is not None:
            heard.tofile(self.folder / "capture.f32")
        bits = sum(FORMATS[name][0] for name in formats)
        head = CONTROL.pack(CONTROL_MAGIC, bits, *(list(rates) + [0] * 8)[:8], *channels, *periods, periods_max,
                            0 if heard is None else heard.shape[1], 0, 0, UNPLUG_ENDS, 0, 0, 0, 0, 0, 0)
        control = self.folder / "control"
        control.write_bytes(head + bytes(COMMAND.size * COMMAND_SLOTS))
        with open(control, "r+b") as file:
            self._control = mmap.mmap(file.fileno(), 0)
        config = self.folder / "alsa.conf"
        # PortAudio 19.6 asserts that at least one name of the list does not open; "absent" is that one.
        config.write_text(f'pcm_type.rig {{ lib "{library}" }}\n'
                          f'pcm.rig {{ type rig folder "{self.folder}" hint {{ show on description "rig" }} }}\n'
                          f'pcm.absent {{ type rig folder "{self.folder}/absent" }}\n')
        #: For the environment of the program that plays. JACK stays out: neither a running server nor a new one.
        self.env = {"ALSA_CONFIG_PATH": str(config), "JACK_NO_START_SERVER": "1", "JACK_DEFAULT_SERVER": "no-server-in-tests"}

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        shutil.rmtree(self.folder, ignore_errors=True)

    def _get(self, code: str, offset: int) -> int:
        return struct.unpack_from(code, self._control, offset)[0]

    def _set(self, code: str, offset: int, value: int):
        struct.pack_into(code, self._control, offset, value)

    # ---- what the card was told ----

    def unplug(self, how: str = "ends"):
        """Pull the card out. Opening it fails with ENODEV, and a playing stream is dead at its next poll.

        "ends": poll reports ENODEV and PortAudio's thread ends, with the finished callback. "spins": poll returns
        POLLERR at once, again and again, as the kernel's does for a USB card pulled out; PortAudio 19.6 then loops
        without calling back until it is stopped.
        """
        self._set("=I", UNPLUG_HOW, {"ends": UNPLUG_ENDS, "spins": UNPLUG_SPINS}[how])
        self._set("=q", UNPLUG_NS, time.monotonic_ns())
        self._set("=I", UNPLUGGED, 1)
        self._set("=I", UNPLUG_COUNT, self._get("=I", UNPLUG_COUNT) + 1)

    def plug(self):
        """Put it back. Streams opened before stay dead; PortAudio lists it again after terminate and initialize."""
        self._set("=I", UNPLUGGED, 0)

    def stall(self, ms: float):
        """The card's clock stands still for ``ms`` from now on: nothing is played, nothing is asked for."""
        self._command(stall_ns=round(ms * 1e6))

    def jump(self, frames: int):
        """The card swallows ``frames`` frames at once: an underrun if that is all it had."""
        self._command(jump_frames=frames)

    def _command(self, stall_ns: int = 0, jump_frames: int = 0):
        count = self._get("=I", COMMANDS)
        COMMAND.pack_into(self._control, CONTROL.size + count % COMMAND_SLOTS * COMMAND.size,
                          time.monotonic_ns(), stall_ns, jump_frames)
        self._set("=I", COMMANDS, count + 1)

    # ---- what it saw ----

    @property
    def xruns(self) -> int:
        """Genuine underruns: the card reached the end of what had been written while it was running."""
        return self._get("=Q", XRUNS)

    @property
    def overruns(self) -> int:
        """The same of the capture side: its buffer was full and not read."""
        return self._get("=Q", OVERRUNS)

    def runs(self, capture: bool = False) -> list[Run]:
        """Every start of the playback (or capture) side, oldest first."""
        path = self.folder / "log"
        log = np.fromfile(path, RECORD) if path.exists() else np.empty(0, RECORD)
        log = log[log["capture"] == int(capture)]
        return [self._run(log[log["run"] == number]) for number in log["run"][log["type"] == START]]

    def _run(self, records: np.ndarray) -> Run:
        first, last = records[0], records[-1]
        name = next(key for key, value in FORMATS.items() if value[1] == first["format"])
        points = records[np.isin(records["type"], (START, CLOCK))]
        ended = ENDED.get(int(last["type"]), "")
        run = Run(int(first["run"]), bool(first["capture"]), name, int(first["channels"]), int(first["rate"]),
                  int(first["period"]), int(first["buffer"]),
                  np.stack([points["frame"], points["ns"]], 1).astype(np.int64),
                  int(last["frame"]) if ended else 0, int(last["ns"]) if ended else 0, ended)
        if ended:
            return run
        now = time.monotonic_ns()
        frames = run.position_at(now)
        if not run.capture:
            frames = min(frames, self._written(run))
        return Run(**{**run.__dict__, "frames": frames, "end_ns": now})

    def _written(self, run: Run) -> int:
        path = self.folder / f"play-{run.number}.raw"
        return path.stat().st_size // (run.channels * FORMATS[run.format][2]().itemsize) if path.exists() else 0

    def raw(self, run: Run) -> np.ndarray:
        """What ``run`` has played so far in the stream's own format, [frames, channels]."""
        path = self.folder / f"play-{run.number}.raw"
        if not run.frames or not path.exists():
            return np.empty((0, run.channels), FORMATS[run.format][2])
        return np.fromfile(path, FORMATS[run.format][2], run.frames * run.channels).reshape(-1, run.channels)

    def played(self) -> np.ndarray:
        """Everything that has passed the jack so far, all runs in a row: float32 [frames, channels]."""
        parts = []
        for run in self.runs():
            raw = self.raw(run)
            parts.append(raw if run.format == "float" else (raw / FORMATS[run.format][3]).astype(np.float32))
        return np.concatenate(parts) if parts else np.empty((0, 2), np.float32)

    def frame_ns(self, frame: int) -> int:
        """CLOCK_MONOTONIC, ns, when frame ``frame`` of ``played()`` passed the jack."""
        start = 0
        for run in self.runs():
            if start <= frame < start + run.frames:
                return run.frame_ns(frame - start)
            start += run.frames
        raise IndexError(f"the card has played {start} frames; there is no frame {frame}")


"""Calls the compiled callback block by block, without a card, in a time of the test's own making."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from neurorack import build_core
from neurorack.shm.rack import Rack

HERE = Path(__file__).resolve().parent
DETACHED, PLAYING, FINISHED = 0, 1, 2
PLAY, FADE = 1, 2
PRIMING_CALLBACKS = 4     # of callback.c: the first ones fill the card and take nothing
_P, _I, _I64, _U32, _UL = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_uint32, ctypes.c_ulong
_SIGNATURES = {
    "nr_callback_new": (_P, _P), "nr_callback_free": (None, _P), "nr_callback_restart": (None, _P),
    "nr_callback": (_I, _P, _P, _UL, _P, _UL, _P), "nr_null_device_run": (None, _P, _U32, _U32, _P),
    "made_set": (None, _I64), "made_stall": (None, _I64, _I64),
}


@functools.cache
def library() -> ctypes.CDLL:
    """``audio/callback.c`` over a made-up clock."""
    folder = Path(tempfile.mkdtemp(prefix="neurorack-callback-"))
    (folder / "rack_table.h").write_text(build_core.generated_header())
    out = folder / "callback.so"
    renamed = ("clock_gettime=made_clock", "clock_nanosleep=made_sleep", "pthread_setschedparam=made_schedule")
    subprocess.run([*build_core.find_compiler(), *build_core.FLAGS, *[f"-D{name}" for name in renamed], "-shared", f"-I{build_core.PACKAGE}",
                    f"-I{folder}", str(build_core.PACKAGE / "audio" / "callback.c"), str(HERE / "made_time.c"), "-o", str(out), "-lm"], check=True)
    made = ctypes.CDLL(str(out))
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    for name, (restype, *argtypes) in _SIGNATURES.items():
        getattr(made, name).restype, getattr(made, name).argtypes = restype, argtypes
    return made


class Caller:
    """One callback and the block it works on. Time moves by a block with each call, or by what ``wait_ns`` says.

    Args:
        primed: get the first calls and the fade at the start over with.
    """

    def __init__(self, *, rate_hz: int = 48000, block_frames: int = 64, primed: bool = True, playing: int = PLAYING):
        self.made, self.block_frames, self.rate_hz = library(), block_frames, rate_hz
        self.rack = Rack.create(sample_rate_hz=rate_hz, block_frames=block_frames)
        self.state = self.made.nr_callback_new(self.rack.base)
        self.now_ns = 1_000_000_000
        self.fade_frames = self.rack.header.fade_frames
        if primed:
            self.blocks(PRIMING_CALLBACKS + -(-4 * self.fade_frames // block_frames) + 1)
        self.rack.synth[0].playing = playing
        self.audio = self.rack.audio

    def __del__(self):
        self.made.nr_callback_free(self.state)

    @property
    def block_ns(self) -> float:
        return 1e9 * self.block_frames / self.rate_hz

    def call(self, frames: int | None = None, *, heard: np.ndarray | None = None, flags: int = 0, wait_ns: float | None = None) -> np.ndarray:
        """One callback: float32 [frames, 2]. ``heard``: what the card's input brings, [frames, 2]."""
        frames = frames or self.block_frames
        self.now_ns += round(1e9 * frames / self.rate_hz if wait_ns is None else wait_ns)
        self.made.made_set(self.now_ns)
        out = np.full((frames, 2), 77.0, np.float32)      # a callback fills every frame
        heard = None if heard is None else np.ascontiguousarray(heard, np.float32)
        self.made.nr_callback(None if heard is None else heard.ctypes.data, out.ctypes.data, frames, None, flags, self.state)
        return out

    def blocks(self, count: int) -> np.ndarray:
        return np.concatenate([self.call() for _ in range(count)])

    def feed(self, frames: np.ndarray, slot: int = 0) -> None:
        """What the slot's synth would have made."""
        assert self.rack.rings[slot].push(frames) == len(frames)

    def clock(self) -> tuple[float, float, int]:
        """(filtered time of the last callback in ns, frames a second, ring frame of slot A) as published."""
        clock = self.rack.clock
        return clock.callback_ns, clock.frames_per_ns * 1e9, int(clock.ring_frame[0])


def sine(frames: int, hertz: float = 1000.0, level: float = 0.5, rate_hz: int = 48000, start: int = 0, phase: float = 0.0) -> np.ndarray:
    """float32 [frames, 2]; the right channel is a quarter of a period behind."""
    angle = 2 * np.pi * hertz * (start + np.arange(frames)) / rate_hz + phase
    return (level * np.stack([np.sin(angle), np.sin(angle - np.pi / 2)], 1)).astype(np.float32)


def largest_step(audio: np.ndarray) -> float:
    return float(np.abs(np.diff(audio.astype(np.float64), axis=0)).max())

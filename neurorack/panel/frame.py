"""The picture in the shared block: ``Writer`` for the panel's process, ``read`` for everybody who shows the same display."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np

from neurorack.core import declare
from neurorack.shm import table

_HEAD = ("number", "width", "height", "channels", "light", "holding", "drawn_ns", "event_ns", "screen")


@dataclass(frozen=True)
class Frame:
    """What the display shows. ``pixels``: uint8 [height, width] of 0 and 255, or [height, width, 3]; ``light``: 0 blank, 1 dim, 2 full."""

    number: int
    size: tuple[int, int]
    light: int
    drawn_ns: int
    event_ns: int
    screen: str
    pixels: np.ndarray
    led: tuple[int, int, int]

    @property
    def mode(self) -> str:
        """As Pillow calls it: "1" or "RGB"."""
        return "RGB" if self.pixels.ndim == 3 else "1"


class Writer:
    """Of the panel's process."""

    def __init__(self, rack):
        self._section = rack.panel
        self._begin, self._end = declare("nr_write_begin", None, ctypes.c_void_p), declare("nr_write_end", None, ctypes.c_void_p)
        self._seq = self._section.address("seq")
        self._pixels = self._section._views["pixels"].view(np.uint8)
        rack.recover("panel")

    def write(self, pixels: np.ndarray, screen: str, light: int, drawn_ns: int, event_ns: int) -> None:
        """Publish a frame: uint8 [height, width] or [height, width, 3]."""
        section = self._section
        self._begin(self._seq)
        section.number = section.number + 1 & 0xFFFFFFFF
        section.height, section.width, section.channels = (*pixels.shape, 1)[:3]
        section.light, section.drawn_ns, section.event_ns, section.screen = light, drawn_ns, event_ns, screen
        self._pixels[: pixels.size] = pixels.reshape(-1)
        self._end(self._seq)


def read(rack) -> Frame | None:
    """The frame that is shown; None before the first, or while its writer lies dead in the middle of one."""
    places, section = rack.places, rack.panel
    start = places["panel", "number"][0]
    size = places["panel", "pixels"][0] - start + table.PANEL_BYTES
    mine = np.empty(-(-size // 8) * 8, np.uint8)
    copy = declare("nr_seqlock_copy", ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64)
    if not section.number or not copy(section.address("seq"), rack.base + start, mine.ctypes.data, size // 8 * 8):
        return None

    def value(name: str, kind=np.uint32):
        at = places["panel", name][0] - start
        return int(mine[at: at + np.dtype(kind).itemsize].view(kind)[0])

    width, height, channels = value("width"), value("height"), value("channels")
    at = places["panel", "pixels"][0] - start
    pixels = mine[at: at + width * height * channels].reshape((height, width, channels) if channels > 1 else (height, width))
    name_at = places["panel", "screen"][0] - start
    name = bytes(mine[name_at: name_at + table.NAME_BYTES]).split(b"\0")[0].decode("utf-8", "replace")
    led = section.led
    return Frame(value("number"), (width, height), value("light"), value("drawn_ns", np.int64), value("event_ns", np.int64), name, pixels,
                 (led >> 16 & 255, led >> 8 & 255, led & 255))

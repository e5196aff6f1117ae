"""``SimBus``: the block of a simulated board, made from its board file.

It is anonymous memory that programs find by ``$NEURORACK_SIMBUS`` as ``/proc/PID/fd/N`` of its maker, its event buffers
are pipes: nothing has a name on disk, so nothing can be left behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import time
from pathlib import Path

import numpy as np

from neurorack.errors import BoardError
from neurorack.simbus import layout

LIBRARY = Path(__file__).resolve().parent.parent / "_simbus.so"
REVISION = "c03111"           # what rpi-lgpio takes a simulated Raspberry Pi for: a Pi 4


class _Edge(ctypes.Structure):
    _fields_ = [("line", ctypes.c_uint32), ("level", ctypes.c_uint32), ("ns", ctypes.c_int64)]


def _library(_cache=[]) -> ctypes.CDLL:
    if not _cache:
        if not LIBRARY.exists():
            raise BoardError("the simulated buses are not compiled: run `make setup` (or `python -m neurorack.build_core`)")
        library = ctypes.CDLL(str(LIBRARY))
        library.simbus_attach.restype = ctypes.c_void_p
        library.simbus_attach.argtypes = [ctypes.c_char_p]
        library.simbus_detach.argtypes = [ctypes.c_void_p]
        library.simbus_drive.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
        library.simbus_turn.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
        _cache.append(library)
    return _cache[0]


class SimBus:
    """A simulated board. ``board`` is its block as a ctypes structure (``layout.py``): volts, faults, registers.

    ``create`` makes one, ``here`` finds the one this process was started under.
    """

    def __init__(self, path: str, fds: tuple[int, ...] = ()):
        self.path, self._fds = path, fds
        self._handle = _library().simbus_attach(path.encode())
        if not self._handle:
            raise BoardError(f"{path} is no simulated board")
        fd = os.open(path, os.O_RDWR)
        self._memory = mmap.mmap(fd, ctypes.sizeof(layout.Block))
        os.close(fd)
        self.board = layout.Block.from_buffer(self._memory)

    @classmethod
    def create(cls, gpio_label: str = "") -> SimBus:
        """A board without any bus or chip; ``gpio_label`` as the kernel would name its GPIO chip."""
        fd = os.memfd_create("neurorack-simbus")
        os.ftruncate(fd, ctypes.sizeof(layout.Block))
        with mmap.mmap(fd, ctypes.sizeof(layout.Block)) as memory:
            board = layout.Block.from_buffer(memory)
            board.magic, board.creator = layout.MAGIC, os.getpid()
            ctypes.memmove(board.gpio_label, gpio_label.encode()[:31], min(31, len(gpio_label)))
            fds = [fd]
            for request in board.request:
                reading, writing = os.pipe()
                fds += [reading, writing]
                request.pipe_fd = reading
            del board, request
        return cls(f"/proc/{os.getpid()}/fd/{fd}", tuple(fds))

    @classmethod
    def here(cls) -> SimBus | None:
        path = os.environ.get("NEURORACK_SIMBUS")
        return cls(path) if path else None

    def environment(self) -> dict[str, str]:
        """What a program must be started with to find these devices."""
        preload = " ".join(filter(None, [str(LIBRARY), os.environ.get("LD_PRELOAD", "")]))
        return {"LD_PRELOAD": preload, "NEURORACK_SIMBUS": self.path, "RPI_LGPIO_REVISION": REVISION, "RPI_LGPIO_CHIP": "0"}

    # -- what is on the board

    def add_bus(self, kind: int, number: int, speed_hz: int = 100_000) -> int:
        """The index of ``/dev/i2c-N`` or of all ``/dev/spidevN.*``, made where it is not there yet."""
        for index, bus in enumerate(self.board.bus):
            if (bus.kind, bus.number) == (kind, number):
                return index
            if not bus.kind:
                bus.kind, bus.number, bus.speed_hz = kind, number, speed_hz
                return index
        raise BoardError(f"a simulated board has at most {layout.BUSES} buses")

    def add_chip(self, kind: str, bus: int, address: int, **settings):
        """A chip at an I2C address or SPI select; ``settings`` are fields of its structure. Returns the structure."""
        for index, chip in enumerate(self.board.chip):
            if chip.kind:
                continue
            chip.bus, chip.address, chip.gain, chip.supply_volts = bus, address, 1.0, 3.3
            chip.alert_line = chip.dc_line = chip.display = -1
            chip.random = 0x1234567 * (index + 1)
            chip.net[:] = [-1] * 8
            if kind.startswith("ads"):
                chip.word[:4] = [0, 0x8583, 0x8000, 0x7FFF]     # as after power-up, of which OS is worked out
                chip.word[1] &= 0x7FFF
            if kind in ("ssd1306", "sh1106", "st7789"):
                chip.display = sum(1 for other in self.board.chip if other.display >= 0 and other.kind)
            for name, value in settings.items():
                if name == "net":
                    chip.net[: len(value)] = value
                else:
                    setattr(chip, name, value)
            if chip.alert_line >= 0:
                self.board.level[chip.alert_line] = 1            # pulled up
            chip.kind = layout.KINDS.index(kind)
            return chip
        raise BoardError(f"a simulated board has at most {layout.CHIPS} chips")

    def chip(self, kind: str, number: int = 0):
        """The ``number``-th chip of a kind."""
        return [chip for chip in self.board.chip if chip.kind == layout.KINDS.index(kind)][number]

    # -- hands

    def drive(self, *edges: tuple[int, int, int]) -> None:
        """Move lines from outside: ``(line, level, ns)`` in order of time; all told in one piece."""
        array = (_Edge * len(edges))(*edges)
        _library().simbus_drive(self._handle, array, len(edges))

    def set_line(self, line: int, level: int) -> int:
        """Move one line now; returns the time (CLOCK_MONOTONIC ns) its readers are told."""
        now = time.monotonic_ns()
        self.drive((line, int(level), now))
        return now

    def turn_expander(self, steps: int, number: int = 0) -> None:
        """Turn the encoder at an IO expander by so many detents."""
        chip = self.chip("ioexpander", number)
        index = next(i for i, other in enumerate(self.board.chip) if ctypes.addressof(other) == ctypes.addressof(chip))
        _library().simbus_turn(self._handle, index, steps)

    # -- eyes

    def picture(self, number: int = 0) -> np.ndarray:
        """What a display's memory holds: bool [64, 128] of an OLED as its panel shows it, uint8 [240, 240, 3] of an ST7789."""
        chip = [chip for chip in self.board.chip if chip.display >= 0 and chip.kind][number]
        start = layout.Block.ram.offset + chip.display * layout.RAM_BYTES
        ram = np.frombuffer(self._memory, np.uint8, layout.RAM_BYTES, start).copy()
        if layout.KINDS[chip.kind] == "st7789":
            return ram.reshape(320, 240, 3)[:240]
        first = 2 if layout.KINDS[chip.kind] == "sh1106" else 0
        pages = ram[: 8 * 132].reshape(8, 1, 132)[:, :, first: first + 128]
        return np.unpackbits(pages, axis=1, bitorder="little").reshape(64, 128).astype(bool)

    def lost_edges(self) -> int:
        """Edges that found a program's event buffer full."""
        return sum(request.lost for request in self.board.request)

    def close(self) -> None:
        del self.board
        with contextlib.suppress(BufferError):     # somebody still holds a chip's structure
            self._memory.close()
        _library().simbus_detach(self._handle)
        for fd in self._fds:
            os.close(fd)
        self._fds = ()

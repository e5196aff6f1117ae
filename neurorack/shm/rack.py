"""The shared block as Python sees it: created by the supervisor, attached by its children.

The block is anonymous memory (``memfd_create``) handed down by file descriptor. It has no name in the system, so
nothing can be left behind: when the last process goes, even by SIGKILL, the memory goes with it.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
from pathlib import Path

import numpy as np

from neurorack.core import declare, quick
from neurorack.errors import NeurorackError
from neurorack.shm import table

_NUMPY = {"u32": np.uint32, "i32": np.int32, "u64": np.uint64, "i64": np.int64, "f32": np.float32, "f64": np.float64, "char": np.uint8}
_P, _I, _U32, _I64, _U64, _D = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, ctypes.c_int64, ctypes.c_uint64, ctypes.c_double


class Edge(ctypes.Structure):
    """One gate or trigger edge; times in CLOCK_MONOTONIC nanoseconds."""

    _fields_ = [("edge_ns", _I64), ("publish_ns", _I64), ("jack", _U32), ("rising", _U32), ("cv_volts", _D * table.CV_JACKS),
                ("source_volts", _D * table.MODULATORS)]


class SectionView:
    """One section: scalars read and write as numbers, arrays as numpy views into the block."""

    def __init__(self, rack: Rack, section: table.Section, copy: int):
        views = {}
        for field in section.fields:
            offset, _, stride = rack.places[section.name, field.name]
            views[field.name] = np.ndarray((field.count,), _NUMPY[field.kind], rack.memory, offset + copy * stride)
        object.__setattr__(self, "_views", views)
        object.__setattr__(self, "_text", {f.name for f in section.fields if f.kind == "char"})

    def __getattr__(self, name: str):
        try:
            view = self._views[name]
        except KeyError:
            raise AttributeError(name) from None
        if name in self._text:
            return bytes(view).split(b"\0")[0].decode("utf-8", "replace")
        return view[0].item() if len(view) == 1 else view

    def __setattr__(self, name: str, value):
        view = self._views[name]
        if name in self._text:
            data = value.encode()[: len(view) - 1]
            view[: len(data)] = np.frombuffer(data, np.uint8)
            view[len(data):] = 0
        else:
            view[:] = value

    def address(self, name: str) -> int:
        """Address of a field in this process."""
        return self._views[name].ctypes.data


class RingView:
    """One audio ring: ``push`` for its producer, ``pull`` for its consumer. Frames are float32 [n, 2]."""

    def __init__(self, section: SectionView, capacity_frames: int):
        self.section, self.capacity_frames = section, capacity_frames
        self._head, self._tail, self._claim, self._frames = (
            section.address(name) for name in ("head_frames", "tail_frames", "claim_frames", "frames"))
        self._push = declare("nr_push", _U64, _P, _P, _P, _U64, _P, _U64)
        self._pull = declare("nr_pull", _U64, _P, _P, _P, _P, _U64, _P, _U64)
        self._take_back = declare("nr_take_back", _I, _P, _P, _U64)

    def push(self, frames: np.ndarray) -> int:
        """Frames taken; fewer than given when the ring is full."""
        frames = np.ascontiguousarray(frames, np.float32)
        return self._push(self._head, self._tail, self._frames, self.capacity_frames, frames.ctypes.data, len(frames))

    def pull(self, count: int) -> np.ndarray:
        """At most ``count`` frames, float32 [n, 2]; fewer when the ring runs empty."""
        frames = np.empty((count, 2), np.float32)
        return frames[: self._pull(self._head, self._tail, self._claim, self._frames, self.capacity_frames, frames.ctypes.data, count)]

    def take_back(self, frame: int) -> bool:
        """Make frames from ``frame`` on the producer's again; False when the consumer may be reading them."""
        return bool(self._take_back(self._head, self._claim, frame))

    @property
    def fill_frames(self) -> int:
        return self.section.head_frames - self.section.tail_frames


class TapeView:
    """One tape: ``write`` for its producer, ``read`` for anybody. Frames are float32 [n, 2]."""

    def __init__(self, section: SectionView, capacity_frames: int):
        self.section, self.capacity_frames = section, capacity_frames
        self._head, self._frames = section.address("head_frames"), section.address("frames")
        self._add = declare("nr_tape_add", None, _P, _P, _U64, _P, _U64)
        self._copy = declare("nr_tape_copy", _I, _P, _P, _U64, _U64, _P, _U64)

    def write(self, frames: np.ndarray) -> None:
        frames = np.ascontiguousarray(frames, np.float32)
        self._add(self._head, self._frames, self.capacity_frames, frames.ctypes.data, len(frames))

    def read(self, start: int) -> np.ndarray | None:
        """From frame ``start`` up to the head; None where they were overwritten."""
        frames = np.empty((self.section.head_frames - start, 2), np.float32)
        return frames if len(frames) <= self.capacity_frames and self._copy(self._head, self._frames, self.capacity_frames, start, frames.ctypes.data, len(frames)) else None


class Rack:
    """The whole block. Sections are attributes named as in the table; copied ones are lists (``rack.synth[0]``)."""

    def __init__(self, fd: int):
        self.fd = fd
        self.places = table.layout()
        self.memory = mmap.mmap(fd, table.size_bytes())
        self.base = np.frombuffer(self.memory, np.uint8, 1).ctypes.data
        for section in table.TABLE:
            copies = [SectionView(self, section, i) for i in range(section.copies)]
            setattr(self, section.name, copies if section.copies > 1 else copies[0])
        self.rings = [RingView(view, table.RING_CAPACITY_FRAMES) for view in self.ring]
        self.input_frames = TapeView(self.input_ring, table.RING_CAPACITY_FRAMES)
        self.capture = RingView(self.capture_ring, table.CAPTURE_CAPACITY_FRAMES)
        self._volts = (_D * table.ROUTED_JACKS)()
        self._gates, self._scan_ns = _U32(), _I64()
        self._controls_write = quick("nr_controls_write", None, _P, _P, _U32, _I64)
        self._controls_read = quick("nr_controls_read", _I, _P, _P, _P, _P)
        volts = (("cv", self.controls.cv_volts), ("mod", self.controls.source_volts))
        self._volts_by_name = {f"{name}{i + 1}": values[i:i + 1] for name, values in volts for i in range(len(values))}
        #: ``get_cv(jack)``: volts of one jack (0 = cv1)
        self.get_cv = functools.partial(quick("nr_control_get", _D), _P(self.base))
        self._control_set, self._one_volt, self._base = quick("nr_control_set", None), _D(), _P(self.base)
        self._edge_publish = quick("nr_edge_publish", None, _P, _U32, _U32, _I64, _P)

    @classmethod
    def create(cls, *, sample_rate_hz: int, block_frames: int, input_channels: int = 0, settle_us: int = 1000) -> Rack:
        """A fresh block, zero but for its header."""
        fd = os.memfd_create("neurorack", os.MFD_CLOEXEC)
        os.ftruncate(fd, table.size_bytes())
        rack = cls(fd)
        header = rack.header
        header.magic, header.version, header.size_bytes = table.MAGIC, table.VERSION, table.size_bytes()
        header.sample_rate_hz, header.block_frames, header.input_channels = sample_rate_hz, block_frames, input_channels
        header.supervisor_pid, header.settle_us = os.getpid(), settle_us
        header.fade_frames = max(64, sample_rate_hz // 200)
        rack.run.state = 1
        rack.run.mix_frames = sample_rate_hz // 20
        for patch in rack.patch:
            patch.route_jack = -1
            patch.gate_action[0] = 2      # a hit
        for synth in rack.synth:
            synth.gesture = -1
        return rack

    @classmethod
    def attach(cls, fd: int) -> Rack:
        """The block of a running instrument; raises ``NeurorackError`` when the descriptor is something else."""
        size = os.fstat(fd).st_size
        if size != table.size_bytes():
            raise NeurorackError(f"shared block is {size} bytes, this version needs {table.size_bytes()}: restart the instrument")
        rack = cls(fd)
        if rack.header.magic != table.MAGIC or rack.header.version != table.VERSION:
            raise NeurorackError(f"shared block has version {rack.header.version}, this program speaks {table.VERSION}: restart the instrument")
        return rack

    @classmethod
    def attach_to(cls, pid: int) -> Rack:
        """The block of the instrument whose supervisor has this process id (same user, for tools and tests)."""
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if os.readlink(link).startswith("/memfd:neurorack "):
                    return cls.attach(os.open(link, os.O_RDWR))
            except OSError:
                continue
        raise NeurorackError(f"process {pid} holds no instrument")

    # -- controls: one snapshot, or one value alone

    def volts(self, name: str) -> float:
        """Volts now of any jack or modulator: cv1..cv8, mod1..mod8."""
        return self._volts_by_name[name][0].item()

    def write_controls(self, cv_volts, gates_high: int, scan_ns: int) -> None:
        """Publish one scan: up to 8 volts of jacks, the modulators' after them, a bit for each gate, its time. Writer: inputs."""
        for i, volts in enumerate(cv_volts):
            self._volts[i] = volts
        self._controls_write(self.base, self._volts, gates_high, scan_ns)

    def read_controls(self) -> tuple[list[float], int, int] | None:
        """``(cv_volts, gates_high, scan_ns)`` of one scan, or None while its writer lies dead in the middle of one."""
        volts = (_D * table.CV_JACKS)()
        if not self._controls_read(self.base, volts, ctypes.byref(self._gates), ctypes.byref(self._scan_ns)):
            return None
        return list(volts), self._gates.value, self._scan_ns.value

    def set_cv(self, jack: int, volts: float) -> None:
        """Volts of one jack alone: one aligned word, which cannot tear. Writer: inputs."""
        self._one_volt.value = volts
        self._control_set(self._base, jack, self._one_volt)

    # -- edges

    def publish_edge(self, jack: int, rising: bool, edge_ns: int, volts) -> None:
        """Writer: inputs. ``volts``: the 8 jacks as they stood when the CVs had settled, and the modulators' after them."""
        self._edge_publish(self.base, jack, int(rising), edge_ns, (_D * table.ROUTED_JACKS)(*volts))

    def edge_reader(self, from_start: bool = False) -> EdgeReader:
        return EdgeReader(self, 0 if from_start else self.edges.head)

    def recover(self, section: str) -> None:
        """Called by a new writer: make a sequence lock whole that its dead predecessor left odd."""
        declare("nr_seqlock_recover", None, _P)(getattr(self, section).address("seq"))



class EdgeReader:
    """A cursor of its own over the edge queue; any number may exist."""

    def __init__(self, rack: Rack, start: int):
        self.rack, self._cursor, self._lost, self._edge = rack, _U64(start), _U64(0), Edge()
        self._next = quick("nr_edge_next", _I, _P, _P, _P, _P)

    def next(self) -> Edge | None:
        """The next edge (valid until the next call), or None."""
        found = self._next(self.rack.base, ctypes.byref(self._cursor), ctypes.byref(self._edge), ctypes.byref(self._lost))
        return self._edge if found else None

    @property
    def lost(self) -> int:
        """Edges overwritten before this reader came to them."""
        return self._lost.value

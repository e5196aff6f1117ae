"""A WAV file that is written while somebody plays: 32-bit float, stereo, readable whenever the power goes.

The head has a fixed length and says how many frames are sure; ``renew`` brings it up to date. What is behind that when a
process is killed is left out by readers, nothing worse. (RIFF: Multimedia Programming Interface and Data Specifications 1.0,
IBM and Microsoft, 1991, and its 1994 revision for the ``fact`` chunk of formats other than PCM.)
"""

from __future__ import annotations

import os
import struct
import threading
from pathlib import Path
from typing import NamedTuple

FRAME_BYTES = 8
FLOAT = 3                      # the format's number
HEAD_READ_BYTES = 4096
CHANNELS = 2


class Info(NamedTuple):
    """What a file's head says. ``about``: its texts by their four letters."""

    rate_hz: int
    frames: int
    about: dict[str, str]

    @property
    def seconds(self) -> float:
        return self.frames / self.rate_hz


class Wave:
    """A new file, never over an old one. Raises ``OSError``.

    Args:
        about: texts for the file's head, such as ``{"INAM": "a title", "ICMT": "a remark"}`` (RIFF's INFO list).
    """

    def __init__(self, path: Path, rate_hz: int, about: dict[str, str] | None = None):
        self.path, self.rate_hz, self.frames = Path(path), rate_hz, 0
        self._texts = _info_list(about or {})
        self._fd: int | None = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        self._lock = threading.Lock()      # renewing and closing may be two threads'
        self._settled = False              # the folder's entry is on the disk
        try:
            self._write_all(self._head())
        except OSError:
            os.close(self._fd)
            self.path.unlink()
            raise

    def _head(self) -> bytes:
        data_bytes = self.frames * FRAME_BYTES
        form = struct.pack("<HHIIHHH", FLOAT, CHANNELS, self.rate_hz, self.rate_hz * FRAME_BYTES, FRAME_BYTES, 32, 0)
        chunks = b"".join(name + struct.pack("<I", len(data)) + data for name, data in
                          ((b"fmt ", form), (b"fact", struct.pack("<I", self.frames)), (b"LIST", self._texts)) if data)
        return b"RIFF" + struct.pack("<I", 4 + len(chunks) + 8 + data_bytes) + b"WAVE" + chunks + b"data" + struct.pack("<I", data_bytes)

    def _write_all(self, data) -> None:
        view = memoryview(data).cast("B")
        while view:
            view = view[os.write(self._fd, view):]

    def write(self, frames) -> None:
        """Add frames, float32 [n, 2]. Raises ``OSError``; the frames before these are whole."""
        if len(frames):
            self._write_all(frames)
        self.frames += len(frames)

    def renew(self) -> None:
        """Head and frames as they stand now, onto the disk itself; from any thread. Raises ``OSError``."""
        with self._lock:
            if self._fd is None:
                return
            os.pwrite(self._fd, self._head(), 0)
            os.fdatasync(self._fd)
            if not self._settled:
                folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)
                self._settled = True

    def close(self) -> None:
        """The last ``renew``. A full disk leaves the head of the one before."""
        try:
            self.renew()
        finally:
            with self._lock:
                if self._fd is not None:
                    os.close(self._fd)
                    self._fd = None


def _info_list(about: dict[str, str]) -> bytes:
    """RIFF's INFO list, an even number of bytes; empty for nothing."""
    texts = b""
    for name, text in about.items():
        data = text.encode()[:255] + b"\0"
        texts += name.encode("ascii") + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    return b"INFO" + texts if texts else b""


def read_info(path: Path) -> Info | None:
    """What a WAV file's head says, as far as the file is long; None for another file. Raises ``OSError``."""
    with open(path, "rb") as file:
        head, length = file.read(HEAD_READ_BYTES), os.fstat(file.fileno()).st_size
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    at, form, about = 12, None, {}
    while at + 8 <= len(head):
        name, size = head[at:at + 4], struct.unpack_from("<I", head, at + 4)[0]
        at += 8
        if name == b"fmt " and size >= 16 and at + 16 <= len(head):
            _, _, rate_hz, _, frame_bytes, _ = struct.unpack_from("<HHIIHH", head, at)
            form = (rate_hz, frame_bytes) if rate_hz and frame_bytes else None
        elif name == b"LIST" and head[at:at + 4] == b"INFO":
            about = _read_texts(head[at + 4:at + size])
        elif name == b"data":
            return Info(form[0], min(size, length - at) // form[1], about) if form else None
        at += size + size % 2
    return None


def _read_texts(data: bytes) -> dict[str, str]:
    found, at = {}, 0
    while at + 8 <= len(data):
        name, size = data[at:at + 4].decode("latin-1"), struct.unpack_from("<I", data, at + 4)[0]
        found[name] = data[at + 8:at + 8 + size].rstrip(b"\0").decode("utf-8", "replace")
        at += 8 + size + size % 2
    return found

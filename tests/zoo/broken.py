"""Files that must not harm: what a host may be handed by accident or malice. ``BROKEN`` has a writer for each.

Those that try to touch the disk do so to ``touched(path)``; it must not exist afterwards.
"""

import io
import os
import pickle
import zipfile
from pathlib import Path

import torch

from .broken_models import (
    Allocates,
    CudaOnly,
    Endless,
    EndlessLater,
    HugeView,
    Leaks,
    Loud,
    MissingMethod,
    NanFromState,
    NanLater,
    NoMethods,
    NoParams,
    Offline,
    Offset,
    RaisesLater,
    ReadsFile,
    ReturnsTuple,
    Slow,
    TextParams,
    Voice,
    WritesFile,
    WrongChannels,
    WrongLength,
    with_params,
)


def touched(path: str | Path) -> Path:
    """The file that a harmful model at ``path`` tries to write."""
    return Path(str(path) + ".touched")


class Payload:
    """Runs a shell command when unpickled."""

    def __init__(self, path):
        self.command = f"touch '{touched(path)}'"

    def __reduce__(self):
        return os.system, (self.command,)


def script(make):
    def write(path):
        with torch.random.fork_rng():
            torch.manual_seed(5)
            torch.jit.script(make().eval()).save(str(path))

    return write


def rewritten(change):
    """A writer that changes the bytes of a good file."""

    def write(path):
        script(Voice)(path)
        Path(path).write_bytes(change(Path(path).read_bytes()))

    return write


def flip_byte(data: bytes) -> bytes:
    """One bit in the middle of the largest tensor; the archive still opens."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        stored = max((archive.read(name) for name in archive.namelist() if "/data/" in name), key=len)
    at = data.index(stored) + len(stored) // 2
    return data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :]


def payload_in_archive(record: str):
    def write(path):
        script(Voice)(path)
        with zipfile.ZipFile(path) as old:
            entries = {name: old.read(name) for name in old.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as new:
            for name, data in entries.items():
                new.writestr(name, pickle.dumps(Payload(path), 2) if name.endswith("/" + record) else data)

    return write


BROKEN = {
    "html": lambda path: Path(path).write_text("<!DOCTYPE html>\n<html><body>404: Not Found</body></html>\n"),
    "empty": lambda path: Path(path).write_bytes(b""),
    "truncated": rewritten(lambda data: data[: len(data) * 6 // 10]),
    "flipped_byte": rewritten(flip_byte),
    "pickle_payload": lambda path: Path(path).write_bytes(pickle.dumps(Payload(path), 2)),
    "archive_payload": payload_in_archive("data.pkl"),
    "constants_payload": payload_in_archive("constants.pkl"),
    "checkpoint": lambda path: torch.save(Voice().state_dict(), str(path)),
    "no_methods": script(NoMethods),
    "missing_method": script(MissingMethod),
    "params_missing": script(NoParams),
    "params_text": script(TextParams),
    "params_short": script(lambda: with_params(2, 512)),
    "params_zero": script(lambda: with_params(2, 0, 1, 1)),
    "params_negative": script(lambda: with_params(-2, 512, 1, 1)),
    "params_huge": script(lambda: with_params(2, 2**40, 1, 1)),
    "wrong_length": script(WrongLength),
    "wrong_channels": script(WrongChannels),
    "returns_tuple": script(ReturnsTuple),
    "nan_later": script(NanLater),
    "nan_from_state": script(NanFromState),
    "raises_later": script(RaisesLater),
    "slow": script(Slow),
    "endless": script(Endless),
    "endless_later": script(EndlessLater),
    "allocates": script(Allocates),
    "leaks": script(Leaks),
    "huge_view": script(HugeView),
    "loud": script(Loud),
    "dc": script(Offset),
    "offline": script(Offline),
    "writes_file": lambda path: script(lambda: WritesFile(str(touched(path))))(path),
    "reads_file": script(ReadsFile),
    "cuda_only": script(CudaOnly),
    "directory": lambda path: Path(path).mkdir(),
}
GOOD = script(Voice)  #: the same voice, unbroken

"""Reads the pickles of a TorchScript archive as data: nothing named in them is ever imported, called or built.

The machine below knows the instructions that TorchScript's own writer uses (a part of pickle protocol 2) and turns
``GLOBAL`` into a plain ``Name``. Only the names in ``_REDUCE`` mean something when they are called; an object of a class
``__torch__...`` becomes a ``ScriptObject``, of which the class is text in the archive. Anything else ends with ``ModelError``.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

from ..errors import ModelError
from .records import STORAGE_DTYPES, EnumRecord, Name, ScriptObject, StorageRecord, TensorRecord

MAX_DEPTH = 10_000  # marks open at once
MAX_REPEATED = 2**24  # numbers a tensor may show that its storage does not have (strides of 0)


def unpickle(data: bytes, what: str, folder: str) -> tuple[object, set[StorageRecord]]:
    """The object in ``data`` and the storages its tensors view, which lie in the archive's ``folder``.

    ``what`` names the data in errors (ModelError).
    """
    machine = _Machine(data, what, folder)
    try:
        return machine.run(), machine.storages
    except (IndexError, struct.error, UnicodeDecodeError, KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        if isinstance(error, ModelError):
            raise error if str(error).startswith(what) else ModelError(f"{what}: {error}") from None
        raise ModelError(f"{what} is damaged ({type(error).__name__} while reading); copy the file again") from None


class _Machine:
    """One run over the instructions: a stack, marks in it, and a memo."""

    def __init__(self, data: bytes, what: str, folder: str) -> None:
        self.data, self.what, self.folder = data, what, folder
        self.storages: set[StorageRecord] = set()
        self.at = 0
        self.stack: list = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}

    def run(self) -> object:
        data, table = self.data, _INSTRUCTIONS
        while True:
            code = data[self.at]
            self.at += 1
            if code == 0x2E:  # STOP
                if len(self.stack) != 1 or self.marks:
                    raise ModelError(f"{self.what} is damaged (it ends within an object); copy the file again")
                return self.stack[0]
            do = table.get(code)
            if do is None:
                raise ModelError(f"{self.what} holds the pickle instruction {code:#04x}, which TorchScript never writes; "
                                 "the file is damaged or harmful")
            do(self)

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        part = self.data[self.at:self.at + count]
        if count < 0 or len(part) != count:
            raise IndexError
        self.at += count
        return part

    def line(self) -> str:
        """The next line of text."""
        end = self.data.index(b"\n", self.at)
        part = self.data[self.at:end]
        self.at = end + 1
        return part.decode("utf-8")

    def since_mark(self) -> list:
        """Takes everything above the last mark from the stack."""
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def pop(self) -> object:
        if self.marks and self.marks[-1] >= len(self.stack):
            raise IndexError
        return self.stack.pop()

    # Instructions, named as in pickletools.
    def proto(self) -> None:
        version = self.take(1)[0]
        if version > 4:
            raise ModelError(f"{self.what} is a pickle of protocol {version}, TorchScript writes 2")

    def mark(self) -> None:
        if len(self.marks) >= MAX_DEPTH:
            raise ModelError(f"{self.what} is nested deeper than {MAX_DEPTH}; the file is damaged or harmful")
        self.marks.append(len(self.stack))

    def global_(self) -> None:
        self.stack.append(Name(self.line(), self.line()))

    def binput(self) -> None:
        self.memo[self.take(1)[0]] = self.stack[-1]

    def long_binput(self) -> None:
        self.memo[struct.unpack("<I", self.take(4))[0]] = self.stack[-1]

    def binget(self) -> None:
        self.stack.append(self.memo[self.take(1)[0]])

    def long_binget(self) -> None:
        self.stack.append(self.memo[struct.unpack("<I", self.take(4))[0]])

    def binunicode(self) -> None:
        self.stack.append(self.take(struct.unpack("<I", self.take(4))[0]).decode("utf-8"))

    def binint(self) -> None:
        self.stack.append(struct.unpack("<i", self.take(4))[0])

    def binint1(self) -> None:
        self.stack.append(self.take(1)[0])

    def binint2(self) -> None:
        self.stack.append(struct.unpack("<H", self.take(2))[0])

    def long1(self) -> None:
        self.stack.append(int.from_bytes(self.take(self.take(1)[0]), "little", signed=True))

    def binfloat(self) -> None:
        self.stack.append(struct.unpack(">d", self.take(8))[0])

    def tuple_(self) -> None:
        self.stack.append(tuple(self.since_mark()))

    def tuple_of(self, count: int) -> None:
        items = [self.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(items)))

    def append(self) -> None:
        value = self.pop()
        self.check(self.stack[-1], list).append(value)

    def appends(self) -> None:
        values = self.since_mark()
        self.check(self.stack[-1], list).extend(values)

    def setitem(self) -> None:
        value, key = self.pop(), self.pop()
        self.check(self.stack[-1], dict)[_key(key)] = value

    def setitems(self) -> None:
        values = self.since_mark()
        if len(values) % 2:
            raise IndexError
        target = self.check(self.stack[-1], dict)
        for key, value in zip(values[::2], values[1::2]):
            target[_key(key)] = value

    def persid(self) -> None:
        record = self.check(self.pop(), tuple)
        if len(record) < 5 or record[0] != "storage":
            raise ModelError(f"{self.what} refers to something that is no tensor storage")
        kind, key, count = record[1], record[2], record[4]
        if not isinstance(kind, Name) or kind.module not in ("torch", "torch.storage") or kind.name not in STORAGE_DTYPES:
            raise ModelError(f"{self.what} holds a tensor of type {kind}, which can't be read (quantized or rare)")
        if not isinstance(key, str) or not _count(count):
            raise TypeError
        storage = StorageRecord(f"{self.folder}/{key}", STORAGE_DTYPES[kind.name], count)
        self.storages.add(storage)
        self.stack.append(storage)

    def newobj(self) -> None:
        arguments, cls = self.check(self.pop(), tuple), self.check(self.pop(), Name)
        if arguments or not _is_ours(cls):
            raise _refused(self.what, cls)
        self.stack.append(ScriptObject(str(cls)))

    def build(self) -> None:
        state, target = self.pop(), self.check(self.stack[-1], ScriptObject)
        if isinstance(state, dict) and all(isinstance(key, str) for key in state):
            target.attributes = state
        target.state = state

    def reduce(self) -> None:
        arguments, function = self.pop(), self.check(self.pop(), Name)
        if _is_ours(function):  # a member of an enumeration, by its value
            self.stack.append(EnumRecord(str(function), arguments))
            return
        self.check(arguments, tuple)
        build = _REDUCE.get((function.module, function.name))
        if build is None:
            raise _refused(self.what, function)
        self.stack.append(build(*arguments))

    @staticmethod
    def check(value: object, kind: type):
        """``value``, if it is of the plain type ``kind``."""
        if type(value) is not kind:
            raise TypeError
        return value


def _refused(what: str, name: Name) -> ModelError:
    return ModelError(f"{what} wants {name} of this computer, which no TorchScript file needs; it was not run. "
                      "The file is harmful or no TorchScript: don't use it")


def _is_ours(name: Name) -> bool:
    return name.module == "__torch__" or name.module.startswith("__torch__.")


def _count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**48


def _key(value: object) -> object:
    if type(value) not in (str, int, float, bool):
        raise TypeError
    return value


def _tensor(storage: object, offset: object, shape: object, strides: object, *_rest: object) -> TensorRecord:
    sizes = (offset, *shape, *strides)
    if type(storage) is not StorageRecord or len(shape) != len(strides) or len(shape) > 25 or not all(map(_count, sizes)):
        raise TypeError
    if math.prod(shape) > max(storage.count, MAX_REPEATED):
        raise ModelError(f"a tensor of shape {list(shape)} shows more than the {storage.count} numbers there are; "
                         "the file is damaged or harmful")
    last = offset + sum((n - 1) * step for n, step in zip(shape, strides))
    if 0 not in shape and last >= storage.count:
        raise ModelError(f"a tensor reaches beyond its storage {storage.entry}; the file is damaged or harmful")
    return TensorRecord(storage, offset, tuple(shape), tuple(strides))


def _list(values: list) -> list:
    return _Machine.check(values, list)


def _parameter(data: TensorRecord, *_rest: object) -> TensorRecord:
    return _Machine.check(data, TensorRecord)


def _device(name: str, index: int | None = None) -> str:
    return str(name) if index is None else f"{name}:{index}"


# What may be "called": our own readings of what TorchScript's writer means by these names.
_REDUCE: dict[tuple[str, str], Callable] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch", "device"): _device,
    ("collections", "OrderedDict"): lambda items=(): {_key(key): value for key, value in items},
    ("torch.jit._pickle", "restore_type_tag"): lambda value, _type: value,
    **{("torch.jit._pickle", f"build_{kind}list"): _list for kind in ("int", "double", "bool", "tensor")},
}

_M = _Machine
_INSTRUCTIONS: dict[int, Callable[[_Machine], None]] = {
    ord("\x80"): _M.proto, ord("("): _M.mark, ord("c"): _M.global_, ord("q"): _M.binput, ord("r"): _M.long_binput,
    ord("h"): _M.binget, ord("j"): _M.long_binget, ord("X"): _M.binunicode, ord("J"): _M.binint, ord("K"): _M.binint1,
    ord("M"): _M.binint2, ord("\x8a"): _M.long1, ord("G"): _M.binfloat, ord("t"): _M.tuple_,
    ord(")"): lambda m: m.stack.append(()), ord("]"): lambda m: m.stack.append([]), ord("}"): lambda m: m.stack.append({}),
    ord("N"): lambda m: m.stack.append(None), ord("\x88"): lambda m: m.stack.append(True),
    ord("\x89"): lambda m: m.stack.append(False), ord("\x85"): lambda m: m.tuple_of(1), ord("\x86"): lambda m: m.tuple_of(2),
    ord("\x87"): lambda m: m.tuple_of(3), ord("a"): _M.append, ord("e"): _M.appends, ord("s"): _M.setitem, ord("u"): _M.setitems,
    ord("Q"): _M.persid, ord("\x81"): _M.newobj, ord("b"): _M.build, ord("R"): _M.reduce,
}

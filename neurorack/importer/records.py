"""What a TorchScript archive's pickles hold, as plain data: names, objects, tensors, members of enumerations."""

from __future__ import annotations

from dataclasses import dataclass, field

# torch's storage types: numpy type of one element as stored
STORAGE_DTYPES = {
    "FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2", "BFloat16Storage": "bf16",
    "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1",
    "BoolStorage": "?", "ComplexFloatStorage": "c8", "ComplexDoubleStorage": "c16",
}


@dataclass(frozen=True)
class Name:
    """A name the pickle refers to. It stays a name."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class ScriptObject:
    """An object of a class written in the archive: attributes by name, tensors among them as ``TensorRecord``.

    ``state`` is set instead of ``attributes`` where the class restores itself with a method ``__setstate__``.
    """

    class_name: str
    attributes: dict = field(default_factory=dict)
    state: object = None


@dataclass(frozen=True)
class StorageRecord:
    """Raw numbers in the archive's ``entry``: ``count`` of them, of type ``dtype`` (see ``STORAGE_DTYPES``)."""

    entry: str
    dtype: str
    count: int


@dataclass(eq=False)
class TensorRecord:
    """A view of a storage, lengths and strides counted in elements. The same record twice is the same tensor twice."""

    storage: StorageRecord
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class EnumRecord:
    """A member of an enumeration written in the archive."""

    class_name: str
    value: object

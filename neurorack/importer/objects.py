"""Live objects of an interpreted model, made from what its archive holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import ModelError
from .archive import Archive
from .records import EnumRecord, ScriptObject, TensorRecord
from .source import ClassDef
from .tensors import Tensor


class Instance:
    """A live object: its class and its attributes. ``path`` says where it first stood in the tree ("" is the root)."""

    __slots__ = ("kind", "attributes", "path")

    def __init__(self, kind: ClassDef, path: str | None) -> None:
        self.kind, self.path = kind, path
        self.attributes: dict = {}

    @property
    def class_name(self) -> str:
        return self.kind.name


class NamedValues(tuple):
    """A named tuple of the model."""

    kind: ClassDef

    @property
    def class_name(self) -> str:
        return self.kind.name


@dataclass(frozen=True)
class Member:
    """A member of an enumeration of the model."""

    class_name: str
    name: str
    value: object


class Objects:
    """Makes live copies. A tensor that is there twice stays one; ``call_function`` runs a class's own ``__setstate__``."""

    def __init__(self, archive: Archive, engine, call_function: Callable) -> None:
        self.archive, self.engine, self.source, self.call_function = archive, engine, archive.source, call_function
        self._constants: dict[str, object] = {}
        self._tensors: dict[tuple, Tensor] = {}

    def live(self, value, path: str, seen: dict | None = None):
        """A pickled value as a live one; what was one object stays one. ``path``: where in the object tree it stands."""
        seen = {} if seen is None else seen
        if isinstance(value, TensorRecord):
            return self._tensor(value, path)
        if isinstance(value, EnumRecord):
            return self._member(value)
        if not isinstance(value, (ScriptObject, list, dict, tuple)):
            return value
        if id(value) not in seen:
            if isinstance(value, tuple):
                seen[id(value)] = tuple(self.live(item, f"{path}.{i}", seen) for i, item in enumerate(value))
            elif isinstance(value, list):
                made = seen[id(value)] = []
                made.extend(self.live(item, f"{path}.{i}", seen) for i, item in enumerate(value))
            elif isinstance(value, dict):
                made = seen[id(value)] = {}
                made.update((key, self.live(item, f"{path}.{key}", seen)) for key, item in value.items())
            else:
                made = seen[id(value)] = Instance(self.source.class_of(value.class_name), path)
                self._fill(made, value, seen)
        return seen[id(value)]

    def _fill(self, made: Instance, pickled: ScriptObject, seen: dict) -> None:
        restore = made.kind.methods.get("__setstate__")
        if restore is not None:
            self.call_function(restore, [made, self.live(pickled.state, made.path, seen)], {})
            return
        for name, item in pickled.attributes.items():
            made.attributes[name] = self.live(item, f"{made.path}.{name}" if made.path else name, seen)
        if made.kind.kind == "module" and "training" in made.attributes:
            made.attributes["training"] = False

    def constant(self, name: str):
        """``CONSTANTS.c0`` and so on. Raises ModelError for one that is not in the file."""
        if name not in self._constants:
            place = int(name[1:]) if name[:1] == "c" and name[1:].isdigit() and len(name) < 9 else -1
            if not 0 <= place < len(self.archive.constants):
                raise ModelError(f"the constant {name} is not in the file; it is damaged")
            self._constants[name] = self.live(self.archive.constants[place], f"CONSTANTS.{name}")
        return self._constants[name]

    def _tensor(self, record: TensorRecord, path: str) -> Tensor:
        key = (record.storage, record.offset, record.shape, record.strides)
        if key not in self._tensors:
            self._tensors[key] = self.engine.tensor(self.archive.array(record), path)
        return self._tensors[key]

    def _member(self, record: EnumRecord) -> Member:
        kind = self.source.class_of(record.class_name)
        for name in kind.constants:
            if kind.literal(name) == record.value:
                return Member(kind.name, name, record.value)
        raise ModelError(f"{record.class_name} has no member of the value {record.value!r}")


def leaves(root: Instance) -> dict[str, tuple]:
    """Every plain value and tensor below ``root``: path -> (what holds it, its name or place there, the value)."""
    found: dict[str, tuple] = {}
    _walk(root, "", found, set())
    return found


def _walk(holder, path: str, found: dict, seen: set) -> None:
    inner = holder.attributes if isinstance(holder, Instance) else holder
    if id(inner) in seen:
        return
    seen.add(id(inner))
    for name, item in inner.items() if isinstance(inner, dict) else enumerate(inner):
        below = f"{path}.{name}" if path else str(name)
        if isinstance(item, (Instance, list, dict, tuple)):
            _walk(item, below, found, seen)
        else:
            found[below] = (inner, name, item)

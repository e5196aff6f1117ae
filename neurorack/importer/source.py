"""The printed source of an archive: classes, functions, named tuples and enumerations by their qualified names.

Python's parser reads it; nothing is compiled or run by Python. A file is parsed when something of it is first asked for.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from ..errors import ModelError


@dataclass(eq=False)
class Function:
    """A function or method: ``name`` is qualified, ``node`` its parsed text."""

    name: str
    node: ast.FunctionDef
    code: object = None  # its compiled form, kept by ``program.py``

    @property
    def parameters(self) -> list[str]:
        """Names of its parameters, ``self`` included."""
        return [argument.arg for argument in self.node.args.args]

    @property
    def required(self) -> int:
        """How many parameters have no default."""
        return len(self.node.args.args) - len(self.node.args.defaults)


@dataclass(eq=False)
class ClassDef:
    """A class as printed. ``kind``: module, class, tuple (NamedTuple), enum or interface."""

    name: str
    kind: str
    fields: dict[str, ast.expr] = field(default_factory=dict)  # name -> type
    constants: dict[str, ast.expr] = field(default_factory=dict)  # name -> value of a Final, or member of an enum
    methods: dict[str, Function] = field(default_factory=dict)
    parameters: list[str] = field(default_factory=list)
    buffers: list[str] = field(default_factory=list)

    def literal(self, name: str) -> object:
        """The value of a Final or enumeration member. Raises ModelError where it is not written out."""
        value = self.constants[name]
        try:
            return ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            if isinstance(value, ast.Name) and value.id in ("inf", "nan"):
                return float(value.id)
            raise ModelError(f"the constant {self.name}.{name} can't be read") from None


_KINDS = {"Module": "module", "NamedTuple": "tuple", "Enum": "enum", "Interface": "interface", "ModuleInterface": "interface"}


class Source:
    """All printed source. ``files``: text by path without ``.py``, as ``__torch__/torch/nn/modules/conv``."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self._files = files
        self._parsed: dict[str, dict[str, ClassDef | Function]] = {}
        self._found: dict[str, ClassDef | Function | None] = {}

    def find(self, name: str) -> ClassDef | Function | None:
        """What ``__torch__.a.b.Name`` is, or None."""
        if name not in self._found:
            place, _, last = name.rpartition(".")
            path = place.replace(".", "/")
            self._found[name] = self._file(path).get(last) if path in self._files else None
        return self._found[name]

    def class_of(self, name: str) -> ClassDef:
        """The class ``name``. Raises ModelError where the archive does not hold it."""
        found = self.find(name)
        if not isinstance(found, ClassDef):
            raise ModelError(f"the class {name} is not in the file; it needs an extension of torch that can't be read")
        return found

    def _file(self, path: str) -> dict[str, ClassDef | Function]:
        if path not in self._parsed:
            module = path.replace("/", ".")
            names: dict[str, ClassDef | Function] = {}
            for node in parse(self._files[path], module).body:
                if isinstance(node, ast.ClassDef):
                    names[node.name] = _class(module, node)
                elif isinstance(node, ast.FunctionDef):
                    names[node.name] = Function(f"{module}.{node.name}", node)
            self._parsed[path] = names
        return self._parsed[path]


def parse(text: bytes, what: str) -> ast.Module:
    """``text`` as a syntax tree. Raises ModelError where it is none or nested too deeply for the parser."""
    try:
        return ast.parse(text.decode("utf-8"))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ModelError(f"the source of {what} can't be read ({type(error).__name__}); the file is damaged") from None


def _class(module: str, node: ast.ClassDef) -> ClassDef:
    base = node.bases[0].id if node.bases and isinstance(node.bases[0], ast.Name) else ""
    made = ClassDef(f"{module}.{node.name}", _KINDS.get(base, "class"))
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            made.methods[item.name] = Function(f"{made.name}.{item.name}", item)
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            made.fields[item.target.id] = item.annotation
            if item.value is not None:
                made.constants[item.target.id] = item.value
        elif isinstance(item, ast.Assign) and len(item.targets) == 1:
            _assignment(made, item.targets[0], item.value)
    return made


def _assignment(made: ClassDef, target: ast.expr, value: ast.expr) -> None:
    """``__parameters__ = [...]``, ``__annotations__["0"] = Type`` or a member of an enumeration."""
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        made.fields[str(target.slice.value)] = value
    elif isinstance(target, ast.Name) and target.id in ("__parameters__", "__buffers__"):
        names = [item.value for item in getattr(value, "elts", []) if isinstance(item, ast.Constant)]
        setattr(made, target.id.strip("_"), names)
    elif isinstance(target, ast.Name) and made.kind == "enum":
        made.constants[target.id] = value

"""Runs the methods of an archive: ``Interpreter`` holds a live copy of its objects and walks their printed source.

The language itself (scopes, loops, numbers, lists, objects) is handled here; whatever touches a tensor goes to the engine
(``Ops`` of ``ops/machine.py``), which may be recording.
"""

from __future__ import annotations

import ast

import numpy as np

from ..errors import ModelError
from .archive import Archive
from .errors import UnsupportedError
from .limits import Budget, Limits
from .objects import Instance, Member, NamedValues, Objects, leaves
from .program import Code
from .scalars import LISTS, NUMBERS, PLAIN, Raised, wrap
from .source import ClassDef, Function
from .tensors import Tensor
from .texts import TEXTS


class Interpreter:
    """One live copy of an archive's objects, with the engine that computes their tensors.

    Copies share nothing that changes: two interpreters of one archive are two voices. Modules are in evaluation mode.
    """

    def __init__(self, archive: Archive, engine, limits: Limits = Limits()) -> None:
        self.archive, self.engine, self.source = archive, engine, archive.source
        self.budget = Budget(limits)
        self.entered = None  # what the last ``with`` gave
        self.objects = Objects(archive, engine, self.call_function)
        self.root = self._guarded("its objects", lambda: self.objects.live(archive.root, ""))

    # What others use.

    def methods(self) -> list[str]:
        """Names of the root's methods."""
        return list(self.root.kind.methods)

    def call(self, method: str, *arguments):
        """Runs a method of the root object. Raises ModelError: whatever goes wrong in a foreign model is one line."""
        return self._guarded(method, lambda: self.call_method(self.root, method, list(arguments), {}))

    def set_attribute(self, name: str, *values) -> None:
        """Sets an attribute of the nn~ contract by the model's own ``set_NAME``. Raises ModelError where it has none or refuses.

        Values are plain; they are converted as the setter's parameters ask (numbers, texts, tensors from lists or arrays).
        """
        setter = self.root.kind.methods.get(f"set_{name}")
        if setter is None:
            known = sorted(method[4:] for method in self.methods() if method.startswith("set_"))
            raise ModelError(f"the model has no attribute {name!r} to set; it has {', '.join(known) or 'none'}")
        kinds = [ast.unparse(argument.annotation) if argument.annotation else "" for argument in setter.node.args.args[1:]]
        if not len(kinds) - len(setter.node.args.defaults) <= len(values) <= len(kinds):
            raise ModelError(f"the attribute {name!r} takes {len(kinds)} values, {len(values)} were given")
        answer = self.call(f"set_{name}", *[self._of_kind(value, kind, name) for value, kind in zip(values, kinds)])
        if answer not in (None, 0):
            raise ModelError(f"the model refuses {', '.join(map(str, values))} as its attribute {name!r}")

    def _of_kind(self, value, kind: str, name: str):
        convert = {"bool": bool, "int": int, "float": float, "str": str}.get(kind)
        try:
            if kind == "Tensor":
                array = np.asarray(value)
                return self.engine.tensor(array.astype(np.float32) if array.dtype == np.float64 else array)
            return convert(value) if convert else value
        except (TypeError, ValueError):
            raise ModelError(f"the attribute {name!r} needs a value of the type {kind}, not {value!r}") from None

    def state(self) -> dict[str, object]:
        """Every value in the object tree by its path: tensors, numbers, texts, None; lists and tuples by position."""
        return {path: value for path, (_holder, _name, value) in leaves(self.root).items()}

    def numbers(self) -> dict[str, int | float]:
        """The plain numbers among ``state``, which a recorder does not see."""
        return {path: value for path, value in self.state().items() if type(value) in (int, float)}

    def advance(self, before: dict[str, int | float], calls: int) -> list[str]:
        """Moves every number that differs from ``before`` on, as if there had been so many more such changes; gives their paths.

        So a recorder finds out whether a model that counts its calls does something else after many.
        """
        moved = []
        for path, (holder, name, value) in leaves(self.root).items():
            if path in before and type(value) in (int, float) and value != before[path] and not isinstance(holder, tuple):
                holder[name] = wrap(value + (value - before[path]) * calls)
                moved.append(path)
        return moved

    # What the closures of a program use.

    def operate(self, name: str, arguments: list, keywords: dict | None = None):
        """An operator, in Python or by the engine, as its arguments are."""
        if name == "RaiseException":
            kind = str(arguments[1]).rpartition(".")[2] if len(arguments) > 1 else "an exception"
            raise Raised(f"the model itself stopped with {kind}: {str(arguments[0])[:200]}")
        first = arguments[0] if arguments else None
        kind = type(first)
        function = None
        if kind is str:
            function = TEXTS.get(name)
        elif kind is list or kind is dict or isinstance(first, tuple):
            function = LISTS.get(name)
            if function is None and name in ("eq", "ne", "add", "mul", "min", "max"):
                function = NUMBERS[name]
        if function is None and kind is not list and Tensor not in map(type, arguments):
            function = NUMBERS.get(name)
        if function is None:
            function = PLAIN.get(name)
        if function is None:
            return self.engine_call(name, arguments, keywords or {})
        return self.plain(name, function, arguments, keywords or {})

    def plain(self, name: str, function, arguments, keywords: dict = {}):
        """An operator on plain values; counts the items it makes."""
        try:
            result = function(*arguments, **keywords)
        except ModelError:
            raise
        except Exception as error:
            raise Raised(f"{name}: {error or type(error).__name__}") from None
        if isinstance(result, (list, str, dict)):
            self.items(result)
        elif arguments and type(arguments[0]) is list:
            self.budget.items(len(arguments[0]) if name == "extend" else 1)
        return result

    def items(self, made):
        """A list or text that was just made, counted."""
        self.budget.items(len(made))
        return made

    def engine_call(self, name: str, arguments: list, keywords: dict):
        """An operator on tensors."""
        self.budget.clock()
        if name == "item":
            return self.number(arguments[0])
        result = self.engine.call(name, arguments, keywords)
        if type(result) is Tensor:
            self.budget.tensor(4 * result.size)
        return result

    def number(self, value):
        """A number, also out of a tensor of one element."""
        return self.engine.number(value) if type(value) is Tensor else value

    def truth(self, value) -> bool:
        return self.engine.truth(value) if type(value) is Tensor else bool(value)

    def item(self, owner, index):
        """``owner[index]``."""
        try:
            return owner[index]
        except (IndexError, KeyError):
            raise Raised(f"the model asks for item {index!r} of {len(owner)}") from None

    def constant(self, name: str):
        """CONSTANTS.c0 and so on."""
        return self.objects.constant(name)

    def global_value(self, name: str):
        """What ``__torch__.a.b`` names: a function, a class, or a member of an enumeration."""
        found = self.source.find(name)
        if found is None:
            owner, _, last = name.rpartition(".")
            kind = self.source.find(owner)
            if isinstance(kind, ClassDef) and kind.kind == "enum" and last in kind.constants:
                return Member(kind.name, last, kind.literal(last))
            raise UnsupportedError(f"{name} is not in the file and not known here")
        return found

    def new_object(self, name: str) -> Instance:
        return Instance(self.source.class_of(name), None)

    def get_attribute(self, owner, name: str):
        """``owner.name``; a Final constant of the class where the object itself has none."""
        if type(owner) is Instance:
            if name in owner.attributes:
                return owner.attributes[name]
            if name in owner.kind.constants:
                return owner.kind.literal(name)
        elif isinstance(owner, NamedValues):
            return owner[list(owner.kind.fields).index(name)]
        elif isinstance(owner, Member) and name in ("name", "value"):
            return getattr(owner, name)
        raise ModelError(f"{getattr(owner, 'class_name', type(owner).__name__)} has no attribute {name}")

    def assign(self, owner, name: str, value) -> None:
        if type(owner) is not Instance:
            raise ModelError(f"{type(owner).__name__} has no attribute {name} to set")
        owner.attributes[name] = value

    def call_method(self, owner, name: str, arguments: list, keywords: dict):
        if type(owner) is Instance:
            method = owner.kind.methods.get(name)
            if method is None:
                raise ModelError(f"{owner.class_name} has no method {name}")
            return self.call_function(method, [owner, *arguments], keywords)
        if type(owner) is Tensor and name == "tolist":
            return self.engine_call(name, [owner], {})
        raise ModelError(f"{type(owner).__name__} has no method {name}")

    def call_value(self, target, arguments: list, keywords: dict):
        """Calls a function, or a class: a named tuple."""
        if isinstance(target, Function):
            return self.call_function(target, arguments, keywords)
        if isinstance(target, ClassDef) and target.kind == "tuple" and len(arguments) == len(target.fields):
            made = NamedValues(arguments)
            made.kind = target
            return made
        raise ModelError(f"{getattr(target, 'name', type(target).__name__)} can't be called")

    def call_function(self, function: Function, arguments: list, keywords: dict):
        budget = self.budget
        budget.depth += 1
        if budget.depth > budget.limits.depth:
            raise ModelError(f"the model's functions call each other more than {budget.limits.depth} deep")
        code = function.code
        if code is None:
            code = function.code = Code(function)
        try:
            result = code.run(self, arguments, keywords)
        except ModelError as error:
            if not getattr(error, "place", None):  # the innermost function, said once
                error.place = ".".join(part for part in function.name.split(".")[-3:] if not part.startswith("___"))
                error.args = (f"{error} (in {error.place})",)
            raise
        budget.depth -= 1
        return result

    def _guarded(self, what: str, run):
        """Runs something foreign; every failure becomes a ModelError."""
        self.budget.start()
        try:
            return run()
        except ModelError:
            raise
        except RecursionError:
            raise ModelError(f"{what}: the model is nested too deeply") from None
        except MemoryError:
            raise ModelError(f"{what}: the model needs more memory than there is") from None
        except Exception as error:
            raise ModelError(f"{what}: {type(error).__name__}: {str(error)[:200]}") from error

"""How each kind of call in printed TorchScript becomes a closure: operators, functions, methods and the few builtins."""

from __future__ import annotations

import ast
from collections.abc import Callable

from ..errors import ModelError
from .errors import UnsupportedError
from .scalars import LISTS, NUMBERS, PLAIN
from .tensors import Tensor
from .texts import TEXTS
from .types import matcher


def operator_call(name: str, arguments: list[Callable], keywords: dict[str, Callable]) -> Callable:
    """``torch.NAME(...)``: in Python where no tensor takes part, else by the engine."""
    numbers, lists, texts, plain = NUMBERS.get(name), LISTS.get(name), TEXTS.get(name), PLAIN.get(name)
    if keywords or not (numbers or lists or texts or plain):
        pairs = list(keywords.items())
        return lambda frame: frame[0].operate(name, [value(frame) for value in arguments],
                                              {key: value(frame) for key, value in pairs})
    if plain:
        return lambda frame: plain(*[value(frame) for value in arguments])
    if numbers and not lists and not texts and len(arguments) == 2:
        left, right = arguments

        def two(frame):
            a, b = left(frame), right(frame)
            if type(a) is Tensor or type(b) is Tensor:
                return frame[0].engine_call(name, [a, b], {})
            return frame[0].plain(name, numbers, (a, b))

        return two
    return lambda frame: frame[0].operate(name, [value(frame) for value in arguments])


def qualified_call(function: str | Callable, arguments: list[Callable], keywords: dict[str, Callable]) -> Callable:
    """``__torch__.a.b.f(...)``, or a local that holds a function; also named tuples and ``Class.__new__(Class)``."""
    pairs = list(keywords.items())
    if isinstance(function, str) and function.endswith(".__new__"):
        name = function[:-len(".__new__")]
        return lambda frame: frame[0].new_object(name)

    def call(frame):
        machine = frame[0]
        target = machine.global_value(function) if isinstance(function, str) else function(frame)
        return machine.call_value(target, [value(frame) for value in arguments], {key: value(frame) for key, value in pairs})

    return call


def object_call(owner: Callable, name: str, arguments: list[Callable], keywords: dict[str, Callable]) -> Callable:
    """``(object).method(...)``."""
    pairs = list(keywords.items())

    def call(frame):
        return frame[0].call_method(owner(frame), name, [value(frame) for value in arguments],
                                    {key: value(frame) for key, value in pairs})

    return call


def builtin(compiler, name: str, node: ast.Call) -> Callable:
    """A call of a bare name: ``annotate``, ``int``, ``getattr`` and the like."""
    if name in ("annotate", "unchecked_cast") and len(node.args) == 2:
        value = compiler.value(node.args[1])
        kind = node.args[0].id if isinstance(node.args[0], ast.Name) else ""
        if kind in ("int", "float", "bool", "complex", "number"):  # may be a tensor of one number, converted in silence
            return lambda frame: frame[0].number(value(frame))
        return value
    if name == "uninitialized":
        return lambda frame: None
    if name == "isinstance" and len(node.args) == 2:
        value, test = compiler.value(node.args[0]), matcher(node.args[1])
        return lambda frame: test(frame[0], value(frame))
    values = [compiler.value(item) for item in node.args]
    convert = _CONVERT.get(name)
    if convert is not None and len(values) == 1:
        value, = values
        return lambda frame: convert(frame[0], value(frame))
    if name == "getattr" and len(node.args) == 2 and isinstance(node.args[1], ast.Constant):
        owner, attribute = values[0], str(node.args[1].value)
        return lambda frame: frame[0].get_attribute(owner(frame), attribute)
    if name == "print":
        return lambda frame: [value(frame) for value in values] and None
    if name == "complex" and len(values) == 2:
        return lambda frame: complex(*[frame[0].number(value(frame)) for value in values])
    raise UnsupportedError(f"line {node.lineno} of {compiler.function.name} calls {name!r}, which is not known")


def _convert_int(machine, value):
    value = machine.number(value)
    if isinstance(value, str) and len(value) > 30:
        raise ModelError("the model reads a whole number from a long text")
    return NUMBERS["add"](int(value), 0)


def _convert_float(machine, value):
    return float(machine.number(value))


def _convert_bool(machine, value):
    return machine.truth(value)


_CONVERT: dict[str, Callable] = {
    "int": _convert_int, "float": _convert_float, "bool": _convert_bool,
    "complex": lambda machine, value: complex(machine.number(value)),
    "str": lambda machine, value: TEXTS["format"]("{}", value),
    "sorted": lambda machine, value: machine.items(sorted(value)),
    "len": lambda machine, value: machine.operate("len", [value]),
    "list": lambda machine, value: machine.items(list(value)),
    "unchecked_unwrap_optional": lambda machine, value: PLAIN["_unwrap_optional"](value),
}

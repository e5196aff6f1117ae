"""Types as printed in TorchScript, for ``isinstance``."""

from __future__ import annotations

import ast
from collections.abc import Callable

from .tensors import Tensor

_PLAIN = {
    "Tensor": lambda value: isinstance(value, Tensor), "int": lambda value: type(value) is int,
    "float": lambda value: type(value) is float, "bool": lambda value: type(value) is bool,
    "complex": lambda value: type(value) is complex, "str": lambda value: type(value) is str,
    "number": lambda value: type(value) in (int, float, complex), "NoneType": lambda value: value is None,
    "Any": lambda value: True, "list": lambda value: type(value) is list, "tuple": lambda value: isinstance(value, tuple),
    "Device": lambda value: type(value) is str, "AnyList": lambda value: type(value) is list,
}


def matcher(node: ast.expr) -> Callable:
    """``test(machine, value)``: whether the value is of the type, or of one of a tuple of types."""
    if isinstance(node, ast.Tuple):
        return _any([matcher(item) for item in node.elts])
    if isinstance(node, ast.Constant) and node.value is None:
        return lambda machine, value: value is None
    if isinstance(node, ast.Name) and node.id in _PLAIN:
        plain = _PLAIN[node.id]
        return lambda machine, value: plain(value)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return _generic(node.value.id, [matcher(part) for part in parts])
    name = ast.unparse(node)
    return lambda machine, value: getattr(value, "class_name", None) == name


def _any(tests: list[Callable]) -> Callable:
    return lambda machine, value: any(test(machine, value) for test in tests)


def _generic(kind: str, tests: list[Callable]) -> Callable:
    if kind == "Optional":
        return lambda machine, value: value is None or tests[0](machine, value)
    if kind == "Union":
        return _any(tests)
    if kind == "List":
        return lambda machine, value: type(value) is list and all(tests[0](machine, item) for item in value)
    if kind == "Tuple":
        return lambda machine, value: (isinstance(value, tuple) and len(value) == len(tests)
                                       and all(test(machine, item) for test, item in zip(tests, value)))
    if kind == "Dict":
        return lambda machine, value: type(value) is dict and all(
            tests[0](machine, key) and tests[1](machine, item) for key, item in value.items())
    return lambda machine, value: False

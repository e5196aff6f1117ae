"""Expressions of printed TorchScript as closures ``value(frame)`` (see ``program.py``)."""

from __future__ import annotations

import ast
from collections.abc import Callable

from .calls import builtin, object_call, operator_call, qualified_call
from .errors import UnsupportedError
from .source import Function

CONSTANTS = {"inf": float("inf"), "nan": float("nan"), "infj": complex(0, float("inf")), "nanj": complex(0, float("nan"))}


class Expressions:
    """Compiles the expressions of one function; ``places`` says where in the frame each local is kept."""

    def __init__(self, function: Function) -> None:
        self.function = function
        names = dict.fromkeys(function.parameters)
        for node in ast.walk(function.node):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names[node.id] = None
        self.places = {name: place for place, name in enumerate(names, 1)}

    def unknown(self, node: ast.AST) -> ModelError:
        return UnsupportedError(f"line {getattr(node, 'lineno', '?')} of {self.function.name} can't be understood "
                          f"({type(node).__name__}); the file is damaged or of a newer kind")

    def condition(self, node: ast.expr) -> Callable:
        """An expression as True or False; a tensor is asked through the engine."""
        value = self.value(node)

        def test(frame):
            result = value(frame)
            return result if result is True or result is False else frame[0].truth(result)

        return test

    def value(self, node: ast.expr) -> Callable:
        make = getattr(self, "get_" + type(node).__name__, None)
        if make is None:
            raise self.unknown(node)
        return make(node)

    def get_Constant(self, node: ast.Constant) -> Callable:
        constant = node.value
        if constant is Ellipsis or isinstance(constant, bytes):
            raise self.unknown(node)
        return lambda frame: constant

    def get_Name(self, node: ast.Name) -> Callable:
        if node.id in self.places:
            place = self.places[node.id]
            return lambda frame: frame[place]
        if node.id in CONSTANTS:
            constant = CONSTANTS[node.id]
            return lambda frame: constant
        raise UnsupportedError(f"{self.function.name} uses the unknown name {node.id!r}")

    def get_Attribute(self, node: ast.Attribute) -> Callable:
        path = self.path(node)
        name = node.attr
        if path is not None and path[0] == "CONSTANTS":
            return lambda frame: frame[0].constant(name)
        if path is not None:
            whole = ".".join(path)
            return lambda frame: frame[0].global_value(whole)
        owner = self.value(node.value)
        return lambda frame: frame[0].get_attribute(owner(frame), name)

    def path(self, node: ast.expr) -> list[str] | None:
        """``torch.nn.x`` as its names, where the first is no local."""
        names = []
        while isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id in self.places:
            return None
        return [node.id, *reversed(names)]

    def get_Tuple(self, node: ast.Tuple) -> Callable:
        items = [self.value(item) for item in node.elts]
        return lambda frame: tuple([item(frame) for item in items])

    def get_List(self, node: ast.List) -> Callable:
        items = [self.value(item) for item in node.elts]
        return lambda frame: [item(frame) for item in items]

    def get_Dict(self, node: ast.Dict) -> Callable:
        if any(key is None for key in node.keys):
            raise self.unknown(node)
        pairs = [(self.value(key), self.value(value)) for key, value in zip(node.keys, node.values)]
        return lambda frame: {key(frame): value(frame) for key, value in pairs}

    def get_UnaryOp(self, node: ast.UnaryOp) -> Callable:
        inner = self.value(node.operand)
        if isinstance(node.op, ast.USub):
            if isinstance(node.operand, ast.Constant) and type(node.operand.value) in (int, float, complex):
                constant = -node.operand.value
                return lambda frame: constant
            return lambda frame: frame[0].operate("neg", [inner(frame)])
        if isinstance(node.op, ast.Not):
            return lambda frame: not frame[0].truth(inner(frame))
        raise self.unknown(node)

    def get_BinOp(self, node: ast.BinOp) -> Callable:
        """Only in a complex constant, as ``1.+2.j``."""
        try:
            constant = ast.literal_eval(node)
        except (ValueError, RecursionError):
            raise self.unknown(node) from None
        return lambda frame: constant

    def get_IfExp(self, node: ast.IfExp) -> Callable:
        test, then, other = self.condition(node.test), self.value(node.body), self.value(node.orelse)
        return lambda frame: then(frame) if test(frame) else other(frame)

    def get_Subscript(self, node: ast.Subscript) -> Callable:
        owner = self.value(node.value)
        if isinstance(node.slice, ast.Slice):
            bounds = [self.value(part) if part is not None else lambda frame: None
                      for part in (node.slice.lower, node.slice.upper, node.slice.step)]
            return lambda frame: frame[0].items(owner(frame)[slice(*[bound(frame) for bound in bounds])])
        index = self.value(node.slice)
        return lambda frame: frame[0].item(owner(frame), index(frame))

    def get_Call(self, node: ast.Call) -> Callable:
        if any(isinstance(item, ast.Starred) for item in node.args) or any(item.arg is None for item in node.keywords):
            raise self.unknown(node)
        path = self.path(node.func)
        if path is not None and len(path) == 1:
            return builtin(self, path[0], node)
        arguments = [self.value(item) for item in node.args]
        keywords = {item.arg: self.value(item.value) for item in node.keywords}
        if path is not None and path[0] == "torch":
            return operator_call(".".join(path[1:]), arguments, keywords)
        if path is not None and path[0] == "ops":
            return operator_call(".".join(path[2:] if path[1] in ("aten", "prim") else path[1:]), arguments, keywords)
        if path is not None:
            return qualified_call(".".join(path), arguments, keywords)
        if isinstance(node.func, ast.Attribute):
            return object_call(self.value(node.func.value), node.func.attr, arguments, keywords)
        return qualified_call(self.value(node.func), arguments, keywords)

"""Printed TorchScript as a tree of Python closures: compiled once for each function, run many times. No foreign text is executed.

A running function is a list: place 0 holds the machine (``Machine`` of ``interpret.py``), then come parameters and locals.
A statement is a closure ``do(frame)``, an expression a closure ``value(frame)``.

Names of operators as they go to the engine: ``torch.NAME``, ``ops.prim.NAME`` and ``ops.aten.NAME`` are "NAME",
``ops.other.NAME`` is "other.NAME".
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from ..errors import ModelError
from .expressions import Expressions
from .source import Function

UNSET = object()  # a local before its first assignment


class Return(Exception):
    """A return before the end of a function."""

    def __init__(self, value) -> None:
        self.value = value


class Code:
    """A compiled function: ``run(machine, arguments, keywords)``."""

    def __init__(self, function: Function) -> None:
        self.function = function
        compiler = Compiler(function)
        self.names = function.parameters
        arguments = function.node.args
        self.defaults = [compiler.value(node) for node in arguments.defaults]
        body = function.node.body
        self.early = any(isinstance(node, ast.Return) for item in body[:-1] for node in ast.walk(item))
        if body and isinstance(body[-1], ast.Return):
            self.result = compiler.value(body[-1].value) if body[-1].value is not None else None
            body = body[:-1]
        else:
            self.result = None
            self.early = self.early or any(isinstance(node, ast.Return) for node in ast.walk(body[-1]))
        self.body = compiler.block(body)
        self.locals = len(compiler.places) + 1 - len(self.names)

    def run(self, machine, arguments: list, keywords: dict):
        """Runs it; ``arguments`` begin with ``self`` where it is a method."""
        frame = [machine, *arguments]
        if keywords or len(arguments) != len(self.names):
            self._bind(frame, keywords)
        frame.extend([UNSET] * self.locals)
        if self.early:
            try:
                self.body(frame)
            except Return as early:
                return early.value
        else:
            self.body(frame)
        return self.result(frame) if self.result else None

    def _bind(self, frame: list, keywords: dict) -> None:
        left = dict(keywords)
        required = len(self.names) - len(self.defaults)
        if len(frame) - 1 > len(self.names):
            raise ModelError(f"{self.function.name} takes {len(self.names)} arguments and was given {len(frame) - 1}")
        for place in range(len(frame) - 1, len(self.names)):
            name = self.names[place]
            if name in left:
                frame.append(left.pop(name))
            elif place >= required:
                frame.append(self.defaults[place - required](frame))
            else:
                raise ModelError(f"{self.function.name} was not given its argument {name}")
        if left:
            raise ModelError(f"{self.function.name} was given an argument {sorted(left)[0]} it does not know or has already")


class Compiler(Expressions):
    """Turns the syntax tree of one function into closures: its statements."""

    def block(self, statements: list[ast.stmt]) -> Callable:
        """Statements one after another; counts them against the budget."""
        steps = [self.statement(node) for node in statements if not isinstance(node, ast.Pass)]
        count = len(steps) + 1

        def run(frame):
            frame[0].budget.step(count)
            for step in steps:
                step(frame)

        return run

    def statement(self, node: ast.stmt) -> Callable:
        make = getattr(self, "do_" + type(node).__name__, None)
        if make is None:
            raise self.unknown(node)
        return make(node)

    def do_Assign(self, node: ast.Assign) -> Callable:
        if len(node.targets) != 1:
            raise self.unknown(node)
        return self.store(node.targets[0], self.value(node.value))

    def do_AnnAssign(self, node: ast.AnnAssign) -> Callable:
        if node.value is None:
            return lambda frame: None
        return self.store(node.target, self.value(node.value))

    def store(self, target: ast.expr, value: Callable) -> Callable:
        if isinstance(target, ast.Name):
            place = self.places[target.id]

            def set_local(frame):
                frame[place] = value(frame)

            return set_local
        if isinstance(target, ast.Attribute):
            owner, name = self.value(target.value), target.attr

            def set_attribute(frame):
                frame[0].assign(owner(frame), name, value(frame))

            return set_attribute
        if isinstance(target, (ast.Tuple, ast.List)) and all(isinstance(item, ast.Name) for item in target.elts):
            places = [self.places[item.id] for item in target.elts]

            def unpack(frame):
                values = value(frame)
                if len(values) != len(places):
                    raise ModelError(f"{len(values)} values are unpacked into {len(places)}")
                for place, item in zip(places, values):
                    frame[place] = item

            return unpack
        raise self.unknown(target)

    def do_Expr(self, node: ast.Expr) -> Callable:
        return self.value(node.value)

    def do_If(self, node: ast.If) -> Callable:
        test, then, other = self.condition(node.test), self.block(node.body), self.block(node.orelse)

        def run(frame):
            (then if test(frame) else other)(frame)

        return run

    def do_While(self, node: ast.While) -> Callable:
        test, body = self.condition(node.test), self.block(node.body)

        def run(frame):
            while test(frame):
                body(frame)

        return run

    def do_For(self, node: ast.For) -> Callable:
        call = node.iter
        if not (isinstance(node.target, ast.Name) and isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
                and call.func.id == "range" and call.args and not node.orelse):
            raise self.unknown(node)
        place, body = self.places[node.target.id], self.block(node.body)
        bounds = [self.value(argument) for argument in call.args]

        def run(frame):
            for index in range(*[bound(frame) for bound in bounds]):
                frame[place] = index
                body(frame)

        return run

    def do_With(self, node: ast.With) -> Callable:
        managers = [(self.value(item.context_expr), self.store(item.optional_vars, lambda frame: frame[0].entered)
                     if item.optional_vars is not None else None) for item in node.items]
        body = self.block(node.body)

        def run(frame):
            machine, open_ones = frame[0], []
            for manager, store in managers:
                item = manager(frame)
                machine.entered = machine.call_method(item, "__enter__", [], {})
                if store:
                    store(frame)
                open_ones.append(item)
            body(frame)
            for item in reversed(open_ones):
                machine.call_method(item, "__exit__", [None, None, None], {})

        return run

    def do_Return(self, node: ast.Return) -> Callable:
        value = self.value(node.value) if node.value is not None else lambda frame: None

        def run(frame):
            raise Return(value(frame))

        return run

    def do_Assert(self, node: ast.Assert) -> Callable:
        test = self.condition(node.test)

        def run(frame):
            if not test(frame):
                raise ModelError("an assertion of the model failed")

        return run

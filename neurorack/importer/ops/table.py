"""The one table of operators: the name in printed TorchScript -> a function of ``(ops, *arguments)``.

Functions take the arguments by the names and in the order of torch's schemas. ``name_`` is made from ``name`` unless it
has an entry of its own.
"""

from __future__ import annotations

OPERATORS: dict = {}
#: operators whose result lies in memory in the order of their operands' dimensions
ELEMENTWISE: set[str] = set()


def operator(*names):
    """Enter a function under these names."""

    def enter(function):
        for name in names:
            assert name not in OPERATORS, name
            OPERATORS[name] = function
        return function

    return enter

"""From a trace to a program of the engine.

``graph.py`` makes the trace's nodes easy to rearrange, ``simplify.py`` rewrites operations into those the engine has,
``fuse.py`` folds pointwise work into the convolutions before it, ``place.py`` decides where every value lies in memory so
that almost nothing is ever copied, ``emit.py`` writes the list.
"""

from __future__ import annotations

from neurorack.importer.compile.emit import emit
from neurorack.importer.compile.fuse import fuse
from neurorack.importer.compile.graph import Graph
from neurorack.importer.compile.simplify import simplify
from neurorack.importer.trace import Trace


def lower(trace: Trace, builder) -> None:
    """Append the trace's work to a ``ProgramBuilder`` of the same block length, its output included.

    Raises ``UnsupportedError`` naming the operation that the engine cannot do.
    """
    graph = Graph(trace)
    simplify(graph)
    fuse(graph)
    emit(graph, builder)

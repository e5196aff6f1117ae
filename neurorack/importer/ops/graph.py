"""Writes operations down as they happen, simplified at once; afterwards drops what nobody needs."""

from __future__ import annotations

import numpy as np

from ..tensors import KIND
from ..trace import LEAVES, Node, Trace
from .kernels import KERNELS
from .rules import RULES

SMALL = 1024  # elements of constants that are compared by content
SAMPLES = 256  # of a large one, by which others like it are found


class Recorder:
    """A growing list of nodes; equal operations are one node.

    ``shelf`` keeps large constants by content, for recorders that see the same ones: weights computed again in every call.
    """

    def __init__(self, shelf: dict | None = None):
        self.nodes: list[Node] = []
        self.shelf = {} if shelf is None else shelf
        self._places: dict = {}
        self._constants: dict[int, tuple[int, np.ndarray]] = {}

    def leaf(self, op: str, params: dict, shape, dtype: str) -> int:
        self.nodes.append(Node(op, (), params, tuple(shape), dtype))
        return len(self.nodes) - 1

    def constant(self, array: np.ndarray) -> int:
        """The node of a constant; the same one for the same array, and for small ones of the same content."""
        found = self._constants.get(id(array))
        if found is not None:
            return found[0]
        key = (array.tobytes(), array.shape, array.dtype.str) if array.size <= SMALL else None
        place = self._places.get(key) if key else None
        if place is None:
            array = array if key else shelved(self.shelf, array)
            place = self.leaf("constant", {"value": array}, array.shape, KIND[array.dtype])
            if key:
                self._places[key] = place
        self._constants[id(array)] = place, array
        return place

    def number(self, x, dtype: str) -> int:
        """A constant without dimensions."""
        return self.constant(np.asarray(x, next(k for k, v in KIND.items() if v == dtype)))

    def add(self, op: str, inputs, params: dict, shape, dtype: str) -> int:
        """The node of an operation: a new one, an equal one, or what it comes to."""
        rule = RULES.get(op)
        if rule is not None:
            simpler = rule(self, inputs, params, shape, dtype)
            if simpler is not None:
                return simpler
        key = (op, inputs, shape, dtype, *sorted(params.items()))
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = len(self.nodes)
            self.nodes.append(Node(op, tuple(inputs), params, tuple(shape), dtype))
        return place


def shelved(shelf: dict, array: np.ndarray) -> np.ndarray:
    """The array of this content that was met first."""
    line = array.reshape(-1)
    look = (array.shape, array.dtype.str, line[::max(line.size // SAMPLES, 1)].tobytes())
    for known in shelf.setdefault(look, []):
        if known is array or np.array_equal(known, array, equal_nan=array.dtype.kind == "f"):
            return known
    shelf[look].append(array)
    return array


def tidy(trace: Trace, shelf: dict | None = None) -> Trace:
    """The trace without dead operations and states, states cut to the part in use, constants folded once more."""
    trace = _rebuilt(_living(trace), shelf)
    return _living(trace)


def _living(trace: Trace) -> Trace:
    """Only what the outputs need, and the states that they need."""
    wanted, stack = set(trace.inputs), list(trace.outputs)
    while stack:
        place = stack.pop()
        if place not in wanted:
            wanted.add(place)
            stack += trace.nodes[place].inputs
            if place in trace.next_state:
                stack.append(trace.next_state[place])
    order = {place: i for i, place in enumerate(sorted(wanted))}
    nodes = [Node(n.op, tuple(order[i] for i in n.inputs), n.params, n.shape, n.dtype)
             for n in (trace.nodes[place] for place in order)]
    return Trace(trace.method, trace.block_frames, nodes, [order[i] for i in trace.inputs], [order[i] for i in trace.outputs],
                 {order[s]: order[n] for s, n in trace.next_state.items() if s in wanted}, trace.seed)


def _rebuilt(trace: Trace, shelf: dict | None) -> Trace:
    """Recorded again with smaller states, and with those that never change as constants."""
    cuts = {s: _box(trace, s, n) for s, n in trace.next_state.items()}
    shifted: dict[int, tuple] = {}  # states and what is assigned to them -> their box
    recorder, places = Recorder(shelf), []
    for place, node in enumerate(trace.nodes):
        inputs = tuple(places[i] for i in node.inputs)
        params, shape = node.params, node.shape
        if node.op == "state":
            box = cuts.get(place)
            value = params["value"]
            if box is not None:
                shifted[place] = box
                value = value[tuple(slice(a, b) for a, b in box)]
            if trace.next_state.get(place, place) == place:
                places.append(recorder.constant(np.array(value, order="C")))
            else:
                places.append(recorder.leaf("state", {**params, "value": value}, value.shape, node.dtype))
            continue
        if node.op == "constant":
            places.append(recorder.constant(params["value"]))
            continue
        if node.op in LEAVES:
            places.append(recorder.leaf(node.op, params, shape, node.dtype))
            continue
        if node.op in ("slice", "assign") and node.inputs[0] in shifted:
            box = shifted[node.inputs[0]]
            if node.op == "assign":
                shifted[place] = box
                shape = tuple(b - a for a, b in box)
                if any(stop <= a or start >= b for start, stop, (a, b) in zip(params["start"], params["stop"], box)):
                    places.append(inputs[0])
                    continue
            params = {"start": tuple(n - a for n, (a, _) in zip(params["start"], box)),
                      "stop": tuple(n - a for n, (a, _) in zip(params["stop"], box)), "step": params["step"]}
        given = [recorder.nodes[i] for i in inputs]
        if all(n.op == "constant" for n in given):
            with np.errstate(all="ignore"):
                array = KERNELS[node.op](params, shape, node.dtype)(*(n.params["value"] for n in given))
            places.append(recorder.constant(array))
        else:
            places.append(recorder.add(node.op, inputs, params, shape, node.dtype))
    states = {places[s]: places[n] for s, n in trace.next_state.items() if recorder.nodes[places[s]].op == "state"}
    return Trace(trace.method, trace.block_frames, recorder.nodes, [places[i] for i in trace.inputs],
                 [places[i] for i in trace.outputs], states, trace.seed)


def _box(trace: Trace, state: int, following: int):
    """The part of a state that is ever read, as (start, stop) for each dimension; None where that is all of it."""
    family, reads, writes = {state}, [], []
    for place, node in enumerate(trace.nodes):
        mine = [i for i in node.inputs if i in family]
        if not mine:
            continue
        if node.op not in ("slice", "assign") or node.inputs[0] not in family or len(mine) > 1 or min(node.params["step"]) < 1:
            return None
        part = list(zip(node.params["start"], node.params["stop"]))
        if node.op == "assign":
            family.add(place)
            writes.append(part)
        else:
            reads.append(part)
    if following not in family or not reads or any(s in family and s != state for s in trace.next_state):
        return None
    if family & set(trace.outputs) or any(n in family for s, n in trace.next_state.items() if s != state):
        return None
    box = [(min(p[d][0] for p in reads), max(p[d][1] for p in reads)) for d in range(len(trace.nodes[state].shape))]
    for _ in range(len(writes)):
        for part in writes:
            if all(a < end and b > start for (a, b), (start, end) in zip(part, box)):
                box = [(min(a, start), max(b, end)) for (a, b), (start, end) in zip(part, box)]
    return None if box == [(0, n) for n in trace.nodes[state].shape] else tuple(box)


def same(a: Trace, b: Trace) -> str | None:
    """None where two traces are equal, numbers included; else what differs."""
    if len(a.nodes) != len(b.nodes):
        return f"{len(a.nodes)} operations, then {len(b.nodes)}"
    for one, two in zip(a.nodes, b.nodes):
        if (one.op, one.inputs, one.shape, one.dtype) != (two.op, two.inputs, two.shape, two.dtype):
            return f"{one.op} to {list(one.shape)}, then {two.op} to {list(two.shape)}"
        for key in one.params.keys() | two.params.keys():
            x, y = one.params.get(key), two.params.get(key)
            if isinstance(x, np.ndarray):
                if x is not y and one.op != "state" and not np.array_equal(x, y, equal_nan=x.dtype.kind == "f"):
                    return "a constant that changes from call to call"
            elif x != y:
                return f"{one.op} with {key} {x}, then {y}"
    if (a.inputs, a.outputs, a.next_state) != (b.inputs, b.outputs, b.next_state):
        return "other results"
    return None

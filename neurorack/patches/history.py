"""What was edited, step by step, to be undone and done again: states of the patch as documents, and where among them it stands.

Everything that happens to it is one of a few *operations*, plain data, which the journal writes down and ``apply`` repeats:

    {"op": "begin", "state": document}                  forgets all; the first state
    {"op": "step", "label": text, "change": [...]}      one edit; what was undone before is gone. "bank": [number, before, after]: of
                                                        a scene's file, too
    {"op": "join", "change": [...]}                     the last edit goes on
    {"op": "move", "to": n}                             undo, redo
    {"op": "amend", "change": [...]}                    the state as it really came to be; what was undone stays
    {"op": "note", "what": {...}}                       beside the patch: the current scene, the morph
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass

STEPS = 100


@dataclass
class Step:
    """A state and how it came to be. ``state``: a document as JSON, which takes a tenth of the memory."""

    label: str
    state: str
    bank: tuple | None = None


def change(before, after, at: tuple = ()) -> list:
    """What leads from one document to the other: ``[path, value]`` for what is new, ``[path]`` for what has gone."""
    if isinstance(before, dict) and isinstance(after, dict):
        found = [[[*at, name]] for name in before if name not in after]
        for name, value in after.items():
            found += change(before[name], value, (*at, name)) if name in before else [[[*at, name], value]]
        return found
    return [] if _text(before) == _text(after) else [[list(at), after]]


def changed(document, changes: list):
    """The document after these changes. Raises ``KeyError``, ``TypeError``, ``ValueError``, ``IndexError`` where they do not fit."""
    document = json.loads(_text(document))
    for path, *value in changes:
        if not path:
            document = value[0]
            continue
        at = document
        for name in path[:-1]:
            at = at[name]
        if value:
            at[path[-1]] = value[0]
        else:
            del at[path[-1]]
    return document


def _text(value) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class History:
    """For any thread. ``write`` gets each operation, in order."""

    def __init__(self, write: Callable[[dict], None] = lambda operation: None):
        self.lock = threading.RLock()
        self.write = write
        self.steps: list[Step] = []
        self.at = 0
        self.notes: dict = {}
        self.now: dict = {}

    # -- what is asked for

    def do(self, **operation) -> None:
        """Apply an operation and have it written down."""
        with self.lock:
            self.apply(operation)
            self.write(operation)

    def step(self, label: str, document: dict, bank: tuple | None = None) -> None:
        if not self.steps:
            self.do(op="begin", state=document)
            return
        self.do(op="step", label=label, change=change(self.now, document), **({"bank": list(bank)} if bank else {}))

    def join(self, document: dict) -> None:
        self.do(op="join", change=change(self.now, document))

    def amend(self, document: dict) -> None:
        if found := change(self.now, document):
            self.do(op="amend", change=found)

    def note(self, **what) -> None:
        if any(self.notes.get(name) != value for name, value in what.items()):
            self.do(op="note", what=what)

    @property
    def undo_label(self) -> str | None:
        return self.steps[self.at].label if self.at > 0 else None

    @property
    def redo_label(self) -> str | None:
        return self.steps[self.at + 1].label if self.at + 1 < len(self.steps) else None

    def state(self, index: int) -> dict:
        return json.loads(self.steps[index].state)

    # -- operations

    def apply(self, operation: dict) -> None:
        """Raises ``KeyError``, ``TypeError``, ``ValueError`` or ``IndexError`` for what is no operation, or does not fit; it then changes nothing."""
        with self.lock:
            getattr(self, f"_{_known(operation)}")(operation)

    def _begin(self, operation: dict) -> None:
        state = _text(_document(operation["state"]))
        self.steps, self.at, self.now = [Step("", state)], 0, json.loads(state)

    def _step(self, operation: dict) -> None:
        number, before, after = bank = tuple(operation["bank"]) if "bank" in operation else (0, None, None)
        if type(number) is not int or not all(text is None or isinstance(text, str) for text in (before, after)):
            raise ValueError("bank")
        state, label = _document(changed(self.now, operation["change"])), operation["label"]
        if not self.steps or not isinstance(label, str):
            raise ValueError("no state to step from")
        del self.steps[self.at + 1:]
        self.steps.append(Step(label, _text(state), bank if number else None))
        del self.steps[:max(0, len(self.steps) - STEPS - 1)]
        self.at, self.now = len(self.steps) - 1, state

    def _join(self, operation: dict) -> None:
        state = _document(changed(self.now, operation["change"]))
        if not self.steps:
            raise ValueError("no state to join")
        del self.steps[self.at + 1:]
        self.steps[self.at].state, self.now = _text(state), state

    def _amend(self, operation: dict) -> None:
        state = _document(changed(self.now, operation["change"]))
        self.steps[self.at].state, self.now = _text(state), state

    def _move(self, operation: dict) -> None:
        to = operation["to"]
        if type(to) is not int or not 0 <= to < len(self.steps):
            raise ValueError("there is no such state")
        self.at, self.now = to, self.state(to)

    def _note(self, operation: dict) -> None:
        self.notes = {**self.notes, **operation["what"]}

    def snapshot(self) -> Callable[[], list[dict]]:
        """What tells the shortest operations that lead here; to be called without the lock, for it takes its time."""
        with self.lock:
            steps, at, notes = [(step.label, step.state, step.bank) for step in self.steps], self.at, dict(self.notes)

        def operations() -> list[dict]:
            found: list[dict] = []
            before: dict = {}
            for label, state, bank in steps:
                after = json.loads(state)
                found.append({"op": "step", "label": label, "change": change(before, after), **({"bank": list(bank)} if bank else {})} if found else
                             {"op": "begin", "state": after})
                before = after
            return [*found, {"op": "move", "to": at}, {"op": "note", "what": notes}] if found else []
        return operations


OPERATIONS = ("begin", "step", "join", "move", "amend", "note")


def _known(operation: dict) -> str:
    if operation["op"] not in OPERATIONS:
        raise ValueError(f"there is no operation {operation['op']!r}")
    return operation["op"]


def _document(value) -> dict:
    if not isinstance(value, dict):
        raise ValueError("a state is a document")
    return value

"""What gates do beyond the voice: next scene, record, tap. The voice's own (trigger, freeze, next gesture) are in ``voice.c``.

Follows the queue of edges with a cursor of its own, within the supervisor's loop. A tap takes the edge's own time, so the loop's
pace does not count; what may take a while is done in a thread, in order.
"""

from __future__ import annotations

import queue
import threading

from neurorack.voice.patch import GATES

WISHES = {"scene": {"do": "scene_next"}, "record": {"do": "record"}}
MOST_WAITING = 8               # a gate that asks faster than it is answered is not taken at its word


class GateActions:
    """Of one run. ``requests`` are those of the control socket."""

    def __init__(self, run):
        self.run, self.edges, self.names = run, run.rack.edge_reader(), tuple(GATES)
        self.requests = {"gate_action": self._gate_action}
        self._waiting: queue.Queue = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None

    def tick(self) -> None:
        """Act on the edges since the last call. Never waits."""
        while edge := self.edges.next():
            if not edge.rising or edge.jack >= len(self.names):
                continue
            action = self.run.patch.all_gates[self.names[edge.jack]]
            if action == "tap":
                self.run.rack.run.tap_ns = edge.edge_ns
            elif action in WISHES and not self._waiting.full():
                self._waiting.put_nowait(WISHES[action])
                self._work_on()

    def _work_on(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="gate actions", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while True:
            self.run.wishes.from_a_hand(self._waiting.get())

    def _gate_action(self, request: dict) -> dict:
        from neurorack.wishes import text

        gate, action = text(request, "gate"), text(request, "action")

        def change(patch) -> None:
            patch.gates = {**patch.gates, gate: action}
        self.run.wishes.edit(change)
        return {"gates": self.run.patch.all_gates}

"""From raw line changes to clean edges: contact bounce is dropped, no 1 ms trigger is."""

from __future__ import annotations

LOCKOUT_NS = 400_000


class Debouncer:
    """One gate line. After an edge it is deaf for 0.4 ms; if the line then stands elsewhere, that is an edge too.

    ``feed`` takes raw changes in order of time, ``due`` is asked now and then; both return clean edges
    ``(edge_ns, high)``. A real 1 ms pulse (and anything longer than the lock-out) keeps both its edges and their times.
    """

    def __init__(self, high: bool = False):
        self.high = high           # as published
        self.bounces = 0
        self._raw, self._raw_ns = high, 0
        self._deaf_until = 0

    def feed(self, edge_ns: int, high: bool) -> list[tuple[int, bool]]:
        out = self.due(edge_ns)
        self._raw, self._raw_ns = high, edge_ns
        if edge_ns < self._deaf_until:
            self.bounces += 1
        elif high != self.high:
            out.append(self._publish(edge_ns, high))
        return out

    def due(self, now_ns: int) -> list[tuple[int, bool]]:
        """What the end of a lock-out brings to light."""
        if self._deaf_until and now_ns >= self._deaf_until and self._raw != self.high:
            return [self._publish(self._raw_ns, self._raw)]
        return []

    @property
    def waiting_until(self) -> int | None:
        """When ``due`` will have something to say, or None."""
        return self._deaf_until if self._raw != self.high else None

    def _publish(self, edge_ns: int, high: bool) -> tuple[int, bool]:
        self.high, self._deaf_until = high, edge_ns + LOCKOUT_NS
        return edge_ns, high

"""Controllers as they come over the wire: 7 bits, pairs of 14 bits, NRPN and RPN (MIDI 1.0 Detailed Specification 4.2, "Control Change").

A ``Source`` names what a musician moves: ``("cc", channel, 0..127)``, ``("cc14", channel, 0..31)`` for a pair n and n + 32, or
``("nrpn", channel, 0..16383)``. Channels count from 1.
"""

from __future__ import annotations

Source = tuple[str, int, int]
KINDS = {"cc": 127, "cc14": 31, "nrpn": 16383}     # highest number
DATA, DATA_FINE, NULL = 6, 38, 0x3FFF
NRPN_FINE, NRPN, RPN_FINE, RPN = 98, 99, 100, 101
_SELECT = {NRPN: ("nrpn", 7), NRPN_FINE: ("nrpn", 0), RPN: ("rpn", 7), RPN_FINE: ("rpn", 0)}


class Controllers:
    """One port's stream of controllers, all channels."""

    def __init__(self):
        self._selected: dict[int, tuple[str, int]] = {}     # channel -> ("nrpn" or "rpn", number)
        self._coarse: dict[Source, int] = {}
        self._fine_seen: set[Source] = set()

    def feed(self, channel: int, number: int, value: int) -> list[tuple[Source, float]]:
        """What has moved, and where to, 0..1. A pair also is its coarse half alone, for whoever has learned that.

        RPNs are told as ``("rpn", channel, number)`` with their coarse and fine values as coarse + fine / 128.
        """
        if number in _SELECT:
            kind, shift = _SELECT[number]
            before = self._selected.get(channel, (kind, NULL))
            old = before[1] if before[0] == kind else NULL
            self._selected[channel] = (kind, old & ~(127 << shift) | value << shift)
            return []
        kind, selected = self._selected.get(channel, ("", NULL))
        if number in (DATA, DATA_FINE) and selected != NULL:
            found = self._pair((kind, channel, selected), number == DATA_FINE, value)
            return [found] if kind == "nrpn" else [(found[0], self._coarse.get(found[0], 0) + (value / 128 if number == DATA_FINE else 0))]
        moved = [(("cc", channel, number), value / 127)]
        if number < 64:
            moved.append(self._pair(("cc14", channel, number % 32), number >= 32, value))
        return moved

    def _pair(self, source: Source, fine: bool, value: int) -> tuple[Source, float]:
        """A coarse half sets the fine one to 0, as the standard says; one that never had a fine half reaches 1 by itself."""
        if fine:
            self._fine_seen.add(source)
            return source, (self._coarse.get(source, 0) << 7 | value) / 16383
        self._coarse[source] = value
        return source, (value << 7) / 16383 if source in self._fine_seen else value / 127


def chosen(moved: list[Source]) -> Source:
    """Which of the sources seen while learning the musician moved: the one that told most; a pair where both its halves came."""
    numbered = [source for source in moved if source[0] == "nrpn"]
    if numbered:
        return max(dict.fromkeys(numbered), key=numbered.count)
    plain = [source for source in moved if source[0] == "cc"]
    _, channel, number = max(dict.fromkeys(plain), key=plain.count)
    base = number % 32
    if number < 64 and {("cc", channel, base), ("cc", channel, base + 32)} <= set(plain):
        return "cc14", channel, base
    return "cc", channel, number


def title(source: Source) -> str:
    """For a person."""
    kind, channel, number = source
    name = {"cc": f"controller {number}", "cc14": f"controllers {number} and {number + 32} (14 bits)", "nrpn": f"NRPN {number}"}[kind]
    return f"{name} on channel {channel}"

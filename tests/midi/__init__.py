"""Shared by the MIDI tests: what was played, noted down."""

from __future__ import annotations


class Heard:
    """Stands where the inputs process and the supervisor are, and notes what comes."""

    def __init__(self):
        self.edges, self.jacks, self.clocks, self.controls, self.wishes = [], {}, [], {}, []

    def gate(self, gate, high, ns):
        self.edges.append((gate, high, ns))

    def volts(self, name, jack, volts):
        self.jacks[name] = (jack, round(volts, 6))

    def clock(self, what, ns):
        self.clocks.append((what, ns))

    def control(self, name, value):
        self.controls[name] = round(value, 6)

    def controller(self, name, value, low, high, takeover):
        self.control(name, value)

    def wish(self, request):
        self.wishes.append(request)

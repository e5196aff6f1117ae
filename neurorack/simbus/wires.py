"""A board file's chips on simulated buses, and the hands at its jacks: the same calls as the desk's ``Wires``."""

from __future__ import annotations

import random
import threading
import time

from neurorack.simbus import layout
from neurorack.simbus.bus import SimBus

GATE_NET, REFERENCE_NET = 16, 24          # the CVs' nodes are 0..7
LEAST_BOUNCE_NS, MOST_BOUNCE_NS = 5_000, 60_000


def build(settings: dict) -> SimBus:
    """The chips, buses and lines of a board file that ``drivers.board.load`` has read."""
    sim = SimBus.create(settings["gpio"][0])
    noise_lsb = settings.get("simulated", {}).get("noise_lsb", 0.0)
    for number, converter in enumerate(settings["converters"]):
        net = [-1] * 8
        for jack, pin in converter["inputs"].items():
            net[pin] = int(jack[-1]) - 1 + (0 if jack.startswith("cv") else GATE_NET)
        if "minus" in converter:
            net[converter["minus"]] = REFERENCE_NET + number
            sim.board.volts[REFERENCE_NET + number] = converter["reference_volts"]
        if converter["chip"] == "mcp3208":
            bus, address = sim.add_bus(layout.SPI, converter["spi"]), converter["select"]
        else:
            bus, address = sim.add_bus(layout.I2C, converter["i2c"], converter["speed_hz"]), converter["address"]
        sim.add_chip(converter["chip"], bus, address, net=net, noise_lsb=noise_lsb,
                     supply_volts=converter.get("supply_volts", 3.3), alert_line=converter.get("ready_line", -1))
    controls = settings.get("controls", {})
    if "expander" in controls:
        bus = sim.add_bus(layout.I2C, controls["i2c"], 400_000)
        sim.add_chip("ioexpander", bus, controls["expander"], alert_line=controls.get("interrupt", -1))
    for line in (controls.get(name) for name in ("a", "b", "button")):
        if line is not None:
            sim.board.level[line] = 1           # pulled up, open
    if display := settings.get("display"):
        sim.add_chip(display["chip"], sim.add_bus(layout.SPI, display["spi"]), display["select"], dc_line=display["dc"])
    return sim


class SimWires:
    """Where patch cables end on a simulated board. Belongs to the supervisor; any of its threads may call.

    A front end stands between jack and pin as on the real board: scaling and offset before a converter, a comparator with
    hysteresis (and its bounce, where the board file asks for one) before a gate's line.
    """

    def __init__(self, settings: dict):
        self.settings, self.sim, self.lost = settings, build(settings), 0
        cv, gates = settings["cv"], settings["gates"]
        self._zero, self._slope = cv["zero_volts"], cv["volts_per_volt"]
        self._rise, self._fall = gates["rise_volts"], gates["fall_volts"]
        self._lines, self._low = gates.get("lines"), int(gates.get("active_low", False))
        self.bounce_us = settings.get("simulated", {}).get("bounce_us", 0)
        self._high = [False] * gates["jacks"]
        self._minus = {jack: c.get("reference_volts", 0.0) for c in settings["converters"] for jack in c["inputs"]}
        self._lock = threading.Lock()
        for jack in range(cv["jacks"]):
            self.set_cv(jack, 0.0)
        for gate in range(gates["jacks"]):
            if self._lines:
                self.sim.set_line(self._lines[gate], self._low)
            else:
                self._set_pin(f"gate{gate + 1}", GATE_NET + gate, 0.0)

    def environment(self) -> dict[str, str]:
        """For the processes that touch the board."""
        return self.sim.environment()

    def _set_pin(self, jack: str, net: int, volts: float) -> None:
        if jack in self._minus:
            self.sim.board.volts[net] = self._zero + self._slope * volts + self._minus[jack]

    def set_cv(self, jack: int, volts: float) -> None:
        """0 = cv1; clipped to the rails."""
        self._set_pin(f"cv{jack + 1}", jack, min(12.0, max(-12.0, volts)))

    def set_gate(self, gate: int, volts: float) -> int:
        """0 = gate1; returns the time of the change (CLOCK_MONOTONIC ns)."""
        with self._lock:
            now = time.monotonic_ns()
            if not self._lines:
                self._set_pin(f"gate{gate + 1}", GATE_NET + gate, volts)
                return now
            high = volts > self._fall if self._high[gate] else volts >= self._rise
            if high != self._high[gate]:
                self._high[gate] = high
                line, level = self._lines[gate], int(high) ^ self._low
                self.sim.drive((line, level, now), *self._bounce(line, level, now))
                self.lost = self.sim.lost_edges()
            return now

    def _bounce(self, line: int, level: int, start_ns: int) -> list[tuple[int, int, int]]:
        """What the contact does until it rests."""
        end, at, edges = start_ns + self.bounce_us * 1000, start_ns, []
        while (at := at + random.randrange(LEAST_BOUNCE_NS, MOST_BOUNCE_NS)) < end:
            edges.append((line, level ^ (len(edges) + 1) % 2, at))
        return [*edges, (line, level, end)] if edges else []

    def pulse(self, gate: int, seconds: float = 0.01, volts: float = 5.0) -> int:
        """A trigger; returns the time of its rising edge."""
        edge_ns = self.set_gate(gate, volts)
        time.sleep(seconds)
        self.set_gate(gate, 0.0)
        return edge_ns

    def turn(self, detents: int) -> None:
        """Turn the encoder: four edges a detent on its two lines, or the expander's own count."""
        controls = self.settings["controls"]
        if "expander" in controls:
            self.sim.turn_expander(detents)
            return
        first, second = (controls["a"], controls["b"]) if detents > 0 else (controls["b"], controls["a"])
        for _ in range(abs(detents)):
            now = time.monotonic_ns()
            moves = ((first, 0), (second, 0), (first, 1), (second, 1))
            self.sim.drive(*((line, level, now + k * 300_000) for k, (line, level) in enumerate(moves)))
            time.sleep(0.0015)

    def press(self, down: bool) -> None:
        """The button, pulled to ground while it is down."""
        self.sim.set_line(self.settings["controls"]["button"], int(not down))

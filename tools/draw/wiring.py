"""The wires of a board, worked out from its board file: one list for the tables and for the diagrams, so neither can drift."""

from __future__ import annotations

from dataclasses import dataclass

from tools.draw import headers, markdown


@dataclass(frozen=True)
class Wire:
    """One pin of a chip or module. ``line`` is a GPIO number of the board file, ``header`` a pin of the 40-pin header;
    ``net`` names what else it goes to ("3V3A", "CV 1 input circuit"); ``jack`` the socket or control a person touches.
    ``bcm``: ``line`` is a Raspberry Pi's number although the computer may be another (its library takes those)."""

    part: str
    pin: str
    signal: str
    line: int | None = None
    header: int | None = None
    net: str = ""
    jack: str = ""
    bcm: bool = False


class _Board:
    def __init__(self, settings: dict):
        self.name, self.pins, self.buses = headers.COMPUTERS[settings["driver"]]
        self.wires: list[Wire] = []

    def gpio(self, part: str, pin, signal: str, line: int, net: str = "", jack: str = "") -> None:
        self.wires.append(Wire(part, str(pin), signal, line, self.pins[line], net, jack))

    def bus(self, part: str, pin, bus: str, signal: str, name: str = "") -> None:
        self.gpio(part, pin, name or signal, self.buses[bus][signal])

    def power(self, part: str, pin, signal: str, header: int | None = None, net: str = "") -> None:
        self.wires.append(Wire(part, str(pin), signal, None, header, net))


def _converter(b: _Board, converter: dict, part: str) -> None:
    jacks = {pin: jack for jack, pin in converter["inputs"].items()}
    if converter["chip"] == "mcp3208":
        pins, bus = headers.MCP3208, f"spi{converter['spi']}"
        for signal, name in ((f"CE{converter['select']}", "CS"), ("MOSI", "DIN"), ("MISO", "DOUT"), ("SCLK", "CLK")):
            b.bus(part, pins[name], bus, signal, name)
        for name in ("VDD", "VREF"):
            b.power(part, pins[name], name, net="3V3A")
        b.power(part, pins["DGND"], "DGND", 25)
        b.power(part, pins["AGND"], "AGND", net="analog ground")
        channels = {f"CH{i}": i for i in range(8)}
    else:
        pins, bus = headers.ADS1115, f"i2c{converter['i2c']}"
        breakout = converter["chip"] == "ads1015"
        b.bus(part, "SDA" if breakout else pins["SDA"], bus, "SDA")
        b.bus(part, "SCL" if breakout else pins["SCL"], bus, "SCL")
        if "ready_line" in converter:
            b.gpio(part, pins["ALERT/RDY"], "ALERT/RDY", converter["ready_line"])
        b.power(part, "VCC" if breakout else pins["VDD"], "VDD", 1 if breakout else None, "" if breakout else "3V3A")
        b.power(part, "GND" if breakout else pins["GND"], "GND", 9)
        strap = headers.ADS_ADDRESS[converter["address"]]
        b.power(part, "ADDR" if breakout else pins["ADDR"], "ADDR", net=f"{strap} (address {converter['address']:#04x})")
        channels = {f"AIN{i}": i for i in range(4) if i != converter.get("minus")}
    for signal, channel in channels.items():
        if channel in jacks:
            jack = jacks[channel]
            circuit = "the jack, 100 k to ground" if converter["chip"] == "ads1015" else f"CV input circuit {jack[2:]}"
            pin = f"IN{channel}" if converter["chip"] == "ads1015" else pins[signal]
            b.wires.append(Wire(part, str(pin), signal, net=circuit, jack=f"{jack[:-1].upper()} {jack[-1]}"))


def _gates(b: _Board, gates: dict) -> None:
    for i, line in enumerate(gates.get("lines", ())):
        b.gpio("LM393", headers.LM393[f"OUT{i + 1}"], f"OUT{i + 1}", line, f"gate input circuit {i + 1}", f"GATE {i + 1}")
    if "lines" in gates:
        b.power("LM393", headers.LM393["VCC"], "VCC", 1)
        b.power("LM393", headers.LM393["GND"], "GND", 14)


def _controls(b: _Board, controls: dict) -> None:
    if "expander" in controls:
        part, bus = "RGB encoder", f"i2c{controls['i2c']}"
        b.bus(part, "SDA", bus, "SDA")
        b.bus(part, "SCL", bus, "SCL")
        b.power(part, "3-6V", "supply", 1)
        b.power(part, "GND", "GND", 14)
    else:
        b.gpio("Encoder", "A", "A", controls["a"], jack="ENCODER")
        b.gpio("Encoder", "B", "B", controls["b"], jack="ENCODER")
        b.power("Encoder", "C", "common", 30)
    b.gpio("Button", "1", "contact", controls["button"], "the encoder's switch beside it" if "a" in controls else "1 k to 3.3 V", "BUTTON")
    b.power("Button", "2", "contact", 34)


def _display(b: _Board, display: dict) -> None:
    part, bus = f"{display['chip'].upper()} display", f"spi{display['spi']}"
    b.bus(part, "SCK", bus, "SCLK", "clock")
    b.bus(part, "SDA", bus, "MOSI", "data")
    b.bus(part, "CS", bus, f"CE{display['select']}", "select")
    for pin, signal, line in (("DC", "data/command", display["dc"]), ("RES", "reset", display["reset"])):
        b.wires.append(Wire(part, pin, signal, line, headers.PI[line], bcm=True))     # on every computer by its BCM number
    b.power(part, "VCC", "supply", 17)
    b.power(part, "GND", "GND", 20)


def _audio(b: _Board) -> None:
    part = "PCM5102A module"
    b.bus(part, "BCK", "i2s", "BCK", "bit clock")
    b.bus(part, "LCK", "i2s", "LRCK", "word clock")
    b.bus(part, "DIN", "i2s", "DIN", "data")
    b.power(part, "SCK", "system clock", net="GND (its own PLL runs)")
    b.power(part, "VIN", "supply", 4)
    b.power(part, "GND", "GND", 39)
    for side in "LR":
        b.wires.append(Wire(part, f"{side}OUT", f"line out {side}", net="audio output circuit", jack=f"OUT {side}"))


def wires(settings: dict) -> list[Wire]:
    """Every wire of a board file that ``neurorack.drivers.board.load`` has read."""
    b = _Board(settings)
    b.power("5 V supply", "+", "5 V", 2)
    b.power("5 V supply", "-", "GND", 6)
    for converter in settings["converters"]:
        where = f" at {converter['address']:#04x}" if "address" in converter else ""
        _converter(b, converter, converter["chip"].upper() + where)
    _gates(b, settings["gates"])
    _controls(b, settings["controls"])
    _display(b, settings["display"])
    _audio(b)
    return b.wires


def table(settings: dict) -> str:
    """The wires as Markdown, in the order of the parts."""
    rows = []
    for w in wires(settings):
        line = "" if w.line is None else f"BCM {w.line}" if w.bcm and settings["driver"] == "classic" else w.line
        rows.append((w.part, w.pin, w.signal, w.header or "", line, w.net or headers.supply(w.header), w.jack))
    return markdown.table(("part", "its pin", "signal", "header pin", "GPIO", "goes to", "jack or control"), rows)

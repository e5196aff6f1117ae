"""Bill of materials of each board: values, tolerances and quantities, counted from its board file and its circuits."""

from __future__ import annotations

from tools.draw import audio_stage, cv_stage, gate_stage, markdown, power
from tools.draw.schematics import farads, ohms

#: section, part, quantity for boards (pi, pi-ads1115, classic)
Row = tuple[str, str, tuple[int, int, int]]


def _counts(settings: dict) -> tuple[int, int]:
    return settings["cv"]["jacks"], len(settings["gates"].get("lines", ()))


def rows(boards: dict[str, dict]) -> list[Row]:
    """``boards``: the settings of pi, pi-ads1115 and classic, in this order."""
    names = list(boards)
    classic = [settings["driver"] == "classic" for settings in boards.values()]
    cvs, gates = zip(*(_counts(settings) for settings in boards.values()))
    stage = cv_stage.STAGES[0]
    made: list[Row] = []

    def add(section: str, part: str, of) -> None:
        made.append((section, part, tuple(of(i) for i in range(len(names)))))

    def own(count):
        """Of boards with our CV stages; the classic board's breakouts bring their dividers."""
        return lambda i: 0 if classic[i] else count(i)

    add("computer", "Raspberry Pi 4 (2 GB or more) or 5, with heat sink", lambda i: int(not classic[i]))
    add("computer", "Jetson Nano developer kit, with heat sink", lambda i: int(classic[i]))
    add("computer", "microSD card, 16 GB or more, made for endurance", lambda i: 1)
    add("computer", "2 × 20 socket strip and ribbon cable, 10 cm or shorter", lambda i: 1)
    for chip, name in (("mcp3208", "MCP3208-CI/P, or -BI for half the linearity error"), ("mcp3208", "resistor 330 R, 5 %, into the MCP3208's DOUT"),
                       ("ads1115", "ADS1115 breakout (four wires and ALRT)"), ("ads1015", "ADS1015 breakout with ±24 V inputs (8.06 M, 402 k, 1.241 V)")):
        add("converters", name, lambda i, chip=chip: sum(c["chip"] == chip for c in boards[names[i]]["converters"]))
    add("CV inputs", "MCP6004 quad op-amp", own(lambda i: -(-cvs[i] // 4)))
    add("CV inputs", f"resistor {ohms(cv_stage.INPUT_OHMS)}, 0.1 %, 25 ppm/K", own(lambda i: cvs[i]))
    add("CV inputs", f"resistor {ohms(stage.feedback)}, 0.1 %, 25 ppm/K (±10 V)", own(lambda i: cvs[i]))
    add("CV inputs", f"capacitor {farads(stage.capacitor)}, C0G, 5 %", own(lambda i: cvs[i]))
    add("CV inputs", f"resistors {ohms(stage.top)} and {ohms(stage.bottom)}, 0.1 %, 25 ppm/K, one of each for the bias", own(lambda i: 1))
    add("CV inputs", "capacitor 1 µF, X7R, 16 V, of the bias", own(lambda i: 1))
    add("CV inputs", "BAV199 double diode", own(lambda i: cvs[i]))
    add("CV inputs", "resistor 100 R, 1 %", own(lambda i: cvs[i]))
    add("CV inputs", "capacitor 1 nF, C0G, 5 %", own(lambda i: cvs[i]))
    inputs = [cvs[i] + boards[name]["gates"]["jacks"] for i, name in enumerate(names)]
    add("CV inputs", "resistor 100 k, 1 %, from each jack to ground", lambda i: inputs[i] if classic[i] else 0)
    add("gate inputs", "LM393 double comparator", lambda i: int(gates[i] > 0))
    add("gate inputs", f"resistor {ohms(gate_stage.SERIES)}, 1 % (in, to ground, hysteresis)", lambda i: 3 * gates[i])
    for value in (gate_stage.TOP, gate_stage.BOTTOM, gate_stage.PULL_UP, 1e3):
        add("gate inputs", f"resistor {ohms(value)}, 1 %", lambda i: gates[i])
    add("gate inputs", f"capacitor {farads(gate_stage.CAPACITOR)}, C0G, 5 %", lambda i: gates[i])
    add("gate inputs", "BAT54S double Schottky diode", lambda i: gates[i])
    add("audio output", "PCM5102A module (I2S, 3.3 V logic, own regulator)", lambda i: 1)
    add("audio output", "TL072 double op-amp", lambda i: 1)
    for part in (f"capacitor {farads(audio_stage.COUPLING)}, film, 10 %", f"resistor {ohms(audio_stage.BIAS)}, 1 %",
                 f"resistor {ohms(audio_stage.LEG)}, 1 %", f"resistor {ohms(audio_stage.FEEDBACK)}, 1 %",
                 f"capacitor {farads(audio_stage.SMOOTHING)}, C0G, 5 %", f"resistor {ohms(audio_stage.OUTPUT_OHMS)}, 1 %, 0.5 W"):
        add("audio output", part, lambda i: 2)
    add("controls", "rotary encoder with switch, 24 detents, M7", lambda i: int(not classic[i]))
    add("controls", "RGB encoder breakout with IO expander (address 0x0F)", lambda i: int(classic[i]))
    add("controls", "push button, closing, 7 mm hole", lambda i: 1)
    add("controls", "capacitor 1 nF, X7R, from each encoder contact to ground", lambda i: 0 if classic[i] else 2)
    add("controls", "resistor 1 k, 1 %, from the button's line to 3.3 V", lambda i: int(classic[i]))
    for chip, name in (("ssd1306", "OLED 1.3 inch (or 0.96), 128 × 64, SPI, SSD1306"), ("sh1106", "OLED 1.3 inch, 128 × 64, SPI, SH1106"),
                       ("st7789", "LCD 1.3 inch, 240 × 240, SPI, ST7789")):
        add("controls", name, lambda i, chip=chip: int(boards[names[i]]["display"]["chip"] == chip))
    add("jacks", "3.5 mm mono jack with switch, 6 mm thread (PJ398SM or alike)", lambda i: inputs[i] + 2)
    for part in ("shrouded 2 × 5 or 2 × 8 header and cable", f"fuse {power.FUSE_AMPERES:g} A, slow, with holder",
                 "P-channel MOSFET: −30 V, gate ±20 V, 60 mΩ or less at −10 V (e.g. AO3407A)", "Zener diode 10 V, 0.3 W", "resistor 10 k, 5 %",
                 "step-down regulator: 9–18 V in, 5.1 V ±2 % out, soft start 2 ms or longer, 3 A (Pi 4) or 5 A (Pi 5, Jetson)",
                 "capacitor 470 µF, 10 V, low ESR", "capacitor 100 µF, 25 V", "diode 1N5817"):
        add("power", part, lambda i: 1)
    add("power", "resistor 10 R, 5 %, 0.25 W", lambda i: 2)
    add("power", "capacitor 10 µF, 25 V", lambda i: 2)
    add("power", "MCP1700-3302E regulator, 1 µF in front, 4.7 µF behind", own(lambda i: 1))
    add("power", "capacitor 100 nF, X7R, one at every chip's supply pin", lambda i: 4 if classic[i] else 4 + -(-cvs[i] // 4) + 1)
    return [row for row in made if any(row[2])]


def table(boards: dict[str, dict]) -> str:
    made, last = [], ""
    for section, part, quantities in rows(boards):
        made.append((section if section != last else "", part, *(q or "–" for q in quantities)))
        last = section
    return markdown.table(("for", "part", *boards), made)

"""The current budget and the 5 V regulator, from datasheets and stated assumptions."""

from __future__ import annotations

from tools.draw.markdown import table

EFFICIENCY = 0.88                     # assumed of the step-down regulator
RAIL_VOLTS, BOARD_VOLTS = 12.0, 5.1   # 5.1 V, as the Raspberry Pi's own supplies give
BULK_FARADS, BOARD_FARADS = 470e-6, 220e-6     # behind the regulator, and assumed on the computer
FUSE_AMPERES = 2.0
FET_OHMS = 0.06                       # P-channel MOSFET at -10 V

#: computer -> (amperes at 5 V its maker asks a supply to give, of the bare board in typical use, we design for)
COMPUTERS = {"Raspberry Pi 4": (3.0, 0.6, 1.5), "Raspberry Pi 5": (5.0, 0.8, 2.5), "Jetson Nano (10 W mode)": (4.0, 1.0, 2.5)}

#: what, rail, milliamperes, where the figure comes from
ANALOG = (
    ("two TL072 (four amplifiers)", "+12 V and −12 V", 10.0, "2.5 mA an amplifier at most (Texas Instruments SLOS080)"),
    ("two MCP6004 (eight amplifiers)", "3V3A", 1.4, "0.17 mA an amplifier at most (DS21733, table 1-1)"),
    ("MCP3208 with its reference", "3V3A", 0.6, "0.4 mA and 0.15 mA at most (DS21298E, page 1: 0.4 mA at 5 V; the reference from section 1)"),
    ("bias divider", "3V3A", 0.1, "3.3 V over 23 k"),
    ("LM393 with its pull-ups", "3.3 V", 2.0, "1 mA at most at 5 V (STMicroelectronics 2164 rev 14, page 6) and two times 0.36 mA"),
    ("OLED, all pixels lit", "3.3 V", 30.0, "assumed of a 1.3 inch module; measure yours"),
    ("PCM5102A module", "5 V", 35.0, "about 30 mA at 48 kHz (SLASE12) and its regulator"),
)


def at_rail(amperes: float) -> float:
    """Amperes from +12 V for so many at 5.1 V."""
    return amperes * BOARD_VOLTS / (RAIL_VOLTS * EFFICIENCY)


def inrush_amperes(soft_start_seconds: float) -> float:
    """From +12 V while the regulator charges what stands behind it: power at the end of the ramp."""
    return at_rail((BULK_FARADS + BOARD_FARADS) * BOARD_VOLTS / soft_start_seconds)


def computer_table() -> str:
    headings = ("computer", "maker asks of a supply, 5 V", "typical, bare board", "we design for", "of it from +12 V",
                "lost in the regulator", "lost in the MOSFET")
    rows = []
    for name, (asked, typical, design) in COMPUTERS.items():
        rail = at_rail(design)
        rows.append((name, f"{asked:.1f} A", f"{typical:.1f} A", f"{design:.1f} A", f"{rail:.2f} A",
                     f"{rail * RAIL_VOLTS * (1 - EFFICIENCY):.1f} W", f"{1e3 * rail * rail * FET_OHMS:.0f} mW"))
    return table(headings, rows)


def analog_table() -> str:
    return table(("part", "rail", "current", "from"),
                 ((part, rail, f"{milliamperes:g} mA", source) for part, rail, milliamperes, source in ANALOG))


def inrush_table() -> str:
    rows = []
    for milliseconds in (0.5, 1, 2, 5):
        charging = (BULK_FARADS + BOARD_FARADS) * BOARD_VOLTS / (milliseconds / 1e3)
        rows.append((f"{milliseconds:g} ms", f"{charging:.1f} A", f"{inrush_amperes(milliseconds / 1e3):.1f} A"))
    return table(("soft start of the regulator", "charging current at 5.1 V", "from +12 V"), rows)

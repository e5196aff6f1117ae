"""Where a GPIO number comes out: the 40-pin headers of the computers, and the pins of the chips and modules we wire."""

from __future__ import annotations

POWER_3V3, POWER_5V, GROUND = (1, 17), (2, 4), (6, 9, 14, 20, 25, 30, 34, 39)


def supply(pin: int | None) -> str:
    """What a header pin is on every computer, or nothing for a signal."""
    for name, pins in (("3.3 V", POWER_3V3), ("5 V", POWER_5V), ("ground", GROUND)):
        if pin in pins:
            return name
    return ""


#: Raspberry Pi 2 to 5: GPIO (BCM number, the line offset of the chip) -> header pin
PI = {2: 3, 3: 5, 4: 7, 14: 8, 15: 10, 17: 11, 18: 12, 27: 13, 22: 15, 23: 16, 24: 18, 10: 19, 9: 21, 25: 22, 11: 23, 8: 24, 7: 26,
      0: 27, 1: 28, 5: 29, 6: 31, 12: 32, 13: 33, 19: 35, 16: 36, 26: 37, 20: 38, 21: 40}

_TEGRA = {3: "J3", 5: "J2", 7: "BB0", 8: "G0", 10: "G1", 11: "G2", 12: "J7", 13: "B6", 15: "Y2", 16: "DD0", 18: "B7", 19: "C0", 21: "C1",
          22: "B5", 23: "C2", 24: "C3", 26: "C4", 29: "S5", 31: "Z0", 32: "V0", 33: "E6", 35: "J4", 36: "G3", 37: "B4", 38: "J5", 40: "J6"}


def tegra_line(port: str) -> int:
    """Line offset of a Tegra port: ``"J7"`` -> 79, ``"DD0"`` -> 232 (A to Z, then AA, BB, ...; eight lines each)."""
    letters, bit = port[:-1], int(port[-1])
    return (ord(letters[0]) - ord("A") + 26 * (len(letters) - 1)) * 8 + bit


#: Jetson Nano developer kit: line of ``tegra-gpio`` -> header pin (ports as in NVIDIA's carrier board specification, table 3-3)
JETSON = {tegra_line(port): pin for pin, port in _TEGRA.items()}

#: driver of a board file -> (name, GPIO -> header pin, buses by GPIO number)
COMPUTERS = {
    "pi": ("Raspberry Pi 4 or 5", PI, {
        "i2c1": {"SDA": 2, "SCL": 3},
        "spi0": {"SCLK": 11, "MOSI": 10, "MISO": 9, "CE0": 8, "CE1": 7},
        "i2s": {"BCK": 18, "LRCK": 19, "DIN": 21, "DOUT": 20}}),
    "classic": ("Jetson Nano", JETSON, {
        "i2c1": {"SDA": 75, "SCL": 74},
        "spi0": {"SCLK": 18, "MOSI": 16, "MISO": 17, "CE0": 19, "CE1": 20},
        "i2s": {"BCK": 79, "LRCK": 76, "DIN": 78, "DOUT": 77}}),
}

#: chip -> {signal: pin}, from the datasheets; "" where a module's pads are named instead of numbered
MCP3208 = {**{f"CH{i}": i + 1 for i in range(8)}, "DGND": 9, "CS": 10, "DIN": 11, "DOUT": 12, "CLK": 13, "AGND": 14, "VREF": 15, "VDD": 16}
ADS1115 = {"ADDR": 1, "ALERT/RDY": 2, "GND": 3, "AIN0": 4, "AIN1": 5, "AIN2": 6, "AIN3": 7, "VDD": 8, "SDA": 9, "SCL": 10}
LM393 = {"OUT1": 1, "IN1-": 2, "IN1+": 3, "GND": 4, "IN2+": 5, "IN2-": 6, "OUT2": 7, "VCC": 8}
#: what an ADS chip's ADDR pin is wired to
ADS_ADDRESS = {0x48: "GND", 0x49: "VDD", 0x4A: "SDA", 0x4B: "SCL"}

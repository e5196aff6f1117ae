"""Chips and boards. What is not installed is named with the command that brings it."""

import sys

LIBRARIES = "smbus2 spidev gpiod rpi-lgpio luma.oled luma.lcd"


def remedy() -> str:
    """How the libraries of the real boards, and so of the simulated ones, come into this environment."""
    return f"{sys.prefix}/bin/python -m pip install {LIBRARIES}"

"""For tests that play a real board's chips, simulated beneath its bus libraries."""

import importlib.util

import pytest

needs_buses = pytest.mark.skipif(any(importlib.util.find_spec(name) is None for name in ("smbus2", "spidev", "gpiod")),
                                 reason="the bus libraries are not installed")

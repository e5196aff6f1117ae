"""Pimoroni's IO expander with an RGB encoder (PIM522), a Nuvoton MS51 that counts the encoder itself.

Registers as published with their library (github.com/pimoroni/ioe-python at 1970ad6: ioexpander/ioe_regs.py; the encoder's
pins, its light's period and the interrupt's pin in examples/rotary.py): slow reading loses no steps, because register 0x06 holds the detents since it was cleared.
"""

from __future__ import annotations

import errno
import fcntl

from neurorack.drivers.ads1x15 import I2C_TIMEOUT

CHIP_ID = 0xE26A
_ENC_EN, _ENC_CFG, _ENC_COUNT, _INT, _ID = 0x04, 0x05, 0x06, 0xF9, 0xFA
_P0, _P0M1, _P0M2, _P0S, _P1, _P1M1, _P1M2, _P1S = 0x40, 0x71, 0x72, 0xC2, 0x50, 0x73, 0x74, 0xC4
_PIOCON0, _PIOCON1, _PNP, _PWMCON0, _PWMCON1, _PERIOD_L, _PERIOD_H = 0x9E, 0xC9, 0x96, 0x98, 0x9F, 0x99, 0x91
_CHANNEL_A, _CHANNEL_B = 12, 3                # of the encoder's contacts: P0.5 and P1.2; their common contact is P0.6
_A, _B, _COMMON = 1 << 5, 1 << 2, 1 << 6
_RED, _GREEN, _BLUE = (1 << 5), (1 << 1), (1 << 0)     # port 1
_DUTY = {"red": (0xCB, 0xC8), "green": (0x9B, 0x93), "blue": (0x9C, 0x94)}    # PWM 5, 1 and 2: low and high byte
PERIOD = 510                                  # twice 255: full is half as bright as it could be


class IoExpander:
    """The encoder and its light. Raises ``OSError`` when another chip, or none, answers."""

    def __init__(self, bus: int, address: int):
        from smbus2 import SMBus

        self._bus, self._address = SMBus(bus), address
        try:
            fcntl.ioctl(self._bus.fd, I2C_TIMEOUT, 3)
            found = self._read(_ID) | self._read(_ID + 1) << 8
            if found != CHIP_ID:
                raise OSError(errno.ENODEV, f"the chip at {address:#04x} is {found:#06x}, not an IO expander ({CHIP_ID:#06x})")
            self._set_up()
        except OSError:
            self._bus.close()
            raise
        self._count = 0

    def _read(self, register: int) -> int:
        return self._bus.read_byte_data(self._address, register)

    def _write(self, register: int, value: int) -> None:
        self._bus.write_byte_data(self._address, register, value)

    def _change(self, register: int, clear: int, put: int) -> None:
        self._write(register, self._read(register) & ~clear | put)

    def _set_up(self) -> None:
        for mode1, mode2, schmitt, port, contact, bit in ((_P0M1, _P0M2, _P0S, _P0, _A, 5), (_P1M1, _P1M2, _P1S, _P1, _B, 2)):
            self._change(mode1, contact, 0)          # quasi-bidirectional, driven high: an input with a pull-up
            self._change(mode2, contact, 0)
            self._change(schmitt, 0, contact)
            self._write(port, 8 | bit)
        self._change(_P0M1, 0, _COMMON)              # open drain, low
        self._change(_P0M2, 0, _COMMON)
        self._write(_P0, 6)
        self._write(_ENC_CFG, _CHANNEL_A | _CHANNEL_B << 4)
        self._change(_ENC_EN, 2, 1)                  # whole detents
        self._write(_ENC_COUNT, 0)
        self._write(_INT, 0x06)                      # interrupt out, on this breakout's pin
        self._change(_P1M1, _RED | _GREEN | _BLUE, 0)
        self._change(_P1M2, 0, _RED | _GREEN | _BLUE)
        self._write(_PIOCON1, 1 << 5)
        self._write(_PIOCON0, 1 << 1 | 1 << 2)
        self._write(_PNP, 1 << 5 | 1 << 1 | 1 << 2)  # the lights shine when their pin is low
        self._write(_PWMCON1, 1)
        self._write(_PERIOD_L, PERIOD & 0xFF)
        self._write(_PERIOD_H, PERIOD >> 8)
        self.light(0, 0, 0)

    def turned(self) -> int:
        """Detents since the last call, right is positive."""
        count = self._read(_ENC_COUNT)
        if self._read(_INT) & 1:
            self._change(_INT, 1, 0)
        steps = (count - self._count + 128) % 256 - 128      # the counter has eight bits and goes on
        self._count = count
        return steps

    def light(self, red: int, green: int, blue: int) -> None:
        """0..255 each."""
        for name, value in (("red", red), ("green", green), ("blue", blue)):
            low, high = _DUTY[name]
            self._write(low, value & 0xFF)
            self._write(high, value >> 8)
        self._write(_PWMCON0, 0xC0)                  # run, load

    def close(self) -> None:
        self._bus.close()

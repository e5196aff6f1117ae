"""ADS1015 and ADS1115: one converter behind four inputs on I2C.

Texas Instruments SBAS473E (ADS1015) and SBAS444D (ADS1115), both of January 2018, whose section numbers are the same; SBAS444E
(December 2024) has others. Registers (8.6): 0 conversion, 1 configuration, 2 and 3 thresholds. The code stands in the upper
bits, two's complement (SBAS473E page 22, 8.5.4). A single shot starts with the OS bit, which has no effect while one runs
(SBAS563 page 14), and takes the time of the rate, which may be 10 % off (SBAS563 page 3, "data rate variation"), and about
25 us to wake (8.4.2.1; TI's support says to wait 1.1 / rate + 20 us). In continuous mode new settings hold from the next
conversion on (8.4.2.2). With the high threshold's top bit set and the low one's clear, ALERT/RDY pulses at each end of a
conversion (SBAS473E page 26, 8.6.4). SBAS563 is the ADS1115-Q1's sheet of 2011. 8.4.2 was not at hand when this was written.
"""

from __future__ import annotations

import ctypes
import fcntl
import struct

I2C_TIMEOUT, I2C_RDWR = 0x0702, 0x0707    # of linux/i2c-dev.h; the time-out in 10 ms: a bus that is held low must not hold us for a second
CONVERSION, CONFIG, LOW_THRESHOLD, HIGH_THRESHOLD = range(4)
RATE_HZ = {"ads1015": 3300, "ads1115": 860}
BITS = {"ads1015": 12, "ads1115": 16}
FULL_SCALES = (6.144, 4.096, 2.048, 1.024, 0.512, 0.256)     # 8.6.3, PGA
DIFFERENTIAL = {(0, 1): 0, (0, 3): 1, (1, 3): 2, (2, 3): 3}  # 8.6.3, MUX
WAKE_SECONDS, SLOWEST = 30e-6, 1.1
_signed, _ioctl = struct.Struct(">h").unpack, fcntl.ioctl
EXCHANGE_CLOCKS = 87          # of the bus: 9 bytes of 9 clocks, 2 for each start and stop


def keeps_pace(kind: str, speed_hz: int) -> bool:
    """Whether an exchange on such a bus leaves half a conversion for whatever else delays it: an ADS1115 at 400 kHz, an
    ADS1015 at 1 MHz. Only then can continuous conversions be kept apart."""
    return EXCHANGE_CLOCKS / speed_hz < 0.5 / RATE_HZ[kind]


class Ads1x15:
    """One chip. ``start`` begins the first conversion; ``exchange`` takes a result and gives the next input in one transfer."""

    def __init__(self, kind: str, bus: int, address: int, full_scale_volts: float, continuous: bool):
        from smbus2 import SMBus, i2c_msg
        from smbus2.smbus2 import i2c_rdwr_ioctl_data

        self.rate_hz, self.continuous, self._address, self._message = RATE_HZ[kind], continuous, address, i2c_msg
        self.step_volts = full_scale_volts / (1 << 15)     # both keep their code in the upper bits
        #: what a conversion takes at most, from the end of the transfer that started it
        self.conversion_seconds = SLOWEST / self.rate_hz + WAKE_SECONDS
        self.conversion_ns = round(1e9 * self.conversion_seconds)
        gain = FULL_SCALES.index(full_scale_volts)
        #: OS, gain, mode, fastest rate; comparator queue: after each conversion, or off
        self._base = 0x8000 | gain << 9 | (0 if continuous else 0x100) | 7 << 5 | (0 if continuous else 3)
        self._bus = SMBus(bus)
        self._result = i2c_msg.read(address, 2)
        self._code = memoryview((ctypes.c_char * 2).from_address(ctypes.addressof(self._result.buf.contents)))
        self._point = i2c_msg.write(address, [CONVERSION])
        self._settings: dict[int, object] = {}
        self._combined = i2c_rdwr_ioctl_data.create
        self._starts: dict[int, ctypes.Structure] = {}
        self._exchanges: dict[int, tuple] = {}     # mux -> its transfer as bytes, itself and its address: made once, done 3000 times a second
        try:
            fcntl.ioctl(self._bus.fd, I2C_TIMEOUT, 3)
            if continuous:
                self._write(HIGH_THRESHOLD, 0x8000)
                self._write(LOW_THRESHOLD, 0x0000)
            else:
                self._bus.i2c_rdwr(self._point)            # an error tells that nobody is there
        except OSError:
            self._bus.close()
            raise

    @staticmethod
    def mux(plus: int, minus: int | None) -> int:
        """The MUX field for an input against ground, or against another."""
        return 4 + plus if minus is None else DIFFERENTIAL[plus, minus]

    def _write(self, register: int, value: int) -> None:
        self._bus.i2c_rdwr(self._message.write(self._address, [register, value >> 8, value & 0xFF]))

    def _setting(self, mux: int):
        if mux not in self._settings:
            value = self._base | mux << 12
            self._settings[mux] = self._message.write(self._address, [CONFIG, value >> 8, value & 0xFF])
        return self._settings[mux]

    def start(self, mux: int) -> None:
        """Begin to convert this input (in continuous mode: from the next conversion on)."""
        self._bus.i2c_rdwr(self._setting(mux))

    @property
    def fd(self) -> int:
        return self._bus.fd

    def start_at(self, mux: int) -> int:
        """The address of the transfer that ``start`` makes (an ``i2c_rdwr_ioctl_data``), for who makes it himself."""
        if mux not in self._starts:
            self._starts[mux] = self._combined(self._setting(mux))
        return ctypes.addressof(self._starts[mux])

    def exchange_at(self, next_mux: int) -> int:
        """The same of ``exchange``; its result is then ``volts()``."""
        return (self._exchanges.get(next_mux) or self._exchange(next_mux))[2]

    def volts(self) -> float:
        """As the last exchange found them."""
        return _signed(self._code)[0] * self.step_volts

    def _exchange(self, next_mux: int) -> tuple:
        transfer = self._combined(self._point, self._result, self._setting(next_mux))
        made = self._exchanges[next_mux] = bytearray(transfer), transfer, ctypes.addressof(transfer)
        return made

    def exchange(self, next_mux: int) -> float:
        """Volts of the conversion that has ended; the next one (in continuous mode the one after it) is of ``next_mux``."""
        _ioctl(self._bus.fd, I2C_RDWR, (self._exchanges.get(next_mux) or self._exchange(next_mux))[0])
        return self.volts()

    def close(self) -> None:
        self._bus.close()

"""MCP3208: eight 12-bit inputs on SPI (Microchip DS21298E).

100 000 samples a second at 5 V and 50 000 at 2.7 V (page 1), 20 clocks a sample: a clock of 2 MHz and of 1 MHz; nothing is promised
between, so 1 MHz at 3.3 V. A conversion takes 24 clocks in three bytes (page 21, section 6.1 and figure 6-1): five zeros, start and
single-ended, three bits of channel, three bits unknown, a null bit, twelve bits of code.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl

CODES = 4096
_BYTES = 3
_NULL_BIT = 0x10              # of the second byte: low when a chip answers (page 21)


class _Transfer(ctypes.Structure):
    """``struct spi_ioc_transfer`` of linux/spi/spidev.h."""

    _fields_ = [("tx_buf", ctypes.c_uint64), ("rx_buf", ctypes.c_uint64), ("len", ctypes.c_uint32), ("speed_hz", ctypes.c_uint32),
                ("delay_usecs", ctypes.c_uint16), ("bits_per_word", ctypes.c_uint8), ("cs_change", ctypes.c_uint8),
                ("tx_nbits", ctypes.c_uint8), ("rx_nbits", ctypes.c_uint8), ("word_delay_usecs", ctypes.c_uint8), ("pad", ctypes.c_uint8)]


class Mcp3208:
    """``read()`` converts ``channels`` in turn, all in one system call; raises ``OSError`` when no chip answers."""

    def __init__(self, bus: int, select: int, speed_hz: int, channels: list[int]):
        import spidev

        self._spi = spidev.SpiDev()
        self._spi.open(bus, select)
        self._spi.mode, self._spi.max_speed_hz = 0, speed_hz
        count = len(channels)
        self._out = (ctypes.c_uint8 * (_BYTES * count))()
        self._in = (ctypes.c_uint8 * (_BYTES * count))()
        self._transfers = (_Transfer * count)()
        for i, channel in enumerate(channels):
            self._out[3 * i: 3 * i + 3] = [0x06 | channel >> 2, (channel & 3) << 6, 0]
            transfer = self._transfers[i]
            transfer.tx_buf = ctypes.addressof(self._out) + 3 * i
            transfer.rx_buf = ctypes.addressof(self._in) + 3 * i
            transfer.len, transfer.speed_hz, transfer.bits_per_word = _BYTES, speed_hz, 8
            transfer.cs_change = i < count - 1       # each conversion begins with a falling select (page 19, section 5.0)
        self._request = 0x40006B00 | ctypes.sizeof(self._transfers) << 16     # SPI_IOC_MESSAGE(count)

    def read(self) -> list[int]:
        """One code 0..4095 for each channel, in the order they were given."""
        fcntl.ioctl(self._spi.fileno(), self._request, self._transfers)
        data = bytes(self._in)
        codes = [(high & 0x0F) << 8 | low for high, low in zip(data[1::3], data[2::3])]
        if any(high & _NULL_BIT for high in data[1::3]) or not any(codes):
            raise OSError(errno.ENXIO, "nothing drives its data line")
        return codes

    def close(self) -> None:
        self._spi.close()

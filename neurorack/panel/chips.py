"""From a picture to a display's memory: only what changed is sent, in as few bytes as its chip allows.

An OLED (SSD1306, SH1106) takes bytes of eight pixels above each other, so each of its eight pages is sent from its first changed
column to its last. An ST7789 takes a rectangle of pixels, two bytes each; its rows are taken in bands.
luma.oled and luma.lcd set the chips up and carry the bytes; their own ``display`` would send every pixel each time.
"""

from __future__ import annotations

import errno

import numpy as np

from neurorack.drivers import remedy
from neurorack.drivers.display import open_display

PAGES, BANDS = 8, 12
_COLUMNS, _PAGE_RANGE, _COLMOD, _RGB565 = 0x21, 0x22, 0x3A, 0x55
UNDIMMED = 0.8                # from this brightness on an LCD shows its colours as they are


class Oled:
    """An SSD1306 or SH1106. ``show`` returns the bytes it sent."""

    def __init__(self, device, chip: str):
        self._device, self._chip, self.mode, self.size = device, chip, device.mode, device.size
        self._held = np.zeros((PAGES, 128), np.uint8)      # luma has cleared it
        self._level: int | None = None

    def show(self, image) -> int:
        pixels = np.asarray(self._device.preprocess(image)).astype(np.uint8)
        pages = np.packbits(pixels.reshape(PAGES, 8, 128), axis=1, bitorder="little")[:, 0]
        sent = 0
        for page in np.flatnonzero((pages != self._held).any(axis=1)).tolist():
            changed = np.flatnonzero(pages[page] != self._held[page])
            first, last = int(changed[0]), int(changed[-1])
            if self._chip == "ssd1306":
                self._device.command(_COLUMNS, first, last, _PAGE_RANGE, page, page)
                sent += 6
            else:
                column = first + 2                         # of 132, in the middle of which the panel is
                self._device.command(0xB0 | page, column & 0x0F, 0x10 | column >> 4)
                sent += 3
            self._device.data(pages[page, first: last + 1].tolist())
            self._held[page, first: last + 1] = pages[page, first: last + 1]
            sent += last + 1 - first
        return sent

    def light(self, share: float) -> None:
        """Brightness, 0..1; 0 switches the panel off."""
        level = round(255 * min(1.0, max(0.0, share)))
        if level == self._level:
            return
        if not level:
            self._device.hide()
        else:
            self._device.contrast(level)
            if not self._level:
                self._device.show()
        self._level = level

    def close(self) -> None:
        self._device.cleanup()


class Lcd:
    """An ST7789. Its back light cannot be dimmed, so the picture is, below a brightness of 80 % (the default)."""

    def __init__(self, device):
        self._device, self.mode, self.size = device, device.mode, device.size
        device.command(_COLMOD, _RGB565)
        self._held = np.zeros((*device.size[::-1], 2), np.uint8)
        self._share = 1.0

    def show(self, image) -> int:
        pixels = np.asarray(self._device.preprocess(image))
        if self._share < 1.0:
            pixels = (pixels * self._share).astype(np.uint8)
        words = (pixels[..., 0].astype(np.uint16) & 0xF8) << 8 | (pixels[..., 1].astype(np.uint16) & 0xFC) << 3 | pixels[..., 2] >> 3
        coded = np.stack((words >> 8, words & 0xFF), axis=-1).astype(np.uint8)
        changed, sent = (coded != self._held).any(axis=2), 0
        band = len(coded) // BANDS
        for top in range(0, len(coded), band):
            part = changed[top: top + band]
            rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
            if not len(rows):
                continue
            y1, y2, x1, x2 = top + int(rows[0]), top + int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
            self._device.set_window(x1, y1, x2, y2)
            data = coded[y1: y2, x1: x2].tobytes()
            self._device.data(list(data))
            sent += 11 + len(data)
        self._held = coded
        return sent

    def light(self, share: float) -> None:
        self._share = min(1.0, share / UNDIMMED)

    def close(self) -> None:
        self._device.cleanup()


def open_chip(settings: dict) -> Oled | Lcd:
    """The display of a board file. Raises ``OSError`` when it is not there, or its library is not installed."""
    try:
        device = open_display(settings)
    except ImportError as error:
        raise OSError(errno.ENOPKG, f"{error.name or error} is missing: {remedy()}") from None
    chip = settings["display"]["chip"]
    return Lcd(device) if chip == "st7789" else Oled(device, chip)

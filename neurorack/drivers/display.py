"""The panel's display through luma: ``open_display(settings)`` gives a luma device, its ``mode`` and ``size`` say what it shows.

On a Raspberry Pi the OLED shares its SPI bus with the CV converter. It is sent in pieces of 128 bytes (0.13 ms at
8 MHz), between which a scan gets its turn. An SSD1306 takes 10 MHz (rev 1.1, table 13-4: 100 ns a clock; the table was not at
hand, a module's maker says the same), an SH1106 2 MHz by Linux' driver for it, which names the data sheet.
"""

from __future__ import annotations

import errno

PIECE_BYTES = {"ssd1306": 128, "sh1106": 128, "st7789": 4096}


def _gpio():
    """The module that drives the data and reset lines: RPi.GPIO (rpi-lgpio gives the same), or Jetson.GPIO."""
    try:
        from RPi import GPIO
    except (ImportError, RuntimeError) as error:
        try:
            from Jetson import GPIO
        except ImportError:
            raise error if isinstance(error, ImportError) else OSError(errno.ENODEV, str(error)) from None
    GPIO.setwarnings(False)
    GPIO.setmode(GPIO.BCM)
    return GPIO


def open_display(settings: dict):
    """A luma device; its ``display(image)`` shows a PIL image. Raises ``OSError`` when its bus or lines are not there."""
    from luma.core.error import Error
    from luma.core.interface.serial import noop, spi

    display = settings["display"]
    if display["chip"] == "st7789":
        from luma.lcd.device import st7789 as device
    elif display["chip"] == "sh1106":
        from luma.oled.device import sh1106 as device
    else:
        from luma.oled.device import ssd1306 as device
    options = {"gpio": noop()} if display["chip"] == "st7789" else {}     # its back light is always on
    try:
        serial = spi(gpio=_gpio(), port=display["spi"], device=display["select"], bus_speed_hz=display["speed_hz"],
                     transfer_size=PIECE_BYTES[display["chip"]], gpio_DC=display["dc"], gpio_RST=display["reset"])
        return device(serial, rotate=display.get("rotate", 0), **options)
    except Error as error:
        raise OSError(errno.ENODEV, str(error)) from None


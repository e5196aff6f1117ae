"""A board's buses without the board: I2C, SPI and GPIO simulated at the kernel's interface, chips at register level.

``_simbus.so`` (compiled by ``build_core.py``) is preloaded into a program; its ``/dev/i2c-N``, ``/dev/spidevB.C`` and
``/dev/gpiochip0`` are then simulated, and unmodified smbus2, spidev, gpiod, RPi.GPIO and luma talk to the chips a board
file names. What the chips see (volts, switches, faults) lies in a block that ``bus.SimBus`` makes and tests or
hands write.
"""

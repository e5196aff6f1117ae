"""The simulated chips at register level, through unmodified smbus2 and spidev, against their data sheets."""

import time

import pytest

from neurorack.simbus import layout

SINGLE, FASTEST, OFF = 0x8100, 7 << 5, 3
BUS = None


def i2c():
    global BUS
    if BUS is None:
        from smbus2 import SMBus

        BUS = SMBus(1)
    return BUS


def write(address, register, value):
    i2c().write_i2c_block_data(address, register, [value >> 8, value & 0xFF])


def read(address, register):
    return int.from_bytes(bytes(i2c().read_i2c_block_data(address, register, 2)), "big")


def convert(address, mux, gain, rate=7):
    """A single shot: signed code of the register, and how long OS stood at 0."""
    began = time.monotonic()
    write(address, 1, SINGLE | mux << 12 | gain << 9 | rate << 5 | OFF)
    while not read(address, 1) & 0x8000:
        pass
    code = read(address, 0)
    return code - 65536 if code & 0x8000 else code, time.monotonic() - began


def ads(sim, kind, **settings):
    return sim.add_chip(kind, sim.add_bus(layout.I2C, 1, 400_000), 0x48, net=[0, 1, 2, 3], **settings)


def test_gains_differences_and_saturation(sim, program):
    ads(sim, "ads1015", supply_volts=5.0)
    sim.board.volts[:4] = [0.5, 0.2, 3.0, 1.241]
    full = (6.144, 4.096, 2.048, 1.024, 0.512, 0.256)
    for gain, scale in enumerate(full):
        code = program.run(convert, 0x48, 4, gain)[0]
        assert code % 16 == 0, "twelve bits, in the upper end"
        assert code / 16 == min(2047, round(0.5 / scale * 2048))
    assert program.run(convert, 0x48, 0, 2)[0] / 16 == round(0.3 / 2.048 * 2048)
    assert program.run(convert, 0x48, 3, 1)[0] / 16 == round((3.0 - 1.241) / 4.096 * 2048)
    assert program.run(convert, 0x48, 1, 4)[0] / 16 == -2048, "0.5 V against 1.241 V lies below -0.512 V"
    assert program.run(convert, 0x48, 6, 3)[0] / 16 == 2047


def test_sixteen_bits_of_an_ads1115(sim, program):
    ads(sim, "ads1115")
    sim.board.volts[0] = 1.2345
    assert program.run(convert, 0x48, 4, 1)[0] == round(1.2345 / 4.096 * 32768)


@pytest.mark.parametrize("kind, rate, hz", [("ads1015", 7, 3300), ("ads1015", 0, 128), ("ads1115", 7, 860), ("ads1115", 4, 128), ("ads1115", 1, 16)])
def test_a_conversion_takes_its_time(sim, program, kind, rate, hz):
    ads(sim, kind)
    took = min(program.run(convert, 0x48, 4, 1, rate)[1] for _ in range(5))
    assert 1 / hz < took < 1 / hz + 0.02


def test_noise_offset_and_gain_error_are_the_chips_own(sim, program):
    chip = ads(sim, "ads1115", noise_lsb=8.0, offset_volts=0.03, gain=1.02)
    sim.board.volts[0] = 1.0
    codes = program.run(many_conversions, 60)
    middle, spread = sum(codes) / len(codes), max(codes) - min(codes)
    assert middle == pytest.approx(1.05 / 4.096 * 32768, abs=6) and 10 < spread < 80
    assert chip.conversions == 60


def many_conversions(count):
    return [convert(0x48, 4, 1)[0] for _ in range(count)]


def continuous(hops):
    """Continuous mode: the codes seen after a change of input, by time since the change in conversions."""
    write(0x48, 1, 4 << 12 | 1 << 9 | 4 << 5 | OFF)       # 128 a second
    time.sleep(0.03)
    before = read(0x48, 0)
    write(0x48, 1, 5 << 12 | 1 << 9 | 4 << 5 | OFF)
    at_once = read(0x48, 0)
    time.sleep(hops / 128)
    return before, at_once, read(0x48, 0)


def test_new_settings_hold_from_the_next_conversion_on(sim, program):
    ads(sim, "ads1115")
    sim.board.volts[0], sim.board.volts[1] = 1.0, 2.0
    before, at_once, later = program.run(continuous, 3)
    assert before == at_once == 8000 and later == 16000


def comparator(high, low, bits):
    write(0x48, 3, high)
    write(0x48, 2, low)
    write(0x48, 1, 4 << 12 | 1 << 9 | FASTEST | bits)


def test_the_comparator_has_hysteresis_and_may_latch(sim, program):
    ads(sim, "ads1015", alert_line=4)
    sim.board.volts[0] = 0.5
    program.run(comparator, 500 << 4, 250 << 4, 0)         # 1 V and 0.5 V at 4.096 V, after one conversion
    at = sim.board.level
    time.sleep(0.05)
    assert at[4] == 1
    for volts, level in ((1.2, 0), (0.8, 0), (0.4, 1), (0.8, 1), (1.2, 0)):
        sim.board.volts[0] = volts
        time.sleep(0.05)
        assert at[4] == level, volts
    program.run(comparator, 500 << 4, 250 << 4, 4)         # latching
    sim.board.volts[0] = 0.4
    time.sleep(0.05)
    assert at[4] == 0, "until it is read"
    program.run(read, 0x48, 0)
    assert at[4] == 1


# ---- MCP3208


def exchange(data, speed_hz=1_000_000, mode=0, times=1):
    import spidev

    spi = spidev.SpiDev()
    spi.open(0, 0)
    spi.mode, spi.max_speed_hz = mode, speed_hz
    began = time.monotonic()
    answers = [spi.xfer2(list(data)) for _ in range(times)]
    return answers[-1], time.monotonic() - began


def code(answer):
    return (answer[1] & 0x0F) << 8 | answer[2]


def mcp(sim, **settings):
    return sim.add_chip("mcp3208", sim.add_bus(layout.SPI, 0), 0, net=list(range(8)), **settings)


def test_eight_inputs_single_and_as_pairs(sim, program):
    mcp(sim)
    sim.board.volts[:8] = [0.1 + 0.4 * i for i in range(8)]
    for channel in range(8):
        answer, _ = program.run(exchange, [0x06 | channel >> 2, (channel & 3) << 6, 0])
        assert code(answer) == int((0.1 + 0.4 * channel) / 3.3 * 4096) and not answer[1] & 0x10
    assert code(program.run(exchange, [0x04, 0x40, 0])[0]) == pytest.approx(0.4 / 3.3 * 4096, abs=1), "1 against 0"
    assert code(program.run(exchange, [0x04, 0x00, 0])[0]) == 0, "0 against 1 is below zero"


def test_the_code_comes_again_from_its_lowest_bit(sim, program):
    mcp(sim)
    sim.board.volts[0] = 3.3 * 0xA53 / 4096 + 1e-6
    bits = "".join(f"{byte:08b}" for byte in program.run(exchange, [0x06, 0, 0, 0, 0])[0])
    first = bits[12:24]
    assert int(first, 2) == 0xA53 and bits[24:35] == first[::-1][1:] and set(bits[35:]) == {"0"}


def test_too_fast_a_clock_reads_low_and_a_wrong_mode_nothing(sim, program):
    mcp(sim)
    sim.board.volts[0] = 3.0
    good = code(program.run(exchange, [6, 0, 0])[0])
    assert code(program.run(exchange, [6, 0, 0], 8_000_000)[0]) < good - 100
    assert program.run(exchange, [6, 0, 0], 1_000_000, 1)[0] == [0, 0, 0]


def test_the_wires_take_their_time(sim, program):
    mcp(sim)
    _, seconds = program.run(exchange, [6, 0, 0], 1_000_000, 0, 500)
    assert seconds > 500 * 24e-6 and sim.board.bus[0].busy_ns >= 500 * 24_000


def test_nobody_there(sim, program):
    chip = mcp(sim, absent=1)
    sim.board.volts[0] = 3.0
    assert program.run(exchange, [6, 0, 0])[0] == [0, 0, 0]
    chip.absent = 0
    assert code(program.run(exchange, [6, 0, 0])[0]) > 3000


# ---- faults of a bus


def attempt(address):
    began = time.monotonic()
    try:
        read(address, 1)
        return 0, time.monotonic() - began
    except OSError as error:
        return error.errno, time.monotonic() - began


def test_missed_acknowledges_absence_and_a_late_chip(sim, program):
    chip = ads(sim, "ads1015")
    assert program.run(attempt, 0x49)[0] == 121
    chip.nack_rate = 0.5
    outcomes = [program.run(attempt, 0x48)[0] for _ in range(60)]
    assert set(outcomes) == {0, 121} and chip.refused > 5
    chip.nack_rate, chip.appears_ns = 0.0, time.monotonic_ns() + 300_000_000
    assert program.run(attempt, 0x48)[0] == 121
    time.sleep(0.35)
    assert program.run(attempt, 0x48)[0] == 0


def test_a_bus_held_low_times_out(sim, program):
    ads(sim, "ads1015")
    sim.board.bus[0].stuck = 1
    error, seconds = program.run(attempt, 0x48)
    assert error == 110 and seconds > 0.9
    sim.board.bus[0].stuck = 0
    assert program.run(attempt, 0x48)[0] == 0

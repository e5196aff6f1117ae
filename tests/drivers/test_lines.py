"""GPIO lines through gpiod, lgpio and RPi.GPIO, unmodified."""

import errno
import importlib.util
import select
import struct
import time

import pytest

HELD = {}


def request(lines, active_low=False):
    import gpiod
    from gpiod.line import Direction, Edge

    HELD["request"] = gpiod.request_lines("/dev/gpiochip0", config={tuple(lines): gpiod.LineSettings(
        direction=Direction.INPUT, edge_detection=Edge.BOTH, active_low=active_low)}, event_buffer_size=1024)
    return [bool(value) for value in HELD["request"].get_values()]


def edges(count, seconds=5.0):
    """``(ns, line, rising, sequence)`` as they come."""
    found, end = [], time.monotonic() + seconds
    request = HELD["request"]
    while len(found) < count and time.monotonic() < end:
        if request.wait_edge_events(0.1):
            found += [(e.timestamp_ns, e.line_offset, e.event_type is e.Type.RISING_EDGE, e.global_seqno) for e in request.read_edge_events()]
    return found


def release():
    HELD.pop("request").release()


def other_request(line):
    try:
        HELD["other"] = __import__("gpiod").request_lines("/dev/gpiochip0", config={line: None})
    except OSError as error:
        return error.errno
    return 0


def test_edges_carry_the_time_at_which_the_wire_moved(sim, program):
    assert program.run(request, [17, 27]) == [False, False]
    sent = []
    for i in range(50):
        sent.append((sim.set_line(17, 1 - i % 2), 17, i % 2 == 0, 2 * i + 1))
        now = time.monotonic_ns()
        sim.drive((27, 1 - i % 2, now - 1000))
        sent.append((now - 1000, 27, i % 2 == 0, 2 * i + 2))
    assert program.run(edges, 100) == sent
    assert sim.lost_edges() == 0


def test_a_line_that_does_not_change_has_no_edge_and_active_low_turns_them(sim, program):
    sim.set_line(17, 1)
    assert program.run(request, [17], True) == [False]
    sim.set_line(17, 1)
    at = sim.set_line(17, 0)
    assert program.run(edges, 1) == [(at, 17, True, 1)]


def test_a_line_belongs_to_one_request_until_it_is_released_or_its_program_dies(sim, program):
    program.run(request, [17, 27])
    assert program.run(other_request, 27) == errno.EBUSY
    assert program.run(other_request, 22) == 0
    program.run(release)
    assert program.run(other_request, 27) == 0
    program.kill()
    from tests.drivers.conftest import Program

    time.sleep(0.1)
    second = Program(sim.environment())
    assert second.run(request, [22, 27]) == [False, False]
    second.close()


def test_a_full_buffer_loses_edges_and_counts_them(sim, program):
    program.run(request, [17])
    for i in range(3000):
        sim.set_line(17, 1 - i % 2)
    found = program.run(edges, 3000, 1.0)
    assert sim.lost_edges() > 0 and len(found) + sim.lost_edges() == 3000


def old_interface(line):
    """The kernel's first interface: one line, one event descriptor."""
    import fcntl
    import os

    chip = os.open("/dev/gpiochip0", os.O_RDWR)
    asked = bytearray(struct.pack("III32si", line, 1, 3, b"test", 0))
    fcntl.ioctl(chip, 0xC030B404, asked)         # GPIO_GET_LINEEVENT_IOCTL
    HELD["old"] = struct.unpack_from("i", asked, 44)[0]


def old_edges(count):
    import os

    found = []
    while len(found) < count and select.select([HELD["old"]], [], [], 5)[0]:
        data = os.read(HELD["old"], 16 * 16)
        found += [(ns, kind == 1) for ns, kind, _ in struct.iter_unpack("QII", data)]
    return found


def test_the_kernels_first_interface(sim, program):
    program.run(old_interface, 5)
    up, down = sim.set_line(5, 1), sim.set_line(5, 0)
    assert program.run(old_edges, 2) == [(up, True), (down, False)]


def rpi_gpio(pin, out):
    import RPi.GPIO as GPIO

    GPIO.setmode(GPIO.BCM)
    GPIO.setup(out, GPIO.OUT, initial=1)
    GPIO.setup(pin, GPIO.IN, pull_up_down=GPIO.PUD_UP)
    HELD["called"] = []
    GPIO.add_event_detect(pin, GPIO.BOTH, callback=HELD["called"].append)
    return GPIO.input(pin)


def called(count):
    end = time.monotonic() + 5
    while len(HELD["called"]) < count and time.monotonic() < end:
        time.sleep(0.01)
    return HELD["called"]


@pytest.mark.skipif(importlib.util.find_spec("RPi") is None, reason="rpi-lgpio is not installed")
def test_rpi_gpio_calls_back_for_each_edge(sim, program):
    assert program.run(rpi_gpio, 13, 24) == 0
    assert sim.board.driven[24] == 1 and sim.board.is_output[24] == 1
    for level in (1, 0, 1, 0):
        sim.set_line(13, level)
        time.sleep(0.01)
    assert program.run(called, 4) == [13] * 4


def driver(labels, lines, options):
    from neurorack.drivers.gpio import open_lines

    HELD["driver"] = open_lines(labels, lines, **options)
    return type(HELD["driver"]).__name__, HELD["driver"].levels()


def driver_edges(count):
    found, end = [], time.monotonic() + 5
    while len(found) < count and time.monotonic() < end:
        if select.select([HELD["driver"].fd], [], [], 0.1)[0]:
            found += HELD["driver"].read_edges()
    return found


def driver_next(seconds):
    return HELD["driver"].next_edge(seconds)


@pytest.mark.parametrize("old_kernel, name, slack_ns", [(0, "Lines", 0), (1, "OldLines", 5_000_000)])
def test_the_driver_is_the_same_on_old_and_new_kernels(sim, program, old_kernel, name, slack_ns):
    sim.board.old_kernel = old_kernel
    sim.set_line(27, 1)
    assert program.run(driver, ["pinctrl-bcm2711"], [17, 27], {"active_low": True}) == (name, [True, False])
    sent = []
    for i in range(20):
        sent.append((sim.set_line(17, 1 - i % 2), 0, i % 2 == 1))
        sent.append((sim.set_line(27, i % 2), 1, i % 2 == 0))
    found = program.run(driver_edges, 40)
    assert [edge[1:] for edge in found] == [edge[1:] for edge in sent]
    assert all(abs(one[0] - other[0]) <= slack_ns for one, other in zip(found, sent))
    assert program.run(driver, ["pinctrl-bcm2711"], [4], {"falling_only": True})[0] == name
    assert program.run(driver_next, 0.01) is None
    sim.set_line(4, 1)
    at = sim.set_line(4, 0)
    assert abs(program.run(driver_next, 1.0) - at) <= slack_ns


def no_chip(labels):
    from neurorack.drivers.gpio import open_lines

    try:
        open_lines(labels, [1])
    except OSError as error:
        return str(error)


def test_a_chip_of_another_name_is_not_taken(sim, program):
    said = program.run(no_chip, ["tegra-gpio"])
    assert "tegra-gpio" in said and "pinctrl-bcm2711" in said

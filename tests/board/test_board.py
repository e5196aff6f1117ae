"""What every board must do with nothing patched: the same expectations for real and simulated chips."""

import statistics
import time

import pytest

from neurorack.drivers import board as boards
from neurorack.drivers.controls import open_controls
from neurorack.drivers.converters import Converters, continuous
from neurorack.drivers.gpio import Lines, find_chip
from neurorack.process import spawn
from neurorack.shm.rack import Rack

EMPTY_VOLTS = 0.3             # an empty jack before calibration
STILL_VOLTS = 0.05            # RMS noise of a jack that rests


def empty(volts, board):
    """An open jack reads 0 V, or what its board file says where nothing pulls it to ground."""
    return min(abs(volts), abs(volts - board["cv"].get("unpatched_volts", 0.0))) < EMPTY_VOLTS


def skipping(name, make):
    try:
        return make()
    except OSError as error:
        pytest.skip(f"{name} is not there: {error}")


def readings(chip, converter, board, count):
    """``count`` readings of every input in volts at its jack, and the seconds they took."""
    cv, inputs, found = board["cv"], converter["inputs"], {jack: [] for jack in converter["inputs"]}
    began = time.monotonic()
    if converter["chip"] == "mcp3208":
        for _ in range(count):
            for jack, code in zip(inputs, chip.read()):
                found[jack].append((code + 0.5) * converter["supply_volts"] / 4096)
    else:
        order = [(jack, chip.mux(pin, converter.get("minus"))) for jack, pin in inputs.items()]
        for _ in range(count):
            for jack, mux in order:
                chip.start(mux)
                time.sleep(2 * chip.conversion_seconds)     # in continuous mode the one before has to end first
                found[jack].append(chip.exchange(mux))
    seconds = time.monotonic() - began
    return {jack: [(v - cv["zero_volts"]) / cv["volts_per_volt"] for v in volts] for jack, volts in found.items()}, seconds


def test_empty_jacks_rest_at_zero(chip, converter, board):
    found, _ = readings(chip, converter, board, 50)
    for jack, volts in found.items():
        assert empty(statistics.median(volts), board), jack
        assert statistics.pstdev(volts) < STILL_VOLTS, jack


def rate(chip, converter, board):
    """Readings a second of an MCP3208's inputs, or conversions a second of an ADS as the instrument runs it, in shares of what is asked."""
    if converter["chip"] == "mcp3208":
        return 500 / readings(chip, converter, board, 500)[1] / 2000
    counts = []
    converters = Converters({**board, "converters": [converter]}, counts.append, lambda: None, lambda *_: None)
    time.sleep(0.3)
    scan, began = converters.scans[0], time.monotonic()
    before = scan.conversions
    time.sleep(1)
    share = (scan.conversions - before) / (time.monotonic() - began) / chip.rate_hz
    converters.close()
    return share


def test_the_converter_keeps_its_pace(chip, converter, board):
    """2 kHz for each input of an MCP3208. An ADS with its ALERT/RDY pin wired: every conversion it makes (0.95; room is left for the
    oscillator's 10 %); without: single shots, about half of them."""
    wanted = 0.95 if converter["chip"] == "mcp3208" else 0.85 if continuous(converter) else 0.3
    shares = []
    while not shares or max(shares) < wanted and len(shares) < 6:
        shares.append(rate(chip, converter, board))
    assert max(shares) >= wanted


def test_gate_lines_are_there_and_rest_low(board):
    if "lines" not in board["gates"]:
        return      # its gates are behind a converter
    skipping("the GPIO chip", lambda: find_chip(board["gpio"]))
    lines = Lines(board["gpio"], board["gates"]["lines"], active_low=board["gates"].get("active_low", False))
    time.sleep(0.3)
    assert lines.levels() == [False] * board["gates"]["jacks"] and lines.read_edges() == []
    lines.close()


def test_controls_answer_and_rest(board):
    controls = skipping("the encoder", lambda: open_controls(board))
    events, end = [], time.monotonic() + 0.3
    while time.monotonic() < end:
        events += controls.read()
        time.sleep(controls.poll_ms / 1000)
    controls.close()
    assert events == []


def test_the_display_takes_a_picture(board):
    pytest.importorskip("luma.core")
    from neurorack.drivers.display import open_display
    from PIL import Image

    device = skipping("the display", lambda: open_display(board))
    for colour in (0, 255):
        device.display(Image.new(device.mode, device.size, colour if device.mode == "1" else (colour,) * 3))


def test_all_of_it_runs_for_a_while_without_an_error(board):
    rack = Rack.create(sample_rate_hz=48000, block_frames=128, settle_us=1000)
    missing = {chip: why for chip, why in boards.answering(board).items() if why}
    if missing:
        pytest.skip("; ".join(f"{chip} is not there: {why}" for chip, why in missing.items()))
    inputs = spawn("inputs", rack, {"board": board})
    try:
        end = time.monotonic() + 20
        while rack.inputs.scans < 10 and time.monotonic() < end:
            time.sleep(0.01)
        shares = []
        for _ in range(6):
            before, began = rack.inputs.scans, time.monotonic()
            time.sleep(1)
            shares.append((rack.inputs.scans - before) / (time.monotonic() - began) / board["cv"]["scan_hz"])
            if shares[-1] > 0.95:
                break
        assert max(shares) > 0.9
        assert rack.inputs.chip_errors == 0 and rack.inputs.edges == 0 and inputs.poll() is None
        assert all(empty(v, board) for v in rack.read_controls()[0])
    finally:
        inputs.terminate()
        inputs.wait(10)

"""Boards, their prices, and what is predicted from them."""

import numpy as np
import pytest
import yaml

from neurorack.complexity import boards, bounds, calibrate, cases, cost, count, count_listing, fit, predict, timing
from neurorack.engine import Model
from neurorack.errors import BoardError, NeurorackError
from neurorack import library
from tests.complexity.programs import built, numbers

PLAYING = ("pi4", "pi5", "jetson", "orin", "zero2w")


@pytest.fixture(scope="module")
def impacts():
    return count("impacts", block_frames=128)


@pytest.mark.parametrize("name", boards.names())
def test_every_speed_file_is_whole(name, impacts):
    board = boards.load(name)
    assert board.name == name and board.description
    assert board.measured or board.data.get("sources") or board.middle is None
    if board.middle:
        low, mid, high = predict(impacts, board)
        assert 0 < low <= mid <= high
        assert board.measured == (high < 2 * low)            # a measured board says more than an estimated one


def test_boards_stand_in_a_believable_order(impacts):
    middle = {name: predict(impacts, name).mid for name in (*PLAYING, "pi1", "pi2", "cortex-m7")}
    assert middle["pi5"] < middle["pi4"] < middle["zero2w"] < middle["pi2"] < middle["pi1"]
    assert middle["orin"] < middle["jetson"]


def test_an_unknown_board_is_told_the_known_ones():
    with pytest.raises(BoardError, match="no speed is known of a board 'pi9'; of these one is: .*pi4.*--calibrate"):
        boards.load("pi9")


@pytest.mark.parametrize("text", ["[", "measured: true", "- 1", "measured: true\nisa: avx512\nprices: {run: fast}\nfetching: []", ""])
def test_a_damaged_speed_file_is_one_line(tmp_path, text):
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(BoardError) as error:
        boards.load(str(tmp_path / "odd.yaml"))
    assert "odd.yaml" in str(error.value) and "\n" not in str(error.value) and "--calibrate" in str(error.value)


def test_least_squares_without_negatives():
    rng = np.random.default_rng(1)
    for _ in range(20):
        a, b = rng.standard_normal((30, 8)), rng.standard_normal(30)
        x = fit.nonnegative(a, b)
        slope = a.T @ (a @ x - b)                            # the conditions that mark the least
        assert (x >= 0).all() and (slope > -1e-8).all() and np.abs(slope[x > 0]).max(initial=0) < 1e-8
    wanted = np.array([0.0, 2.0, 0.5])
    a = rng.uniform(0, 1, (10, 3))
    assert np.allclose(fit.nonnegative(a, a @ wanted), wanted)


def test_fetching_lies_between_what_was_measured():
    curve = [(1024.0, 1.0), (4096.0, 3.0)]
    assert [cost.fetched(curve, size) for size in (1, 1024, 2048, 4096, 1e9)] == [1.0, 1.0, 2.0, 3.0, 3.0]


def test_more_work_never_costs_less():
    """Of whole vectors: those that are not full cost more than their numbers."""
    board = boards.load("pi4")
    times = [predict(count_listing(built(lambda b, x, n=n: b.linear(x, numbers(n, 32)), 16, 32, 1, n)[0], 16), board).mid for n in range(4, 80, 4)]
    assert all(b >= a * 0.999 for a, b in zip(times, times[1:])) and times[-1] > 3 * times[0]


@pytest.fixture
def quick(monkeypatch):
    """A calibration of fewer cases and turns."""
    monkeypatch.setattr(calibrate, "ROUNDS", 3)
    monkeypatch.setattr(calibrate, "FAR_ROUNDS", 2)
    monkeypatch.setattr(cases, "STREAMED", cases.STREAMED[:4] + (1 << 40,))
    monkeypatch.setattr(calibrate, "_free_bytes", lambda: 0)
    bursts = timing.bursts
    monkeypatch.setattr(timing, "bursts", lambda programs, rounds=3, burst_ns=0: bursts(programs, rounds, 50_000))


def test_a_calibration_is_kept_and_predicts(quick, tmp_path, monkeypatch):
    """Whatever else the machine does: the right order of magnitude, from kernels to a whole model."""
    (tmp_path / "bench.yaml").write_text("measured: false\nbounds: {flops: 7, disk_bytes: 8, memory_bytes: 9}\n")
    path = calibrate.write(calibrate.calibrate("bench"), tmp_path)
    board = boards.load(str(path))
    assert board.measured and board.bounds == {"flops": 7, "disk_bytes": 8, "memory_bytes": 9}
    model = Model.load(library.find("impacts"))
    found = count(model, block_frames=256)
    least = timing.least_us([timing.excited(model.program("decode", 256))])[0]
    assert 0.4 < predict(found, board).mid * 1e6 / found.runs / least < 2.5


def test_a_calibration_that_cannot_be_kept_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NeurorackError, match="cannot be written.*give --out"):
        calibrate.write({"name": "x"}, tmp_path / "file")


def test_the_name_of_a_board_fits_a_file(monkeypatch):
    assert all(c.isalnum() or c == "-" for c in calibrate.board_name())
    monkeypatch.setattr(calibrate.Path, "read_text", lambda self: "Raspberry Pi 4 Model B Rev 1.4\0")
    assert calibrate.board_name() == "pi4"


def test_bounds_of_the_paper(impacts):
    found = {board.name: bounds.of(impacts, board) for board in bounds.bounded()}
    assert list(found)[:2] == ["atmega1280", "atmega2560"] and {"pi1", "pi2", "pi4", "pi5", "jetson", "cortex-m7"} <= set(found)
    told = yaml.safe_load((boards.FOLDER / "pi1.yaml").read_text())["bounds"]
    assert told == {"flops": 41e6, "disk_bytes": 256e6, "memory_bytes": 512e6}
    arduino, pi1, pi4 = found["atmega2560"], found["pi1"], found["pi4"]
    assert not any(arduino[key]["fits"] for key in ("real_time", "disk", "memory")) and arduino["load"] is None
    assert (pi1["real_time"]["fits"], pi1["disk"]["fits"], pi1["memory"]["fits"]) == (False, True, True)
    assert all(pi4[key]["fits"] for key in ("real_time", "disk", "memory"))
    assert pi1["real_time"]["ratio"] == pytest.approx(impacts.flops / 41e6)


@pytest.mark.soak
def test_predictions_hold_for_the_bank():
    """The claim of docs/complexity.md, with room for a busy machine."""
    found, programs = [], []
    for name in ("impacts", "skins", "strings", "texture", "voice"):
        model = Model.load(library.find(name))
        for block in model.methods["decode"].blocks:
            found.append(count(model, block_frames=block))
            programs.append(timing.excited(model.program("decode", block)))
    data = calibrate.calibrate("here")
    least = timing.least_us(programs)
    board = boards.of_data("here", data)
    ratios = np.array([predict(each, board).mid * 1e6 / each.runs / us for each, us in zip(found, least)])
    assert np.median(np.abs(np.log(ratios))) < np.log(1.25)

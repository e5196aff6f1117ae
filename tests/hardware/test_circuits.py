"""The circuits' values give what the board files say, and protect what is behind them."""

import re

import numpy as np
import pytest

from neurorack.drivers import board
from tools.draw import audio_stage, classic_stage, cv_stage, gate_stage, panel, power

E24 = [10, 11, 12, 13, 15, 16, 18, 20, 22, 24, 27, 30, 33, 36, 39, 43, 47, 51, 56, 62, 68, 75, 82, 91]
LIMIT_AMPERES = 2e-3          # into an input of the MCP6004


def is_e24(ohms):
    return any(abs(ohms / 10 ** k - value) < 1e-9 for value in E24 for k in range(6))


@pytest.mark.parametrize("name", ["pi", "pi-ads1115"])
def test_the_ten_volt_stage_is_the_board_files(name):
    cv, stage = board.load(name)["cv"], cv_stage.STAGES[0]
    assert stage.slope == pytest.approx(cv["volts_per_volt"]) and stage.zero == pytest.approx(cv["zero_volts"])
    low, high = stage.reach()
    assert low <= cv["range_volts"][0] and high >= cv["range_volts"][1]


def test_the_classic_divider_is_the_board_files():
    cv = board.load("classic")["cv"]
    known = (classic_stage.slope(), classic_stage.slope() * classic_stage.load())     # without and with the converter's own resistance
    assert any(cv["volts_per_volt"] == pytest.approx(slope, rel=0.01) for slope in known)
    assert classic_stage.zero() / classic_stage.slope() == pytest.approx(cv["zero_volts"] / cv["volts_per_volt"], rel=0.01)


@pytest.mark.parametrize("stage", cv_stage.STAGES, ids=lambda s: s.name)
def test_every_stage_keeps_clear_of_the_rails_in_its_range(stage):
    assert all(0.1 <= stage.pin(volts) <= cv_stage.SUPPLY_VOLTS - 0.1 for volts in (stage.low, stage.high))
    assert all(is_e24(value) for value in (stage.feedback, stage.top, stage.bottom, cv_stage.INPUT_OHMS))
    assert 1000 < stage.corner_hz < 2000 and 5 * cv_stage.CENTS * stage.unsettled() < 1


@pytest.mark.parametrize("stage", cv_stage.STAGES, ids=lambda s: s.name)
def test_a_node_for_node_solution_agrees_with_the_formula(stage):
    """The ideal op-amp's two nodes solved as equations, without the formula of the docstring."""
    for jack in (stage.low, 0.5 * (stage.low + stage.high), stage.high):
        g_in, g_back, g_top, g_bottom = 1 / cv_stage.INPUT_OHMS, 1 / stage.feedback, 1 / stage.top, 1 / stage.bottom
        #: unknown: node (both inputs), output
        matrix = np.array([[g_in + g_back, -g_back], [g_top + g_bottom, 0.0]])
        node, out = np.linalg.solve(matrix, [g_in * jack, g_top * cv_stage.SUPPLY_VOLTS])
        assert out == pytest.approx(stage.pin(jack), abs=1e-9) and node == pytest.approx(stage.bias)


@pytest.mark.parametrize("stage", cv_stage.STAGES, ids=lambda s: s.name)
@pytest.mark.parametrize("jack", [-15.0, -12.0, 12.0, 15.0])
def test_twelve_volts_and_more_harm_nothing(stage, jack):
    assert abs(stage.input_amperes(jack)) < LIMIT_AMPERES / 10 and abs(cv_stage.off_power_amperes(jack)) < LIMIT_AMPERES / 10
    assert 0 <= stage.pin(jack) <= cv_stage.SUPPLY_VOLTS
    assert abs(gate_stage.input_amperes(jack)) < LIMIT_AMPERES / 10 and -0.31 <= gate_stage.divide(jack) <= 3.61


@pytest.mark.parametrize("stage", cv_stage.STAGES, ids=lambda s: s.name)
def test_tolerances_are_bounds_and_calibration_can_take_them(stage):
    for tolerance in cv_stage.PPM:
        gain, zero = cv_stage.worst(stage, tolerance, cv_stage.OFFSET_VOLTS)
        often_gain, often_zero = cv_stage.usual(stage, tolerance, boards=2000)
        assert often_gain < gain and often_zero < zero
        assert gain + cv_stage.SUPPLY_TOLERANCE < 0.1 and zero < 0.6, "the window in neurorack/inputs/calibration.py"


def test_the_gate_circuit_has_the_board_files_thresholds():
    gates = board.load("pi")["gates"]
    assert gate_stage.rise_volts() == pytest.approx(gates["rise_volts"], abs=0.1)
    assert gate_stage.fall_volts() == pytest.approx(gates["fall_volts"], abs=0.1)
    assert gates["active_low"] and gate_stage.reference(True) < gate_stage.SUPPLY_VOLTS - 2, "within the LM393's common mode"


@pytest.mark.parametrize("name, volts, seconds, edges, noise", gate_stage.TRIALS, ids=lambda v: v if isinstance(v, str) else "")
def test_every_trigger_makes_two_changes(name, volts, seconds, edges, noise):
    changes = gate_stage.trial(volts, seconds, edges, noise)
    assert [high for _, high in changes] == [True, False]
    if not edges:
        assert changes[1][0] - changes[0][0] == pytest.approx(0.001, abs=5e-5)


def test_without_hysteresis_a_slow_noisy_edge_doubles():
    assert len(gate_stage.trial(5.0, 0.01, 0.01, 0.2, hysteresis=False)) > 2


def test_audio_reaches_rack_level_without_clipping():
    assert 4.8 < audio_stage.output_peak() < 5.2
    assert audio_stage.input_full_scale() > 5 * 10 ** (2.5 / 20), "headroom above ±5 V"
    assert audio_stage.loss_db(20, audio_stage.low_hz(audio_stage.COUPLING, audio_stage.BIAS)) < 0.1


def test_the_fuse_lets_every_computer_run_and_the_peak_through_at_the_asked_soft_start():
    for _, (_, typical, design) in power.COMPUTERS.items():
        assert typical < design and power.at_rail(design) < 0.75 * power.FUSE_AMPERES
    assert power.inrush_amperes(0.002) < power.FUSE_AMPERES


def test_the_voltages_of_the_checklist_are_the_circuits():
    text = (board.HARDWARE / "build.md").read_text()
    stage = cv_stage.STAGES[0]
    between = {"jack empty": stage.pin(0), "+5 V at its jack": stage.pin(5), "−12 V at its jack": stage.pin(-12)}
    for what, volts in between.items():
        low, high = map(float, re.search(rf"each converter pin, {re.escape(what)} \| ([\d.]+) … ([\d.]+) V", text).groups())
        assert low <= volts <= high
    assert f"| {stage.bias:.2f} V |" in text
    assert gate_stage.fall_volts() + 0.2 < 1.3 < gate_stage.rise_volts() - 0.2, "the hysteresis' test voltage lies between"


def test_what_the_classic_page_says_of_its_width():
    assert f"asks for {panel.width_hp(79)} HP" in (board.HARDWARE / "classic.md").read_text()

"""Modulators in a playing instrument: asked for over the socket, heard by the model, over the death of the process that runs them."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from neurorack import control
from neurorack.errors import NeurorackError
from neurorack.shm import table
from tests.play.conftest import own_run_files      # noqa: F401 - a fixture
from tests.play.runs import Playing, hits, until, write_score
from tests.voice.models import probe


@pytest.fixture(scope="module")
def run(tmp_path_factory, own_run_files):           # noqa: F811
    folder = tmp_path_factory.mktemp("modulated")
    probe(folder / "probe.safetensors")
    score = write_score(folder / "score.yaml", 300, hits(300), curves={"cv2": [[0, 1.0], [300, 1.0]]}, sources={"mod7": {"kind": "lfo", "level_volts": 3}})
    with Playing(folder, "--model", folder / "probe.safetensors", "--score", score) as run:
        run.sounding()
        until(lambda: control.request({"do": "sources"}, run.pid)["sources"][6]["kind"] == "lfo", 20, "the score's own modulator")
        yield run


def ask(run, do: str, **more) -> dict:
    return control.request({"do": do, **more}, run.pid)


def source(run, name: str, **fields) -> None:
    """Set a modulator, and wait until the inputs process has taken it over."""
    ask(run, "source", source=name, **fields)
    scans = run.rack.inputs.scans
    until(lambda: run.rack.inputs.scans > scans + 2, 10, "the next scans")


def taken(run) -> None:
    """Wait until the synth has taken the patch over, and what follows it."""
    blocks = run.rack.synth[0].blocks
    until(lambda: run.rack.synth[0].blocks > blocks + 20, 10, "the next blocks")


def watch(run, seconds: float, control_index: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """mod1 and a control of the model, sampled side by side."""
    rows, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        rows.append((run.rack.volts("mod1"), float(run.rack.synth[0].control[control_index])))
        time.sleep(0.004)
    volts, values = np.array(rows).T
    return volts, values


def test_a_modulator_moves_a_control(run):
    source(run, "mod1", kind="lfo", rate_hz=1.5)
    ask(run, "route", jack="mod1", control="a", amount_per_volt=0.06, smooth_ms=0)
    taken(run)
    volts, values = watch(run, 1.5)
    assert volts.min() < -4.5 and volts.max() > 4.5
    assert np.corrcoef(volts, values)[0, 1] > 0.9 and values.min() < 0.25 and values.max() > 0.75
    ask(run, "route", jack="mod1", control="a", amount_per_volt=0.06, smooth_ms=0, low=0.4, high=0.6, quantise=3)
    taken(run)
    assert set(np.round(watch(run, 1.0)[1], 3)) <= {0.4, 0.5, 0.6}
    route = next(r for r in ask(run, "status")["patch"]["routes"] if r["jack"] == "mod1")
    assert (route["low"], route["high"], route["quantise"]) == (0.4, 0.6, 3)
    ask(run, "unroute", jack="mod1")
    taken(run)
    assert np.ptp(watch(run, 0.3)[1]) == 0


def test_they_are_told_with_all_that_can_be_set(run):
    told = ask(run, "sources")
    assert [one["name"] for one in told["sources"]] == [f"mod{i + 1}" for i in range(table.MODULATORS)]
    assert told["sources"][6]["kind"] == "lfo" and told["sources"][6]["level_volts"] == 3 and abs(told["sources"][6]["now_volts"]) <= 3
    assert told["kinds"]["lfo"]["fields"]["rate_hz"]["high"] == 50


@pytest.mark.parametrize("request_, what", [
    ({"source": "mod0"}, "no modulator"), ({"source": ["mod1"]}, "source is"), ({"source": "mod1", "kind": {}}, "kind is"),
    ({"source": "mod2", "kind": "steps", "steps": "abc"}, "list of 1 to 16"), ({"source": "mod2", "kind": "lfo", "rate_hz": "fast"}, "rate_hz is 'fast'")])
def test_what_cannot_be_is_refused_and_nothing_changes(run, request_, what):
    before = [{k: v for k, v in one.items() if k != "now_volts"} for one in ask(run, "sources")["sources"]]
    with pytest.raises(NeurorackError, match=what):
        ask(run, "source", **request_)
    assert [{k: v for k, v in one.items() if k != "now_volts"} for one in ask(run, "sources")["sources"]] == before


def test_a_random_voltage_taken_by_a_hit_belongs_to_that_hit(run):
    source(run, "mod2", kind="sample_hold", trigger="gate1", low_volts=0, high_volts=5)
    ask(run, "route", jack="mod2", control="b", amount_per_volt=0.2, smooth_ms=0, latched=True)
    reader, seen = run.rack.edge_reader(), []
    end = time.monotonic() + 20
    while len(seen) < 6 and time.monotonic() < end:
        edge = reader.next()
        if edge and edge.jack == 0 and edge.rising:
            volts = edge.source_volts[1]
            until(lambda: abs(float(run.rack.synth[0].control[1]) - 0.2 * volts) < 1e-6, 2, "the voice's own value of this hit")
            seen.append(volts)
        time.sleep(0.001)
    assert len(set(seen)) == 6
    ask(run, "unroute", jack="mod2")


def test_a_clocked_one_follows_taps(run):
    source(run, "mod1", kind="lfo", shape="saw_up", pace="clock")
    for _ in range(4):
        ask(run, "tap")
        time.sleep(0.3)
    assert run.rack.inputs.clock_running == 2
    volts, _ = watch(run, 3)
    beats = 3 * run.rack.inputs.tempo_bpm / 60
    assert np.sum(np.diff(volts) < -5) == pytest.approx(beats, abs=1.1)


def remade(run, seconds: float = 1.5) -> int:
    """How often the look-ahead was made anew meanwhile."""
    before = run.rack.synth[0].takebacks
    time.sleep(seconds)
    return run.rack.synth[0].takebacks - before


def test_the_look_ahead_is_made_anew_for_a_leap_not_for_a_wave(run):
    source(run, "mod1", kind="lfo", shape="sine", pace="free", rate_hz=25)
    ask(run, "route", jack="mod1", control="a")
    taken(run)
    wave = remade(run)
    source(run, "mod1", shape="square")
    square = remade(run)
    ask(run, "unroute", jack="mod1")
    taken(run)
    assert square > wave + 30 and remade(run) < wave + 20, "nothing follows it"


def test_ctl_shows_and_sets_them(run):
    def ctl(*words):
        return subprocess.run([sys.executable, "-m", "neurorack", "ctl", "--pid", str(run.pid), *words], capture_output=True, text=True, env=run.env, timeout=60)
    assert ctl("source", "mod3", "kind=steps", "steps=1,-2.5,3", "trigger=gate2").returncode == 0
    shown = ctl("sources").stdout
    assert "mod3   +1.00 V  steps: steps 1 -2.5 3, trigger gate2" in shown and len(shown.splitlines()) == 8
    assert ctl("route", "mod3", "b", "--low", "0.2", "--quantise", "D minor").returncode == 0
    wrong = ctl("source", "mod3", "steps=11")
    assert wrong.returncode == 2 and "-10 to 10 V" in wrong.stderr
    ask(run, "unroute", jack="mod3")


def test_they_go_on_when_the_inputs_process_dies(run):
    source(run, "mod1", kind="lfo", pace="free", shape="saw_up", rate_hz=0.05)
    source(run, "mod4", kind="steps", steps=[1, 2, 3, 4, 5, 6, 7, 8], trigger="gate1")
    time.sleep(1)
    phase, step, at = run.rack.modulators.phase[0], run.rack.modulators.step[3], time.monotonic()
    restarts, pid = run.rack.run.restarts[3], run.rack.inputs.pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: run.rack.run.restarts[3] == restarts + 1 and run.rack.inputs.pid != pid and run.rack.inputs.scans, 20, "the new inputs process")
    scans = run.rack.inputs.scans
    until(lambda: run.rack.inputs.scans > scans + 10, 5, "its scans")
    gone = 0.05 * (time.monotonic() - at)
    assert (run.rack.modulators.phase[0] - phase) % 1 == pytest.approx(gone, abs=0.01)
    assert step >= 0 and until(lambda: run.rack.modulators.step[3] != step, 5, "the next step")
    assert abs(run.rack.volts("mod7")) <= 3

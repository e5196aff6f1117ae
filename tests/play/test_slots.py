"""Two slots, the mix between them, the patch that both follow, and the socket through which all that is asked for."""

import concurrent.futures
import contextlib
import json
import socket
import stat
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

from neurorack import control
from neurorack.errors import NeurorackError, ScoreError
from neurorack.score import parse
from neurorack.slot import fitted
from neurorack.voice.patch import Patch, Route
from tests.models import steady, tone
from tests.play.runs import Playing, until, write_score


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two steady tones of equal level and a struck one."""
    folder = tmp_path_factory.mktemp("slots")
    paths = {name: folder / f"{name}.safetensors" for name in ("low", "high", "struck")}
    steady(paths["low"], hertz=430.0, name="low")
    steady(paths["high"], hertz=1930.0, name="high")
    tone(paths["struck"])
    return {name: str(path) for name, path in paths.items()}


@pytest.fixture(scope="module")
def run(models, tmp_path_factory, own_run_files):
    folder = tmp_path_factory.mktemp("run")
    with Playing(folder, "--model", models["low"], "--record", folder / "take.wav", "--score", write_score(folder / "score.yaml", 300)) as run:
        run.sounding()
        yield run


def ask(run, do: str, **more) -> dict:
    return control.request({"do": do, **more}, run.pid)


def refused(run, do: str, **more) -> str:
    with pytest.raises(NeurorackError) as error:
        ask(run, do, **more)
    return str(error.value)


def alone(run, slot: str) -> bool:
    told = ask(run, "status")
    return told["job"] is None and [name for name, held in told["slots"].items() if held] == [slot]


# ---- the patch goes by names


def card(*controls, **patch) -> dict:
    return {"controls": [{"name": name} for name in controls], **({"patch": patch} if patch else {})}


def routed(patch: Patch) -> dict[str, str]:
    return {route.control: route.jack for route in patch.routes}


def test_brightness_stays_on_its_jack_and_what_a_model_lacks_is_remembered():
    patch = Patch(knobs={"brightness": 0.8, "boom": 0.3}, routes=[Route("cv1", "boom"), Route("cv2", "brightness", amount_per_volt=0.2)])
    other = fitted(patch, card("noise", "brightness", "pitch"))
    assert routed(other) == {"brightness": "cv2", "noise": "cv1", "pitch": "cv3"}, "free jacks take the model's own controls"
    assert other.knobs["brightness"] == 0.8 and next(r for r in other.routes if r.control == "brightness").amount_per_volt == 0.2
    assert routed(fitted(patch, card("boom", "brightness"))) == {"boom": "cv1", "brightness": "cv2"}
    assert len(patch.routes) == 2, "the patch itself stays as it is"


def test_jacks_taken_away_by_hand_stay_free():
    patch = Patch(routes=[Route("cv1", "a")])
    assert routed(fitted(Patch(routes=patch.routes, left_free={"cv2"}), card("a", "b"))) == {"a": "cv1", "b": "cv3"}
    assert routed(fitted(Patch(routes=patch.routes, left_free={"b"}), card("a", "b"))) == {"a": "cv1"}
    assert "cv4" not in routed(fitted(Patch(routes=[Route("cv4", "mix")]), card("a", "b", "c", "d"))).values(), "the mix has it"


def test_a_models_own_knobs_stand_where_the_musician_has_turned_none():
    own = card("a", "b", knobs={"a": 0.1, "b": 0.2}, routes=[{"jack": "cv3", "control": "a", "amount_per_volt": 0.5}])
    both = fitted(Patch(knobs={"b": 0.9}), own)
    assert both.knobs == {"a": 0.1, "b": 0.9} and routed(both) == {"a": "cv3"}


# ---- slots and mix


def test_both_slots_play_and_the_mix_moves_between_them(run, models):
    assert "slot B is empty" in refused(run, "mix", value=0.5)
    assert ask(run, "load", slot="B", model=models["high"])["job"]["phase"] == "done"
    assert run.rack.audio.mix == 0, "it is loaded, not yet heard"
    assert "slot A is what is heard" in refused(run, "load", slot="A", model=models["high"])
    ask(run, "mix", value=0.5)
    until(lambda: run.rack.audio.mix == 0.5, 5, "the middle")
    assert run.rack.synth[0].playing == run.rack.synth[1].playing == 1
    told = ask(run, "status")
    assert told["slots"]["A"]["model"] == "low" and told["slots"]["B"]["model"] == "high" and told["slots"]["B"]["lead_frames"] > 0
    ask(run, "mix", value=0.25)
    until(lambda: run.rack.audio.mix == 0.25, 5, "a quarter")


def test_the_mix_follows_a_jack(run):
    if ask(run, "status")["slots"]["B"] is None:
        pytest.skip("needs the test before")
    ask(run, "mix", value=0)
    ask(run, "route", jack="cv4", control="mix", amount_per_volt=0.2)
    run.rack.desk.cv_wire_volts[3] = 4.0
    until(lambda: abs(run.rack.audio.mix - 0.8) < 0.02, 5, "0.2 per volt")
    run.rack.desk.cv_wire_volts[3] = 0.0
    until(lambda: run.rack.audio.mix < 0.02, 5, "the jack's way back")
    ask(run, "unroute", jack="cv4")


def test_both_slots_hear_the_same_patch(run):
    ask(run, "set", control="level", value=0.9)
    ask(run, "route", jack="cv2", control="level", amount_per_volt=-0.1)
    run.rack.desk.cv_wire_volts[1] = 2.0
    until(lambda: all(abs(synth.control[0] - 0.7) < 0.01 for synth in run.rack.synth), 5, "0.9 - 2 V * 0.1/V in both")
    run.rack.desk.cv_wire_volts[1] = 0.0
    ask(run, "unroute", jack="cv2")
    ask(run, "set", control="level", value=0.5)
    ask(run, "level", db=0)


def test_a_slot_is_emptied_and_its_process_ends(run):
    pid = run.rack.synth[1].pid
    assert ask(run, "unload", slot="B") == {}
    until(lambda: alone(run, "A"), 5, "the end of B")
    assert not [child for child in run.pids.values() if child == pid] and run.rack.synth[1].playing == 0
    assert "nothing to unload" in refused(run, "unload", slot="A")


# ---- the socket


def test_the_socket_is_its_owners_alone_and_answers_what_it_cannot_do_in_one_line(run):
    path = control.socket_path(run.pid)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for line in (b"nonsense\n", b"[1]\n", b'{"do": 5}\n', b"\xff\xfe\n", b"[" * 60000 + b"\n", b'{"do": "explode"}\n', b'{"do": "mix"}\n', b'{"do": "mix", "value": NaN}\n',
                 b'{"do": "mix", "value": true}\n', b'{"do": "swap", "model": 7}\n', b'{"do": "load", "slot": "C", "model": "x"}\n',
                 b'{"do": "route", "jack": "cv99", "control": "level"}\n', b'{"do": "level", "db": 90}\n', b'{"do": "unroute"}\n', b'{"do": "swap", "model": "no such model"}\n'):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(path))
            client.sendall(line)
            answer = json.loads(client.makefile("rb").readline())
        assert answer["ok"] is False and answer["error"] and "\n" not in answer["error"], line
    assert ask(run, "status")["heard"] == "A"


@contextlib.contextmanager
def crowd(run, count: int = 40):
    """So many programs that have each sent half a line."""
    clients = []
    try:
        while len(clients) < count:
            client = socket.socket(socket.AF_UNIX)
            clients.append(client)
            client.connect(str(control.socket_path(run.pid)))
            with contextlib.suppress(OSError):      # there is room for so many only
                client.sendall(b'{"do": "sta')
        yield clients
    finally:
        for client in clients:
            client.close()


def test_many_clients_and_half_a_line_disturb_nobody(run):
    with crowd(run):
        began = time.monotonic()
        assert f"more than {control.MOST_CLIENTS} programs talk to the instrument" in refused(run, "status")
        assert time.monotonic() - began >= control.BUSY_SECONDS, "it has tried for a while"
    until(lambda: ask(run, "status")["slots"]["A"]["playing"], 5, "an answer")


def test_a_request_that_finds_too_many_before_it_waits_for_its_turn(run):
    with crowd(run) as clients, concurrent.futures.ThreadPoolExecutor(1) as other:
        answer = other.submit(ask, run, "status")
        time.sleep(0.3)
        assert not answer.done()
        for client in clients:
            client.close()
        assert answer.result(30)["heard"] == "A"


def test_the_command_line(run, models):
    def ctl(*words):
        return subprocess.run([sys.executable, "-m", "neurorack", "ctl", *words], capture_output=True, text=True, timeout=60)

    done = ctl("status")
    assert done.returncode == 0 and "low: plays" in done.stdout and "B  empty" in done.stdout and "underruns:" in done.stdout
    assert json.loads(ctl("status", "--json").stdout)["slots"]["B"] is None
    bad = ctl("mix", "3")
    assert bad.returncode == 2 and bad.stderr.count("\n") == 1 and "3" in bad.stderr
    swapped = ctl("swap", models["high"])
    assert swapped.returncode == 0 and "plays in slot B; the crossfade began after" in swapped.stdout


def test_without_an_instrument_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with pytest.raises(NeurorackError, match="no instrument is running"):
        control.request({"do": "status"})


# ---- scores


def test_a_score_swaps_and_mixes(play, models, tmp_path):
    events = [{"at": 0.3, "swap": models["high"], "fade_ms": 20}, {"at": 0.5, "mix": 0.5}]
    run = play("--model", models["low"], "--score", write_score(tmp_path / "score.yaml", 120, events), "--record", tmp_path / "take.wav").sounding()
    until(lambda: ask(run, "status")["swaps"]["done"] == 1 and alone(run, "B"), 60, "the swap", every=0.1)
    time.sleep(0.5)
    run.stop()
    assert run.report["swaps"] == {"done": 1, "failed": 0} and run.report["model"] == "high"
    assert "a swap is going on" in run.said, "the mix had to wait, and says so"
    audio, rate = soundfile.read(tmp_path / "take.wav", dtype="float32")
    loud = np.flatnonzero(np.abs(audio[:, 0]) > 0.1)
    parts = audio[loud[0]:loud[0] + rate // 5, 0], audio[loud[-1] - rate // 4:loud[-1] - rate // 20, 0]
    assert [np.argmax(np.abs(np.fft.rfft(part))) * rate / len(part) for part in parts] == pytest.approx([430, 1930], abs=10)


@pytest.mark.parametrize("event", [{"at": 1, "swap": 5}, {"at": 1, "swap": "x", "volts": 3}, {"at": 1, "mix": 2}, {"at": 1, "mix": 0.5, "jack": "cv1"}, {"swap": "x"},
                                   {"at": 1, "swap": "x", "fade_ms": 0}])
def test_a_wish_that_makes_no_sense_is_refused(event):
    with pytest.raises(ScoreError, match="event 1"):
        parse({"seconds": 2, "events": [event]})


def test_memory_is_free_after_an_unload(run, models):
    """The process of a model that was swapped away is gone."""
    before = set(run.pids.values())
    time.sleep(1.2)
    ask(run, "swap", model=models["low"])
    until(lambda: ask(run, "status")["job"] is None, 10, "the end of the swap")
    until(lambda: len([held for held in ask(run, "status")["slots"].values() if held]) == 1, 10, "one slot")
    assert len(set(run.pids.values()) & before) >= 2

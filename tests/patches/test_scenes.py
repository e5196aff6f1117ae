"""Scenes of an instrument that plays: what is heard when they are recalled and morphed, what is kept when it ends or is killed, what is waited for."""

import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
import yaml

from neurorack import control
from neurorack.errors import NeurorackError
from neurorack.patches import text
from tests.models import RATE, steady
from tests.play.conftest import own_run_files  # noqa: F401
from tests.play.runs import Playing, until, write_score

TONES_HZ, LEVEL = {"low": 430.0, "high": 730.0, "third": 1130.0}, 0.3


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name, hertz in TONES_HZ.items():
        steady(folder / f"{name}.safetensors", hertz=hertz, level=LEVEL, name=name)
    return folder


class Stage(Playing):
    """A run in a folder that holds its state and its library too; started again there, it goes on."""

    def __init__(self, folder, *options, models=None, names=("low", "high", "third")):
        self.library, self.state = folder / "data" / "neurorack" / "models", folder / "state" / "neurorack"
        for name in names if models else ():
            self.library.mkdir(parents=True, exist_ok=True)
            shutil.copy(models / f"{name}.safetensors", self.library)
        super().__init__(folder, "--midi", "none", "--web", "none", *options, env={"XDG_STATE_HOME": str(folder / "state"), "XDG_DATA_HOME": str(folder / "data")})

    def ask(self, do: str, **more) -> dict:
        return control.request({"do": do, **more}, self.pid)

    def plays(self) -> tuple:
        """Models of both slots, where the mix stands, level and the knob."""
        told = self.ask("status")
        return (*(slot and not slot["leaving"] and slot["model"] or None for slot in told["slots"].values()), round(told["mix"], 3),
                told["patch"]["level_db"], told["patch"]["knobs"].get("level"))

    def ready(self) -> "Stage":
        """Sounding, and its beginning noted."""
        self.sounding()
        until(lambda: self.ask("scenes")["undo"] is not None or (self.state / "patch.journal").exists() or "--score" in self.command, 20, "the beginning")
        return self


@pytest.fixture(scope="module")
def run(files, tmp_path_factory, own_run_files):  # noqa: F811
    """One run for all that leaves it playing."""
    with Stage(tmp_path_factory.mktemp("run"), "--model", "low", models=files) as run:
        run.ready().ask("set", control="level", value=0.2)
        run.ask("scene_save", number=1, name="Quiet")
        yield run


def test_scenes_are_saved_listed_recalled_renamed_copied_and_deleted(run):
    run.ask("set", control="level", value=0.2)
    assert run.ask("scene_save", number=1) == {"number": 1, "name": "Quiet"}
    run.ask("set", control="level", value=0.8)
    run.ask("route", jack="cv5", control="level", amount_per_volt=0.05)
    run.ask("source", source="mod2", kind="lfo", rate_hz=0.5)
    assert run.ask("scene_save") == {"number": 2, "name": "Scene 2"}
    told = run.ask("scenes")
    assert [(scene["number"], scene["name"], scene["models"], scene["missing"]) for scene in told["scenes"]] == [(1, "Quiet", {"A": "low"}, []), (2, "Scene 2", {"A": "low"}, [])]
    assert told["current"] == 2 and not told["changed"]
    assert run.ask("scene_recall", number=1)["name"] == "Quiet"
    until(lambda: run.plays()[-1] == 0.2, 5, "the knob")
    patch = run.ask("status")["patch"]
    assert [route["jack"] for route in patch["routes"]] == ["cv8"] and all(source["kind"] == "off" for source in run.ask("sources")["sources"])
    assert run.ask("scene_next")["number"] == 2 and run.ask("sources")["sources"][1]["kind"] == "lfo"
    until(lambda: run.plays()[-1] == 0.8, 5, "the other one")
    assert {route["jack"] for route in run.ask("status")["patch"]["routes"]} == {"cv5", "cv8"}
    run.ask("set", control="level", value=0.81)
    assert run.ask("scenes")["changed"]
    assert run.ask("scene_next")["number"] == 1, "round again"
    run.ask("scene_rename", number=1, name="Still  quiet ")
    run.ask("scene_copy", number=1, to=9)
    run.ask("scene_delete", number=2)
    assert [(scene["number"], scene["name"]) for scene in run.ask("scenes")["scenes"]] == [(1, "Still quiet"), (9, "Still quiet")]
    assert run.ask("undo")["undone"] == "delete Scene 2" and [scene["number"] for scene in run.ask("scenes")["scenes"]] == [1, 2, 9]
    assert run.ask("redo")["redone"] == "delete Scene 2" and [scene["number"] for scene in run.ask("scenes")["scenes"]] == [1, 9]
    assert run.ask("program", number=9)["name"] == "Still quiet"
    for request, words in (({"do": "scene_recall", "number": 5}, "there is no scene 5; there are 1, 9"), ({"do": "scene_recall", "number": 65}, "from 1 to 64"),
                           ({"do": "scene_save", "name": "x" * 41}, "at most 40 letters"), ({"do": "scene_save", "name": "a\nb\x00"}, "at most 40"), ({"do": "scene_rename", "number": 1}, "name is None"),
                           ({"do": "scene_copy", "number": 1, "to": 1}, "onto itself"), ({"do": "morph", "value": 0.5}, "no morph is going on"), ({"do": "morph", "from": 1, "to": 5}, "no scene 5")):
        with pytest.raises(NeurorackError, match=words):
            control.request(request, run.pid)


def test_a_gesture_is_one_step_and_undo_and_redo_lead_back_and_forth(run):
    run.ask("scene_recall", number=1)
    time.sleep(0.3)
    for value in np.linspace(0.3, 0.6, 12):
        run.ask("set", control="level", value=round(float(value), 3))
        time.sleep(0.04)
    until(lambda: run.ask("scenes")["undo"] == "set level", 5, "the step")
    time.sleep(1.2)
    run.ask("level", db=-12)
    until(lambda: run.ask("scenes")["undo"] == "level", 5, "the next step")
    assert run.ask("undo")["undone"] == "level"
    until(lambda: run.plays()[3:] == (0.0, 0.6), 5, "the level of before")
    assert run.ask("undo")["undone"] == "set level"
    until(lambda: run.plays()[-1] == 0.2, 5, "the knob before the whole gesture")
    run.ask("redo"), run.ask("redo")
    until(lambda: run.plays()[3:] == (-12.0, 0.6), 5, "all of it again")
    run.ask("set", control="level", value=0.9)
    until(lambda: run.ask("scenes")["redo"] is None and run.ask("scenes")["undo"] == "set level", 5, "another way")


def test_a_knob_turned_while_the_others_still_glide_stays_where_it_was_turned(run):
    run.ask("set", control="level", value=0.95)
    run.ask("scene_recall", number=1, wait=False)
    until(lambda: run.plays()[-1] not in (0.95, 0.2), 5, "the glide", every=0.001)
    run.ask("set", control="level", value=0.55)
    run.ask("scene_save", number=40)
    time.sleep(0.5)
    assert run.plays()[-1] == 0.55 and text.read(run.state / "scenes" / "40.yaml")["knobs"]["level"] == 0.55
    run.ask("scene_delete", number=40)


def test_a_model_that_is_missing_is_waited_for_and_taken_when_it_comes(run, files):
    run.ask("scene_recall", number=1)
    scene = yaml.safe_load((run.state / "scenes" / "01.yaml").read_text())
    scene |= {"name": "Birds", "models": {"A": {"name": "birds", "later": 1}}, "knobs": {"level": 0.45}, "of a later version": {"x": [1, 2]}}
    (run.state / "scenes" / "20.yaml").write_text(yaml.safe_dump(scene))
    listed = next(scene for scene in run.ask("scenes")["scenes"] if scene["number"] == 20)
    assert listed["missing"] == ["birds"] and listed["models"] == {"A": "birds"}
    assert run.ask("scene_recall", number=20)["missing"] == ["birds"]
    until(lambda: run.plays() == ("low", None, 0.0, 0.0, 0.45), 5, "all but the model")
    assert "birds is missing and waited for" in run.said
    run.ask("set", control="level", value=0.46)
    run.ask("scene_save", number=21)
    saved = text.read(run.state / "scenes" / "21.yaml")
    assert saved["models"]["A"]["name"] == "birds" and saved["of a later version"] == {"x": [1, 2]}, "it is still meant, and nothing is forgotten"
    steady(files / "birds.safetensors", hertz=900.0, level=LEVEL, name="birds")
    shutil.copy(files / "birds.safetensors", run.library)
    until(lambda: "birds" in run.plays()[:2] and None in run.plays()[:2], 30, "the model", every=0.1)
    assert run.plays()[3:] == (0.0, 0.46) and run.ask("scenes")["scenes"][-1]["missing"] == []
    run.ask("scene_save", number=21)
    saved = text.read(run.state / "scenes" / "21.yaml")
    assert saved["models"][next(iter(saved["models"]))]["later"] == 1 and saved["of a later version"] == {"x": [1, 2]}
    run.ask("scene_recall", number=1)


def test_ctl_and_the_command_line_of_files(run, tmp_path):
    def neurorack(*words, code=0):
        done = subprocess.run([sys.executable, "-m", "neurorack", *map(str, words)], env=run.env, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, done.stderr
        return (done.stdout + done.stderr).strip()

    pid = ("ctl", "--pid", run.pid)
    run.ask("scene_rename", number=1, name="Still quiet")
    assert "Still quiet  low" in neurorack(*pid, "scenes")
    assert neurorack(*pid, "scene_save", 30, "--name", "By hand") == "scene 30, By hand"
    assert neurorack(*pid, "scene_recall", 30) == "scene 30, By hand"
    assert neurorack(*pid, "morph", "0.25", "--from", 1, "--to", 30) == "morph from 1 to 30: 0.25"
    assert neurorack(*pid, "morph", "--end") == "no morph"
    assert neurorack("patch", "export", 30, tmp_path / "x.yaml") == "" and "good; low" in neurorack("patch", "check", tmp_path / "x.yaml")
    assert neurorack("patch", "show", tmp_path / "x.yaml") == (tmp_path / "x.yaml").read_text().strip()
    assert "kind: patch" in neurorack("patch", "show")
    assert neurorack("patch", "import", tmp_path / "x.yaml", 31, "--name", "In").startswith("scene 31, In: low, 1 knob")
    assert "say --replace" in neurorack("patch", "import", tmp_path / "x.yaml", 31, code=2)
    (tmp_path / "bad.yaml").write_text("mix: 7\nroutes: 3\n")
    assert neurorack("patch", "check", tmp_path / "bad.yaml", code=1).count("\n") == 1
    assert "mix is 7; it must be a number from 0 to 1" in neurorack("patch", "import", tmp_path / "bad.yaml", code=2)
    score = write_score(tmp_path / "s.yaml", 0.5)
    neurorack("render", score, tmp_path / "loud.wav", "--patch", tmp_path / "x.yaml")
    neurorack("patch", "export", "now", tmp_path / "y.yaml")
    (tmp_path / "y.yaml").write_text((tmp_path / "y.yaml").read_text().replace("level_db: 0.0", "level_db: -20.0"))
    neurorack("render", score, tmp_path / "quiet.wav", "--patch", tmp_path / "y.yaml")
    loud, quiet = (np.abs(soundfile.read(tmp_path / f"{name}.wav")[0]).max() for name in ("loud", "quiet"))
    assert loud / quiet == pytest.approx(10, rel=0.05)


# ---- what is heard


def test_recalls_and_morphs_are_heard_without_a_click_or_a_gap(files, tmp_path, own_run_files):  # noqa: F811
    """Scenes of equal loudness: the level stays where it is whichever plays, and no step is steeper than the tones' own."""
    with Stage(tmp_path, "--model", "low", "--record", tmp_path / "take.wav", "--score", write_score(tmp_path / "score.yaml", 900), models=files) as run:
        run.sounding()
        for number, name in enumerate(("low", "high", "third"), 1):
            if number > 1:      # it plays already; a crossfade between two of the same tone would have the level of their phases
                run.ask("swap", model=name)
            run.ask("scene_save", number=number, name=name)
        for number in (1, 3, 2, 1):
            run.ask("scene_recall", number=number)
            assert set(run.plays()[:2]) == {("low", "high", "third")[number - 1], None}
        run.ask("morph", **{"from": 1, "to": 2})
        assert run.plays()[:3] in (("low", "high", 0.0), ("high", "low", 1.0))
        for value in np.linspace(0, 1, 30):
            run.ask("morph", value=float(value))
            time.sleep(0.02)
        until(lambda: run.plays()[2] in (0.0, 1.0), 5, "the other end")
        run.ask("route", jack="cv4", control="morph", amount_per_volt=-0.2)
        run.rack.desk.cv_wire_volts[3] = 4.0
        until(lambda: abs(run.ask("scenes")["morph"]["value"] - 0.2) < 0.02, 5, "the voltage")
        run.ask("morph", to=None)
        assert run.ask("scene_recall", number=1) and run.ask("scenes")["morph"] is None
        run.stop()
        report, audio = run.report, soundfile.read(tmp_path / "take.wav", dtype="float64")[0][:, 0]
        assert "given up" not in run.said, run.said
    loud = np.flatnonzero(np.abs(audio) > LEVEL / 2)
    audio = audio[loud[0] + RATE // 4:loud[-1] - RATE // 4]
    assert report["causes"]["swap"] == report["causes"]["slow"] == 0, report["causes"]
    if any(report["causes"].values()):
        pytest.skip(f"the machine stood still: {report['causes']}")
    rms = np.sqrt((audio[:len(audio) // 960 * 960].reshape(-1, 960) ** 2).mean(axis=1))
    usual = np.median(rms)
    assert rms.min() > 0.8 * usual and rms.max() < 1.25 * usual, (rms.min() / usual, rms.max() / usual)
    own = LEVEL * 2 * np.pi / RATE * max(np.hypot(TONES_HZ["third"], TONES_HZ["high"]), 1)
    assert np.abs(np.diff(audio)).max() < 1.6 * own, "a click"


def test_a_scene_of_the_same_model_glides(files, tmp_path, own_run_files):  # noqa: F811
    """From a quiet knob to a loud one: the envelope rises over tens of milliseconds, in many small steps."""
    with Stage(tmp_path, "--model", "low", "--record", tmp_path / "take.wav", "--score", write_score(tmp_path / "score.yaml", 900), models=files) as run:
        run.sounding()
        for number, value in ((1, 0.1), (2, 1.0)):
            run.ask("set", control="level", value=value)
            run.ask("scene_save", number=number)
        run.ask("scene_recall", number=1)
        time.sleep(0.4)
        run.ask("scene_recall", number=2)
        time.sleep(0.5)
        run.stop()
        causes, audio = run.report["causes"], soundfile.read(tmp_path / "take.wav", dtype="float64")[0][:, 0]
    if any(causes.values()):
        pytest.skip(f"the machine stood still: {causes}")
    period = round(RATE / TONES_HZ["low"])
    peaks = np.abs(audio[:len(audio) // period * period].reshape(-1, period)).max(axis=1)
    quiet, loud = peaks.max() * 0.1, peaks.max()
    peaks = peaks[:np.flatnonzero(peaks > 0.95 * loud)[-1] + 1]      # before the fade at the end
    rise = np.flatnonzero((peaks > quiet * 1.5) & (peaks < loud * 0.95))
    last = rise[rise > np.flatnonzero(peaks < quiet * 1.2)[-1]]
    assert 10 < len(last) < 80, "periods of 2.3 ms on the way"
    assert np.abs(np.diff(peaks[last[0] - 2:last[-1] + 3])).max() < 0.3 * (loud - quiet), "no step of it is a jump"


# ---- as it was


def test_it_wakes_as_it_was_whether_it_was_ended_or_killed_and_says_what_overrides_it(files, tmp_path, own_run_files):  # noqa: F811
    with Stage(tmp_path, models=files) as run:
        run.ready()
        assert "impacts" in run.plays()
        run.ask("swap", model="low")
        run.ask("load", slot="B" if run.plays()[1] is None else "A", model="high")
        run.ask("mix", value=0.3)
        run.ask("set", control="level", value=0.35)
        run.ask("source", source="mod1", kind="walk", step_volts=2)
        run.ask("route", jack="mod1", control="mix", amount_per_volt=0.0)
        run.ask("gate_action", gate="gate2", action="tap")
        sounded = until(lambda: (now := run.plays())[2] == 0.3 and now, 20, "the mix")
        until(lambda: run.ask("status")["job"] is None, 20, "the end of loading")
        time.sleep(1.5)         # edits are looked for when nothing moves; what is found at one look is one step
        run.ask("scene_save", number=3, name="Both")
        run.ask("level", db=-4)
        until(lambda: run.ask("scenes")["undo"] == "level", 20, "the step")
        time.sleep(1.1)
        run.process.send_signal(signal.SIGKILL)
        run.process.wait()
    wanted = {sounded[0]: 1 - sounded[2], sounded[1]: sounded[2]}
    with Stage(tmp_path) as run:
        run.ready()
        until(lambda: None not in (now := run.plays())[:2] and {now[0]: pytest.approx(1 - now[2]), now[1]: pytest.approx(now[2])} == wanted, 20, "both models and the mix")
        now = run.plays()
        assert {now[0]: pytest.approx(1 - now[2]), now[1]: pytest.approx(now[2])} == wanted and now[3:] == (-4.0, 0.35)
        told, patch = run.ask("scenes"), run.ask("status")["patch"]
        assert told["current"] == 3 and told["changed"] and told["undo"] == "level" and "wakes as it was" in run.said
        assert patch["gates"]["gate2"] == "tap" and any(route["jack"] == "mod1" and route["control"] == "mix" for route in patch["routes"])
        assert run.ask("sources")["sources"][0]["step_volts"] == 2
        assert run.ask("undo")["undone"] == "level" and not run.ask("scenes")["changed"], "as it was saved, with the models in either slot"
        run.ask("set", control="level", value=0.9)
        run.stop()
    with Stage(tmp_path, "--score", write_score(tmp_path / "score.yaml", 30)) as run:
        run.sounding()
        assert run.plays()[:2] == ("impacts", None) and run.ask("scenes")["scenes"], "a score sounds the same everywhere; scenes may be asked for"
        run.ask("level", db=-30)
        run.stop()
    (run.library / "low.safetensors").unlink(), (run.library / "high.safetensors").unlink()
    with Stage(tmp_path) as run:
        run.ready()
        until(lambda: run.plays() == ("impacts", None, 0.0, 0.0, 0.9), 20, "what there is")
        assert "low" in run.said and "missing and waited for" in run.said
        run.stop()
    with Stage(tmp_path, "--fresh") as run:
        run.ready()
        assert run.plays()[-1] is None and run.ask("scenes")["undo"] == "start anew"
        shutil.copy(files / "high.safetensors", run.library)
        run.ask("undo")
        until(lambda: run.plays()[-1] == 0.9 and "high" in run.plays(), 30, "what played before, with what there is of it")
        run.stop()
        assert "given up" not in run.said, run.said


@pytest.mark.soak
def test_the_instrument_killed_two_hundred_times_while_it_saves_loses_nothing_saved(files, tmp_path, own_run_files):  # noqa: F811
    """The whole instrument: scenes saved and knobs turned by a client, killed at a random moment, started again in the same folder."""
    import random
    import threading

    chance, saves = random.Random(), 0
    for turn in range(200):
        saved: dict[int, float] = {}
        with Stage(tmp_path, *(("--model", "low") if turn == 0 else ()), models=files if turn == 0 else None) as run:
            run.sounding()
            assert "damaged" not in run.said and "ignored" not in run.said, run.said
            stop = threading.Event()

            def save(run=run, saved=saved, stop=stop):
                while not stop.is_set():
                    value, number = round(random.random(), 4), random.randint(1, 4)
                    try:
                        run.ask("set", control="level", value=value)
                        run.ask("scene_save", number=number, name=f"{value}")
                    except NeurorackError:
                        return
                    saved[number] = value
            thread = threading.Thread(target=save, daemon=True)
            thread.start()
            time.sleep(chance.uniform(0.02, 0.6))
            run.process.kill()
            run.process.wait()
            stop.set()
            thread.join(10)
            for number in saved:
                problems: list[str] = []
                scene = text.read(run.state / "scenes" / f"{number:02d}.yaml", problems)
                assert not problems and float(scene["name"]) == scene["knobs"]["level"]
            saves += len(saved)
    print(f"{saves} scenes saved, 200 kills")

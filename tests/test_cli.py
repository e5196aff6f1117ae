"""The command line: what it prints, what it writes, and how it refuses: one line, exit code 2, nothing half-written."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from neurorack import __version__, library
from neurorack.cli import main

GOOD = "seconds: 0.5\nevents:\n  - {at: 0.1, jack: gate1}\n  - {at: 0.3, jack: gate1}\n"


@pytest.fixture
def score(tmp_path):
    path = tmp_path / "score.yaml"
    path.write_text(GOOD)
    return path


def refuses(capsys, tmp_path, *arguments) -> str:
    """The one line with which the command refuses; the folder is as it was."""
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    try:
        code = main([str(a) for a in arguments])
    except SystemExit as left:
        code = left.code
    said = capsys.readouterr()
    assert code == 2 and said.out == ""
    lines = [line for line in said.err.splitlines() if line]
    assert len(lines) == 1 and lines[0].startswith("neurorack"), said.err
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before, "something was written"
    return lines[0]


# ---- render


def test_render_writes_a_file_and_a_report(tone, score, tmp_path, capsys):
    out, report = tmp_path / "out.wav", tmp_path / "report.json"
    assert main(["render", str(score), str(out), "--model", str(tone), "--report", str(report)]) == 0
    info = soundfile.info(out)
    assert (info.samplerate, info.channels, info.subtype, info.frames) == (48000, 2, "PCM_24", 24000)
    figures = json.loads(report.read_text())
    assert set(figures) >= {"rtf", "block_load_median", "block_load_p99", "peak", "rms_db", "lufs", "nan_count", "onsets_seconds"}
    assert figures["nan_count"] == 0 and figures["rtf"] > 1 and 0 < figures["block_load_median"] <= figures["block_load_p99"]
    audio = soundfile.read(out)[0]
    assert figures["peak"] == pytest.approx(np.abs(audio).max(), abs=1e-4)
    assert figures["rms_db"] == pytest.approx(20 * np.log10(np.sqrt((audio ** 2).mean())), abs=0.05)
    assert figures["onsets_seconds"] == pytest.approx([0.1, 0.3], abs=0.003)
    assert "2 onsets" in capsys.readouterr().out and not list(tmp_path.glob(".*")), "temporary files are gone"


@pytest.mark.parametrize("rate", [44100, 96000])
def test_render_at_another_rate_into_flac(tone, score, tmp_path, rate):
    out = tmp_path / "out.flac"
    assert main(["render", str(score), str(out), "--model", str(tone), "--rate", str(rate), "--block", "1024"]) == 0
    assert (soundfile.info(out).samplerate, soundfile.info(out).frames) == (rate, rate // 2)


def test_the_same_score_at_any_block_is_the_same_file_to_90_db(tone, score, tmp_path):
    sounds = {}
    for block in (32, 64, 333, 1024):
        assert main(["render", str(score), str(tmp_path / "out.wav"), "--model", str(tone), "--block", str(block)]) == 0
        sounds[block] = soundfile.read(tmp_path / "out.wav")[0]
    for block in (64, 333, 1024):
        assert np.abs(sounds[block] - sounds[32]).max() < 3e-5 * np.abs(sounds[32]).max()


def test_a_score_names_its_model_beside_itself(tone, tmp_path):
    (tmp_path / "deep").mkdir()
    shutil.copy(tone, tmp_path / "deep" / "mine.safetensors")
    (tmp_path / "deep" / "score.yaml").write_text(GOOD + "model: mine.safetensors\n")
    assert main(["render", str(tmp_path / "deep" / "score.yaml"), str(tmp_path / "out.wav")]) == 0


def test_a_silent_score_is_a_silent_file(tone, tmp_path, capsys):
    (tmp_path / "score.yaml").write_text("seconds: 0.2")
    assert main(["render", str(tmp_path / "score.yaml"), str(tmp_path / "out.wav"), "--model", str(tone), "--report", str(tmp_path / "r.json")]) == 0
    assert not soundfile.read(tmp_path / "out.wav")[0].any() and "silent" in capsys.readouterr().out
    figures = json.loads((tmp_path / "r.json").read_text())
    assert figures["rms_db"] is None and figures["lufs"] is None and figures["onsets_seconds"] == []


def test_render_never_leaves_half_a_file(tone, score, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out.wav"
    out.write_bytes(b"an earlier one")

    def fails(path, *_, **__):
        with open(path, "wb") as file:
            file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(soundfile, "write", fails)
    assert main(["render", str(score), str(out), "--model", str(tone)]) == 2
    assert out.read_bytes() == b"an earlier one" and sorted(p.name for p in tmp_path.iterdir()) == ["out.wav", "score.yaml"]
    assert "No space left on device" in capsys.readouterr().err


# ---- what is refused before anything starts


def test_wrong_options_are_one_line(capsys, tmp_path):
    assert "required: COMMAND" in refuses(capsys, tmp_path)
    assert "invalid choice: 'dance'" in refuses(capsys, tmp_path, "dance")
    assert "--block: invalid int value: 'big'" in refuses(capsys, tmp_path, "play", "--block", "big")
    assert "unrecognized arguments: --volume" in refuses(capsys, tmp_path, "play", "--volume", "11")
    assert "required: out" in refuses(capsys, tmp_path, "render", "score.yaml")


@pytest.mark.parametrize("options, what", [
    (["--rate", "22050"], "rate is 22050 Hz; it must be one of 44100, 48000, 96000"), (["--block", "16"], "block is 16 frames; it must lie from 32 to 1024"),
    (["--block", "2048"], "block is 2048 frames"), (["--board", "toaster"], "there is no board 'toaster'; the boards are classic, desk, pi"),
    (["--board", "none.yaml"], "there is no board"), (["--seconds", "0"], "--seconds is 0"), (["--seconds", "nan"], "--seconds is nan"),
    (["--settle-us", "99999"], "--settle-us is 99999; it must lie from 0 to 20000"), (["--monitor-db", "40"], "--monitor-db is 40; it must lie from -90 to 12"),
    (["--model", "kazoo"], "there is no model 'kazoo': give a .safetensors or .ts file or one of these names"),
    (["--report", "gone/report.json"], "there is no folder gone"), (["--report", "."], "is a folder"),
    (["--record", "gone/take.wav"], "there is no folder gone"), (["--record", "take.ogg"], "must end in .wav"), (["--record", "."], "must end in .wav"),
    (["--score", "none.yaml"], "No such file")])
def test_play_refuses(capsys, tmp_path, tone, options, what, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = options if "--model" in options else [*options, "--model", str(tone)]
    assert what in refuses(capsys, tmp_path, "play", "--device", "null", *options)


@pytest.mark.parametrize("options, what", [
    (["--rate", "8000"], "rate is 8000 Hz"), (["--block", "7"], "block is 7 frames"), (["--model", "kazoo"], "there is no model 'kazoo'"),
    (["--report", "gone/report.json"], "there is no folder gone"), (["--report", "."], "is a folder")])
def test_render_refuses(capsys, tmp_path, tone, score, options, what, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = options if "--model" in options else [*options, "--model", str(tone)]
    assert what in refuses(capsys, tmp_path, "render", score, "out.wav", *options)


def test_render_refuses_its_target(capsys, tmp_path, tone, score):
    (tmp_path / "folder.wav").mkdir()
    for target, what in (("out.mp3", "must end in .wav or .flac"), ("gone/out.wav", "there is no folder"), ("folder.wav", "is a folder: name a file in it")):
        assert what in refuses(capsys, tmp_path, "render", score, tmp_path / target, "--model", tone)


@pytest.mark.parametrize("text, what", [
    ("seconds: 1\nevents: [{at: 0, jack: gate7}]", "there is no jack 'gate7'; the jacks are gate1, gate2, cv1, cv2, cv3, cv4"),
    ("seconds: 1\nevents: [{at: 1, jack: gate1}, {at: 0.5, jack: gate1}]", "put the events in order of time"),
    ("seconds: 1\nevents: [{at: 0, jack: cv1, volts: 30}]", "volts is 30; it must lie from -12 to 12"), ("seconds: 1\nbars: 4", "unknown key 'bars'"),
    ("seconds: 1\ncontrols: {warmth: [[0, 1]]}", "the model has no control 'warmth'; its controls are level, gesture, decay"), ("{", "is not YAML")])
def test_scores_are_refused_by_both_commands(capsys, tmp_path, tone, text, what):
    path = tmp_path / "score.yaml"
    path.write_text(text)
    for command in (["render", path, tmp_path / "out.wav"], ["play", "--device", "null", "--score", path]):
        assert what in refuses(capsys, tmp_path, *command, "--model", tone)


def models_gone_wrong(tone, folder):
    """Name -> (a broken model file, what is said of it)."""
    data = tone.read_bytes()
    files = {"cut.safetensors": (data[:len(data) // 2], ""), "page.safetensors": (b"<!DOCTYPE html><html>Not found</html>", "not a model file"),
             "empty.safetensors": (b"", ""), "other.safetensors": (data.replace(b'\\"format\\":1', b'\\"format\\":9'), "format 9; this version reads format 1"),
             "noise.safetensors": (bytes(range(256)) * 40, "")}
    for name, (content, _) in files.items():
        (folder / name).write_bytes(content)
    assert files["other.safetensors"][0] != data
    return {folder / name: what for name, (_, what) in files.items()}


def test_broken_models_are_refused_by_both_commands(capsys, tmp_path, tone, score):
    for path, what in models_gone_wrong(tone, tmp_path).items():
        for command in (["render", score, tmp_path / "out.wav"], ["play", "--device", "null", "--seconds", "1"]):
            line = refuses(capsys, tmp_path, *command, "--model", path)
            assert what in line and path.name in line
    line = refuses(capsys, tmp_path, "render", score, tmp_path / "out.wav", "--model", tmp_path / "gone.safetensors")
    assert "there is no model" in line


def test_a_model_without_what_a_voice_needs(capsys, tmp_path, score):
    from neurorack.engine import ModelWriter

    writer = ModelWriter({"name": "bare"})
    writer.method("decode", lambda b: b.output(b.hold(b.input(), 64)), blocks=(64,), in_channels=1, in_ratio=64)
    writer.save(tmp_path / "bare.safetensors")
    for command in (["render", score, tmp_path / "out.wav"], ["play", "--device", "null"]):
        assert "its card has no 'sample_rate_hz'" in refuses(capsys, tmp_path, *command, "--model", tmp_path / "bare.safetensors")


def test_lead_out_of_range_is_refused_by_the_process_that_knows(tmp_path, tone):
    for lead in (0, 99999):
        done = neurorack("play", "--device", "null", "--model", tone, "--lead", lead, "--quiet")
        assert done.returncode == 2 and done.stderr.strip() == f"neurorack: synth: lead is {lead} frames; it must lie from 16 to 4096"


# ---- as a program


def neurorack(*arguments, **more):
    return subprocess.run([sys.executable, "-m", "neurorack", *map(str, arguments)], capture_output=True, text=True, timeout=60, **more)


def test_version_and_help():
    assert neurorack("--version").stdout.strip() == f"neurorack {__version__}"
    text = neurorack("--help").stdout
    assert all(command in text for command in ("play", "render", "bench", "doctor"))
    assert "--record" in neurorack("play", "--help").stdout


def test_help_and_refusals_import_nothing_heavy():
    code = "import sys; from neurorack.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\nprint([m for m in ('numpy', 'torch', 'sounddevice', 'soundfile') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout.splitlines()[-1] == "[]"


def test_an_error_in_a_program_s_run_is_a_line_and_a_code(tmp_path):
    done = neurorack("render", tmp_path / "none.yaml", tmp_path / "out.wav")
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1 and "No such file" in done.stderr


# ---- the library


def test_models_are_found_by_name_in_the_musician_s_folder_first(tmp_path, tone, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    own = tmp_path / "neurorack" / "models"
    own.mkdir(parents=True)
    shutil.copy(tone, own / "impacts.safetensors")
    assert library.find("impacts") == own / "impacts.safetensors" == library.find(None)
    assert library.available()["impacts"] == own / "impacts.safetensors"
    assert library.find(str(tone)) == tone
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "none"))
    assert "impacts" not in library.available() or library.find("impacts").is_relative_to(library.FACTORY)
    assert os.path.isabs(library.FACTORY)

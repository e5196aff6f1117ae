"""The library beside a playing instrument: files arrive, models change, the one that plays is removed, and the sound goes on."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.play.runs import Playing, until


def models_command(folder, *arguments):
    done = subprocess.run([sys.executable, "-m", "neurorack", "models", *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          env=os.environ)
    assert done.returncode == 0, done.stderr
    return done.stdout


def unharmed(playing, before):
    """Blocks went on, nothing was restarted, nothing but numbers came out."""
    audio, run = playing.rack.audio, playing.rack.run
    assert playing.process.poll() is None and audio.blocks >= before and audio.nan_frames == 0 and not any(run.restarts)
    return int(audio.blocks)


def test_a_model_that_arrives_can_be_played_and_removed_while_it_plays(own, tone, low, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with Playing(tmp_path, "--model", str(tone)) as playing:
        blocks = unharmed(playing.sounding(), 0)
        shutil.copy(low, own / "low.safetensors")
        until(lambda: "low: plays: " in playing.said, 60, "the verdict")
        blocks = unharmed(playing, blocks)
        assert "plays in slot B" in models_command(own, "play", "low")
        assert json.loads(models_command(own, "list", "--json"))["models"][0]["name"] == "low"
        models_command(own, "remove", "low")
        until(lambda: playing.rack.audio.blocks > blocks + 400, 20, "more sound")
        unharmed(playing, blocks)
        assert playing.rack.synth[1].playing == 1
        playing.stop()
        assert playing.process.returncode == 0 and "Traceback" not in playing.said, playing.said


def test_no_instrument_to_play(own, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    done = subprocess.run([sys.executable, "-m", "neurorack", "models", "play", "impacts"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "no instrument is running" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.soak
def test_everything_harmful_is_dropped_in_while_it_plays(own, tone, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from tests.zoo.broken import BROKEN, GOOD, touched

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with Playing(tmp_path, "--model", str(tone)) as playing:
        blocks = unharmed(playing.sounding(), 0)
        for name, write in [*BROKEN.items(), ("good", GOOD)]:
            made = tmp_path / f"{name}.ts"
            write(made)
            os.replace(made, own / made.name)
        files = [name for name in BROKEN if name != "directory"]
        for name in [*files, "good"]:
            until(lambda name=name: f"neurorack: {name}: " in playing.said, 600, f"the verdict on {name}", 0.2)
            blocks = unharmed(playing, blocks)
        said = {line.split(": ")[1]: line for line in playing.said.splitlines() if line.count(": ") > 1}
        harmless = {"good", "missing_method", "cuda_only"}      # what is left of these two is a sound model
        assert {name for name in said if "plays: " in said[name]} == harmless and not [name for name in {*files} - harmless if "refused: " not in said[name]]
        assert not [name for name in files if touched(own / f"{name}.ts").exists() or touched(tmp_path / f"{name}.ts").exists()]
        playing.stop()
        assert playing.report["underruns"]["late"] == 0

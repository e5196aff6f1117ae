"""Admission: models that play, and everything that must not; each refusal is one line with the true reason, and nothing is left behind."""

import json
import os
import resource
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from neurorack.engine import Model, ModelWriter
from neurorack.importer import measure, signals, torchscript
from neurorack.importer.admit import admit
from neurorack.importer.fence import HOLDING
from neurorack.importer.verdict import Verdict, fault
from neurorack.library import FACTORY
from neurorack.voice.voice import MATCH_LIMIT_DB, TARGET_LUFS
from tests.models import HOP, RATE, tone

KEYS = {"verdict", "path", "snr_db", "reference", "speedup", "rtf", "block_p99_ms", "delay_ms", "lufs", "reason"}
LONGEST_SECONDS = 200     # of the wall on a machine that does other work; computing time is limited inside


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def check(path, out, **more) -> Verdict:
    """Admit, and look at what must hold for every verdict."""
    began = time.monotonic()
    verdict = admit(path, out_folder=out, low_priority=False, **more)      # other tests may run beside
    assert time.monotonic() - began < LONGEST_SECONDS
    told = json.loads(json.dumps(verdict.to_json(), allow_nan=False))
    assert set(told) >= KEYS and told["verdict"] in ("plays", "refused") and "\n" not in told["line"]
    assert verdict.exit_code == (0 if verdict.plays else 1) and told["line"].startswith(told["verdict"])
    assert set(os.listdir(out)) == ({verdict.lifted} if verdict.lifted and verdict.plays else set())
    return verdict


# -- models of the engine itself

def test_the_factory_model_plays(out):
    verdict = check(FACTORY / "impacts" / "impacts.safetensors", out)
    assert verdict.plays and verdict.path == "native" and verdict.block_frames == 128
    assert verdict.rtf > 1 and 0 < verdict.core_percent < 80 and verdict.block_p99_ms < 1000 * 128 / 48000
    assert abs(verdict.lufs - TARGET_LUFS) < 2           # what its card says it was matched to
    assert verdict.reaction_ms < 3 and any(layer in verdict.layers for layer in HOLDING)


def test_a_tone_is_measured_right(out, tmp_path):
    verdict = check(tone(tmp_path / "tone.safetensors").path, out, block=64)
    assert verdict.plays and verdict.block_frames == 64 and verdict.sample_rate_hz == RATE
    assert -3 < verdict.peak_dbfs + 6.02 < 0.1 and abs(verdict.dc) < 0.01 and verdict.idle_dbfs < -100
    assert verdict.line.startswith("plays: less than 1 % of one core, 1 ms, −")


@pytest.mark.parametrize("block", [96, 4096])
def test_a_block_it_does_not_have_is_refused(out, tmp_path, block):
    verdict = check(tone(tmp_path / "tone.safetensors").path, out, block=block)
    assert verdict.reason == f"it has no program for blocks of {block} frames; it has 64, 128, 256, 512, 1024"


def test_the_block_follows_the_callback(out, tmp_path):
    path = tone(tmp_path / "tone.safetensors", blocks=(64, 256)).path
    assert check(path, out, callback_block=512).block_frames == 256
    assert check(path, out, callback_block=128).block_frames == 64
    assert check(path, out, callback_block=512, rate_hz=96000).block_frames == 256


def write(path: Path, make, *, blocks=(64,)) -> Path:
    """A model of the engine; ``make(b, x)`` gives its sound."""
    writer = ModelWriter({"name": "own", "sample_rate_hz": RATE, "hop_frames": HOP, "inputs": [{"name": "a", "rest": 0.0}, {"name": "b", "rest": 0.0}],
                          "controls": []})
    writer.method("decode", lambda b: b.output(make(b, b.input())), blocks=blocks, in_channels=2, in_ratio=HOP)
    writer.save(path)
    return path


def sines(b, x):
    return b.oscillators(b.unary("abs", x), np.array([300.0, 2000.0], np.float32), float(RATE), HOP)


def test_a_model_ten_times_too_slow_is_refused_soon(out, tmp_path):
    weights = np.random.default_rng(0).standard_normal((2048, 2048, 1)).astype(np.float32) / 45

    def slow(b, x):
        h = b.conv1d(x, np.ones((2048, 2, 1), np.float32))
        for _ in range(40):
            h = b.conv1d(h, weights, act="tanh")
        return sines(b, x) + b.hold(b.conv1d(h, np.ones((1, 2048, 1), np.float32)), HOP) * 1e-6
    verdict = check(write(tmp_path / "slow.safetensors", slow), out)
    assert "too slow for this board; try block 128 or a smaller model" in verdict.reason and verdict.rtf < 1


@pytest.mark.parametrize("level_db, plays", [(-6.0, True), (40.0, False)])
def test_loudness(out, tmp_path, level_db, plays):
    gain = 10 ** (level_db / 20) * 0.1
    verdict = check(write(tmp_path / "loud.safetensors", lambda b, x: sines(b, x) * gain), out)
    assert verdict.plays == plays
    if plays:
        assert abs(verdict.gain_db - np.clip(TARGET_LUFS - verdict.lufs, -MATCH_LIMIT_DB, MATCH_LIMIT_DB)) < 0.01
    else:
        assert "dB too loud" in verdict.reason and f"{verdict.lufs:.0f} LUFS" in verdict.reason


@pytest.mark.parametrize("dc, plays", [(0.1, True), (0.4, False)])
def test_dc(out, tmp_path, dc, plays):
    verdict = check(write(tmp_path / "dc.safetensors", lambda b, x: sines(b, x) * 0.1 + dc), out)
    assert verdict.plays == plays and abs(verdict.dc - dc) < 0.02
    assert ("offset by" in verdict.notes[0]) if plays else ("offset by +0.40" in verdict.reason)


def test_nan_and_silence(out, tmp_path):
    verdict = check(write(tmp_path / "nan.safetensors", lambda b, x: b.unary("sqrt", sines(b, x) + 1.5)), out)
    assert "gives NaN after" in verdict.reason
    verdict = check(write(tmp_path / "silent.safetensors", lambda b, x: sines(b, x) * 0.0), out)
    assert verdict.reason == "it stays silent whatever its inputs do"


def test_other_safetensors_are_refused(out, tmp_path):
    for name, data in (("other", b"\x02\0\0\0\0\0\0\0{}"), ("torn", (FACTORY / "impacts" / "impacts.safetensors").read_bytes()[:100_000])):
        (tmp_path / f"{name}.safetensors").write_bytes(data)
        assert check(tmp_path / f"{name}.safetensors", out).verdict == "refused"


def test_what_is_no_file_is_refused(out, tmp_path):
    (tmp_path / "x.ts").mkdir()
    os.mkfifo(tmp_path / "pipe.ts")
    (tmp_path / "noise.ts").write_bytes(bytes(range(100, 200)) * 9)
    (tmp_path / "byte.ts").write_bytes(b"\x80")
    for name, reason in (("x.ts", "a folder"), ("pipe.ts", "no plain file"), ("none.ts", "No such file"), ("noise.ts", "neither TorchScript"), ("byte.ts", "pickle")):
        assert reason in check(tmp_path / name, out).reason


def test_a_missing_folder_for_the_result_is_said(tmp_path):
    verdict = admit(FACTORY / "impacts" / "impacts.safetensors", out_folder=tmp_path / "nowhere")
    assert not verdict.plays and "there is no folder" in verdict.reason


# -- foreign files

#: name -> what the reason says
BAD = {
    "html": "web page", "empty": "is empty", "truncated": "truncated or damaged", "flipped_byte": "Bad CRC", "pickle_payload": "plain pickle",
    "archive_payload": "it was not run", "constants_payload": "it was not run", "checkpoint": "weights without a program", "no_methods": "no method",
    "params_missing": "lacks its tensor decode_params", "params_text": "must be four whole numbers", "params_huge": "ratios in 1 to",
    "wrong_length": "511", "nan_later": "NaN after 21 blocks", "raises_later": "enough",
    "huge_view": "more than", "loud": "44 dB too loud", "dc": "offset by +0.40", "offline": "offline export",
    "writes_file": "unable to open", "endless": "may never end|did not come to an end", "directory": "a folder"}
LONG = {"wrong_channels": "[1, 2, 512]", "allocates": "20.0 GB", "leaks": "memory grows", "slow": "too slow for this board", "endless_later": "longer than|may never end|for one call", "reads_file": "denied", "nan_from_state": "NaN after"}
ENDLESS_SECONDS = {"lift_seconds": 1, "start_seconds": 4.0}     # of lifting it, and of TorchScript's first blocks


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """Verdicts on every broken file, two at a time: name -> (verdict, whether it touched the disk)."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    from tests.zoo import broken

    folder, found = tmp_path_factory.mktemp("bad"), {}
    for name in BAD:
        broken.BROKEN[name](folder / f"{name}.ts")
    broken.GOOD(folder / "good.ts")
    names = [*(BAD.keys() - {"endless"}), "good"]

    def one(name, **more):
        (folder / f"{name}.out").mkdir()
        found[name] = check(folder / f"{name}.ts", folder / f"{name}.out", **more), broken.touched(folder / f"{name}.ts").exists()

    def work():
        while names:
            one(names.pop())
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pytest.MonkeyPatch.context() as patch:       # alone, because the others may take longer to begin on a busy machine
        patch.setattr(torchscript, "START_SECONDS", ENDLESS_SECONDS["start_seconds"])
        one("endless", lift_seconds=ENDLESS_SECONDS["lift_seconds"])
    return found


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_for_their_fault(verdicts, name):
    verdict, touched = verdicts[name]
    assert not verdict.plays and any(words in verdict.reason for words in BAD[name].split("|")), verdict.line
    assert not touched


@pytest.mark.soak
@pytest.mark.parametrize("name", LONG)
def test_slow_faults_are_found_too(tmp_path, out, name):
    pytest.importorskip("torch")
    from tests.zoo import broken

    broken.BROKEN[name](tmp_path / f"{name}.ts")
    reason = check(tmp_path / f"{name}.ts", out).reason
    assert any(words in reason for words in LONG[name].split("|")), reason


def test_a_good_one_is_lifted_and_compared(verdicts):
    verdict, _ = verdicts["good"]
    assert verdict.plays and verdict.path == "lifted" and verdict.reference == "torchscript"
    assert verdict.snr_db > 100 and verdict.speedup > 1 and verdict.lifted == "good.safetensors"
    assert verdict.methods["decode"]["path"] == "lifted" and verdict.sha256


def test_the_process_that_asks_stays_small(verdicts, out, tmp_path):
    """No model is ever opened outside of the fence: what admission costs its caller is next to nothing."""
    before, open_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, len(os.listdir("/proc/self/fd"))
    shutil.copy(FACTORY / "impacts" / "impacts.safetensors", tmp_path)
    check(tmp_path / "impacts.safetensors", out)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
    assert len(os.listdir("/proc/self/fd")) == open_before


def test_without_torch_it_is_lifted_all_the_same(tmp_path, out):
    """And compared with the interpreter; what cannot be lifted is refused, saying what is missing."""
    pytest.importorskip("torch")
    from tests.zoo import broken

    broken.GOOD(tmp_path / "good.ts")
    broken.BROKEN["reads_file"](tmp_path / "reads_file.ts")
    program = textwrap.dedent(f"""
        import sys
        sys.modules["torch"] = None
        from neurorack.importer.admit import admit
        good, bad = (admit(sys.argv[1] + name, out_folder={str(out)!r}, low_priority=False) for name in ("/good.ts", "/reads_file.ts"))
        print(good.line, good.path, good.reference, good.snr_db > 100, good.speedup, sep="|")
        print(bad.line)
        print(any(name.startswith("torch.") for name in sys.modules))
    """)
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, cwd=FACTORY.parent, timeout=100)
    good, bad, loaded = done.stdout.splitlines()
    assert good.startswith("plays: ") and good.endswith("|lifted|interpreter|True|None"), done
    assert "from_file" in bad and "torch is not installed here" in bad and loaded == "False"


def test_random_numbers_do_not_spoil_the_comparison(out):
    """A RAVE with noise beside its latents and a noise branch: the same numbers are drawn on both sides."""
    pytest.importorskip("torch")
    from tests import zoo

    verdict = check(zoo.path("v2_noise", capacity=4), out)
    assert verdict.plays and verdict.reference == "torchscript" and verdict.snr_db > 100, verdict.line


# -- the measures themselves

class Played:
    """A player made of a function."""

    def __init__(self, run, in_shape=(1, 1), out_shape=(512, 1)):
        self.in_shape, self.out_shape, self._run, self.frame = in_shape, out_shape, run, 0

    def reset(self):
        self.frame = 0

    def run(self, block):
        made = self._run(block, np.arange(self.frame, self.frame + self.out_shape[0]))
        self.frame += self.out_shape[0]
        return made.astype(np.float32).reshape(self.out_shape)


def test_clicks_at_seams_are_told_from_music():
    time_ = np.arange(48000)
    smooth = 0.3 * np.sin(time_ * 0.05)[:, None] + 0.05 * np.random.default_rng(0).standard_normal((48000, 1))
    clicking = smooth + 0.3 * (time_ // 512 % 2)[:, None]
    assert measure.seams(smooth, 512)[0] < 1.3
    ratio, level = measure.seams(clicking, 512)
    assert ratio > 1.5 and abs(level - 20 * np.log10(0.3)) < 1.5
    assert measure.roughness(clicking, 512) > 1.5 * measure.roughness(smooth, 512)


@pytest.mark.parametrize("late", [0, 700, 3000])
def test_the_delay_is_measured(late):
    heard = {}

    def run(block, frames):
        for frame in frames:
            heard[int(frame)] = float(block[0, 0])
        return np.array([np.sin(frame * 0.1) * heard.get(int(frame) - late, 0.0) for frame in frames])
    inputs = signals.Inputs.of(1, 512)
    found = measure.delay(measure.Timed(Played(run), 1.0), inputs, 512, 512, 48000)
    assert abs(found["reaction"] - late) < 40 and late < found["centre"] < late + 520


def test_a_model_that_is_not_the_same_twice_has_no_delay():
    random = np.random.default_rng(0)
    player = Played(lambda block, frames: random.standard_normal(len(frames)))
    assert measure.delay(measure.Timed(player, 1.0), signals.Inputs.of(1, 512), 512, 512, 48000) is None


def test_the_feed_is_as_long_and_varied_as_it_should_be():
    feed = signals.Feed(signals.Inputs.of(8, 2048), 1, 48000 / 2048)
    whole = np.concatenate([blocks.reshape(-1, 8) for _, blocks in feed.parts])
    assert len(whole) * 2048 / 48000 >= 10 and np.abs(whole).max() == 8
    natural = dict(feed.parts)[signals.NATURAL]
    assert abs(natural.mean()) < 0.35 and 0.7 < natural.std() < 1.3
    assert not dict(feed.parts)[signals.SILENCE].any()
    hertz = signals.Inputs.of(2, 256, labels=["(signal) f0, Hz", "latent 2"])
    assert hertz.low[0] >= 20 and hertz.low[1] == -4


def test_gestures_and_links_say_what_is_natural():
    model = Model.load(FACTORY / "impacts" / "impacts.safetensors")
    inputs = signals.Inputs.of(5, 64, model.card)
    assert (inputs.low < inputs.high).all() and (inputs.spread > 0).all()


def test_faults_are_found_in_their_order():
    sound = {"lufs": -18.0, "peak_dbfs": -3.0, "dc": 0.0}
    good = {"load": 0.3, "p99_ms": 1.0, "block_ms": 2.0, "block_frames": 128, "levels": sound, "torn": None, "leak_mb_s": 0.0}
    assert fault(good) is None
    assert fault({**good, "load": 1.84}) == "2.3× too slow for this board; try block 256 or a smaller model"
    assert fault({**good, "load": 8.0, "block_frames": 8192}).endswith("try a smaller model")
    assert "stutters" in fault({**good, "p99_ms": 2.5}) and "memory grows" in fault({**good, "leak_mb_s": 9.0})
    assert "offline export" in fault({**good, "torn": 20.0}) and "LUFS" in fault({**good, "levels": {**sound, "lufs": 3.0}})

"""Models that sound by themselves: wandering, the envelope, priors, loops, scrubbing, and hops of thousands of frames."""

import ctypes

import numpy as np
import pytest

from neurorack.core import declare
from neurorack.engine import ModelWriter, store
from neurorack.gesture import gestures_path
from neurorack.shm.rack import Rack
from neurorack.voice.card import drone_card
from neurorack.voice.patch import Patch, Route
from tests.models import RATE
from tests.voice.drive import Driven
from tests.voice.models import codec

HOP, SHIFT = 512, 64          # the least delay of that hop
NEAR = {"rel": 3e-3, "abs": 3e-3}
STILL = {"wander": 0.0}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return codec(tmp_path_factory.mktemp("drone") / "codec.safetensors")


def rows(audio, hop=HOP):
    """The codec's latents row by row, [rows, 2]."""
    count = (len(audio) - SHIFT) // hop
    return np.abs(audio[SHIFT: SHIFT + count * hop].reshape(count, hop, 2)[:, hop // 2])


def driven(model, knobs=None, block=HOP, **more):
    return Driven(model, block_frames=block, patch=Patch(knobs={**STILL, **(knobs or {})}, **more))


def keep(model, **curves):
    """Gestures beside the model, as recorded ones lie there."""
    import json

    curves = {name: np.asarray(curve, np.float32) for name, curve in curves.items()}
    store.write(gestures_path(model.path), curves, {"neurorack_gestures": json.dumps(list(curves))})


def ramp(frames=60, low=0.1, high=0.7):
    curve = np.zeros((frames, 2), np.float32)
    curve[:, 0] = np.linspace(low, high, frames)
    return curve


# ---- it sounds by itself


def test_it_sounds_from_its_first_second_with_nothing_patched(model):
    seen = rows(driven(model).run(RATE))
    assert seen[8:, 0] == pytest.approx(0.3, **NEAR), "its rest, once the level has faded in"
    audio = Driven(model, block_frames=HOP).run(RATE)
    assert np.abs(audio[RATE // 2:]).max() > 0.05, "wandering, as its card asks"


def test_wandering_is_slow_comes_back_and_is_as_wide_as_asked(model):
    audio = driven(model, {"wander": 0.05, "wander rate": 1.0, "decay": 1.0}).run(60 * RATE)
    away = rows(audio)[5:, 0] - 0.3
    assert abs(away.mean()) < 0.02 and away.std() == pytest.approx(0.05, rel=0.25)
    assert np.abs(np.diff(away)).max() < 0.05, "no leaps"
    slow = rows(driven(model, {"wander": 0.05, "wander rate": 0.3, "decay": 1.0}).run(20 * RATE))[5:, 0]
    assert np.abs(np.diff(slow)).mean() < 0.3 * np.abs(np.diff(away)).mean()


@pytest.mark.parametrize("block", [1024, 2048])
def test_every_block_length_wanders_alike_and_a_seed_otherwise(model, block):
    one, other = (driven(model, {"wander": 0.3}, block=n).run(20 * 2048) for n in (512, block))
    assert other[: 20 * 2048] == pytest.approx(one[: 20 * 2048], abs=1e-6)
    model.seed = 5
    try:
        assert np.abs(driven(model, {"wander": 0.3}).run(20 * 2048) - one).max() > 0.01
    finally:
        model.seed = 0


def test_a_knob_bends_what_wanders_and_a_driven_one_sets_it(model):
    seen = rows(driven(model, {"latent 1": 0.55}).run(RATE))[5:, 0]
    assert seen == pytest.approx(0.3 + 0.05 * 6, **NEAR)
    seen = rows(driven(model, {"wander": 1.0, "latent 1": 0.6}, drives={"latent 1": 1.0}).run(RATE))[5:, 0]
    assert seen == pytest.approx(0.6, **NEAR)


def test_depth_scales_what_strays_not_the_rest(model):
    for depth, prior in ((0.0, 0.3), (0.5, 0.15), (1.0, 0.0), (0.75, 0.075)):
        seen = rows(driven(model, {"prior": 1.0, "temperature": 0.75, "depth": depth}).run(RATE))[8:, 0]
        assert seen == pytest.approx(prior, **NEAR), depth


# ---- gate 1


def test_the_gate_opens_and_closes_it_on_its_very_frames(model):
    """Drones until the first edge; from then on as the gate says, with no regard to the hop."""
    play = driven(model, {"attack": 0.0, "decay": 0.1})
    edges = [(20000, True), (20010, False), (25000, True), (25010, False), (30111, True), (45222, False)]
    for frame, rising in edges:
        play.hit(frame, 0, rising)
    level = np.abs(play.run(60000)[:, 0])
    assert level[4500:20000] == pytest.approx(0.3, **NEAR), "a drone while nothing is patched"
    assert level[24900:25000].max() < 1e-3 and level[28000:30100].max() < 1e-3, "it dies away"
    assert level[25000:25100].max() == pytest.approx(0.3, rel=0.03), "a trigger shorter than the attack is heard whole"
    assert level[30111:30115].max() < 0.05 and level[30111 + 48: 45200].min() == pytest.approx(0.3, **NEAR), "open within the millisecond it takes"
    assert level[45222 + 2400:].max() < 0.05 and level[50000:].max() < 1e-3
    slope = np.abs(np.diff(level[15000:], n=1))
    assert slope.max() < 0.3 / 48 * 1.2, "no click: the fastest attack takes a millisecond"


def test_decay_fully_up_never_closes(model):
    play = driven(model, {"decay": 1.0})
    play.hit(5000)
    play.hit(5100, 0, False)
    assert np.abs(play.run(4 * RATE)[-1000:, 0]) == pytest.approx(0.3, **NEAR)


def test_a_gate_within_a_hop_of_8192_frames_is_heard_on_its_frame(tmp_path):
    long = codec(tmp_path / "long.safetensors", hop=8192, blocks=(8192,))
    play = driven(long, {"attack": 0.0, "decay": 0.0}, block=128)
    for frame in (10000, 10500, 11000, 11500):
        play.hit(frame, 0, True)
        play.hit(frame + 20, 0, False)
    level = np.abs(play.run(4 * 8192)[:, 0])
    for frame in (10500, 11000, 11500):
        assert level[frame - 10] < 0.1 and level[frame + 49] == pytest.approx(0.3, rel=0.05)


# ---- prior, and stages that fail


def test_the_prior_plays_as_far_as_it_is_turned_up(model):
    seen = rows(driven(model, {"prior": 1.0, "temperature": 0.75}).run(RATE))[5:]
    assert seen == pytest.approx(np.tile([0.15, 0.2], (len(seen), 1)), **NEAR)
    half = rows(driven(model, {"prior": 0.5, "temperature": 0.75}).run(RATE))[5:]
    assert half == pytest.approx(np.tile([0.225, 0.1], (len(half), 1)), **NEAR)


def test_a_prior_that_gives_nan_is_left_out_and_counted(tmp_path):
    card = drone_card({"name": "nan", "sample_rate_hz": RATE, "hop_frames": HOP, "inputs": [{"name": "z", "rest": 0.3}], "controls": []}, ["decode", "prior"])
    writer = ModelWriter(card)
    writer.method("decode", lambda b: b.output(b.hold(b.input(), HOP)), blocks=(HOP,), in_channels=1, in_ratio=HOP)
    writer.method("prior", lambda b: b.output(b.log(b.input() * -1.0)), blocks=(HOP,), in_channels=1, in_ratio=HOP, out_ratio=HOP)
    play = driven(writer.save(tmp_path / "nan.safetensors"), {"prior": 1.0})
    assert np.isfinite(play.run(RATE)).all() and play.voice.nan_values > 50


# ---- gestures, loops, scrubbing


@pytest.fixture
def gestured(tmp_path):
    model = codec(tmp_path / "codec.safetensors")
    keep(model, rise=ramp(), flat=np.full((30, 2), 0.5))
    return model


def test_a_recorded_gesture_plays_on_a_trigger_and_settles_back(gestured):
    play = driven(gestured, {"decay": 1.0})
    play.hit(20 * HOP + SHIFT)
    seen = rows(play.run(200 * HOP))[:, 0]
    assert seen[20:80] == pytest.approx(ramp()[:, 0], **NEAR)
    assert seen[80] == pytest.approx(0.7, rel=0.05) and np.all(np.diff(seen[80:105]) < 1e-4), "no leap at its end"
    assert seen[115:] == pytest.approx(0.3, **NEAR)


def test_the_envelope_stays_open_while_a_gesture_plays_and_closes_with_it(gestured):
    play = driven(gestured, {"decay": 0.2})
    play.hit(20 * HOP + SHIFT)
    play.hit(20 * HOP + SHIFT + 100, 0, False)
    level = np.abs(play.run(200 * HOP)[:, 0])
    assert level[78 * HOP] == pytest.approx(0.68, abs=0.02) and level[120 * HOP:].max() < 0.01


def test_loops_go_round_without_a_hit(gestured):
    seen = rows(driven(gestured, {"loop": 1.0}).run(300 * HOP))[5:, 0]
    assert seen.min() == pytest.approx(0.1, abs=0.03) and seen.max() == pytest.approx(0.7, abs=0.03)
    turns = np.flatnonzero(np.diff(seen) < -0.3)
    assert len(turns) >= 3 and np.all(np.abs(np.diff(turns) - 60) <= 1)


@pytest.mark.parametrize("position, value", [(0.0, 0.1), (0.5, 0.4), (1.0, 0.7)])
def test_a_frozen_gesture_stands_where_the_position_is(gestured, position, value):
    seen = rows(driven(gestured, {"freeze": 1.0, "position": position}).run(100 * HOP))[5:, 0]
    assert np.abs(seen - value).max() < 0.06 and np.ptp(seen[20:]) < 0.06
    other = rows(driven(gestured, {"freeze": 1.0, "position": position, "gesture": 0.9}).run(100 * HOP))[5:, 0]
    assert other == pytest.approx(0.5, **NEAR), "the other gesture"


def test_a_cv_scrubs_and_letting_go_goes_on(gestured):
    patch = Patch(knobs={**STILL, "freeze": 1.0, "decay": 1.0}, routes=[Route("cv1", "position", 0.1, smooth_ms=0.0)])
    play = Driven(gestured, block_frames=HOP, patch=patch)
    seen = []
    for volts in (0.0, 5.0, 9.0, 2.0):
        play.cv[0] = volts
        seen.append(rows(play.run(20 * HOP))[-5:, 0].mean())
    assert seen == pytest.approx([0.1, 0.4, 0.64, 0.22], abs=0.06)
    play.struct.knob[play.voice.controls.index("freeze")] = 0.0
    after = rows(play.run(70 * HOP))[3:, 0]
    assert after[:40].max() > 0.5, "it plays on from there"


def test_gate_2_freezes_the_wandering(model):
    play = driven(model, {"wander": 0.5, "wander rate": 1.0, "decay": 1.0})
    play.hit(100 * HOP, 1, True)
    play.hit(200 * HOP, 1, False)
    seen = rows(play.run(300 * HOP))[:, 0]
    assert np.ptp(seen[102:199]) < 1e-3 < np.ptp(seen[202:299])


def test_gestures_that_do_not_fit_are_left_out_and_said(tmp_path):
    model = codec(tmp_path / "codec.safetensors")
    keep(model, three=np.zeros((5, 3)))
    play = driven(model)
    assert "2 inputs" in play.voice.warning and play.voice.gestures == []
    gestures_path(model.path).write_bytes(b"nonsense")
    assert driven(model).voice.warning
    gestures_path(model.path).unlink()
    assert driven(model).voice.warning is None


# ---- long hops


@pytest.mark.parametrize("hop", [512, 2048, 8192])
def test_a_gesture_s_onset_lands_on_its_frame_and_nothing_leaps(tmp_path, hop):
    """A steady ramp in every row: an onset is where the gesture's first row begins."""
    card = drone_card({"name": "steady", "sample_rate_hz": RATE, "hop_frames": hop, "inputs": [{"name": "z", "rest": 0.0}], "controls": []}, ["decode"])
    writer = ModelWriter({**card, "plays": "hits", "gestures": [{"name": "step", "tensor": "step"}]})
    writer.weights.add(np.full((4, 1), 0.5, np.float32), "step")
    writer.method("decode", lambda b: b.output(b.hold(b.input(), hop)), blocks=(hop,), in_channels=1, in_ratio=hop)
    model = writer.save(tmp_path / f"steady{hop}.safetensors")
    fade = min(256, hop // 8)
    for offset in (0, 1, fade // 2, hop // 3, hop - 1):
        play = driven(model)
        play.run(4 * hop + 4096)
        frame = play.voice.block_frames * (-(-(4 * hop + 4096) // hop)) + 2 * hop + offset
        start = play.voice.block_frames * (-(-(4 * hop + 4096) // hop))
        play.hit(frame)
        audio = play.run(4 * hop)[:, 0]
        at = start + int(np.argmax(np.abs(audio) > 0.25))
        assert frame - 2 <= at <= frame + fade, (hop, offset)
        again = driven(model)
        again.run(4 * hop + 4096)
        again.hit(frame)
        again.hit(frame + hop + 7)
        assert np.isfinite(again.run(8 * hop)).all()


def test_two_hits_while_a_long_tone_rings_fade_instead_of_leaping(tmp_path):
    """A slow sine through the whole: the read position moves by thousands of frames, the sound never leaps."""
    hop = 2048
    card = drone_card({"name": "sine", "sample_rate_hz": RATE, "hop_frames": hop, "inputs": [{"name": "level", "rest": 0.5}], "controls": []}, ["decode"])
    writer = ModelWriter({**card, "gestures": [{"name": "same", "tensor": "same"}]})
    writer.weights.add(np.full((3, 1), 0.5, np.float32), "same")
    writer.method("decode", lambda b: b.output(b.oscillators(b.input(), np.array([100.0], np.float32), float(RATE), hop)), blocks=(hop,), in_channels=1, in_ratio=hop)
    play = driven(writer.save(tmp_path / "sine.safetensors"), {"decay": 1.0})
    random = np.random.default_rng(3)
    for frame in 8192 + np.cumsum(random.integers(20, 5000, 60)):
        play.hit(int(frame))
    audio = play.run(200000)[4096:, 0].astype(np.float64)
    slope, fade = 0.5 * 2 * np.pi * 100 / RATE, np.pi / 2 * 1.0 / 256
    assert np.abs(np.diff(audio)).max() < 1.1 * (slope + fade)


@pytest.mark.parametrize("edges, opens", [([], True), ([True], True), ([True, False], False), ([False], True), ([True, False] * 600 + [True], True)])
def test_a_voice_that_takes_over_knows_what_the_gate_did(model, edges, opens):
    """A model swapped in between two hits does not drone into the pause."""
    rack = Rack.create(sample_rate_hz=RATE, block_frames=128)
    for rising in edges:
        rack.publish_edge(0, rising, 1, [0.0] * 8)
    rack.publish_edge(1, True, 1, [0.0] * 8)
    play = driven(model)
    new = declare("nr_synth_new", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32)
    loop = new(rack.base, 1, play.voice.handle, 512)
    level = np.abs(play.run(RATE // 4)).max()
    declare("nr_synth_free", None, ctypes.c_void_p)(loop)
    assert (level > 0.2) == opens and (opens or level == 0)

"""A lifted model, played as a musician would: by itself, by the audio input, by a gesture."""

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch")

from neurorack.engine import Model                                          # noqa: E402
from neurorack.gesture import record_gesture                                # noqa: E402
from neurorack.importer.knobs import apply_knobs, name_knobs                # noqa: E402
from neurorack.importer.lift import lift, rewrite_card                      # noqa: E402
from neurorack.importer.verify import snr_db                               # noqa: E402
from neurorack.render import render                                         # noqa: E402
from neurorack.score import parse                                           # noqa: E402
from neurorack.voice.card import check_card, drone_card                     # noqa: E402
from neurorack.voice.patch import default_patch                             # noqa: E402
from neurorack.voice.voice import Voice                                     # noqa: E402
from tests import zoo                                                       # noqa: E402

RATE = 48000


@pytest.fixture(scope="module")
def lifted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lifted")
    path = lift(zoo.path("toy"), into=folder / "toy.safetensors").path
    model = Model.load(path)
    model.card = drone_card(model.card, model.methods)
    model = rewrite_card(path, lambda card: apply_knobs(model.card, name_knobs(model, 3)))
    t = np.arange(RATE) / RATE
    soundfile.write(folder / "pluck.wav", 0.5 * np.sin(2 * np.pi * 220 * t) * np.exp(-3 * (t % 0.5)), RATE)
    return model, folder


def play(model, *, controls=None, events=(), seconds=2.0, **more):
    score = parse({"seconds": seconds, "events": list(events), "controls": {name: [[0, value]] for name, value in (controls or {}).items()}})
    return render(score, model=str(model.path), block_frames=128, **more)


def test_its_card_has_a_knob_for_every_latent_that_does_something_and_the_voice_s(lifted):
    model, _ = lifted
    check_card(model.card, model.path)
    names = [c["name"] for c in model.card["controls"]]
    assert {"wander", "decay", "position", "input"} <= set(names) and "prior" not in names
    assert sum(bool(c.get("links")) for c in model.card["controls"]) == len(model.card["inputs"]) == 2


def test_it_sounds_from_its_first_second_and_the_gate_closes_it(lifted):
    audio, report = play(lifted[0], seconds=4.0, events=[{"at": 1.5, "jack": "gate1"}, {"at": 1.6, "jack": "gate1", "volts": 0}])
    level = np.sqrt((audio.reshape(-1, RATE // 4, 2) ** 2).mean(axis=(1, 2)))
    assert level[1] > 0.01 and level[5] > 0.01 and level[-1] < 1e-3 and report["nan_count"] == 0


def test_input_and_gesture_each_are_another_sound(lifted):
    model, folder = lifted
    still = {"wander": 0.0, "decay": 1.0}
    plain, _ = play(model, controls=still)
    heard, report = play(model, controls=still, input_path=folder / "pluck.wav")
    record_gesture(model.path, folder / "pluck.wav", "pluck")
    hit, _ = play(model, controls=still, events=[{"at": 0.05, "jack": "gate1"}])
    assert report["nan_count"] == 0
    for other in (heard, hit):
        assert np.isfinite(other).all() and np.sqrt(((other - plain)[RATE // 2:] ** 2).mean()) > 1e-4


def test_its_encoder_feeds_its_own_decoder_as_the_methods_do_one_after_the_other(lifted):
    """Through the voice, and by hand: the same latents reach the decoder."""
    model, _ = lifted
    voice = Voice(model, 512, RATE, listen=True)
    assert voice.block_frames == 512
    struct = default_patch(model.card, listens=True).to_struct(model.card["controls"])
    voice.set_patch(struct)
    signal = np.random.default_rng(0).uniform(-0.5, 0.5, (20 * 512, 2)).astype(np.float32)
    encode = model.program("encode", 512)
    voice.write_input(signal)
    for block in signal.reshape(20, 512, 2):
        want = encode.run(block.mean(axis=1, keepdims=True))
        for row in range(voice.rows):
            voice.set_row(row, np.zeros(8), np.array(struct.knob), np.array(struct.drive), 0.0)
        voice.render()
        assert voice.program.input == pytest.approx(want, abs=1e-5)


def test_what_a_file_last_played_is_not_heard(tmp_path):
    """Caches come with the end of the exporter's last sound: the voice begins where the controls at rest have sounded for a second."""
    lifted = lift(zoo.path("v2", quiet=True), into=tmp_path / "x.safetensors")
    model = rewrite_card(lifted.path, lambda card: drone_card(card, lifted.probe.methods))
    voice = Voice(model, 128)
    rest, fresh = np.zeros(voice.program.in_shape, np.float32), model.program("decode", 2048)
    begun = voice.program.run(rest)
    settled = voice.program.stream(np.repeat(rest, 30, axis=0))[-2048:]
    assert snr_db(settled, begun) > 60.0 > 20.0 > snr_db(settled, fresh.run(rest))

"""Adversaries: they learn what they are for, pay only for it, and go on from a checkpoint."""

import math

import pytest

torch = pytest.importorskip("torch")

from neurorack.lab.adversary import STEPS, Adversaries, LatentAdversary, WaveformAdversary
from neurorack.lab.layout import Layout

LAYOUT = Layout(False, 5)


def batch(told, seed=0):
    """Latents and rows; `told`: whether the latent holds the descriptors."""
    torch.manual_seed(seed)
    rows = torch.rand(4, 40, 5) * 2 - 1
    return (rows.clone() if told else torch.randn(4, 40, 5)), rows


def test_a_latent_that_tells_the_descriptors_is_found_and_paid_for():
    torch.manual_seed(1)
    told, blank = LatentAdversary(LAYOUT, 0.5), LatentAdversary(LAYOUT, 0.5)
    for k in range(120):
        last = told.step(*batch(True, k)), blank.step(*batch(False, k))
    assert last[0] < last[1] - 0.3
    assert last[1] > math.log(STEPS) - 0.15
    latent, rows = batch(True, 99)
    paid = told.loss_for_decoder(latent.requires_grad_(), rows)
    assert paid > 0.1 and blank.loss_for_decoder(*batch(False, 99)) < 0.05
    paid.backward()
    assert latent.grad.abs().sum() > 0
    assert told.loss_for_decoder(latent, rows, part=0.0) == 0        # its weight grows


def test_a_latent_of_a_clip_is_held_for_its_frames():
    adversary = LatentAdversary(LAYOUT)
    assert adversary.step(torch.randn(4, 5), torch.zeros(4, 40, 5)) > 0


def test_waveform_discriminators_tell_noise_from_a_sine_and_lead_towards_it():
    torch.manual_seed(1)
    adversary = WaveformAdversary(1.0, begins=0.5, width=4)
    sine = torch.sin(torch.arange(2048) * 0.1).expand(2, -1) * 0.5
    noise = torch.randn(2, 2048) * 0.3
    assert adversary.step(noise, sine, part=0.4) == 0 and adversary.loss_for_decoder(noise, sine, part=0.4) == 0
    learnt = [adversary.step(noise, sine, part=0.6) for _ in range(40)]
    assert learnt[-1] < learnt[0] - 0.01
    made = noise.clone().requires_grad_()
    loss = adversary.loss_for_decoder(made, sine, part=0.6)
    loss.backward()
    assert torch.isfinite(made.grad).all() and made.grad.abs().sum() > 0
    assert adversary.loss_for_decoder(sine, sine, part=0.6) < loss


def test_a_recipe_switches_them_and_a_checkpoint_holds_them():
    recipe = {"latent": {"adversary": 0.1}, "train": {"waveform_adversary": 0.5, "waveform_adversary_from": 0.0}}
    latent, rows = batch(True)
    audio = torch.randn(4, 1024)
    torch.manual_seed(2)
    one = Adversaries(recipe, LAYOUT)
    told = one.losses(latent, rows, audio, audio, 1.0)
    assert set(told) == {"latent adversary", "waveform adversary"}
    one.learn(latent, rows, audio, audio, 1.0)
    torch.manual_seed(3)
    other = Adversaries(recipe, LAYOUT)
    other.restore(one.state())
    second = torch.randn(4, 1024)
    assert other.learn(latent, rows, audio, second, 1.0) == one.learn(latent, rows, audio, second, 1.0)
    none = Adversaries({"latent": {"adversary": 0.0}, "train": {"waveform_adversary": 0.0}}, LAYOUT)
    assert not none.losses(latent, rows, audio, audio, 1.0) and not none.learn(latent, rows, audio, audio, 1.0) and not none.state()

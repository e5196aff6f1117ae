"""What training minimises, against plain definitions; and the curves it asks for."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from neurorack.lab.descriptors import MinMax, measure
from neurorack.lab.layout import Layout
from neurorack.lab.train import curves, losses

RANGES = MinMax(np.array([[5.0, 14.0], [5.0, 13.0], [0.0, 2.0], [0.0, 1.0]]))


def plain_spectral(audio, target):
    """The distance as its definition says, by torch.stft and autograd."""
    total = 0.0
    for size in (2048, 1024, 512, 256, 128):
        a, b = (torch.stft(x, size, size // 4, window=torch.hann_window(size, dtype=x.dtype), return_complex=True, pad_mode="constant").abs()
                / size ** 0.5 for x in (audio, target))
        relative = ((a - b) ** 2).sum((1, 2)).sqrt() / (b ** 2).sum((1, 2)).sqrt().clamp(min=0.3)
        total = total + relative.mean() + (torch.log(a + 1e-4) - torch.log(b + 1e-4)).abs().mean()
    return total


def test_the_spectral_distance_and_its_gradient_are_those_of_the_definition():
    torch.manual_seed(0)
    audio, target = (0.1 * torch.randn(3, 3072, dtype=torch.float64) * torch.rand(3, 1) for _ in range(2))
    target[0, 1500:] = 0
    ours, plain = (audio.float().requires_grad_(), audio.clone().requires_grad_())
    loss = losses.spectral_loss(ours, target.float())
    reference = plain_spectral(plain, target)
    (3 * loss).backward()
    reference.backward()
    assert loss.item() == pytest.approx(reference.item(), rel=1e-4)
    assert float((ours.grad / 3 - plain.grad).norm() / plain.grad.norm()) < 0.01


@pytest.mark.parametrize("level", [0.0, 1e-6, 1.0])
def test_silence_on_either_side_has_a_finite_distance_and_gradient(level):
    audio = (level * torch.randn(2, 4096)).requires_grad_()
    for target in (torch.zeros(2, 4096), audio.detach().clone()):
        losses.spectral_loss(audio, target).backward()
        assert torch.isfinite(audio.grad).all()


def test_the_cycle_costs_nothing_where_a_sound_is_as_it_was_asked_and_much_where_not():
    torch.manual_seed(1)
    audio = 0.2 * torch.randn(2, 64 * 96)
    asked = measure(audio, RANGES)
    right = losses.cycle_loss(audio, asked, RANGES)
    wrong = losses.cycle_loss(audio, torch.cat((asked[..., :1], asked[..., 1:] + 0.5), -1), RANGES)
    silent = losses.cycle_loss(audio, torch.cat((torch.full_like(asked[..., :1], -1.0), asked[..., 1:] + 0.5), -1), RANGES)
    assert float(right) < 1e-6 and float(wrong) > 0.2 and float(silent) == 0      # what is asked to be silent has no colour


@pytest.mark.parametrize("pitched", [False, True])
def test_asked_curves_keep_to_what_can_be_asked(pitched):
    layout, rng = Layout(pitched), np.random.default_rng(3)
    rows = torch.zeros(4, 64, len(layout.conditions))
    asked = curves.asked_curves(rows, 64, layout, rng)
    assert asked.shape == (64, 64, len(layout.conditions)) and not rows.any()
    assert asked[..., :len(layout.described)].abs().max() <= 1 and (asked[..., 0].mean(1) > curves.QUIET).all()
    changed = (asked != 0).any(1).float().mean(0)
    assert ((changed > 0.1) & (changed < 0.9)).all()             # each curve is asked for, none always
    if pitched:
        pitch = asked[..., layout.column("pitch")]
        assert (pitch == pitch[:, :1]).all() and 0.3 < pitch.abs().max() <= 1


def test_random_curves_are_of_four_kinds_within_their_range():
    drawn = curves.random_curve((400, 256), np.random.default_rng(0)).numpy()
    assert np.abs(drawn).max() <= 1 and drawn.std(0).min() > 0.2
    constant = np.ptp(drawn, axis=1) == 0
    straight = ~constant & (np.abs(np.diff(drawn, 2)).max(1) < 1e-5)
    steps = ~constant & (np.array([len(np.unique(row)) for row in drawn]) == 2)
    assert all(0.12 < share.mean() < 0.4 for share in (constant, straight, steps))

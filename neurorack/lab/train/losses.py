"""What training minimises: the multi-scale spectral distance, and the descriptor cycle.

The cycle makes sounds from swapped and random curves, measures them again, and minimises the difference between asked
and measured. (Devis et al., "Continuous descriptor-based control for deep audio synthesis", ICASSP 2023, free a
framewise latent from the descriptors by an adversary instead; here the latent is one vector per clip and holds no curve.)
"""

import torch
from torch.nn import functional as F

from ..descriptors import HOP, measure
from .curves import QUIET

SCALES = (2048, 1024, 512, 256, 128)
ENERGY_FLOOR = 0.3          # of the relative term's denominator
LOG_EPSILON = 1e-4          # noise at about -76 dB
CYCLE_WEIGHTS = (1.1, 1.0, 1.2, 0.7)     # of centroid, bandwidth, sharpness, booming: they compete
CYCLE_BETA = 0.2
JUDGED_EVERY = 256          # samples between frames that the cycle judges
EDGE = 512                  # samples, half a descriptor window: frames nearer to a crop's edge than this are not judged


def _frames(audio, size):
    """Windows of `size` samples a quarter apart, as torch.stft centres them, without overlapping views: [batch, frames, size]."""
    hop = size // 4
    count = audio.shape[1] // hop + 1
    padded = F.pad(audio, (size // 2, size // 2 + hop))[:, :(count + 3) * hop]
    pieces = padded.reshape(len(audio), count + 3, hop)
    return torch.cat([pieces[:, k:k + count] for k in range(4)], 2)


def _unframed(frames, samples):
    """What `_frames` does, backwards: the sum over all windows of what belongs to each sample, [batch, samples]."""
    batch, count, size = frames.shape
    hop = size // 4
    summed = frames.new_zeros(batch, count + 3, hop)
    for k in range(4):
        summed[:, k:k + count] += frames[..., k * hop:(k + 1) * hop]
    return summed.reshape(batch, -1)[:, size // 2:size // 2 + samples]


def _spectrum(audio, window):
    """Spectrum and magnitudes over √size, so that noise has the same level at every scale, both [batch, frames, bins]."""
    spectrum = torch.fft.rfft(_frames(audio, len(window)) * window)
    return spectrum, (spectrum.real.square() + spectrum.imag.square()).add_(1e-14).sqrt_()


def _one_scale(audio, target, window, slopes):
    """The distance at one window and, where `slopes` is true, how it changes with each sample of audio (else None)."""
    spectrum, a = _spectrum(audio, window)
    b = _spectrum(target, window)[1]
    energy = b.square().sum((1, 2)).sqrt_().clamp_(min=ENERGY_FLOOR)
    apart = a - b
    length = apart.square().sum((1, 2)).clamp_(min=1e-12).sqrt_()
    a_safe = a + LOG_EPSILON
    logs = (a_safe / b.add_(LOG_EPSILON)).log_()
    value = (length / energy).mean() + logs.abs().mean()
    if not slopes:
        return value, None
    slope = apart.div_((length * energy * len(audio))[:, None, None])
    slope.add_(logs.sign_().div_(a_safe), alpha=1 / logs.numel())
    slope.div_(a)
    slope[..., 1:-1] *= 0.5                 # irfft counts these bins twice
    frames = torch.fft.irfft(spectrum * slope, len(window), norm="forward") * window
    return value, _unframed(frames, audio.shape[1])


class _Spectral(torch.autograd.Function):
    """`spectral_loss` with its gradient worked out along the way: half the time of leaving it to autograd."""

    @staticmethod
    def forward(ctx, audio, target):
        """The loss, and its gradient kept for later where one is needed."""
        total, gradient = audio.new_zeros(()), None
        for size in SCALES:
            window = torch.hann_window(size, device=audio.device) * size ** -0.5
            value, slopes = _one_scale(audio, target, window, ctx.needs_input_grad[0])
            total = total + value
            gradient = slopes if gradient is None else gradient.add_(slopes)
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx, upstream):
        """The kept gradient."""
        return ctx.saved_tensors[0] * upstream, None


def spectral_loss(audio, target):
    """Multi-scale spectral distance: relative L2 plus mean |Δlog magnitude|, summed over five windows (2048 … 128).

    audio, target: [batch, samples]; only audio gets a gradient. The relative term's denominator has a floor and the
    logarithm an epsilon, so that silence cannot dominate.
    """
    return _Spectral.apply(audio, target)


def cycle_loss(audio, asked, normaliser, hop=HOP, loudness=0.0):
    """Smooth-L1 between asked and re-measured centroid, bandwidth, sharpness and booming, where it is asked to be heard.

    audio: [batch, frames·hop]; asked: [batch, frames, conditions]. loudness: its weight, for engines that can miss what is asked.
    """
    first, weights = (0, (loudness, *CYCLE_WEIGHTS)) if loudness else (1, CYCLE_WEIGHTS)
    stride = max(1, JUDGED_EVERY // hop)
    count = asked.shape[1] // stride
    measured = measure(audio, normaliser, count, stride, hop)[..., first:]
    edge = -(-EDGE // (hop * stride))
    inside = slice(edge, count - edge)
    goal = asked[:, :count * stride:stride][:, inside]
    heard = (goal[..., :1] > QUIET).to(audio.dtype)
    error = F.smooth_l1_loss(measured[:, inside], goal[..., first:5], reduction="none", beta=CYCLE_BETA)
    return (error * heard * torch.tensor(weights, device=audio.device)).sum() / (heard.sum() * 4 + 1)


def kl_loss(mean, log_var):
    """Mean divergence of the latents from a normal distribution; log_var is held within -8 … 4."""
    return 0.5 * (mean ** 2 + log_var.clamp(-8, 4).exp() - 1 - log_var).mean()

"""Adversaries, switched on by a recipe: one keeps descriptors out of the latent, one makes the waveform lifelike.

`LatentAdversary` after Lample et al., "Fader Networks" (2017), as Devis et al., "Continuous descriptor-based control for deep audio
synthesis" (ICASSP 2023), use it on a framewise latent: a net guesses each descriptor, cut in even steps, from the latent, and the
encoder is paid for its failure. `WaveformAdversary`: discriminators of several scales and periods after Kumar et al., "MelGAN" (2019),
and Kong et al., "HiFi-GAN" (2020), with feature matching, for a second phase as in RAVE.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

SLOPE = 0.2                 # of the leaky ReLUs
STEPS = 16                  # that a descriptor is cut in
WARM_PART = 0.2             # of the run, over which the latent's adversary gains its weight
RATE = 1e-3
WAVEFORM_RATE = 2e-4
SCALES, PERIODS = 3, (2, 3, 5, 7)
FEATURE_WEIGHT = 10.0       # of feature matching beside the discriminators' verdict


class _Adversary(nn.Module):
    """Nets with an optimiser of their own; `state` and `restore` hold both."""

    def _ready(self, rate):
        self.optimizer = torch.optim.Adam(self.parameters(), rate, betas=(0.5, 0.9))

    def _learn(self, loss, team):
        self.optimizer.zero_grad()
        loss.backward()
        if team is not None:
            team.average_gradients(list(self.parameters()))
        self.optimizer.step()
        return float(loss.detach())

    def state(self):
        """Weights and optimiser, for a checkpoint."""
        return {"nets": self.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state):
        """Take up what `state` gave."""
        self.load_state_dict(state["nets"])
        self.optimizer.load_state_dict(state["optimizer"])


class LatentAdversary(_Adversary):
    """Guesses the step, of 16 between -1 and 1, that each descriptor has, from the latents around."""

    def __init__(self, layout, weight=1.0, width=64, device="cpu"):
        super().__init__()
        self.weight, self.count = weight, len(layout.described)
        self.layers = nn.Sequential(nn.Conv1d(layout.latents, width, 5, padding=2), nn.LeakyReLU(SLOPE),
                                    nn.Conv1d(width, width, 5, padding=2), nn.LeakyReLU(SLOPE),
                                    nn.Conv1d(width, STEPS * self.count, 1))
        self.to(device)
        self._ready(RATE)

    def guess_loss(self, latent, rows):
        """Cross-entropy of the guess, mean of all descriptors and frames. A latent of one vector per clip is held for its frames."""
        z = latent if latent.dim() == 3 else latent[:, None].expand(-1, rows.shape[1], -1)
        steps = ((rows[..., :self.count].clamp(-1, 1) + 1) * (STEPS / 2)).long().clamp(max=STEPS - 1)
        said = self.layers(z.transpose(1, 2)).transpose(1, 2).unflatten(-1, (self.count, STEPS))
        return F.cross_entropy(said.flatten(0, 2), steps.flatten())

    def loss_for_decoder(self, latent, rows, part=1.0):
        """What the encoder pays, weighted, for what can be guessed: nothing once the guess is no better than chance.

        part: of the run that is over; the weight grows over its first fifth.
        """
        gain = math.log(STEPS) - self.guess_loss(latent, rows)
        return self.weight * min(1.0, part / WARM_PART) * gain.clamp(min=0)

    def step(self, latent, rows, team=None):
        """Learn to guess better; returns the loss."""
        return self._learn(self.guess_loss(latent.detach(), rows), team)


class ScaleNet(nn.Module):
    """Grouped strided convolutions over the waveform. forward: audio [batch, 1, samples] → list of features, the last is the verdict."""

    def __init__(self, width=16):
        super().__init__()
        sizes = [width, 4 * width, 8 * width, 8 * width]
        self.layers = nn.ModuleList([nn.Conv1d(1, width, 15, padding=7)])
        self.layers.extend(nn.Conv1d(a, b, 21, 4, 10, groups=a // 4) for a, b in zip(sizes, sizes[1:]))
        self.layers.append(nn.Conv1d(sizes[-1], 1, 3, padding=1))

    def forward(self, audio):
        return _features(self.layers, audio)


class PeriodNet(nn.Module):
    """Two-dimensional convolutions over the waveform folded at a period. As `ScaleNet`."""

    def __init__(self, period, width=16):
        super().__init__()
        self.period, sizes = period, [1, width, 2 * width, 4 * width]
        self.layers = nn.ModuleList(nn.Conv2d(a, b, (5, 1), (3, 1), (2, 0)) for a, b in zip(sizes, sizes[1:]))
        self.layers.append(nn.Conv2d(sizes[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, audio):
        folded = F.pad(audio, (0, -audio.shape[2] % self.period)).unflatten(2, (-1, self.period))
        return _features(self.layers, folded)


def _features(layers, x):
    found = []
    for k, layer in enumerate(layers):
        x = layer(x)
        found.append(x)
        x = F.leaky_relu(x, SLOPE)
    return found


class WaveformAdversary(_Adversary):
    """Discriminators at three scales and four periods, hinge losses and feature matching; at work after the part `begins` of the run."""

    def __init__(self, weight=1.0, begins=0.5, width=16, device="cpu"):
        super().__init__()
        self.weight, self.begins = weight, begins
        self.scales = nn.ModuleList(ScaleNet(width) for _ in range(SCALES))
        self.periods = nn.ModuleList(PeriodNet(period, width) for period in PERIODS)
        self.to(device)
        self._ready(WAVEFORM_RATE)

    def judge(self, audio):
        """Features of all nets for audio [batch, samples]: a list of lists."""
        audio = audio[:, None]
        found = [net(audio) for net in self.periods]
        for net in self.scales:
            found.append(net(audio))
            audio = F.avg_pool1d(audio, 4, 2, 1)
        return found

    def loss_for_decoder(self, audio, target, part=1.0):
        """Weighted hinge and feature-matching loss of made sounds beside their targets; 0 before the second phase."""
        if part < self.begins:
            return audio.new_zeros(())
        made = self.judge(audio)
        with torch.no_grad():
            real = self.judge(target)
        verdict = -sum(features[-1].mean() for features in made)
        pairs = [(a, b) for ours, theirs in zip(made, real) for a, b in zip(ours[:-1], theirs[:-1])]
        matching = sum((a - b).abs().mean() / (b.abs().mean() + 1e-3) for a, b in pairs) / len(pairs)
        return self.weight * (verdict / len(made) + FEATURE_WEIGHT * matching)

    def step(self, audio, target, part=1.0, team=None):
        """Learn to tell made sounds from real ones; returns the hinge loss, 0 before the second phase."""
        if part < self.begins:
            return 0.0
        losses = [F.relu(1 + made[-1]).mean() + F.relu(1 - real[-1]).mean()
                  for made, real in zip(self.judge(audio.detach()), self.judge(target))]
        return self._learn(sum(losses) / len(losses), team)


class Adversaries:
    """Those a recipe asks for, as the training loop uses them: `losses` before the step of the nets, `learn` after it."""

    def __init__(self, recipe, layout, device="cpu"):
        train, weight = recipe["train"], recipe["latent"]["adversary"]
        self.latent = LatentAdversary(layout, weight, device=device) if weight else None
        wave = train["waveform_adversary"]
        self.waveform = WaveformAdversary(wave, train["waveform_adversary_from"], device=device) if wave else None

    @property
    def parameters(self):
        """Of all nets: for a team to share out."""
        return [p for net in (self.latent, self.waveform) if net for p in net.parameters()]

    def losses(self, latent, rows, audio, target, part):
        """{name: weighted loss} to be added to what the engine and encoder minimise."""
        told = {}
        if self.latent:
            told["latent adversary"] = self.latent.loss_for_decoder(latent, rows, part)
        if self.waveform:
            told["waveform adversary"] = self.waveform.loss_for_decoder(audio, target, part)
        return told

    def learn(self, latent, rows, audio, target, part, team=None):
        """One step of the adversaries; returns {name: loss}. The gradients they left in other nets are the caller's to clear."""
        told = {}
        if self.latent:
            told["latent guess"] = self.latent.step(latent, rows, team)
        if self.waveform:
            told["waveform guess"] = self.waveform.step(audio, target, part, team)
        return told

    def state(self):
        """For a checkpoint."""
        return {name: net.state() for name, net in (("latent", self.latent), ("waveform", self.waveform)) if net}

    def restore(self, state):
        """Take up what `state` gave."""
        for name, each in state.items():
            getattr(self, name).restore(each)

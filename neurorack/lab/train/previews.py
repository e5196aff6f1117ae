"""What a run sounds like so far: short files of held-out clips, rebuilt and with swapped curves; and quick control figures.

Both draw nothing from the run's own random numbers, so that looking does not change what is trained.
"""

import numpy as np
import soundfile
import torch
from scipy.stats import spearmanr

from .. import data
from ..descriptors import HOP, RATE_HZ, clip_rows, measure
from ..layout import DESCRIPTORS
from .curves import QUIET, random_curve
from .losses import EDGE, JUDGED_EVERY

CLIPS, SECONDS = 3, 1.5
CURVES, CURVE_SECONDS = 24, 0.75
GAP_SECONDS = 0.25
FOLDER = "previews"
PREVIEW_PARTS = 10          # previews as often in a run


class HeldOut:
    """Held-out clips with their rows and latents, as far as previews and quick figures need them."""

    def __init__(self, trainer, cache):
        self.trainer, self.layout, self.hop = trainer, trainer.layout, trainer.engine.hop
        self.clips = data.Clips(cache, "held-out")
        chosen = np.linspace(0, len(self.clips) - 1, min(CURVES, len(self.clips))).round().astype(int)
        samples = int(SECONDS * RATE_HZ) // 4096 * 4096
        self.audio = torch.from_numpy(np.stack([self.clips.padded(k, samples) for k in chosen])).to(trainer.device)
        told = [None, None]
        if self.layout.pitched:
            fit = lambda curve: np.pad(curve, (0, max(0, samples // HOP - len(curve))), mode="edge")[:samples // HOP]
            told = [np.stack([fit(curves[k]) for k in chosen]) for curves in (self.clips.pitch, self.clips.harmonicity)]
        with torch.no_grad():
            self.curves = clip_rows(self.audio, *told, trainer.normaliser, self.layout, self.hop)

    def _latents(self):
        return self.trainer.encoder(self.audio)[0]

    def previews(self):
        """(recordings, rebuilt, swapped): float32 [samples] each, a few clips one after the other."""
        step = max(1, len(self.audio) // CLIPS)
        with torch.no_grad(), quietly(self.trainer):
            z = self._latents()[::step][:CLIPS]
            curves = self.curves[::step][:CLIPS]
            rebuilt = self.trainer.engine.render(self.trainer.joined(curves, z))
            swapped = self.trainer.engine.render(self.trainer.joined(curves, z.roll(1, 0)))
        gap = np.zeros(int(GAP_SECONDS * RATE_HZ), np.float32)
        row = lambda sounds: np.concatenate([piece for sound in sounds for piece in (sound.cpu().numpy(), gap)])
        return row(self.audio[::step][:CLIPS]), row(rebuilt), row(swapped)

    def write(self, folder, step):
        """Write previews as FLAC files into `folder`/previews: recordings once, rebuilt and swapped of this step."""
        folder = folder / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        recordings, rebuilt, swapped = self.previews()
        for name, sound in (("recordings", recordings), (f"rebuilt-{step:06d}", rebuilt), (f"swapped-{step:06d}", swapped)):
            soundfile.write(folder / f"{name}.flac", np.clip(sound, -1, 1), RATE_HZ)
        return folder

    def control(self):
        """Spearman of asked and measured curves, all descriptors random at once: {name: value, "mean": value}."""
        rng = np.random.default_rng(5)
        frames = min(self.curves.shape[1], int(CURVE_SECONDS * RATE_HZ) // self.hop)
        index = np.arange(CURVES) % len(self.audio)
        asked = self.curves[index, :frames].cpu().clone()
        for d in range(len(DESCRIPTORS)):
            asked[..., d] = random_curve((CURVES, frames), rng, self.hop)
        asked = asked.to(self.audio.device)
        stride = max(1, JUDGED_EVERY // self.hop)
        history, trainer = self.trainer.engine.history, self.trainer
        with torch.no_grad(), quietly(trainer):
            z = self._latents()[index]
            z = z[:, :frames] if trainer.framewise else z
            rows = trainer.joined(asked, z)
            audio = trainer.engine.play(torch.cat((rows[:, :1].expand(-1, history, -1), rows), 1), rng)
            got = measure(audio, trainer.normaliser, frames // stride, stride, self.hop)
        edge = -(-EDGE // (self.hop * stride))
        want, got = (x[:, edge:-edge].reshape(-1, len(DESCRIPTORS)).cpu().numpy()
                     for x in (asked[:, :frames // stride * stride:stride, :len(DESCRIPTORS)], got))
        heard = want[:, 0] > QUIET
        out = {}
        for d, name in enumerate(DESCRIPTORS):
            keep = heard if d else slice(None)
            moves = all(x.size and np.ptp(x) > 0 for x in (want[keep, d], got[keep, d]))      # what stands still follows nothing
            out[name] = round(float(spearmanr(want[keep, d], got[keep, d])[0]), 3) if moves else 0.0
        return out | {"mean": round(float(np.mean(list(out.values()))), 3)}


class quietly:
    """Networks in their playing state, and the random numbers as they were when it is over."""

    def __init__(self, trainer):
        self.modules = [trainer.engine, trainer.encoder]

    def __enter__(self):
        self.fork = torch.random.fork_rng()
        self.fork.__enter__()
        for module in self.modules:
            module.eval()

    def __exit__(self, *error):
        for module in self.modules:
            module.train()
        self.fork.__exit__(*error)

"""What a model is measured on: held-out clips with their curves and latents, and a way to play rows."""

import copy

import numpy as np
import torch
from torch.nn import functional as F

from ..descriptors import HOP, clip_rows, harmonicity_to_unit, measure
from ..layout import DESCRIPTORS

FRAMES = 560            # of 64 samples: curves of 0.75 s
STRIDE = 4              # frames between two that are judged
EDGE = 2                # judged frames left out at both ends: half a descriptor window
CHUNK = 32              # curves played and measured at a time


class Bench:
    """A model and the clips it is measured on.

    clips: `data.Clips`; layout: of the model's rows; own: its normaliser; encode: function of audio [batch, samples] →
    latents [batch, one or several, size]; play: function of rows float32 [batch, rows, layout.width] → audio [batch, rows·hop]
    from a fresh state; hop: samples a row; space: normaliser of the curves that are asked and judged (default `own`);
    delay: samples the audio comes late, taken off before judging except where time is what is judged; rest: row of rest.

    Every part of the protocol plays from the same place of the noise loops except the second rebuilding.
    """

    def __init__(self, clips, layout, own, encode, play, hop=HOP, space=None, delay=0, rest=None, seed=7):
        self.clips, self.layout, self.own, self.hop, self.delay, self.seed = clips, layout, own, hop, delay, seed
        self.space = own if space is None else space
        self._play, self.broken, self.peak = play, 0, 0.0
        self.rest = torch.tensor(layout.rest if rest is None else rest, dtype=torch.float32)
        self.samples = FRAMES * HOP
        self.audio = torch.from_numpy(np.stack([clips.padded(k, self.samples) for k in range(len(clips))]))
        self.curves = torch.cat([clip_rows(some, None, None, self.space) for some in self.audio.split(CHUNK)])
        self.pitch = _padded(clips.pitch) if layout.pitched else None
        self.extras = self._extras()
        with torch.no_grad():
            whole = F.pad(self.audio, (0, -self.samples % hop))
            self.latents = torch.cat([encode(row[None]) for row in whole])

    def of(self, play):
        """The same bench with another model of the same rows, encoder and delay to play."""
        other = copy.copy(self)
        other._play, other.broken, other.peak = play, 0, 0.0
        return other

    def _extras(self):
        """Harmonicity and pitch of the clips, [n, FRAMES, 2], or no columns."""
        if not self.layout.pitched:
            return self.audio.new_zeros(len(self.audio), FRAMES, 0)
        level = torch.from_numpy(_padded(self.clips.harmonicity))
        return torch.stack((harmonicity_to_unit(level).clamp(-1, 1), torch.from_numpy(self.pitch)), -1)

    def pick(self, count):
        """Indices of clips for `count` curves: all in turn, or where there are fewer curves, evenly among them."""
        n = len(self.audio)
        return torch.from_numpy(np.arange(count) % n if count >= n else np.arange(count) * n // count)

    def rows(self, asked, index, extras=None):
        """Rows of the model for curves [n, frames, 5] in units of `space`, one per 64 samples, with latents of clips `index`.

        extras: [n, frames, 0 or 2] harmonicity and pitch (default: those of the clips). Row k has what is asked at its end;
        what goes on longer than a clip keeps the clip's mean latent, harmonicity and pitch.
        """
        count, frames = asked.shape[0], asked.shape[1]
        at = (torch.arange(1, -(-frames * HOP // self.hop) + 1) * self.hop // HOP - 1).clamp(max=frames - 1)
        extras = self._steady(self.extras[index], frames) if extras is None else extras
        latents = self._steady(self.latents[index], len(at)) if self.latents.shape[1] > 1 else self.latents[index]
        told = asked[:, at]
        if self.own is not self.space:
            told = torch.cat((told[..., :1], self.own.forward(self.space.inverse(told[..., 1:]))), -1)
        return torch.cat((told, extras[:, at], latents.expand(count, len(at), -1)), -1).contiguous()

    @staticmethod
    def _steady(table, length):
        """A table [n, steps, columns] of at least `length` steps: as it is, or its means for longer."""
        return table[:, :length] if length <= table.shape[1] else table.mean(1, keepdim=True).expand(-1, length, -1)

    def play(self, rows, late=False):
        """Audio [n, rows·hop] of rows from a fresh state, the model's delay taken off unless `late`. Counts what is no number."""
        skip = 0 if late else self.delay
        if skip:
            rows = torch.cat((rows, rows[:, -1:].expand(-1, -(-skip // self.hop), -1)), 1)
        audio = self._play(rows)
        self.broken += int((~torch.isfinite(audio)).sum())
        audio = torch.nan_to_num(audio, 0.0, 0.0, 0.0)
        self.peak = max(self.peak, float(audio.abs().max())) if audio.numel() else self.peak
        return audio[:, skip:skip + rows.shape[1] * self.hop - (-(-skip // self.hop) * self.hop)]

    def sounds(self, asked, index, extras=None):
        """Audio of curves in chunks: yields (slice, audio [m, frames·64])."""
        for first in range(0, len(asked), CHUNK):
            part = slice(first, first + CHUNK)
            rows = self.rows(asked[part], index[part], None if extras is None else extras[part])
            yield part, self.play(rows)[:, :asked.shape[1] * HOP]

    def follow(self, asked, index, extras=None):
        """Play curves and measure again: (asked, measured), float32 arrays [n, judged frames, 5]."""
        frames = asked.shape[1] // STRIDE
        got = torch.cat([measure(audio, self.space, frames, STRIDE) for _, audio in self.sounds(asked, index, extras)])
        return asked[:, ::STRIDE][:, EDGE:-EDGE].numpy(), got[:, EDGE:-EDGE].numpy()

    def rebuild(self, wait=0):
        """Clips from their own curves and latents, after `wait` frames of 64 samples of rest (other noise)."""
        index, out = torch.arange(len(self.audio)), []
        wait = -(-wait * HOP // self.hop)
        for first in range(0, len(index), CHUNK):
            rows = self.rows(self.curves[first:first + CHUNK], index[first:first + CHUNK])
            rows = torch.cat((self.rest.expand(len(rows), wait, -1), rows), 1)
            out.append(self.play(rows)[:, wait * self.hop:][:, :self.samples])
        return torch.cat(out)

    def constant(self, frames, **values):
        """Curves [clips, frames, 5] at 0 but for the named descriptors."""
        asked = torch.zeros(len(self.audio), frames, len(DESCRIPTORS))
        for name, value in values.items():
            asked[..., DESCRIPTORS.index(name)] = value
        return asked


def _padded(tables):
    """Curves of clips, one value per 64 samples, cut or held to FRAMES: float32 [n, FRAMES]."""
    return np.stack([np.pad(t[:FRAMES], (0, max(0, FRAMES - len(t))), "edge") for t in map(np.asarray, tables)]).astype(np.float32)

"""Measures a model: how well it follows its descriptors, and how it sounds beside held-out recordings.

``python -m neurorack.lab.evaluate models/impacts/impacts.safetensors [--json OUT.json]`` plays the exported file through
the engine and compares with the held-out clips of the recipe beside it. Curves and judged code are fixed by the seed.

Protocol: curves of 0.75 s are played with the latents of held-out clips; the sound is measured again with the
descriptor code, and asked and measured values of all frames are correlated (plain Spearman and Pearson; frames asked
to be quieter than -0.8 are left out, except for loudness). *all five*: five independent random curves at once;
*single*: one random curve, the others those of the clip; *swap*: all five of another clip; *unseen*: triangles and
saws, which training never draws, and the same sounds judged a second time by plain numpy code with another window.
"""

import argparse
import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from scipy.stats import pearsonr, spearmanr

from ...engine import Model
from ...errors import ModelError, NeurorackError
from .. import data, nets
from ..descriptors import HOP, NAMES, RATE_HZ, WINDOW, _TABLES, QuantileMap, curves, db_to_loudness, loudness_db, spectral
from ..train import REST, random_curve, read_recipe

FRAMES = 560
STRIDE = 4
EDGE = 2                # frames of `STRIDE` left out at both ends: half a window


def unseen_curve(shape, rng):
    """Triangles and saws of 0.7 to 10 Hz, [batch, frames] in [-1, 1]."""
    seconds = np.arange(shape[1]) * HOP / RATE_HZ
    phase = (2 ** rng.uniform(-0.5, 3.3, (shape[0], 1)) * seconds + rng.random((shape[0], 1))) % 1
    wave = np.where(rng.random((shape[0], 1)) < 0.5, 2 * phase - 1, 1 - 4 * np.abs(phase - 0.5))
    low, high = np.sort(rng.uniform(-1, 1, (2, shape[0], 1)), 0)
    return torch.from_numpy(((low + high) / 2 + (high - low) / 2 * wave).astype(np.float32))


def second_opinion(asked, audio, size=2048, hop=512):
    """Spearman of loudness, centroid and bandwidth by other code: numpy, 2048-sample windows, in dB and Hz.

    asked: [n, frames, 5] normalised; audio: [n, samples], both numpy arrays. Returns a dictionary of three figures.
    """
    hertz, columns, wants = np.fft.rfftfreq(size, 1 / RATE_HZ), [], []
    for want, sound in zip(asked, audio):
        for at in range(size // 2, sound.shape[0] - size // 2, hop):
            piece = sound[at - size // 2:at + size // 2].astype(np.float64)
            magnitude = np.abs(np.fft.rfft(piece * np.hanning(size))) + 1e-12
            share = magnitude / magnitude.sum()
            centroid = (hertz * share).sum()
            columns.append((np.mean(piece ** 2), centroid, np.sqrt((((hertz - centroid) ** 2) * share).sum())))
            wants.append(want[at // HOP - 1])
    columns, wants = np.array(columns), np.array(wants)
    heard = wants[:, 0] > -0.8
    return {name: round(float(spearmanr(columns[heard if d else slice(None), d], wants[heard if d else slice(None), d])[0]), 3)
            for d, name in enumerate(NAMES[:3])}


class Bench:
    """Held-out clips with their curves and latents, and a way to play rows.

    play: function of rows float32 [batch, frames, inputs] → audio float32 [batch, frames·64], from a fresh state.
    Every part of the protocol plays from the same place of the noise loops except the second rebuilding in `evaluate`.
    """

    def __init__(self, clips, encoder, quantiles, play, seed=7):
        self.clips, self.quantiles, self.play, self.seed = clips, quantiles, play, seed
        audio = torch.from_numpy(np.stack([clips.padded(k, FRAMES * HOP) for k in range(len(clips))]))
        self.audio, self.curves = audio, curves(audio, quantiles)
        with torch.no_grad():
            self.latents = torch.cat([encoder(row[None])[0] for row in audio])

    def rows(self, asked, index):
        """Rows of curves [n, frames, 5] with the latents of clips `index`."""
        return torch.cat((asked, self.latents[index][:, None].expand(-1, asked.shape[1], -1)), -1)

    def measure(self, audio):
        """Normalised descriptors [n, frames / STRIDE, 5] of audio."""
        frames = audio.shape[1] // HOP
        loud = db_to_loudness(loudness_db(audio, frames))[:, ::STRIDE, None].clamp(-1.5, 1.5)
        return torch.cat((loud, self.quantiles.forward(spectral(audio, frames // STRIDE, STRIDE))), -1)

    def follow(self, asked, index, only=None):
        """Correlate asked with measured. Returns {name: (spearman, pearson)} and the mean absolute error."""
        got, want = self.measure(self.play(self.rows(asked, index))), asked[:, ::STRIDE]
        got, want = got[:, EDGE:-EDGE].reshape(-1, 5).numpy(), want[:, EDGE:-EDGE].reshape(-1, 5).numpy()
        heard, out, errors = want[:, 0] > -0.8, {}, []
        for d in range(5) if only is None else [only]:
            keep = heard if d else np.ones_like(heard)
            a, b = want[keep, d], got[keep, d]
            out[NAMES[d]] = (float(spearmanr(a, b)[0]), float(pearsonr(a, b)[0]))
            errors.append(float(np.abs(a - b).mean()))
        return out, float(np.mean(errors))

    def control(self, count=256):
        """The four protocols, `count` curves each. Returns a dictionary of figures rounded to 3 places."""
        rng = np.random.default_rng(self.seed)
        index = torch.from_numpy(np.arange(count) % len(self.clips))
        mean = lambda table, which: round(float(np.mean([v[which] for v in table.values()])), 3)
        each = lambda table: {name: round(v[0], 3) for name, v in table.items()}
        out = {"curves": count}
        for title, draw in (("all_five", random_curve), ("unseen", unseen_curve)):
            asked = torch.stack([draw((count, FRAMES), rng) for _ in NAMES], -1)
            table, error = self.follow(asked, index)
            out[title] = {"spearman": mean(table, 0), "pearson": mean(table, 1), "error": round(error, 3)} | each(table)
        out["second_opinion"] = second_opinion(asked.numpy(), self.play(self.rows(asked, index)).numpy())
        other = torch.from_numpy(rng.integers(len(self.clips), size=count))
        table, error = self.follow(self.curves[other], index)
        out["swap"] = {"spearman": mean(table, 0), "pearson": mean(table, 1), "error": round(error, 3)} | each(table)
        single = {}
        for d, name in enumerate(NAMES):
            asked = self.curves[index].clone()
            asked[..., d] = random_curve((count, FRAMES), rng)
            single |= self.follow(asked, index, d)[0]
        out["single"] = {"spearman": mean(single, 0), "pearson": mean(single, 1)} | each(single)
        return out

    def rebuild(self, wait=0):
        """Held-out clips from their own curves and latents, after `wait` frames of rest (other noise)."""
        rows = self.rows(self.curves, torch.arange(len(self.clips)))
        rows = torch.cat((REST.expand(len(rows), wait, -1), rows), 1)
        return self.play(rows)[:, wait * HOP:]


def log_bands(audio):
    """Half-Bark band levels in dB, floor -70 dBFS: [batch, bands, frames of 256]."""
    spectrum = torch.stft(audio, WINDOW, 256, window=_TABLES["hann"], return_complex=True, pad_mode="constant")
    power = torch.einsum("bft,fn->bnt", spectrum.abs() ** 2, _TABLES["bands"]) / (WINDOW ** 2 / 16)
    return 10 * torch.log10(power + 1e-7)


def band_error_db(audio, target):
    """Mean absolute difference of the levels of 49 half-Bark bands, over frames where the target is above -60 dBFS."""
    a, b = log_bands(audio), log_bands(target)
    heard = (b.amax(1, keepdim=True) > -60).float()
    return float(((a - b).abs() * heard).sum() / (heard.sum() * a.shape[1]))


def rise_ms(audio, window=96):
    """Time from the first sample until 2 ms RMS comes within 6 dB of its highest in the first 50 ms, in ms."""
    power = np.convolve(audio[:2400].astype(np.float64) ** 2, np.ones(window) / window)[:2400]
    return float(np.argmax(power >= 0.25 * power.max())) * 1000 / RATE_HZ


def buzz_db(audio):
    """How far the envelope's lines at 1, 2 and 3 times the frame rate stand over those at other frequencies, in dB.

    Each line is the greatest bin within 2 Hz; the others are 24 frequencies around it, 20 Hz apart. The median over
    sounds matters: sines that happen to beat at the frame rate raise single values.
    """
    envelope = np.abs(audio[RATE_HZ // 10:].astype(np.float64))
    spectrum = np.abs(np.fft.rfft((envelope - envelope.mean()) * np.hanning(len(envelope))))
    hertz = np.fft.rfftfreq(len(envelope), 1 / RATE_HZ)
    line = lambda at: 20 * math.log10(spectrum[np.abs(hertz - at) < 2].max() + 1e-9)
    over = [line(at) - np.median([line(at + k * 20) for k in range(-12, 13) if k]) for at in RATE_HZ / HOP * np.arange(1, 4)]
    return max(over)


def short_centroid(audio, size=256, hop=16):
    """Log2 spectral centroid of centred 5 ms windows, one value each 16 samples (for the time of a step)."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(audio, size // 2), size)[:len(audio):hop] * np.hanning(size)
    magnitude = np.abs(np.fft.rfft(windows)) + 1e-9
    return np.log2(magnitude @ np.fft.rfftfreq(size, 1 / RATE_HZ) / magnitude.sum(1))


def half_time_ms(track, hop, at):
    """Time after sample `at` at which a stepped measurement [frames of `hop`] has gone half its way, in ms."""
    step = at // hop
    before, after = np.median(track[step // 2:step - 8]), np.median(track[step + (len(track) - step) // 2:])
    gone = (track[step - 8:] - before) / (after - before) >= 0.5
    return (int(np.argmax(gone)) - 8) * hop * 1000 / RATE_HZ


def steps(bench):
    """Constants and steps: silence, buzz, and how fast a loudness and a centroid step come through (median of clips)."""
    n, frames, at = len(bench.clips), 1500, 750
    steady = torch.zeros(n, frames, 5)
    steady[..., 0] = 0.8
    index = torch.arange(n)
    audio = bench.play(bench.rows(steady, index)).numpy()
    out = {"buzz_db": round(float(np.median([buzz_db(a) for a in audio])), 1)}
    asked = steady.clone()
    asked[:, :at, 0] = REST[0]
    audio = bench.play(bench.rows(asked, index)).numpy()
    quiet = float(np.abs(audio[:, :at * HOP]).max())
    out["silence_dbfs"] = None if quiet == 0 else round(20 * math.log10(quiet), 1)
    reach = [int(np.argmax(a[at * HOP:] != 0)) for a in audio]
    level = np.sqrt(np.stack([np.convolve(a ** 2, np.ones(64) / 64)[:len(a)][::16] for a in audio.astype(np.float64)]).mean(0))
    out["first_sample"] = int(max(reach))
    out["loudness_step_ms"] = round(half_time_ms(level, 16, at * HOP), 2)
    asked = steady.clone()
    asked[:, :at, 1], asked[:, at:, 1] = -0.5, 0.5
    audio = bench.play(bench.rows(asked, index))
    start = (at - 64) * HOP
    track = np.median([short_centroid(a[start:].numpy()) for a in audio], 0)
    out["centroid_step_ms"] = round(half_time_ms(track, 16, 64 * HOP), 2)
    return out


def evaluate(bench, count=256):
    """All figures of a model as a dictionary."""
    first, second = bench.rebuild(), bench.rebuild(wait=333)
    out = {"control": bench.control(count), "held_out_clips": len(bench.clips)}
    out["band_error_db"] = round(band_error_db(first, bench.audio), 2)
    out["band_error_of_noise_db"] = round(band_error_db(second, first), 2)
    out["band_error_of_silence_db"] = round(band_error_db(torch.zeros_like(first), bench.audio), 2)
    rises = np.array([[rise_ms(a.numpy()), rise_ms(b.numpy())] for a, b in zip(first, bench.audio)])
    out["rise_ms"], out["rise_of_recordings_ms"] = (round(float(v), 2) for v in np.median(rises, 0))
    out |= steps(bench)
    return out


def player(model, block_frames=1024):
    """The `play` of a `Bench` for a model file: each row of the batch through the engine, from a fresh state."""
    program = model.program("decode", block_frames=block_frames)
    step = program.in_shape[0]
    rest = np.array([entry["rest"] for entry in model.card["inputs"]], np.float32)

    def play(rows):
        frames = rows.shape[1]
        spare = np.repeat(rest[None], -frames % step, 0)
        out = []
        for one in rows.numpy():
            program.reset()
            out.append(program.stream(np.concatenate((one, spare)))[:frames * HOP, 0])
        return torch.from_numpy(np.stack(out))

    return play


def bench_of(model, clips):
    """A `Bench` of an exported model file. ModelError for a model without the lab's encoder or five descriptors."""
    names = [entry["name"] for entry in model.card.get("inputs", [])]
    if names[:5] != list(NAMES):
        raise ModelError(f"{model.path}: its first inputs are not {', '.join(NAMES)}; only models of the lab can be measured")
    encoder = nets.Encoder()
    encoder.load_state_dict({name: torch.from_numpy(np.array(model.tensor("encoder." + name)))
                             for name in encoder.state_dict()})
    quantiles = QuantileMap([entry["knots"] for entry in model.card["inputs"][1:5]])
    return Bench(clips, encoder.eval(), quantiles, player(model))


def table(figures):
    """The figures as lines of text."""
    control = figures["control"]
    lines = [f"{control['curves']} curves a protocol, latents of {figures['held_out_clips']} held-out clips", "",
             "| | mean Spearman | mean Pearson | " + " | ".join(NAMES) + " |", "|---" * (3 + len(NAMES)) + "|"]
    for key, title in (("all_five", "all five at once"), ("unseen", "all five, unseen shapes"), ("single", "one at a time"),
                       ("swap", "curves of another clip")):
        row = control[key]
        lines.append(f"| {title} | {row['spearman']:.3f} | {row['pearson']:.3f} | "
                     + " | ".join(f"{row[name]:.3f}" for name in NAMES) + " |")
    other = control["second_opinion"]
    lines.append("| unseen shapes, judged by other code | | | " + " | ".join(f"{other[n]:.3f}" for n in NAMES[:3]) + " | | |")
    lines += ["", *(f"* {key}: {value}" for key, value in figures.items() if key != "control")]
    return "\n".join(lines)


def main(arguments=None):
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m neurorack.lab.evaluate", description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path, help="model file of the lab")
    parser.add_argument("--recipe", type=Path, help="its recipe (default: recipe.yaml beside it)")
    parser.add_argument("--cache", type=Path, default=Path(".data"), help="folder of prepared data (default .data)")
    parser.add_argument("--curves", type=int, default=512, help="curves per protocol (default 512)")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        recipe = read_recipe(options.recipe or options.model.parent / "recipe.yaml")
        cache = data.prepare(recipe, options.model.parent, options.cache)
        figures = evaluate(bench_of(Model.load(options.model), data.Clips(cache, "held-out")), options.curves)
    except NeurorackError as error:
        print(f"neurorack: {error}", file=sys.stderr)
        return 2
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    print(table(figures))
    return 0



"""Trains a model from a recipe: ``python -m neurorack.lab.train models/impacts/recipe.yaml``.

Collects the data, trains for the recipe's number of steps (resumable: a checkpoint is kept in .out/NAME), measures the
result on the held-out clips and writes NAME.safetensors beside the recipe.

Losses: multi-scale spectral reconstruction, and a descriptor cycle: sounds are made from swapped and random curves,
measured again, and the difference between asked and measured curves is minimised. (Devis et al., "Continuous
descriptor-based control for deep audio synthesis", ICASSP 2023, free a framewise latent from the descriptors by an
adversary instead; here the latent is one vector per clip and holds no curve.)
"""

import argparse
import math
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
import yaml
from torch.nn import functional as F

from ..engine import generate
from ..errors import NeurorackError
from . import data, nets
from .descriptors import HOP, QuantileMap, crop_curves, loudness_db, spectral
from .sources import RecipeError

REST = torch.tensor([-1.5] + [0.0] * (nets.INPUTS - 1))
NOISE = {"kind": "erb_noise_bands", "bands": 64, "length": 65536, "sample_rate": 48000, "low_hz": 20.0, "high_hz": 20000.0,
         "seed": 1}
DEFAULTS = {"steps": 9000, "batch": 8, "cycle_batch": 6, "frames": 384, "cycle_frames": 256, "rate": 2e-3,
            "cycle_weight": 5.0, "kl_weight": 0.02, "width": 104, "sines": 96, "first_key": 28, "checkpoint_every": 500}
CYCLE_WEIGHTS = torch.tensor([1.1, 1.0, 1.2, 0.7])     # of centroid, bandwidth, sharpness, booming: they compete
EDGE_FRAMES = 8      # half a descriptor window: frames nearer to a crop's edge than this are not judged


def read_recipe(path):
    """A recipe file as a dictionary with every training setting present. RecipeError names what is wrong."""
    try:
        recipe = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise RecipeError(f"recipe {path} cannot be read: {error}") from None
    if not isinstance(recipe, dict) or not {"name", "data"} <= recipe.keys():
        raise RecipeError(f"recipe {path} needs at least the keys name and data")
    unknown = set(recipe.get("train", {})) - set(DEFAULTS)
    if unknown:
        raise RecipeError(f"recipe {path}: unknown key train.{sorted(unknown)[0]}; known: {', '.join(DEFAULTS)}")
    recipe["train"] = DEFAULTS | recipe.get("train", {})
    if recipe["train"]["cycle_frames"] > recipe["train"]["frames"]:
        raise RecipeError(f"recipe {path}: train.cycle_frames is {recipe['train']['cycle_frames']}; at most train.frames, "
                          f"{recipe['train']['frames']}, can be cut from a crop")
    return recipe


def fit_quantiles(clips, rng):
    """The quantile map of the four spectral descriptors over all clips and one varied copy of each, frames above -65 dB."""
    values = []
    for clip in clips.audio:
        for audio in (clip, data.augment(clip, rng)):
            audio = torch.from_numpy(audio)[None]
            frames = max(1, audio.shape[1] // HOP // 4)
            level = loudness_db(audio, frames * 4)[0, ::4]
            values.append(spectral(audio, frames, 4)[0][level > -65])
    return QuantileMap.fit(torch.cat(values).numpy())


def random_curve(shape, rng):
    """A batch of curves [batch, frames] in [-1, 1]: constants, ramps, sines of 0.5 to 12 Hz and steps, drawn evenly."""
    batch, frames = shape
    seconds = np.arange(frames) * HOP / 48000
    out = np.empty(shape, np.float32)
    for row in out:
        a, b = rng.uniform(-1, 1, 2)
        kind, hertz = rng.integers(4), 2 ** rng.uniform(-1, 3.6)
        if kind == 0:
            row[:] = a
        elif kind == 1:
            row[:] = np.linspace(a, b, frames)
        elif kind == 2:
            row[:] = (a + b) / 2 + (a - b) / 2 * np.sin(2 * np.pi * (hertz * seconds + rng.random()))
        else:
            row[:] = np.where((hertz * seconds + rng.random()) % 1 < 0.5, a, b)
    return torch.from_numpy(out)


class Trainer:
    """Nets, data and state of one training run."""

    def __init__(self, recipe, cache, folder):
        self.recipe, self.settings, self.folder = recipe, recipe["train"], Path(folder)
        seed = recipe.get("seed", 1)
        torch.manual_seed(seed)
        self.rng = np.random.default_rng(seed)
        self.clips = data.Clips(cache, "train")
        self.quantiles = fit_quantiles(self.clips, np.random.default_rng(seed))
        hertz = nets.sine_hertz(self.settings["first_key"], self.settings["sines"])
        noise = generate.array(NOISE)
        self.decoder = nets.Decoder(self.settings["width"], len(noise), len(hertz))
        self.encoder = nets.Encoder()
        self.synthesis = nets.Synthesis(noise, hertz)
        self.parameters = list(self.decoder.parameters()) + list(self.encoder.parameters())
        self.optimizer = torch.optim.Adam(self.parameters, self.settings["rate"], betas=(0.9, 0.98))
        self.step = 0

    def rate(self):
        """Learning rate: a short warm-up, constant to the middle, then a cosine down to 1 %."""
        part = self.step / self.settings["steps"]
        fall = 1.0 if part < 0.5 else 0.01 + 0.99 * (0.5 + 0.5 * math.cos(math.pi * (part - 0.5) / 0.5))
        return self.settings["rate"] * min(1.0, (self.step + 1) / 100) * fall

    def with_latent(self, rows, latent, starts):
        """Append the latent; before an onset it is 0 as at rest or, for half of the clips, that of another clip."""
        z = latent[:, None].expand(-1, rows.shape[1], -1).clone()
        rows = rows.clone()
        for k, start in enumerate(starts):
            silent = max(0, nets.HISTORY - int(start))
            if silent and self.rng.random() < 0.5:
                other = int(self.rng.integers(len(rows)))
                rows[k, :silent] = rows[other, nets.HISTORY:nets.HISTORY + silent]
                z[k, :silent] = latent[other].detach()
            elif silent:
                z[k, :silent] = 0
        return torch.cat((rows, z), -1)

    def play(self, rows):
        """Audio [batch, frames·64] of rows that begin with HISTORY rows of context."""
        return self.synthesis.random_render(self.decoder(rows)[:, nets.HISTORY:], self.rng)

    def cycle_loss(self, rows, latent):
        """Smooth-L1 between asked and re-measured spectral curves of swapped (35 %) and part-random (65 %) curves."""
        s, rng = self.settings, self.rng
        count, frames = s["cycle_batch"], s["cycle_frames"]
        asked = rows[torch.from_numpy(rng.integers(len(rows), size=count))][:, nets.HISTORY:nets.HISTORY + frames].clone()
        for k in range(count):
            if rng.random() < 0.65:
                for d in np.nonzero(rng.random(5) < rng.uniform(0.3, 1.5))[0]:
                    asked[k, :, d] = random_curve((1, frames), rng)[0]
            if asked[k, :, 0].mean() < -0.8:
                asked[k, :, 0] = random_curve((1, frames), rng)[0].clamp(min=-0.5)
        z = latent[torch.from_numpy(rng.integers(len(latent), size=count))].detach()
        z = torch.where(torch.rand(count, 1) < 0.2, torch.randn_like(z), z)
        first = asked[:, :1].expand(-1, nets.HISTORY, -1)
        audio = self.play(torch.cat((torch.cat((first, asked), 1), z[:, None].expand(-1, nets.HISTORY + frames, -1)), -1))
        measured = self.quantiles.forward(spectral(audio, frames // 4, 4))
        goal = asked[:, ::4]
        inside = slice(EDGE_FRAMES // 4, frames // 4 - EDGE_FRAMES // 4)
        heard = (goal[:, inside, :1] > -0.8).float()
        error = F.smooth_l1_loss(measured[:, inside], goal[:, inside, 1:], reduction="none", beta=0.2)
        return (error * heard * CYCLE_WEIGHTS).sum() / (heard.sum() * 4 + 1)

    def train_step(self):
        """One step; returns the losses (spectral, cycle, kl) as floats."""
        s = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        whole, starts = data.draw_batch(self.clips, s["batch"], s["frames"], self.rng)
        whole = torch.from_numpy(whole)
        samples = s["frames"] * HOP
        target = torch.stack([clip[start * HOP:start * HOP + samples] for clip, start in zip(whole, starts)])
        mean, log_var = self.encoder(whole)
        latent = mean + torch.randn_like(mean) * torch.exp(0.5 * log_var.clamp(-8, 4))
        kl = 0.5 * (mean ** 2 + log_var.clamp(-8, 4).exp() - 1 - log_var).mean()
        with torch.no_grad():
            rows = crop_curves(whole, self.quantiles, starts, s["frames"], nets.HISTORY)
        audio = self.play(self.with_latent(rows, latent, starts))
        spec = nets.spectral_loss(audio, target)
        cycle = self.cycle_loss(rows, latent) if s["cycle_batch"] else spec.new_zeros(())
        self.optimizer.zero_grad()
        (spec + s["cycle_weight"] * cycle + s["kl_weight"] * kl).backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 2.0)
        self.optimizer.step()
        self.step += 1
        return float(spec.detach()), float(cycle.detach()), float(kl.detach())

    def state(self):
        return {"step": self.step, "decoder": self.decoder.state_dict(), "encoder": self.encoder.state_dict(),
                "optimizer": self.optimizer.state_dict(), "rng": self.rng.bit_generator.state,
                "torch_rng": torch.get_rng_state(), "knots": self.quantiles.knots, "settings": self.settings}

    def save(self):
        """Write the checkpoint in one move: a kill leaves the old one or the new one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.state(), self.folder / "checkpoint.part")
        os.replace(self.folder / "checkpoint.part", self.folder / "checkpoint.pt")

    def resume(self, log):
        """Go on from the checkpoint, if there is one made with the same settings."""
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, weights_only=False)
        if state["settings"] != self.settings:
            raise RecipeError(f"{path} was made with other settings: remove it to begin again")
        self.decoder.load_state_dict(state["decoder"])
        self.encoder.load_state_dict(state["encoder"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.rng.bit_generator.state = state["rng"]
        torch.set_rng_state(state["torch_rng"])
        self.quantiles, self.step = QuantileMap(state["knots"]), state["step"]
        log(f"resumed at step {self.step}")

    def run(self, log=print, every=250):
        """Train to the last step, with a checkpoint every so often."""
        recent, began, first = [], time.monotonic(), self.step
        while self.step < self.settings["steps"]:
            recent.append(self.train_step())
            if self.step % every == 0 or self.step == self.settings["steps"]:
                spec, cycle, kl = np.mean(recent, 0)
                pace = (time.monotonic() - began) / (self.step - first)
                left = pace * (self.settings["steps"] - self.step) / 60
                log(f"step {self.step}: spectral {spec:.3f}, cycle {cycle:.4f}, kl {kl:.2f}, "
                    f"{1 / pace:.2f} steps/s, {left:.1f} minutes left")
                recent = []
            if self.step % self.settings["checkpoint_every"] == 0 or self.step == self.settings["steps"]:
                self.save()


def main(arguments=None):
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m neurorack.lab.train", description=__doc__.split("\n")[0])
    parser.add_argument("recipe", type=Path, help="recipe file (YAML)")
    parser.add_argument("--work", type=Path, default=Path(".out"), help="folder of checkpoints (default .out)")
    parser.add_argument("--cache", type=Path, default=Path(".data"), help="folder of prepared data (default .data)")
    parser.add_argument("--out", type=Path, help="model file (default: NAME.safetensors beside the recipe)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    parser.add_argument("--curves", type=int, default=512, help="curves per protocol when measuring (default 512)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    say = lambda line: print(line, flush=True)
    try:
        recipe = read_recipe(options.recipe)
        folder = options.recipe.parent
        cache = data.prepare(recipe, folder, options.cache, say)
        trainer = Trainer(recipe, cache, options.work / recipe["name"])
        trainer.resume(say)
        trainer.run(say)
        from .export import export          # after training: it needs the engine's compiled core
        export(trainer, cache, options.out or folder / f"{recipe['name']}.safetensors", options.curves, say)
    except NeurorackError as error:
        print(f"neurorack: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What benchmarks/trimming.py trains: three architectures, crops drawn once, a short training, the error on held-out crops.

Only the engine (the decoder) is trained. Rows are those of the factory model of the same data: its scales, and its encoder's latent of
the whole clip, so that every net hears and is asked the very same. A budget is a number of steps, which is the same on every machine.
"""

from __future__ import annotations

import copy
import json
import os
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml

from neurorack.lab import data, encoder as encoders, engines
from neurorack.lab.descriptors import HOP, crop_rows, from_card
from neurorack.lab.evaluate.quality import log_mel_error_db
from neurorack.lab.recipe import complete, layout_of, read_recipe
from neurorack.lab.train.losses import spectral_loss
from neurorack.lab.train.schedule import rate_factor

HERE = Path(__file__).resolve().parent
ARCHITECTURES = ("rave", "ddsp", "nsf")
POOL, HELD, HELD_FRAMES = 1536, 64, 192       # crops to train on, crops to judge by and their length in hops of 64
DRAWN = 16                      # clips varied at a time
BETAS, LONGEST_GRADIENT = (0.9, 0.98), 2.0      # as the lab trains
PLAIN = {"semitones": 0, "tilt_db": 0.0, "gain_db": [-6.0, -6.0], "silence": 0.0}     # held-out clips as they are


@dataclass(frozen=True)
class Architecture:
    """name; data_set: whose clips, scales and encoder; recipe: the factory recipe with this architecture's engine and training."""

    name: str
    data_set: str
    recipe: dict

    @property
    def steps(self):
        """The budget of one training."""
        return self.recipe["train"]["steps"]

    @property
    def mark(self):
        """Tells runs of other settings apart."""
        said = {key: self.recipe[key] for key in ("engine", "train", "augment", "conditioning", "latent")}
        return f"{zlib.crc32(json.dumps([said, POOL, HELD, HELD_FRAMES], sort_keys=True).encode()):08x}"


def architecture(name, steps=None):
    """The architecture of benchmarks/recipes/trim-NAME.yaml; `steps` instead of its budget."""
    changes = yaml.safe_load((HERE / "recipes" / f"trim-{name}.yaml").read_text(encoding="utf-8"))
    given = yaml.safe_load((HERE.parent / "models" / changes["data_set"] / "recipe.yaml").read_text(encoding="utf-8"))
    train = changes["train"] | ({"steps": steps} if steps else {})
    recipe = complete({**given, "name": f"trim-{name}", "engine": changes["engine"], "train": train})
    return Architecture(name, changes["data_set"], recipe)


def fresh(arch, seed, width=None):
    """The architecture's engine with fresh weights; `width` instead of its own."""
    torch.manual_seed(seed)
    settings = arch.recipe["engine"] | {"conditioning": arch.recipe["conditioning"]}
    return engines.make(settings | ({"width": width} if width else {}), layout_of(arch.recipe))


def parameters_of(engine):
    """Trainable numbers in an engine."""
    return sum(p.numel() for p in engine.parameters())


def width_for(arch, count):
    """The width whose engine has most nearly (in ratio) `count` parameters."""
    sizes = {}

    def size(width):
        sizes[width] = sizes.get(width) or parameters_of(fresh(arch, 0, width))
        return sizes[width]

    low, high = 1, arch.recipe["engine"]["width"]
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if size(middle) < count else (low, middle)
    return min((w for w in (low - 1, low) if w >= 1), key=lambda w: abs(np.log(size(w) / count)))


@dataclass
class Crops:
    """rows [count, history + frames, layout.width]; target [count, samples]."""

    rows: torch.Tensor
    target: torch.Tensor


def _drawn(arch, clips, model, count, frames, rng, augment):
    """`count` crops of varied clips with the factory model's scales and latents; before an onset all is at rest."""
    engine, layout = fresh(arch, 0), layout_of(arch.recipe)
    encoder, normaliser = encoders.of_model(model), from_card(model.card["inputs"])
    rows, targets, length = [], [], frames * HOP // engine.hop
    for _ in range(0, count, DRAWN):
        batch = data.draw_batch(clips, DRAWN, frames, rng, augment)
        batch.audio = torch.as_tensor(batch.audio)
        starts = np.asarray(batch.starts)
        with torch.no_grad():
            told = crop_rows(batch, normaliser, layout, length, engine.history, engine.hop)
            latent = encoder(batch.audio)[0][:, None].expand(-1, told.shape[1], -1).clone()
        for k, start in enumerate(starts):
            latent[k, :max(0, engine.history - int(start) * HOP // engine.hop)] = 0
        rows.append(torch.cat((told, latent), -1))
        targets.append(torch.stack([clip[at:at + length * engine.hop] for clip, at in zip(batch.audio, (starts * HOP).tolist())]))
    return Crops(torch.cat(rows)[:count], torch.cat(targets)[:count])


def crops(arch, cache, work, say=print):
    """(crops to train on, held-out crops), drawn once and kept in `work`."""
    from neurorack.engine import Model

    path = Path(work) / f"crops-{arch.name}.pt"
    if path.exists():
        kept = torch.load(path, weights_only=True)
        if kept["mark"] == arch.mark:
            return Crops(*kept["train"]), Crops(*kept["held"])
    home, frames = HERE.parent / "models" / arch.data_set, arch.recipe["train"]["frames"]
    prepared = data.prepare(read_recipe(home / "recipe.yaml"), home, cache, say)
    model = Model.load(home / f"{arch.data_set}.safetensors")
    made = [_drawn(arch, data.Clips(prepared, side), model, count, length, np.random.default_rng(seed), augment)
            for side, count, length, seed, augment in (("train", POOL, frames, 1, arch.recipe["augment"]), ("held-out", HELD, HELD_FRAMES, 2, PLAIN))]
    path.parent.mkdir(parents=True, exist_ok=True)
    store(path, {"mark": arch.mark, "train": (made[0].rows, made[0].target), "held": (made[1].rows, made[1].target)})
    return tuple(made)


def store(path, what):
    """Write a torch file in one move."""
    torch.save(what, path.with_suffix(".part"))
    os.replace(path.with_suffix(".part"), path)


def train(engine, pool, arch, seed, first=0, steps=None, keep_at=None, masks=None, rate=1.0):
    """Train from step `first` to `steps` (the architecture's budget unless given).

    Crops of a step are those of the seed and the step, whoever trains. masks: parameter name → 0/1 tensor, held throughout. rate: over the recipe's. Returns
    (state at step `keep_at` or None, mean loss of the last tenth, seconds of processor time).
    """
    s, steps = arch.recipe["train"], steps or arch.steps
    optimizer = torch.optim.Adam(engine.parameters(), s["rate"], betas=BETAS, fused=True)
    kept, losses, began = None, [], time.process_time()
    engine.train()
    for step in range(first, steps):
        if step == keep_at:
            kept = copy.deepcopy(engine.state_dict())
        rng = np.random.default_rng([seed, step])
        torch.manual_seed(int(rng.integers(2 ** 31)))
        optimizer.param_groups[0]["lr"] = rate * s["rate"] * rate_factor(step / steps, step)
        some = torch.from_numpy(rng.integers(len(pool.rows), size=s["batch"]))
        loss = spectral_loss(engine.play(pool.rows[some], rng), pool.target[some])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(engine.parameters(), LONGEST_GRADIENT)
        optimizer.step()
        hold(engine, masks)
        losses.append(float(loss.detach()))
    return kept, float(np.mean(losses[-max(1, steps // 10):])) if losses else None, time.process_time() - began


def hold(engine, masks):
    """Set what is masked to 0."""
    if masks:
        with torch.no_grad():
            for name, p in engine.named_parameters():
                if name in masks:
                    p.mul_(masks[name])


def judged(engine, held, batch=4):
    """{"error": mean spectral loss, "log_mel_db"} over the held-out crops; noise and phases are the same for every net."""
    engine.eval()
    out = []
    with torch.no_grad(), torch.random.fork_rng():
        for k in range(0, len(held.rows), batch):
            torch.manual_seed(11 + k)
            audio = engine.play(held.rows[k:k + batch], np.random.default_rng(11 + k))
            target = held.target[k:k + batch]
            out.append((float(spectral_loss(audio, target)), log_mel_error_db(audio, target)[0]))
    error, level = np.mean(out, 0)
    return {"error": round(float(error), 5), "log_mel_db": round(float(level), 4)}

"""One training run: nets, data, state, and the loop around a step."""

import time
from pathlib import Path

import numpy as np
import torch

from .. import data, encoder, engines
from ..adversary import Adversaries
from ..descriptors import HOP, crop_rows, fit_normaliser, loudness_db, spectral
from ..recipe import layout_of
from . import checkpoint, losses
from .curves import asked_curves, asked_latents
from .distributed import Team
from .early import Early
from .previews import PREVIEW_PARTS, HeldOut
from .progress import FIGURES_PARTS, Progress
from .schedule import Budget, rate_factor

FITTED_CLIPS, HEARD_DB = 256, -65.0
BETAS = (0.9, 0.98)
LONGEST_GRADIENT = 2.0
HELD_SPREAD = 0.1           # of latents of a held encoder (`spread`, a number or one for each axis): in a finished model their deviations are 1


def fit(clips, recipe, rng):
    """The normaliser of the four spectral descriptors over clips (all, or 256 evenly among them) and a varied copy of each.

    Frames above -65 dB count.
    """
    values = []
    for clip in clips.audio[::-(-len(clips) // FITTED_CLIPS)]:
        for audio in (clip, data.augment(clip, rng)):
            audio = torch.tensor(audio)[None]
            frames = max(1, audio.shape[1] // HOP // 4)
            level = loudness_db(audio, frames * 4)[0, ::4]
            values.append(spectral(audio, frames, 4)[0][level > HEARD_DB])
    return fit_normaliser(torch.cat(values).numpy(), **recipe["descriptors"])


class Trainer:
    """A run: recipe, clips, engine, encoder, normaliser, layout; step and seconds tell how far it is.

    cache: the prepared data; folder: where checkpoints, log and previews go; device: "cpu" or "cuda". engine, normaliser: ready ones,
    such as a model's; held_encoder: a ready one that is not trained.
    """

    def __init__(self, recipe, cache, folder, device="cpu", team=None, engine=None, held_encoder=None, normaliser=None):
        self.recipe, self.settings, self.folder, self.cache = recipe, recipe["train"], Path(folder), Path(cache)
        self.team = team or Team()
        self.device = self.team.device(device)
        self.budget, self.layout = Budget.of(self.settings), layout_of(recipe)
        self.framewise = recipe["latent"]["per"] == "frame"
        self.clips = data.Clips(cache, "train")
        normaliser = normaliser or fit(self.clips, recipe, np.random.default_rng(recipe["seed"]))
        self.normaliser = normaliser.to(self.device)
        torch.manual_seed(recipe["seed"])
        self.engine = (engine or engines.make(recipe["engine"] | {"conditioning": recipe["conditioning"]}, self.layout)).to(self.device)
        own = {"hop": self.engine.hop} if self.framewise else {}
        self.held, self.spread, self.rest_latent = held_encoder is not None, HELD_SPREAD, 0.0
        self.encoder = (held_encoder or encoder.make(recipe["latent"] | own)).to(self.device)
        self.adversaries = Adversaries(recipe, self.layout, self.device)
        self.parameters = list(self.engine.parameters()) + ([] if self.held else list(self.encoder.parameters()))
        self.team.share_out(self.parameters + self.adversaries.parameters)
        self.optimizer = torch.optim.Adam(self.parameters, self.settings["rate"], betas=BETAS, fused=True)
        self.step, self.seconds, self.stop_wanted = 0, 0.0, False
        self.rng = self._own_numbers(0)
        self.early = Early(self)
        self.frames = self.settings["frames"] * HOP // self.engine.hop
        self.cycle_frames = self.settings["cycle_frames"] * HOP // self.engine.hop

    def _own_numbers(self, step):
        """Random numbers of this process, in numpy and torch; the first process has those of a run by one alone."""
        rank = self.team.rank
        if rank or step:
            torch.manual_seed(self.recipe["seed"] + 7919 * rank + step)
        return np.random.default_rng([self.recipe["seed"], rank, step] if rank or step else self.recipe["seed"])

    # -- a step

    def encode(self, batch):
        """Latents' (mean, log variance) of a batch: of whole clips [count, latents], or framewise of the crops' rows and those before."""
        if self.framewise:
            return self.encoder.of_crops(batch.audio, batch.starts, self.engine.history, self.frames)
        return self.encoder(batch.audio)

    def drawn(self, batch):
        """A batch's latents as the engine hears them, somewhat spread, and what the loss says of their spread (nothing of a held encoder)."""
        if self.held:
            with torch.no_grad():
                mean = self.encode(batch)[0]
            return mean + self.spread * torch.randn_like(mean), {}
        mean, log_var = self.encode(batch)
        return mean + torch.randn_like(mean) * torch.exp(0.5 * log_var.clamp(-8, 4)), {"kl": losses.kl_loss(mean, log_var)}

    def rate(self, part):
        """The learning rate where this part of the run is over."""
        return self.settings["rate"] * rate_factor(part, self.step)

    def joined(self, rows, latent):
        """Rows [batch, frames, conditions] with their latent, one for the clip or one for each frame, behind."""
        z = latent if latent.dim() == 3 else latent[:, None].expand(-1, rows.shape[1], -1)
        return torch.cat((rows, z), -1)

    def with_latent(self, rows, latent, starts):
        """`joined`; before an onset the latent is `rest_latent` or, for half of the clips, all is as in another clip."""
        joined, history = self.joined(rows, latent), self.engine.history
        first, kept = len(self.layout.conditions), self.joined(rows, latent.detach())
        for k, start in enumerate(starts):
            silent = max(0, history - int(start) * HOP // self.engine.hop)
            if silent and self.rng.random() < 0.5:
                at = min(history, rows.shape[1] - silent)
                joined[k, :silent] = kept[int(self.rng.integers(len(rows))), at:at + silent]
            elif silent:
                joined[k, :silent, first:] = self.rest_latent
        return joined

    def cycle(self, rows, latent):
        """The loss of the descriptor cycle on curves made from the batch's."""
        history, count = self.engine.history, self.settings["cycle_batch"]
        asked = asked_curves(rows[:, history:history + self.cycle_frames], count, self.layout, self.rng, self.engine.hop)
        z = asked_latents(latent, count, self.rng)
        if self.framewise:
            z = z[:, :history + self.cycle_frames]
        before = asked[:, :1].expand(-1, history, -1)
        audio = self.engine.play(self.joined(torch.cat((before, asked), 1), z), self.rng)
        return losses.cycle_loss(audio, asked, self.normaliser, self.engine.hop, self.engine.loudness_weight)

    def draw(self):
        """A batch on the device: (batch with whole clips, the crops' audio [count, samples], rows of the crops)."""
        batch = data.draw_batch(self.clips, self.settings["batch"], self.settings["frames"], self.rng, self.recipe["augment"])
        batch.audio = torch.as_tensor(batch.audio).to(self.device)
        samples = self.frames * self.engine.hop
        target = torch.stack([clip[start:start + samples] for clip, start in zip(batch.audio, (np.asarray(batch.starts) * HOP).tolist())])
        with torch.no_grad():
            rows = crop_rows(batch, self.normaliser, self.layout, self.frames, self.engine.history, self.engine.hop)
        return batch, target, rows

    def train_step(self):
        """One step; returns the losses as a dictionary of floats."""
        s, part = self.settings, self.budget.part(self.step, self.seconds)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(part)
        batch, target, rows = self.draw()
        latent, spread = self.drawn(batch)
        audio = self.engine.play(self.with_latent(rows, latent, batch.starts), self.rng)
        told = {"spectral": losses.spectral_loss(audio, target)} | spread
        total = told["spectral"] + sum(s["kl_weight"] * value for value in spread.values())
        if s["cycle_batch"] and s["cycle_weight"]:
            told["cycle"] = self.cycle(rows, latent)
            total = total + s["cycle_weight"] * told["cycle"]
        against = self.adversaries.losses(latent, rows, audio, target, part)
        self.optimizer.zero_grad()
        sum(against.values(), total).backward()
        self.team.average_gradients(self.parameters)
        torch.nn.utils.clip_grad_norm_(self.parameters, LONGEST_GRADIENT)
        self.optimizer.step()
        guessed = self.adversaries.learn(latent.detach(), rows, audio.detach(), target, part, self.team)
        self.step += 1
        return {key: float(value.detach()) for key, value in (told | against).items()} | guessed

    # -- state

    def _numbers(self):
        state = {"numpy": self.rng.bit_generator.state, "torch": torch.get_rng_state()}
        return state | ({"cuda": torch.cuda.get_rng_state(self.device)} if self.device.type == "cuda" else {})

    def _clips_mark(self):
        return self.cache.name

    def save(self):
        """Write the checkpoint; all processes call it, the first writes."""
        numbers = self.team.gather(self._numbers())
        if self.team.first:
            normaliser = {key: value for key, value in vars(self.normaliser).items() if torch.is_tensor(value)}
            checkpoint.write(self.folder, {
                "recipe": self.recipe, "clips": self._clips_mark(), "step": self.step, "seconds": self.seconds,
                "engine": self.engine.state_dict(), "encoder": self.encoder.state_dict(), "optimizer": self.optimizer.state_dict(),
                "adversaries": self.adversaries.state(),
                "normaliser": normaliser, "numbers": numbers})

    def resume(self, log=print):
        """Go on from the checkpoint, if there is one; RecipeError where it is broken or belongs to another run."""
        state = checkpoint.read(self.folder)
        if state is None:
            return
        checkpoint.check_recipe(self.folder / checkpoint.NAME, state["recipe"], self.recipe, state["clips"], self._clips_mark())
        self.engine.load_state_dict(state["engine"])
        self.encoder.load_state_dict(state["encoder"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.adversaries.restore(state["adversaries"])
        for key, value in state["normaliser"].items():
            setattr(self.normaliser, key, value.to(self.device))
        self.step, self.seconds = state["step"], state["seconds"]
        if len(state["numbers"]) == self.team.size:
            own = state["numbers"][self.team.rank]
            self.rng.bit_generator.state = own["numpy"]
            torch.set_rng_state(own["torch"])
            if "cuda" in own and self.device.type == "cuda":
                torch.cuda.set_rng_state(own["cuda"], self.device)
        else:
            self.rng = self._own_numbers(self.step)
            log(f"goes on with {self.team.size} processes instead of {len(state['numbers'])}")
        log(f"resumed at step {self.step}")

    # -- the loop

    def finished(self):
        """Is the budget used up?"""
        return self.budget.part(self.step, self.seconds) >= 1

    def run(self, log=print):
        """Train until the budget is used up or `stop_wanted` is set; returns whether it is finished."""
        log = log if self.team.first else (lambda line: None)
        self.folder.mkdir(parents=True, exist_ok=True)
        told, held_out = Progress(self, log), HeldOut(self, self.cache) if self.team.first else None
        saved = last = time.monotonic()
        while not self.finished():
            result = self.train_step()
            now = time.monotonic()
            due = float(now - saved >= self.settings["checkpoint_every"])
            self.seconds, due, stop = self.team.agree([self.seconds + now - last, due, float(self.stop_wanted)], self.device)
            last = now
            self.early.keep()
            if self.team.first:
                self._tell(told, held_out, result)
            if due or stop or self.finished():
                self.save()
                saved = now
            if stop:
                told.tell()
                return False
        told.tell()
        return True

    def _tell(self, told, held_out, result):
        """What the first process tells after a step: losses, now and then control figures and previews."""
        try:
            told.note(result)
            part = self.budget.part(self.step, self.seconds)
            if told.due("figures", part, FIGURES_PARTS):
                told.figures(held_out.control())
            if told.due("previews", part, PREVIEW_PARTS):
                held_out.write(self.folder, self.step)
        except OSError as error:
            raise checkpoint.disk_error(error, self.folder, (self.folder / checkpoint.NAME).exists()) from None

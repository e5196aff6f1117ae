"""The models that a trim leaves on its way, each a file that plays, with its figures on held-out clips."""

import copy
import json
import os

import torch

from ...engine import Model, store
from ...errors import ModelError
from .. import data, evaluate, export
from ..evaluate.protocol import followed
from ..train import checkpoint, losses
from .targets import times_of

NAME = "family.json"
CURVES, SEED = 96, 11       # of the quick look at control: all five descriptors at once
CHUNK = 32
CHECKED_BLOCK = 128
OF_THE_FILE = ("measured", "trim", "weights")      # keys of a card that tell of its own file alone


def write_json(path, told):
    """Write JSON in one move. RecipeError where the disk takes no more."""
    partial = path.with_name(path.name + ".part")
    try:
        with open(partial, "w", encoding="utf-8") as file:
            json.dump(told, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise checkpoint.disk_error(error, path.parent, path.exists()) from None


class Judge:
    """Measures files of one family: the same clips, curves, latents and noise for all, through the engine that plays.

    error: mean spectral distance (`train.losses`) of held-out clips rebuilt from their own curves over their first 0.75 s;
    control: mean Spearman of curves asked and measured, all five descriptors at once.
    """

    def __init__(self, cache, path):
        self.clips = data.Clips(cache, "held-out")
        self.bench = evaluate.bench_of(Model.load(path), self.clips if len(self.clips) else data.Clips(cache, "train"))

    def __call__(self, path):
        bench = self.bench.of(evaluate.player(Model.load(path)))
        made = bench.rebuild()
        if bench.broken:
            raise ModelError(f"{path}: it plays {bench.broken} samples that are no numbers; train it with a lower rate, trim.rate")
        with torch.no_grad():
            parts = [len(a) * float(losses.spectral_loss(a, b)) for a, b in zip(made.split(CHUNK), bench.audio.split(CHUNK))]
        figures = followed(bench, "all_five", CURVES, SEED)[0].figures(2)
        return {"error": round(sum(parts) / len(made), 5), "control": figures["spearman"]}


def card_of(parent, name, engine, trim):
    """The card of a trimmed model without what is measured on it: its parent's, with what was done to it."""
    card = {key: copy.deepcopy(value) for key, value in parent.card.items() if key not in OF_THE_FILE}
    return card | {"name": name, "engine": engine.settings, "trim": trim}


def write(path, card, parent, engine):
    """Write a file that plays `engine` with all else as its parent has it. ModelError where it plays something else than torch does."""
    partial = path.with_name(path.stem + ".part" + path.suffix)
    model = export.write(partial, card, engine, parent.encoder, parent.normaliser, parent.tensors)
    agreement = min(export.agreement_db(model, blocks=[min(model.methods["decode"].blocks, key=lambda n: abs(n - CHECKED_BLOCK))]).values())
    if agreement < export.LEAST_AGREEMENT_DB:
        raise ModelError(f"{path}: the engine agrees with training only to {agreement:.0f} dB, {export.LEAST_AGREEMENT_DB} are needed")
    os.replace(partial, path)


def note(path, card):
    """Give a file another card; all else stays as it is."""
    file = store.Store(path)
    told = json.loads(file.metadata["neurorack"]) | {"card": card}
    store.write(path, {name: file.stored(name) for name in file.shapes}, file.metadata | {"neurorack": json.dumps(told)})


def on_cpu(engine):
    """A copy of an engine as it is written and measured."""
    return copy.deepcopy(engine).cpu().eval()


def parameters(engine):
    """How many numbers of an engine are trained."""
    return sum(p.numel() for p in engine.parameters())


def row_of(number, path, engine, whole=None):
    """A row without what takes held-out clips: round, file, parameters, shares removed, times, MACs per second of audio, bytes.

    whole: the row of the whole model (None: this is it).
    """
    row = {"round": number, "file": path.name, "params": parameters(engine)} | times_of(path)
    whole = whole or row
    return row | {"removed_parameters": round(1 - row["params"] / whole["params"], 5), "removed_macs": round(1 - row["macs"] / whole["macs"], 5)}

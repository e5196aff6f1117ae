"""From a trained run to a model file: ranked latents, gestures from recordings, the card, the engine's program.

`export` needs of a trainer: `recipe` (complete), `engine`, `encoder`, `normaliser`, `clips` (training side) and `step`.
"""

import copy
from pathlib import Path

import numpy as np
import torch

from ...engine import Model, ModelWriter
from ...errors import ModelError
from ...voice.card import drone_card
from .. import data
from ..descriptors import RATE_HZ
from ..descriptors.streaming import encode_method, latent_of
from ..encoder import ENCODER
from ..engines import DECODER
from ..gestures import card_entries, extras, harvest
from . import card as cards
from .check import LEAST_AGREEMENT_DB, agreement_db, demo_loudness
from .latents import latents_of, rank_latents

BLOCKS = (64, 128, 256, 512, 1024)
MOST_BYTES = 4_000_000
AUTO_GESTURES = 12

__all__ = ["LEAST_AGREEMENT_DB", "agreement_db", "export", "finish", "rank_latents", "read", "write"]


def blocks_of(hop):
    """Block lengths a model of this hop is exported for: 64 … 1024, or five from its hop on."""
    return list(BLOCKS) if hop <= BLOCKS[0] else [hop << k for k in range(5) if hop << k <= 8192]


def write(path, card, engine, encoder, normaliser, tensors):
    """Write the model file: decode and encode at every block length, gestures and what belongs to them (`tensors`), and the encoder's weights."""
    writer, hop, width = ModelWriter(card), engine.hop, engine.layout.width
    for name, value in engine.state_dict().items():       # first, so that the programs share them under readable names
        writer.weights.add(value.cpu().numpy(), DECODER + name)
    writer.method("decode", engine.decode_method(), blocks=blocks_of(hop), in_channels=width, in_ratio=hop)
    whole = getattr(encoder, "block_frames", 1)           # of an encoder with a latent a frame
    encode, lengths = encode_method(engine.layout, normaliser, hop, latent_of(encoder)), [n for n in blocks_of(hop) if n % whole == 0]
    writer.method("encode", encode, blocks=lengths, in_channels=1, out_channels=width, out_ratio=hop)
    for prefix, module in ((DECODER, engine), (ENCODER, encoder)):
        writer.weights.tensors |= {prefix + name: value.cpu().numpy() for name, value in module.state_dict().items()}
    writer.weights.tensors |= {name: np.asarray(table, np.float16 if name.startswith("gesture.") else np.float32)     # half the file otherwise
                               for name, table in tensors.items()}
    return writer.save(path)


def found_gestures(recipe, cache, clips, encoder, normaliser, layout, rest, hop):
    """The gestures a recipe asks for, from its named recordings or from clips that differ most; as `gestures.harvest` gives them."""
    wanted = recipe["data"]["gestures"]
    if isinstance(wanted, dict):
        clips = data.Clips(cache, "gesture")
    else:
        wanted = min(AUTO_GESTURES if wanted == "auto" else wanted, len(clips))
    return harvest(clips, encoder, normaliser, layout, rest, wanted, hop=hop)


def _card(recipe, engine, encoder, normaliser, clips, rest, found, step):
    """The card without what is measured on the finished file, and the tensors of gestures and their generator."""
    entries, tensors = card_entries(found)
    layout, tables = engine.layout, list(tensors.values())
    plays = recipe["card"].get("plays", "hits")
    card = {key: value for key, value in recipe["card"].items() if key != "plays"} | {
        "name": recipe["name"], "sample_rate_hz": RATE_HZ, "hop_frames": engine.hop, "channels": 1, "delay_frames": 0,
        "inputs": cards.inputs(normaliser, layout, rest),
        "controls": cards.controls(layout), "gestures": entries,
        "engine": engine.settings, "encoder": encoder.settings, "steps": step,
        "recipe": {key: recipe[key] for key in ("conditioning", "latent", "descriptors", "train", "augment", "seed") if key in recipe}}
    tensors |= extras(card, engine, encoder, normaliser, clips, rest, tables, recipe["seed"])
    card.setdefault("patch", cards.first_patch(layout, plays))
    if plays == "drone":
        cards.settle(card, tables, layout)
        card = drone_card(card, ("decode", "encode"))
    return card, tensors


def export(trainer, cache, path, count=512, log=print):
    """Write the trained model to `path`, measure it through the engine on the held-out clips, write it with the figures.

    ModelError where the engine plays something else than training heard.
    """
    path, recipe, normaliser = Path(path), trainer.recipe, trainer.normaliser
    engine, encoder = copy.deepcopy(trainer.engine).cpu().eval(), copy.deepcopy(trainer.encoder).cpu().eval()
    normaliser = normaliser.to("cpu")
    layout = engine.layout
    share, rest_latent = rank_latents(engine, encoder, latents_of(encoder, trainer.clips, recipe["data"]["seconds"]))
    rest = torch.cat((torch.tensor(layout.rest[:len(layout.conditions)]), rest_latent))
    found = found_gestures(recipe, cache, trainer.clips, encoder, normaliser, layout, rest, engine.hop)
    card, tensors = _card(recipe, engine, encoder, normaliser, trainer.clips, rest, found, trainer.step)
    card["latent_shares"] = [round(float(v), 3) for v in share]
    finish(path, card, (engine, encoder, normaliser), tensors, cache, count, log)
    return engine, encoder


def finish(path, card, nets, tensors, cache, count=512, log=print, narrow=None):
    """Write a model file, measure it through the engine on the held-out clips, write it with the figures; changes the card.

    nets: engine, encoder, normaliser; tensors: of gestures and what belongs to them; count: curves a protocol; narrow(path): writes the
    file once more with narrower weights, before it is measured. ModelError where the engine plays something else than torch.
    """
    from .. import evaluate

    model = write(path, card, *nets, tensors)
    agreement = min(agreement_db(model).values())
    if agreement < LEAST_AGREEMENT_DB:
        raise ModelError(f"{path}: the engine agrees with training only to {agreement:.0f} dB, {LEAST_AGREEMENT_DB} are needed")
    if narrow:
        narrow(path)
        model = Model.load(path)
    card["delay_frames"] = model.methods["decode"].delay_frames
    card["loudness_lufs"] = demo_loudness(model, [tensors[gesture["tensor"]] for gesture in card["gestures"]])
    log(f"measuring: {count} curves a protocol")
    held_out = data.Clips(cache, "held-out")
    side = held_out if len(held_out) else data.Clips(cache, "train")
    card["measured"] = evaluate.evaluate(evaluate.bench_of(model, side), count) | {"engine_agreement_db": round(float(agreement), 1)}
    if side is not held_out:
        card["measured"]["judged_on"] = "training clips: there were too few to hold any out"
    write(path, card, *nets, tensors)
    if narrow:
        narrow(path)
    log(evaluate.summary(card["measured"]))
    size = path.stat().st_size
    large = f"; a model of the factory has at most {MOST_BYTES / 1e6:g}: take fewer or shorter gestures" if size > MOST_BYTES else ""
    log(f"wrote {path}, {size / 1e6:.1f} MB{large}")


def read(model):
    """Engine, encoder and normaliser of a model file, as (engine, encoder, normaliser)."""
    from .. import descriptors, encoder, engines

    return engines.of_model(model), encoder.of_model(model), descriptors.from_card(model.card["inputs"])

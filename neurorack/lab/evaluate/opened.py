"""Opens what is measured: model files, played by the compiled engine."""

import time

import numpy as np
import torch

from ...errors import ModelError, NeurorackError
from .. import data, encoder as encoders
from ..descriptors import NAMES, RATE_HZ, from_card
from ..engines import layout_of
from .bench import Bench

BLOCK_FRAMES = 1024         # for playing fast; the sound is the same at every block length
COST_BLOCK, COST_SECONDS = 128, 4.0
LEAST_QUANTILES = 8         # a normaliser with fewer knots is no map of quantiles


def player(model, block_frames=BLOCK_FRAMES):
    """The `play` of a `Bench` for a model file: each row of the batch through the engine, from a fresh state."""
    program = model.program("decode", block_frames=_block(model, block_frames))
    step, hop = program.in_shape[0], model.methods["decode"].in_ratio
    rest = np.array([entry["rest"] for entry in model.card["inputs"]], np.float32)

    def play(rows):
        frames = rows.shape[1]
        spare = np.repeat(rest[None], -frames % step, 0)
        out = []
        for one in rows.numpy():
            program.reset()
            out.append(program.stream(np.concatenate((one, spare)))[:frames * hop, 0])
        return torch.from_numpy(np.stack(out))

    return play


def _block(model, wanted):
    """The longest block of at most `wanted` frames that the file can play, else its shortest."""
    blocks = sorted(model.methods["decode"].blocks)
    return max([n for n in blocks if n <= wanted], default=blocks[0])


def is_plain(normaliser):
    """Whether a normaliser is the plain quantile map of each descriptor by itself, in whose units curves are asked."""
    return normaliser.knots.shape[1] >= LEAST_QUANTILES and "given" not in normaliser.to_card()["sharpness"]


def bench_of(model, clips, space=None):
    """A `Bench` of an exported model file. ModelError for a model without the lab's encoder or five descriptors.

    space: the quantile map in whose units curves are asked and judged. Left out, it is the model's own where that is plain,
    else one fitted to the training clips of the same collection, as plain models of it have.
    """
    if [entry.get("name") for entry in model.card.get("inputs", [])][:5] != list(NAMES):
        raise ModelError(f"{model.path}: its first inputs are not {', '.join(NAMES)}; only models of the lab can be measured")
    if not len(clips):
        raise ModelError(f"{model.path}: no clips to measure it on; its recipe's data.held_out names none")
    layout, own = layout_of(model), from_card(model.card["inputs"])
    if layout.pitched and clips.pitch[0] is None:
        raise ModelError(f"{model.path}: it plays pitches, but its clips have none; give its own recipe by --recipe")
    if space is None:
        space = own if is_plain(own) else space_of(data.Clips(clips.path, "train"))
    method = model.methods["decode"]
    return Bench(clips, layout, own, _encode(encoder_of(model)), player(model), method.in_ratio, space,
                 method.delay_frames, [entry["rest"] for entry in model.card["inputs"]])


def encoder_of(model):
    """The encoder that a model file holds, in torch. ModelError for a file without."""
    try:
        return encoders.of_model(model)
    except (KeyError, RuntimeError, NeurorackError) as error:
        raise ModelError(f"{model.path}: no encoder of the lab in it ({str(error)[:80]}); only models of the lab can be measured") from None


def _encode(encoder):
    """Audio [1, samples] → latent means [1, one or several, size]."""
    device = next(encoder.parameters()).device

    def encode(audio):
        with torch.no_grad():
            mean = encoder(audio.to(device))[0].cpu()
        return mean if mean.dim() == 3 else mean[:, None]
    return encode


def space_of(clips, seed=1):
    """The quantile map of clips' descriptors, in whose units curves are asked of every model of the same data."""
    from ..train import fit       # later: it reads recipes

    return fit(clips, {"descriptors": {"normalise": "quantile", "sharpness": "plain"}}, np.random.default_rng(seed))


def cost(model):
    """Percent of one core that playing takes at blocks of 128 frames (or the shortest there is), least of five, and the real-time factor.

    Processor time of this thread, so that what else runs counts little.
    """
    block = _block(model, COST_BLOCK)
    program, rng = model.program("decode", block_frames=block), np.random.default_rng(0)
    rows = rng.uniform(-1, 1, (int(COST_SECONDS * RATE_HZ) // block * program.in_shape[0], program.in_shape[1])).astype(np.float32)
    times = []
    for _ in range(5):
        program.reset()
        began = time.thread_time()
        program.stream(rows)
        times.append((time.thread_time() - began) / COST_SECONDS)
    return {"cost_block_frames": block, "cost_percent": round(100 * min(times), 2), "real_time_factor": round(min(times), 4)}

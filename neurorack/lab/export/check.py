"""Checks and measures of a finished file: does the engine play what training heard, and how loud is it?"""

import numpy as np
import torch

from ...voice.loudness import lufs
from .. import engines
from ..descriptors import RATE_HZ

LEAST_AGREEMENT_DB = 90
LONGEST_NOTE_SECONDS, SHORTEST_NOTE_SECONDS = 1.0, 0.5
DRONE_SECONDS = 6.0


def wild_rows(layout, hop, seed=3, seconds=1.37):
    """Rows that jump every few frames, with inputs beyond their ranges and latents of three deviations, float32 [frames, width]."""
    rng = np.random.default_rng(seed)
    frames = -(-int(seconds * RATE_HZ / hop) // 128) * 128
    reach = np.array([1.8] * len(layout.described) + [6.0] * layout.pitched + [3.0] * layout.latents)
    rows = np.repeat(rng.uniform(-reach, reach, (frames // 8, layout.width)), 8, 0)
    if layout.pitched:
        rows[:, layout.column("pitch")] += 0.1 * np.sin(np.arange(frames) * 0.3)
    return rows.astype(np.float32)


def agreement_db(model, seed=3, blocks=None):
    """Level of the torch rendering over its difference from the engine's, in dB, for each block length, on wild rows."""
    engine = engines.of_model(model)
    rows = wild_rows(engine.layout, engine.hop, seed)
    with torch.no_grad():
        ours = engine.render(torch.from_numpy(rows)[None])[0].numpy().astype(np.float64)
    levels = {}
    for block in blocks or model.methods["decode"].blocks:
        program = model.program("decode", block_frames=block)
        played = program.stream(rows[:len(rows) // program.in_shape[0] * program.in_shape[0]])[program.delay_frames:, 0]
        ref = ours[:len(played)]
        levels[block] = 10 * np.log10((ref ** 2).sum() / max(1e-30, ((ref - played) ** 2).sum()))
    return levels


def demo_loudness(model, tables):
    """Integrated loudness in LUFS of all gestures one after the other, or of a drone at rest; None for silence."""
    card, program = model.card, model.program("decode", block_frames=max(model.methods["decode"].blocks))
    hop, rest = card["hop_frames"], np.array([entry["rest"] for entry in card["inputs"]], np.float32)
    per = lambda seconds: max(1, int(seconds * RATE_HZ) // hop)
    if card.get("plays") == "drone":
        phrase = np.repeat(rest[None], per(DRONE_SECONDS), 0)
    else:
        pieces = []
        for table in tables:
            note = table[:per(LONGEST_NOTE_SECONDS)]
            pieces += [note, np.repeat(rest[None], max(0, per(SHORTEST_NOTE_SECONDS) - len(note)), 0)]
        phrase = np.concatenate(pieces)
    step = program.in_shape[0]
    phrase = np.concatenate((phrase, np.repeat(rest[None], -len(phrase) % step, 0)))
    level = lufs(program.stream(phrase), RATE_HZ)
    return None if level is None else round(level, 2)

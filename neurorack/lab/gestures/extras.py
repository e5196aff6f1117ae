"""What an export adds to a model besides its gestures: a generator of new ones, the map of its latents, and names for their axes."""

from __future__ import annotations

import numpy as np

from ..descriptors import HOP
from .generator import judge, train_generator
from .harvest import gesture_of
from .latent_map import latent_map, timbre_axes

LEAST_CLIPS, MOST_CLIPS = 12, 300


def tables_of(clips, encoder, normaliser, layout, rest, hop=HOP, most=MOST_CLIPS):
    """Gestures of all clips, or of evenly chosen ones where there are many: (their indices, tables)."""
    chosen = np.unique(np.linspace(0, len(clips.audio) - 1, min(most, len(clips.audio))).round().astype(int))
    return chosen, [gesture_of(clips, int(k), encoder, normaliser, layout, rest, hop)[1] for k in chosen]


def extras(card, engine, encoder, normaliser, clips, rest, known, seed=1):
    """Put `generator` and `map` on the card, and name its timbre controls, in place; returns the generator's tensors by name.

    engine, encoder: with ranked latents, as in the file; clips: the training side; known: tables of the model's own gestures. Fewer than
    12 clips make no generator.
    """
    layout, hop = engine.layout, engine.hop
    chosen, tables = tables_of(clips, encoder, normaliser, layout, rest, hop)
    first, tensors = len(layout.conditions), {}
    if len(tables) >= LEAST_CLIPS:
        card["generator"], tensors = train_generator(tables, layout, hop, seed)
        card["generator"]["measured"] = judge(card["generator"], tensors, card["inputs"], tables, known, hop)
    timbres = [control for control in card["controls"] if control.get("kind") == "latent" and control.get("links")]
    if not timbres:
        return tensors
    reach = timbres[0]["links"][0]["high"]
    for control, axis in zip(timbres, timbre_axes(engine, known, tables, reach, len(timbres))):
        control |= axis
    middle = lambda some: [np.median(table[:-1, first:], 0) for table in some]
    if len(timbres) >= 2:
        card["map"] = latent_map([clips.rows[k]["name"] for k in chosen], middle(tables), middle(known), reach, [control["name"] for control in timbres[:2]])
    return tensors

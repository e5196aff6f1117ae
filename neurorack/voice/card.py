"""What a model's card must say before a voice can play it, and what a voice can do beyond it.

``plays`` says how a model sounds: ``hits`` (the default: gestures, silence between them), ``drone`` (it sounds by itself; its
inputs wander, gate 1 opens an envelope) or ``input`` (it has no inputs of its own: it turns the audio input into another).
Every input may have a ``rest`` and a ``wander``, the standard deviation of its wandering.
"""

from __future__ import annotations

from neurorack.errors import ModelError
from neurorack.shm import table

#: key -> what it is
REQUIRED = {"name": str, "sample_rate_hz": int, "hop_frames": int, "inputs": list, "controls": list}
MOST_INPUTS, MOST_LINKS, LONGEST_HOP = 256, 1024, 8192
PLAYS = ("hits", "drone", "input")
#: What a control does besides, or instead of, moving inputs through its links; in the order of ``voice.h``.
KINDS = ("input", "gesture", "speed", "morph", "wander", "wander_rate", "attack", "decay", "loop", "position", "freeze",
         "audio_input", "prior", "temperature", "depth", "pitch")
#: The controls that the voice itself adds to a model that sounds by itself.
DRONE_CONTROLS = (
    {"name": "wander", "kind": "wander", "default": 0.7}, {"name": "wander rate", "kind": "wander_rate", "default": 0.5},
    {"name": "depth", "kind": "depth", "default": 0.5},
    {"name": "attack", "kind": "attack", "default": 0.2}, {"name": "decay", "kind": "decay", "default": 0.5},
    {"name": "gesture", "kind": "gesture", "default": 0.0}, {"name": "speed", "kind": "speed", "default": 0.5},
    {"name": "loop", "kind": "loop", "default": 0.0}, {"name": "position", "kind": "position", "default": 0.0},
    {"name": "freeze", "kind": "freeze", "default": 0.0})
INPUT_CONTROLS = ({"name": "input", "kind": "audio_input", "default": 0.0},)
PRIOR_CONTROLS = ({"name": "prior", "kind": "prior", "default": 0.0}, {"name": "temperature", "kind": "temperature", "default": 0.5})


def voice_controls(plays: str, methods) -> list[dict]:
    """The controls that the voice brings for a model with these methods (their names)."""
    if plays == "input":
        return [dict(c) for c in DRONE_CONTROLS if c["kind"] in ("attack", "decay")]
    more = (INPUT_CONTROLS if "encode" in methods else ()) + (PRIOR_CONTROLS if "prior" in methods else ())
    return [dict(c) for c in DRONE_CONTROLS + more]


def drone_card(card: dict, methods) -> dict:
    """``card`` of a foreign model, made playable: its own controls first, as many as there is room for, then the voice's.

    ``methods``: the names of the model's methods. A model without ``decode`` whose hop is one frame plays the audio input and has
    no inputs of its own. Else the card's own controls are those with links; without any, each input gets one of its name from -3 to 3,
    where a normal latent nearly always lies. What the card says of an input's ``rest`` and ``wander`` stays.
    """
    plays = "input" if card["hop_frames"] == 1 and card.get("method", "decode") != "decode" else "drone"
    entries = card["inputs"] if plays == "drone" else []
    own = [c for c in card.get("controls") or [] if c.get("links")] if entries else []
    if not own:
        own = [{"name": i["name"], "default": 0.5, "links": [{"input": i["name"], "low": -3.0, "high": 3.0}]} for i in entries]
    added = voice_controls(plays, methods)
    taken = {c["name"] for c in added}
    own = [c for c in own if c["name"] not in taken][: table.CONTROLS - len(added)]
    return {**card, "plays": plays, "inputs": [{"rest": 0.0, "wander": 1.0, **i} for i in entries], "controls": own + added}


def check_card(card: dict, path) -> None:
    """Raises ``ModelError`` naming the first thing that keeps this card from being played."""
    for key, kind in REQUIRED.items():
        if not isinstance(card.get(key), kind):
            raise ModelError(f"{path}: its card has no {key!r} ({kind.__name__}); export it again")
    if not 8000 <= card["sample_rate_hz"] <= 192000:
        raise ModelError(f"{path}: sample rate {card['sample_rate_hz']} Hz; it must lie from 8000 to 192000")
    if not 1 <= card["hop_frames"] <= LONGEST_HOP:
        raise ModelError(f"{path}: hop of {card['hop_frames']} frames; it must lie from 1 to {LONGEST_HOP}")
    if card.get("plays", "hits") not in PLAYS:
        raise ModelError(f"{path}: plays {card['plays']!r}; it must be one of {', '.join(PLAYS)}")
    if not (0 if card.get("plays") == "input" else 1) <= len(card["inputs"]) <= MOST_INPUTS:
        raise ModelError(f"{path}: {len(card['inputs'])} inputs; 1 to {MOST_INPUTS} can be played")
    if len(card["controls"]) > table.CONTROLS:
        raise ModelError(f"{path}: {len(card['controls'])} controls; at most {table.CONTROLS} can be played")
    inputs = [entry.get("name") if isinstance(entry, dict) else None for entry in card["inputs"]]
    if None in inputs or len(set(inputs)) != len(inputs):
        raise ModelError(f"{path}: every input needs a name of its own")
    links = 0
    for control in card["controls"]:
        if not isinstance(control, dict) or not isinstance(control.get("name"), str):
            raise ModelError(f"{path}: every control needs a name")
        for link in control.get("links", []):
            links += 1
            if link.get("input") not in inputs:
                raise ModelError(f"{path}: control {control['name']!r} is linked to {link.get('input')!r}, which is no input")
    if links > MOST_LINKS:
        raise ModelError(f"{path}: {links} links; at most {MOST_LINKS} can be played")
    for gesture in card.get("gestures", []):
        if not isinstance(gesture, dict) or not isinstance(gesture.get("tensor"), str):
            raise ModelError(f"{path}: every gesture needs its tensor")
        if not isinstance(gesture.get("name", ""), str):
            raise ModelError(f"{path}: a gesture's name is {str(gesture['name'])[:60]!r}; that must be text")
        if not is_stretch(gesture.get("sustain")):
            raise ModelError(f"{path}: gesture {gesture.get('name')!r} is held at {gesture['sustain']!r}; that must be its first and last row")


def is_stretch(rows) -> bool:
    """Is this where a gesture is held, two rows in order, or None for one that is not held?"""
    if rows is None:
        return True
    return isinstance(rows, (list, tuple)) and len(rows) == 2 and all(type(row) is int for row in rows) and 0 <= rows[0] < rows[1]

"""What a model's card must say before a voice can play it."""

from __future__ import annotations

from neurorack.errors import ModelError
from neurorack.shm import table

#: key -> what it is
REQUIRED = {"name": str, "sample_rate_hz": int, "hop_frames": int, "inputs": list, "controls": list}
MOST_INPUTS, MOST_LINKS = 256, 1024


def check_card(card: dict, path) -> None:
    """Raises ``ModelError`` naming the first thing that keeps this card from being played."""
    for key, kind in REQUIRED.items():
        if not isinstance(card.get(key), kind):
            raise ModelError(f"{path}: its card has no {key!r} ({kind.__name__}); export it again")
    if not 8000 <= card["sample_rate_hz"] <= 192000:
        raise ModelError(f"{path}: sample rate {card['sample_rate_hz']} Hz; it must lie from 8000 to 192000")
    if not 1 <= card["hop_frames"] <= 4096:
        raise ModelError(f"{path}: hop of {card['hop_frames']} frames; it must lie from 1 to 4096")
    if not 1 <= len(card["inputs"]) <= MOST_INPUTS:
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

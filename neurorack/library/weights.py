"""A model of the library once more with its weights kept narrower, as a model of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path

from neurorack.engine import Model
from neurorack.errors import ModelError
from neurorack.library import changes, check, entries, names
from neurorack.trim import weights
from neurorack.voice.voice import playing_method


def keep(name: str, kind: str, new_name: str | None = None, replace: bool = False) -> dict:
    """Take a copy of a model into the library with its weights as ``kind`` ("bf16", "int8", "float32"); its card names the parent and
    what that cost.

    Returns what ``changes.add`` does, with ``bytes_before``, ``bytes_after``, ``weights`` (how many tensors) and ``quality``.
    Raises ``ModelError`` for a model that only TorchScript plays, or one with nothing to keep so.
    """
    entry = entries.entry(name)
    path = check.made_playable(entry)
    if path.suffix != ".safetensors":
        raise ModelError(f"{entry.name} plays through TorchScript, which keeps its own weights; only models that the engine plays can be changed")
    parent = Model.load(path)
    with tempfile.TemporaryDirectory(prefix="neurorack-weights-") as folder:
        tried, made = (Path(folder) / f"{stem}.safetensors" for stem in ("tried", "made"))
        if not weights.with_weights(path, tried, kind).weights:
            raise ModelError(f"{entry.name} has no weights that are not kept as {kind} already; another kind may be of use")
        quality = weights.cost(parent, Model.load(tried), playing_method(parent.card)).to_json()
        done = weights.with_weights(path, made, kind, {"parent": entry.name, "parent_sha256": entry.sha256(), **quality})
        added = changes.add(made, name=new_name or names.tidy(f"{entry.name} {kind}"), replace=replace)
    return {**added, "weights": done.weights, "bytes_before": done.bytes_before, "bytes_after": done.bytes_after, "quality": quality}

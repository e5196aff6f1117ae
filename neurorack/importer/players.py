"""Opens whatever can be played: a file of the engine, or a *player file*, which says how a model that could not be compiled plays.

A player file is JSON: the card, the methods, the source file, and ``plays``: ``list`` (the recorded operations replayed in
numpy; recorded anew at each start, which takes a second) or ``torchscript`` (torch, in a fenced worker).
"""

from __future__ import annotations

import json
from pathlib import Path

from neurorack.engine import Method, Model
from neurorack.errors import ModelError

SUFFIX = ".player.json"
FORMAT = 1
WAYS = ("list", "torchscript")


def load_model(path, seed: int = 0):
    """An ``engine.Model`` or a ``voice.foreign.ForeignModel``. Raises ``ModelError`` in one line."""
    return _player(Path(path), seed) if str(path).endswith(SUFFIX) else Model.load(path, seed)


def write_player(path, *, plays: str, card: dict, methods: dict, source, attributes: dict | None = None) -> None:
    """Write a player file, whole or not at all. ``methods``: name -> ``engine.Method``; ``source``: the ``.ts`` file."""
    from neurorack.render import write_atomically

    data = {"neurorack_player": FORMAT, "plays": plays, "card": card, "source": str(Path(source).absolute()), "attributes": attributes or {},
            "methods": {name: {"in_channels": m.in_channels, "in_ratio": m.in_ratio, "out_channels": m.out_channels,
                               "out_ratio": m.out_ratio, "blocks": list(m.blocks)} for name, m in methods.items()}}
    write_atomically(Path(path), lambda aside: Path(aside).write_text(json.dumps(data, indent=1) + "\n"))


def read_player(path) -> dict:
    try:
        data = json.loads(Path(path).read_text())
        if data["neurorack_player"] != FORMAT or data["plays"] not in WAYS:
            raise ValueError
        data["methods"] = {name: Method(name, m["in_channels"], m["in_ratio"], m["out_channels"], m["out_ratio"], tuple(m["blocks"]), 0)
                           for name, m in data["methods"].items()}
        return data
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror.lower()}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ModelError(f"{path}: not a player file of this version; check the model again") from None


def _player(path: Path, seed: int):
    from neurorack.voice.foreign import ForeignModel

    data = read_player(path)
    source = data["source"]
    if not Path(source).is_file():
        raise ModelError(f"{path.name}: its source {source} is gone; add the model again")
    make = _list_maker if data["plays"] == "list" else _torch_maker
    return ForeignModel(path, data["card"], data["methods"], make(source, data["methods"], data["attributes"], seed), seed)


def _list_maker(source, methods, attributes, seed):
    def make(method: str, block_frames: int):
        from neurorack.importer.archive import open_archive
        from neurorack.importer.record import record
        from neurorack.importer.replay import Replay

        spec = methods[method]
        return Replay(record(open_archive(source), method, block_frames, in_channels=spec.in_channels, in_ratio=spec.in_ratio,
                             attributes=attributes, seed=seed))

    return make


def _torch_maker(source, methods, attributes, seed):
    def make(method: str, block_frames: int):
        from neurorack.importer.torchscript import TorchScript

        return TorchScript(source, method=method, block_frames=block_frames, attributes=attributes, seed=seed)

    return make

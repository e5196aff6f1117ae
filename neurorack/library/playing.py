"""From an admitted foreign file to what the voice plays: its card made playable, its knobs named, its loudness noted.

A lifted file gets a new card; a file that is only replayed, or played by TorchScript, gets a *player file* (``importer/players.py``).
Listening to the model happens inside the fence, like everything that runs foreign numbers; TorchScript has a fenced worker of its own.
"""

from __future__ import annotations

import os
from pathlib import Path

from neurorack.engine import Method, Model
from neurorack.errors import ModelError
from neurorack.importer import players
from neurorack.importer.fence import Fence, Limits
from neurorack.importer.knobs import apply_knobs, name_knobs
from neurorack.importer.lift import first_card, rewrite_card, sample_rate_of
from neurorack.importer.probe import probe
from neurorack.importer.torchscript import TorchScript
from neurorack.voice.card import drone_card
from neurorack.voice.foreign import ForeignModel

KNOB_SECONDS = 4.0           # of listening: enough for the first sixteen latents of a light model
PATIENCE_SECONDS = 2.0       # for one block of TorchScript's, whose worker may have the lowest priority
MEMORY_MB = 2048


def finish(file: Path, verdict: dict, lifted: Path | None, options: dict, scratch: Path, *, low_priority: bool = True) -> Path | None:
    """What plays for ``file``, in ``scratch``; None for a model of the engine, which plays as it is. Raises ``ModelError``.

    ``low_priority``: listening takes only computing time that nobody else wants.
    """
    if verdict["path"] == "native":
        return None
    if lifted:
        card = _fenced("lifted_card", [lifted], {"path": str(lifted), "lufs": verdict["lufs"]}, low_priority)
        rewrite_card(lifted, lambda _: {**card, "name": file.stem, "source": {**card["source"], "file": file.name}})
        return lifted
    told = _fenced("player_card", [file], {"path": str(file), "block_frames": verdict["block_frames"],
                                           "rate_hz": verdict["sample_rate_hz"], "options": options}, low_priority)
    card, methods = told["card"], {name: Method(**{**method, "blocks": tuple(method["blocks"])}) for name, method in told["methods"].items()}
    path = scratch / f"{file.stem}{players.SUFFIX}"
    players.write_player(path, plays=verdict["path"], card=card, methods=methods, source=file, attributes=options.get("attributes"))
    if verdict["path"] == "list":
        card = _fenced("listened", [path, file], {"path": str(path)}, low_priority)
    else:
        card = _named(_patient(path, low_priority))
    players.write_player(path, plays=verdict["path"], card={**card, "loudness_lufs": verdict["lufs"]}, methods=methods, source=file,
                         attributes=options.get("attributes"))
    return path


def _fenced(function: str, read: list[Path], arguments: dict, low_priority: bool):
    megabytes = sum(path.stat().st_size for path in read) >> 20
    limits = Limits(memory_mb=MEMORY_MB + 8 * megabytes, cpu_seconds=60, wall_seconds=240.0)
    return Fence(read=[os.fspath(path) for path in read], limits=limits, low_priority=low_priority).run(f"{__name__}:{function}", arguments)


def _named(model) -> dict:
    """The model's card with its knobs named; as it was where they cannot be."""
    try:
        return apply_knobs(model.card, name_knobs(model, KNOB_SECONDS))
    except ModelError:
        return model.card


def _patient(path: Path, low_priority: bool) -> ForeignModel:
    """The model of a player file by TorchScript, waited for: nobody hears it yet."""
    told = players.read_player(path)

    def make(method: str, block_frames: int) -> TorchScript:
        return TorchScript(told["source"], method=method, block_frames=block_frames, attributes=told["attributes"],
                           patience_seconds=PATIENCE_SECONDS, low_priority=low_priority)

    return ForeignModel(path, told["card"], told["methods"], make)


# -- inside the fence

def lifted_card(talk, path: str, lufs: float | None) -> dict:
    """The card that a lifted file should have."""
    model = Model.load(path)
    model.card = {**drone_card(model.card, model.methods), "loudness_lufs": lufs}
    return _named(model)


def listened(talk, path: str) -> dict:
    """The card of a player file, its knobs named."""
    return _named(players.load_model(path))


def player_card(talk, path: str, block_frames: int, rate_hz: int, options: dict) -> dict:
    """The card of a file that cannot be lifted, and its methods at the one block length that was proven."""
    from neurorack.importer.archive import open_archive

    archive = open_archive(path)
    found = probe(archive)
    methods = {name: Method(name, spec.in_channels, spec.in_ratio, spec.out_channels, spec.out_ratio, (block_frames,), 0)
               for name, spec in found.methods.items()}
    source = {"file": Path(path).name, "sha256": archive.sha256, "format": archive.version, "attributes": options.get("attributes") or {}}
    card = drone_card(first_card(Path(path).stem, found, sample_rate_of(found, rate_hz), source), methods)
    return {"card": card, "methods": {name: vars(method) for name, method in methods.items()}}

"""From a file to one that plays: checked on this board, lifted where it is foreign, remembered by content.

What plays for an entry: a file of the engine itself plays as it is; a foreign one as its lifted file, or by itself where its
verdict says that only TorchScript plays it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from neurorack import runfiles
from neurorack.errors import ModelError
from neurorack.importer import players
from neurorack.library import background, entries, files, lifted
from neurorack.process import tell


def plays(record: dict) -> bool:
    return record.get("verdict", {}).get("verdict") == "plays"


def _ready(file: Path, record: dict) -> Path | None:
    """What plays by this record, if it is there."""
    return lifted.ready(record, file) if plays(record) else None


def playable(entry: entries.Entry) -> Path | None:
    """What plays for this model now, without any work; None where it was not checked here, or refused."""
    record = entry.record()
    if entry.native and (not record or entry.where == entries.FACTORY):
        return entry.file
    return _ready(entry.file, record)


def made_playable(entry: entries.Entry) -> Path:
    """What plays for this model, checked first where that was not done. Raises ``ModelError`` with the reason of a refusal."""
    record = entry.record(read_file=not entry.native)
    if entry.native and (not record or entry.where == entries.FACTORY):      # the factory bank plays whatever a busy day's check said
        return entry.file
    if not record or (plays(record) and not _ready(entry.file, record)):
        _tell(entry.file)
        background.run(entry.name)
        record = lifted.recall(entry.sha256(), entry.options)
    return _path(entry.name, entry.file, record)


def made_playable_file(file: Path) -> Path:
    """The same for a file outside of the library."""
    if file.name.endswith((".safetensors", players.SUFFIX)):
        return file
    sha256 = files.sha256_of(file)
    record = lifted.recall(sha256, {})
    if not _ready(file, record):
        _tell(file)
        background.run("--file", str(file.absolute()))
        record = lifted.recall(sha256, {})
    return _path(file.name, file, record)


def _tell(file: Path) -> None:
    tell(f"neurorack: {file.name} is checked on this board first; that takes some seconds, once\n")


def _path(name: str, file: Path, record: dict) -> Path:
    path = _ready(file, record)
    if path is None and not record:
        raise ModelError(f"{name} changed while it was being checked; try again when it is complete")
    if path is None:
        raise ModelError(f"{name} is {record['verdict']['line']}; see: neurorack models check {name!r}")
    return path


def checked(file: Path, sha256: str, options: dict, *, again: bool = False) -> dict:
    """The record of this content with these options: as remembered if it plays (and not ``again``), else of a check made now.

    Raises ``ModelError``, ``NeurorackError``.
    """
    with files.alone(files.CHECKING):          # two at once would spoil each other's measures
        record = lifted.recall(sha256, options)
        if record and not again and _ready(file, record):
            return record
        before = files.stamp(file)
        with tempfile.TemporaryDirectory(prefix="neurorack-check-") as scratch:
            verdict, made = _examine(file, options, Path(scratch))
            if not file.exists() or files.stamp(file) != before:
                raise ModelError(f"{file} changed while it was being checked; check it again when it is complete")
            return lifted.keep(sha256, options, verdict, made)


def check_entry(entry: entries.Entry, *, again: bool = False) -> dict:
    """``checked`` for a model of the library, and noted for its name."""
    record = checked(entry.file, entry.sha256(), entry.options, again=again)
    with files.lock():
        entries.note(entry)
    return record


def check_model(wanted: str, options: dict, *, block_frames: int | None = None, rate_hz: int | None = None) -> dict:
    """The verdict of a check made now, of a model by name or of a file. What was asked with a block or rate is not remembered."""
    try:
        entry = entries.entry(wanted)
        file, options = entry.file, {**entry.options, **options}
    except ModelError:
        entry, file = None, Path(wanted)
        if not file.exists():
            raise
    if block_frames is None and rate_hz is None:
        if entry and options == entry.options:
            return check_entry(entry, again=True)["verdict"]
        if file.is_file():
            return checked(file, files.sha256_of(file), options, again=True)["verdict"]
    with files.alone(files.CHECKING), tempfile.TemporaryDirectory(prefix="neurorack-check-") as scratch:
        return _examine(file, options, Path(scratch), block_frames=block_frames, rate_hz=rate_hz)[0]


def _examine(file: Path, options: dict, scratch: Path, *, block_frames: int | None = None, rate_hz: int | None = None) -> tuple[dict, Path | None]:
    """The verdict on a file, and what plays it in ``scratch`` (None for a model of the engine itself)."""
    from neurorack.importer.admit import admit
    from neurorack.library.playing import finish

    playing = bool(runfiles.running())         # then only computing time that nobody wants is taken
    verdict = admit(file, out_folder=scratch, block=block_frames, rate_hz=rate_hz or 48000, attributes=options.get("attributes"),
                    sample_rate_hz=options.get("sample_rate_hz"), low_priority=playing)
    told, made = verdict.to_json(), scratch / verdict.lifted if verdict.lifted else None
    if verdict.plays:
        made = finish(file, told, made, options, scratch, low_priority=playing)
    return told, made

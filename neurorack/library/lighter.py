"""Lighter models of the library: made of a model by name, with nothing but its file; looked at; then kept as a model of its own.

>>> made = make("birds", quality_db=1.0)                         # doctest: +SKIP
>>> made["line"]                                                 # doctest: +SKIP
'2.0x lighter, 1.2 dB'
>>> keep("birds")                                                # doctest: +SKIP

What was made waits in the library's folder ``.lighter``, NAME.safetensors and NAME.json, until it is kept or discarded. The original stays
as it is. ``docs/lighter.md`` says how it is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from neurorack.errors import ModelError
from neurorack.importer import players
from neurorack.library import cards, changes, check, describe, entries, files, names

SUFFIX = "light"
METHOD = "lighten"
QUALITY_DB = (0.05, 40.0)
KEEP = (0.02, 0.97)
BOARD_SHARE = 0.5              # of a core that playing may take on a board: the rest is inputs, effects and luck


def _places(name: str) -> tuple[Path, Path]:
    folder = files.own() / files.LIGHTER
    if not name or name != Path(name).name:
        raise ModelError(f"{name[:80]!r} is no model's name; see: neurorack models list")
    return folder / f"{name}.safetensors", folder / f"{name}.json"


def suggested(name: str) -> str:
    """How a lighter one of a model is called unless told otherwise: a name that is free."""
    known, count = entries.entries(), 1
    while True:
        tail = f"-{SUFFIX}" if count == 1 else f"-{SUFFIX}{count}"
        free = names.tidy(name.encode()[: names.MOST_BYTES - len(tail)].decode(errors="ignore") + tail)
        if free not in known:
            return free
        count += 1


def target_of(text: str) -> tuple[float, str | None]:
    """The most of a core that may be taken, and the board (None: this machine) of ``board:pi4`` or ``rtf:0.25``. Raises ``ModelError``."""
    from neurorack.complexity import boards

    kind, _, value = text.partition(":")
    if kind == "board":
        if value not in boards.names() or boards.load(value).middle is None:
            raise ModelError(f"there is no board {value!r} whose times are known; there are {', '.join(b for b in boards.names() if boards.load(b).middle)}")
        return BOARD_SHARE, value
    try:
        share = float(value)
    except ValueError:
        share = 0.0
    if kind != "rtf" or not 1e-4 <= share <= 1:
        raise ModelError(f"the target is {text!r}; write board:NAME, such as board:pi4, or rtf:X, the share of a core from 0.0001 to 1")
    return share, None


def make(name: str, *, keep: float | None = None, target: str | None = None, quality_db: float | None = None,
         say: Callable[[str, float], None] = lambda stage, share: None) -> dict:
    """Make a lighter one of a model and leave it in ``.lighter``; returns what is told of it (``docs/lighter.md``).

    keep: the share of multiplications to keep; target: a time it must meet (``target_of``); else the lightest within ``quality_db``
    (default 1 dB). Raises ``NeurorackError`` in one line where there is none, or the model cannot be made lighter.
    """
    from neurorack.trim.lighten import AUDIBLE_DB, Lighter

    limit = AUDIBLE_DB if quality_db is None else _within(quality_db, QUALITY_DB, "the quality", "dB")
    aim = target_of(target) if target else None
    if keep is not None:
        _within(keep, KEEP, "the share to keep", "")
    entry = entries.entry(name)
    playing = check.made_playable(entry)
    if playing.name.endswith(players.SUFFIX):
        raise ModelError(f"{entry.name} plays as a {describe.kind(entry, entry.record())} file, not by the engine: only what the engine plays can be made lighter")
    began = time.monotonic()
    lighter = Lighter(playing, say)
    if keep is not None or aim:
        tried = [lighter.at(keep if keep is not None else lighter.keep_for(*aim))]
        found = tried[0]
    else:
        found, tried = lighter.lightest(limit)
    if found is None:
        nearest = min(tried, key=lambda c: c.quality.distance_db)
        raise ModelError(f"no unit of {entry.name} can go within {limit:g} dB (with {nearest.kept:.0%} kept it is {nearest.quality.distance_db:.1f} dB): "
                         "the model stays as it is")
    say("writing it", 0.0)
    trim = {"parent": entry.name, "parent_sha256": entry.sha256(), "method": METHOD, **lighter.figures(found), **lighter.confirmed(found).to_json()}
    card = {key: value for key, value in lighter.card.items() if key not in ("measured", "trim")}
    return _leave(entry, playing, lighter, found, card | {"trim": trim},
                  {"tried": [c.to_json() for c in tried], "layers": {k: round(v, 6) for k, v in found.error.items()},
                   "seconds": round(time.monotonic() - began, 1)})


def _within(value: float, limits: tuple[float, float], what: str, unit: str) -> float:
    if not limits[0] <= value <= limits[1]:
        raise ModelError(f"{what} is {value:g}; it must lie from {limits[0]:g} to {limits[1]:g} {unit}".rstrip())
    return value


def _leave(entry, playing: Path, lighter, found, card: dict, more: dict) -> dict:
    file, note = _places(entry.name)
    files.made(files.LIGHTER)
    changes.make_room(2 * playing.stat().st_size)
    with files.changing(file):
        lighter.write(found, file, card)
    trim = card["trim"]
    told = {"model": entry.name, "file": str(file), "line": line(trim), "bytes": [playing.stat().st_size, file.stat().st_size], **trim, **more}
    files.write_json(note, told)
    return told


def line(trim: dict) -> str:
    """In a few words: how much lighter it is, and how far from the original."""
    return f"{trim['times_lighter']:.1f}x lighter, {trim['distance_db']:.1f} dB"


def waiting(name: str) -> dict | None:
    """What was made of a model and is neither kept nor discarded yet; None where there is nothing, or the model has changed."""
    file, note = _places(name)
    told = files.read_json(note)
    try:
        entry = entries.entry(name)
        return told if told and file.exists() and told.get("parent_sha256") == entry.sha256() else None
    except ModelError:
        return None


def all_waiting() -> dict[str, str]:
    """Model -> the line about its lighter one, of all that wait."""
    found = ((path.stem, waiting(path.stem)) for path in sorted((files.own() / files.LIGHTER).glob("*.json")))
    return {name: told["line"] for name, told in found if told}


def named(name: str) -> str:
    """The present name of a model, also by a name it had before. Raises ``ModelError``."""
    return entries.entry(name).name


def discard(name: str) -> None:
    """Forget what was made of a model."""
    file, note = _places(name)
    for path in (file, note, cards.beside(file)):
        path.unlink(missing_ok=True)


def keep(name: str, as_name: str | None = None, replace: bool = False) -> dict:
    """Take what was made into the library, checked like any file; returns what ``changes.add`` tells. Author, licence and recorded
    gestures go with it. Raises ``NeurorackError``."""
    from neurorack.importer.lift import rewrite_card

    told = waiting(name)
    if told is None:
        raise ModelError(f"nothing was made of {name} that could be kept: neurorack models lighter {name!r}")
    entry = entries.entry(name)
    own = names.check(as_name) if as_name else suggested(entry.name)
    file, said = Path(told["file"]), describe.info(entry)
    rewrite_card(file, lambda card: {**card, "name": own})
    notes = f"{told['line']} from {entry.name}" + (f"; {said['notes']}" if said["notes"] else "")
    beside = {key: value for key, value in (("author", said["author"]), ("licence", said["licence"]), ("notes", notes)) if value}
    with files.writing(cards.beside(file)) as writing:
        writing.write(cards.text_of(beside))
    done = changes.add(file, name=own, replace=replace)
    if done["name"]:
        _take_gestures(entry, entries.entry(own).file)
        discard(entry.name)
    return done


def _take_gestures(entry, to: Path) -> None:
    """Gestures recorded for the original play in the lighter one as well: its inputs are the same."""
    from neurorack import gesture

    playing = check.playable(entry)
    found, _ = gesture.load_gestures(playing, len(cards.card_of(playing).get("inputs", []))) if playing else ({}, None)
    if found:
        gesture.save_gestures(to, found)

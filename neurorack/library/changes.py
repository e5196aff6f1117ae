"""Changes to the library: add, remove, restore, rename, set attributes. Each happens as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

from neurorack import library
from neurorack.errors import ModelError, NeurorackError
from neurorack.library import cards, check, entries, files, lifted, names

KEEP_TRASH = 5               # removed models that can be had back
_TYPES = {"bool": bool, "int": int, "float": (int, float), "str": str}
_STAMP, _OPTIONS = "%Y%m%dT%H%M%S", "options.json"


def _own(name: str) -> entries.Entry:
    """A model that may be changed. Raises ``ModelError``."""
    entry = entries.entry(name)
    if entry.where == entries.FACTORY:
        raise ModelError(f"{entry.name} belongs to the factory bank, which is not changed; a model of your own with this name hides it")
    if not files.inside(entry.file.parent, files.own()):
        raise ModelError(f"{entry.name} lies outside the library, in {entry.file.parent.resolve()}; change it there")
    return entry


def _same_content(sha256: str, but: str) -> list[str]:
    """Names of models with this very content, as far as it is known."""
    return [name for name, entry in entries.entries().items() if name != but and entry.known.get("sha256") == sha256]


# -- add

def add(file: Path, *, name: str | None = None, author: str | None = None, licence: str | None = None, options: dict | None = None,
        replace: bool = False) -> dict:
    """Check a file and take it into the library; returns ``name``, ``verdict``, ``same_as`` (names with this content)
    and ``hides_factory``.

    A refused file is not taken: ``name`` is None then. Raises ``ModelError`` for a name that is taken or wrong,
    ``NeurorackError`` where the disk is full or cannot be written.
    """
    file, options = Path(file), options or {}
    if file.is_dir():
        raise ModelError(f"{file} is a folder: give a model file")
    name = names.check(name) if name else names.tidy(file.stem)
    if files.inside(file, files.own()) and file.parent != files.own() / files.LIGHTER:
        raise ModelError(f"{file} lies in the library already; see: neurorack models list")
    sha256 = files.sha256_of(file)
    _free(name, sha256, replace)
    said = {**cards.read_beside(file), **{k: v for k, v in (("author", author), ("licence", licence)) if v}}
    make_room(2 * file.stat().st_size)        # the file, and what it is lifted to
    record = check.checked(file, sha256, options)
    if not check.plays(record):
        return {"name": None, "verdict": record["verdict"], "same_as": [], "hides_factory": False}
    target = files.own() / f"{name}{'.safetensors' if file.suffix == '.safetensors' else '.ts'}"
    aside, card_aside = (files.aside(path) for path in (target, cards.beside(target)))
    with files.lock():
        _free(name, sha256, replace)          # somebody else may have been quicker
        try:
            # all that needs room on the disk comes first, so that nothing can stop the last steps
            if files.copy(file, aside) != sha256:
                raise ModelError(f"{file} changed while it was being added; add it again when it is complete")
            if said:
                with files.writing(card_aside) as writing:
                    writing.write(cards.text_of(said))
            entries.note(entries.Entry(name, entries.OWN, target, options, {"sha256": sha256}), files.stamp(aside))
            if name in _own_names():
                _to_trash(_own(name))
            with files.changing(target):
                if said:
                    os.replace(card_aside, cards.beside(target))
                os.replace(aside, target)
                files.sync_folder(target.parent)
        finally:
            aside.unlink(missing_ok=True)
            card_aside.unlink(missing_ok=True)
        _drop_alias(name)
    clean()
    hides = any(names.tidy(path.stem) == name for path in entries.model_files(library.FACTORY)) and library.FACTORY in library.folders()
    return {"name": name, "verdict": record["verdict"], "same_as": _same_content(sha256, name), "hides_factory": hides}


def _own_names() -> list[str]:
    return [name for name, entry in entries.entries().items() if entry.where == entries.OWN]


def _free(name: str, sha256: str, replace: bool) -> None:
    if name not in _own_names() or replace:
        return
    if entries.entry(name).sha256() == sha256:
        raise ModelError(f"this very file is in the library as {name!r} already")
    raise ModelError(f"there is a model {name!r} already: give this one another name with --name, or replace that one with --replace")


# -- the trash

def _trash() -> list[Path]:
    """Removed models, the last first."""
    return sorted((path for path in (files.own() / files.TRASH).glob("*") if path.is_dir()), reverse=True)


def _to_trash(entry: entries.Entry) -> None:
    """The caller holds the lock. Raises ``NeurorackError`` where the disk has no room even for a folder."""
    files.made(files.TRASH)
    number = 0
    while True:
        place = files.own() / files.TRASH / f"{time.strftime(_STAMP, time.gmtime())}-{number:02d}-{entry.name}"
        with files.changing(place), contextlib.suppress(FileExistsError):
            place.mkdir()
            break
        number += 1
    try:
        files.write_json(place / _OPTIONS, entry.options)
    except NeurorackError:
        shutil.rmtree(place, ignore_errors=True)
        raise
    with files.changing(place):
        for path in (*entries.belongings(entry.file), entry.file):
            with contextlib.suppress(FileNotFoundError):
                os.replace(path, place / f"{entry.name}{path.name.removeprefix(entry.file.stem)}")
        files.sync_folder(entry.file.parent)
    for old in _trash()[KEEP_TRASH:]:
        shutil.rmtree(old, ignore_errors=True)


def remove(name: str) -> dict:
    """Take a model out of the library, into its trash; returns ``name``, whether it was ``kept`` there, and what it ``uncovers``.

    On a disk without room for a folder the trash is emptied and the model deleted: removing must always help.
    """
    with files.lock():
        entry, kept = _own(name), True
        try:
            _to_trash(entry)
        except NeurorackError:
            kept = False
            shutil.rmtree(files.own() / files.TRASH, ignore_errors=True)
            with files.changing(entry.file):
                for path in (entry.file, *entries.belongings(entry.file)):
                    path.unlink(missing_ok=True)
        entries.forget(entry.name)
    clean()
    uncovered = entries.entries().get(entry.name)
    return {"name": entry.name, "kept": kept, "uncovers": uncovered.where if uncovered else None}


def restore(name: str) -> dict:
    """Put a removed model back, the last of this name. Raises ``ModelError``."""
    with files.lock():
        removed = {path.name.split("-", 2)[2]: path for path in reversed(_trash()) if path.name.count("-") >= 2}
        if name not in removed:
            raise ModelError(f"no removed model is called {name!r}; the trash has {', '.join(sorted(removed)) or 'nothing'}")
        if name in _own_names():
            raise ModelError(f"there is a model {name!r} now: rename or remove that one first")
        place, file = removed[name], None
        options = files.read_json(place / _OPTIONS)
        with files.changing(files.own()):
            for path in sorted(place.glob("*"), key=lambda path: path.name in (f"{name}.ts", f"{name}.safetensors")):     # the model last
                if path.name != _OPTIONS:
                    file = files.own() / path.name
                    os.replace(path, file)
            files.sync_folder(files.own())
        shutil.rmtree(place, ignore_errors=True)
        entries.note(entries.Entry(name, entries.OWN, file, options))
        _drop_alias(name)
    return {"name": name}


def make_room(needed_bytes: int) -> None:
    """Room for so much, at the cost of the trash if need be. Raises ``NeurorackError`` when it does not fit even so."""
    while True:
        try:
            return files.make_room(needed_bytes)
        except NeurorackError:
            oldest = _trash()[-1:]
            if not oldest:
                raise
            shutil.rmtree(oldest[0])


def clean() -> None:
    """Drop lifted files that nothing needs any more."""
    used = {lifted.key(entry.known["sha256"], entry.options) for entry in entries.entries().values() if entry.known}
    lifted.tidy(used)


# -- names and attributes

def _drop_alias(name: str) -> None:
    known = entries.aliases()
    if known.pop(name, None):
        files.write_json(files.own() / files.ALIASES, known)


def rename(old: str, new: str) -> dict:
    """Another name for a model; the old one goes on leading to it, since patches may use it."""
    new = names.check(new)
    with files.lock():
        entry = _own(old)
        if new in entries.entries():
            raise ModelError(f"there is a model {new!r} already: choose another name")
        known = {alias: (new if to == entry.name else to) for alias, to in entries.aliases().items() if alias != new}
        known[entry.name] = new
        target = entry.file.with_name(f"{new}{entry.file.suffix}")
        if target.exists():
            raise ModelError(f"there is a file {target} already: choose another name")
        # in an order that loses nothing when the power goes: card and gestures are copied, the model moved, then the old ones removed
        moved = entries.belongings(entry.file)
        for path in moved:
            files.copy(path, target.with_name(f"{new}{path.name.removeprefix(entry.file.stem)}"))
        files.write_json(files.own() / files.ALIASES, known)
        with files.changing(target):
            os.replace(entry.file, target)
            files.sync_folder(target.parent)
            for path in moved:
                path.unlink(missing_ok=True)
        entries.forget(entry.name)
        entries.note(entries.Entry(new, entries.OWN, target, entry.options, entry.known))
    return {"name": new, "was": entry.name}


def set_attributes(name: str, changes: dict) -> dict:
    """Attributes of a foreign model, for good: it is checked and lifted with them. A value of None goes back to the file's own.

    Returns ``name``, ``attributes`` (all that are set) and ``verdict``; a refusal changes nothing.
    """
    if entries.entry(name).native:
        raise ModelError(f"{name} is a model of the engine itself and has no attributes; they belong to nn~ files")
    entry = _own(name)
    changes = {key: value if value is None else _typed(entry, key, value) for key, value in changes.items()}
    attributes = {**entry.options.get("attributes", {}), **changes}
    attributes = {key: value for key, value in attributes.items() if value is not None}
    options = {**entry.options, "attributes": attributes}
    record = check.checked(entry.file, entry.sha256(), options)
    if check.plays(record):
        with files.lock():
            entries.note(entries.Entry(entry.name, entry.where, entry.file, options, entry.known))
            lifted.take_gestures(entry.sha256(), entry.options, options)
    return {"name": entry.name, "attributes": attributes, "verdict": record["verdict"]}


def _typed(entry: entries.Entry, attribute: str, value):
    """The value as the attribute's type, where the model is known. Raises ``ModelError`` for what it does not have or take."""
    player = check.playable(entry)
    known = cards.card_of(player).get("attributes") if player else None
    if known is None:
        return value
    if attribute not in known:
        raise ModelError(f"{entry.name} has no attribute {attribute!r}; it has {', '.join(known) or 'none'}")
    types, values = known[attribute]["types"], value if isinstance(value, list) else [value]
    if not known[attribute].get("settable") or not set(types) <= _TYPES.keys():
        raise ModelError(f"{entry.name}'s attribute {attribute!r} cannot be set")
    wrong = len(values) != len(types) or any(not isinstance(v, _TYPES[t]) or t != "bool" and isinstance(v, bool) for v, t in zip(values, types))
    if wrong:
        raise ModelError(f"{entry.name}'s attribute {attribute!r} takes {', '.join(types)}, not {', '.join(map(str, values))}")
    values = [float(v) if t == "float" else v for v, t in zip(values, types)]
    return values if len(values) > 1 else values[0]

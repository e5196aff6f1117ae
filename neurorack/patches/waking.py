"""What a run begins with: as the instrument was when it was last switched off, or what the command line says.

A score's run neither reads nor writes what is kept: it sounds the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from neurorack import library
from neurorack.errors import NeurorackError, PatchError
from neurorack.importer.players import load_model
from neurorack.inputs import store
from neurorack.patches import models, schema, text
from neurorack.patches.history import History
from neurorack.patches.journal import NAME, Journal
from neurorack.patches.present import OF_A_FILE, heard_slot
from neurorack.patches.recall import Wanted
from neurorack.voice.card import check_card


@dataclass
class Beginning:
    """``document``: None for the model's own patch. ``found``: its models that are there. ``label``: of this beginning among the edits,
    "" where it is none: it goes on as it was. ``words``: to be said."""

    model_path: Path
    card: dict
    document: dict | None = None
    found: dict[str, Wanted] = field(default_factory=dict)
    encoder: Path | None = None
    label: str = ""
    words: list[str] = field(default_factory=list)
    history: History = field(default_factory=History)
    journal: Journal | None = None


def begin(settings, say) -> Beginning:
    """Of a run with these ``Settings``. Raises ``NeurorackError`` for what was asked for and cannot be."""
    score, words, history = settings.score, [], History()
    journal = None if score else Journal(store.folder() / NAME, history, say)
    try:
        if journal and (wrong := journal.open()):
            words.append(f"warning: Patch: {wrong}")
        document, label = _document(settings, history, words)
        wanted = settings.model or (score.model if score else None)
        if document is None or wanted:
            path = library.find(wanted, score.folder if score else None)
            document = document and {**document, "models": {}, "mix": 0.0}
            return Beginning(path, _card(path), document, label=label, words=words, history=history, journal=journal)
        found, heard = found_models(document), heard_slot(document)
        for letter in [heard, *(letter for letter in found if letter != heard)]:
            if letter not in found:
                continue
            try:
                wanted = found[letter]
                return Beginning(wanted.path, _card(wanted.path), document, found, wanted.encoder, label, words, history, journal)
            except NeurorackError as error:
                words.append(f"warning: {error}; another model plays instead")
                del found[letter]
        path = library.find(None)
        return Beginning(path, _card(path), document, found, None, label, words, history, journal)
    except BaseException:
        if journal:
            journal.close()
        raise


def _card(path: Path) -> dict:
    card = load_model(path).card
    check_card(card, path)
    return card


def found_models(document: dict) -> dict[str, Wanted]:
    """The document's models that are there, by its slots. May wait for the disk, or for a model to be lifted."""
    found = {}
    for letter, model in models.of(document).items():
        if path := models.found(model):
            found[letter] = Wanted(model["name"], path, models.encoder_file(model))
    return found


def load_document(file: Path) -> dict:
    """A patch file that somebody named. Raises ``PatchError`` for any fault."""
    problems: list[str] = []
    document = text.read(file, problems)
    if problems:
        raise PatchError(f"{file}: {problems[0]}" + (f", and {len(problems) - 1} more; see: neurorack patch check {file}" if len(problems) > 1 else ""))
    return document


def heard_model(document: dict, file: Path) -> str | None:
    """The file of the model that is heard more of; None where the patch names none. Raises ``PatchError`` where it is missing."""
    here = models.of(document)
    model = here.get(heard_slot(document)) or next(iter(here.values()), None)
    if model is None:
        return None
    path = models.found(model)
    if path is None:
        raise PatchError(f"{file}: its model {model['name']} is not here; add it (neurorack models add FILE), or say --model")
    return str(path)


def _document(settings, history: History, words: list[str]) -> tuple[dict | None, str]:
    if settings.patch:
        document = load_document(settings.patch)
        return {key: value for key, value in document.items() if key not in OF_A_FILE}, f"play {Path(settings.patch).name}"
    if settings.fresh or settings.model or settings.score or not history.now:
        return None, "start anew"
    try:
        document = schema.cleaned(history.now)
    except PatchError as error:
        words.append(f"warning: Patch: {error}; it starts with the model's own")
        return None, "start anew"
    words.append("it wakes as it was; --fresh starts with the model's own patch")
    return document, ""

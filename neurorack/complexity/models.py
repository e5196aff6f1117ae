"""The model that is asked for, by name or by file."""

from __future__ import annotations

from .. import library
from ..errors import ModelError
from ..importer.players import load_model


def opened(model):
    """An ``engine.Model``: the one given, or that of a name or a file (a foreign one is checked and lifted first).

    Raises ``ModelError`` where there is none, or where it plays without a program that could be counted.
    """
    found = load_model(library.find(str(model))) if not hasattr(model, "methods") else model
    if not hasattr(found, "listing"):
        raise ModelError(f"{model} could not be compiled: it plays by other means, of which nothing can be counted; neurorack bench measures it")
    return found

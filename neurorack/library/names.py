"""Names of models: what a display can show, a file can be called and a patch can refer to."""

from __future__ import annotations

import unicodedata

from neurorack.errors import ModelError

MOST_BYTES = 60             # UTF-8; the shared block keeps 64
SUFFIXES = (".safetensors", ".ts")
RULE = f"letters, digits, space, - _ . (at most {MOST_BYTES} bytes, a letter or digit first, no space or dot last)"


def _allowed(letter: str) -> bool:
    return letter.isalnum() or letter in " -_."


def check(name: str) -> str:
    """The name in its one spelling (NFC); raises ``ModelError`` for one that breaks the rule."""
    name = unicodedata.normalize("NFC", name)
    if len(name.encode(errors="replace")) > MOST_BYTES:
        raise ModelError(f"the name {name[:20]!r}... is {len(name.encode(errors='replace'))} bytes long; at most {MOST_BYTES} fit")
    if name.lower().endswith(SUFFIXES):
        raise ModelError(f"a model cannot be called {name!r}: leave the file's suffix off")
    if tidy(name) != name:
        raise ModelError(f"a model cannot be called {name!r}: use {RULE}")
    return name


def tidy(stem: str) -> str:
    """The name of a file that somebody dropped in, whatever it is called: as near to its stem as the rule allows."""
    text = unicodedata.normalize("NFC", stem)
    while text.lower().endswith(SUFFIXES):
        text = text[: text.rindex(".")]
    text = " ".join("".join(letter if _allowed(letter) else " " for letter in text).split())
    while text and not text[0].isalnum():
        text = text[1:]
    while len(text.encode()) > MOST_BYTES:
        text = text[:-1]
    return text.rstrip(" .") or "model"

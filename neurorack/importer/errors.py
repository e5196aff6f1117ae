"""What can go wrong with a foreign model."""

from __future__ import annotations

from neurorack.errors import ModelError


class UnsupportedError(ModelError):
    """A sound file that uses something this instrument does not know: the message names it. It may still play another way."""

"""Gestures of a model: taken from its clips, and a small generator of new ones; and the map of its clips' latents.

`harvest` takes gestures from recordings, `card_entries` puts them on the card; `train_generator` (in `generator`) learns to make new ones,
which `neurorack models gesture MODEL --generate N` then does without torch; `latent_map` and `timbre_axes` say what lies where
among the latents.
"""

from .harvest import card_entries, harvest
from .select import diverse

__all__ = ["card_entries", "diverse", "harvest"]

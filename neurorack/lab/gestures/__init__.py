"""Gestures of a model: taken from its clips, and a small generator of new ones; and the map of its clips' latents.

`harvest` takes gestures from recordings, `card_entries` puts them on the card; `extras` trains the generator that
``neurorack models gesture MODEL --generate N`` then uses without torch, and draws the latent map and names
its axes by what they do to the sound.
"""

from .extras import extras
from .harvest import card_entries, harvest
from .latent_map import latent_map, timbre_axes
from .select import diverse

__all__ = ["card_entries", "diverse", "extras", "harvest", "latent_map", "timbre_axes"]

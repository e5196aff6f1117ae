"""Data: from recordings to clips that training draws from.

`prepare` turns a recipe into a folder of clips; `Clips` reads one side of it; `draw_batch` draws varied crops.
"""

from ..recipe import RecipeError
from .augment import DEFAULTS as AUGMENT
from .augment import PEAK, Batch, augment, draw_batch
from .clips import Clips, trim, window
from .f0 import harmonicity, pitched_share, track
from .licences import licence_table
from .preparing import prepare
from .reading import Unusable, to_mono
from .sources import Recording, collect
from .split import near_duplicates, side_of

__all__ = ["AUGMENT", "Batch", "Clips", "PEAK", "RecipeError", "Recording", "Unusable", "augment", "collect", "draw_batch",
           "harmonicity", "licence_table", "near_duplicates", "pitched_share", "prepare", "side_of", "to_mono", "track", "trim", "window"]

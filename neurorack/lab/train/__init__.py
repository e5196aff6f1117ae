"""Training: from a recipe and prepared clips to an engine and an encoder with weights (`Trainer`)."""

from .curves import random_curve
from .loop import Trainer, fit
from .losses import spectral_loss

__all__ = ["Trainer", "fit", "random_curve", "spectral_loss"]

"""The names of before: rows of the five descriptors for models that are not pitched."""

from types import SimpleNamespace

from ..layout import Layout
from .rows import clip_rows, crop_rows


def curves(audio, quantiles):
    """`clip_rows` of audio [batch, samples]."""
    return clip_rows(audio, None, None, quantiles, Layout())


def crop_curves(audio, quantiles, starts, frames, history):
    """`crop_rows` of audio [batch, samples] from `starts` on."""
    return crop_rows(SimpleNamespace(audio=audio, starts=starts), quantiles, Layout(), frames, history)

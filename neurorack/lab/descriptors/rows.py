"""Rows of a model measured in sound: for whole clips, for training crops, and for what a model has played."""

import numpy as np
import torch
from torch.nn import functional as F

from ..layout import DESCRIPTORS, HARMONICITY_DB_PER_UNIT, HARMONICITY_ZERO_DB, PITCH_LIMITS_OCTAVES, REST_LOUDNESS, Layout
from .spectra import loudness_at, loudness_db, spectral
from .tables import HOP, LOUDNESS_LIMITS, QUIET, WINDOW, db_to_loudness


def harmonicity_to_unit(level_db):
    """Harmonicity in dB (harmonics over the rest, -20 to 30) on the [-1, 1] scale."""
    return (level_db - HARMONICITY_ZERO_DB) / HARMONICITY_DB_PER_UNIT


def unit_to_harmonicity(value):
    """Inverse of `harmonicity_to_unit`."""
    return HARMONICITY_ZERO_DB + HARMONICITY_DB_PER_UNIT * value


def hold_quiet(unit, loudness):
    """Curves with the frames too quiet to measure (loudness ≤ -0.95) replaced by the last measured ones.

    unit: [batch, frames, channels]; loudness: [batch, frames]. Frames before the first measured one get its values.
    """
    frames = torch.arange(loudness.shape[1], device=loudness.device)
    valid = loudness > QUIET
    last = torch.cummax(torch.where(valid, frames, -1), 1).values
    last = torch.where(last < 0, valid.float().argmax(1, keepdim=True), last)
    return torch.gather(unit, 1, last[..., None].expand_as(unit))


def measure(audio, normaliser, frames=None, stride=1, hop=HOP):
    """The five normalised descriptors of sounds as they are, differentiable: nothing is held where it is quiet.

    audio: [batch, samples]; frame k describes sample hop·(stride·k + 1). Returns [batch, frames, 5] within ±1.5.
    """
    step = hop * stride
    frames = audio.shape[-1] // step if frames is None else frames
    level = loudness_db(audio, (frames - 1) * stride + 1, hop)[:, ::stride]
    loud = db_to_loudness(level).clamp(-1.5, 1.5)
    return torch.cat((loud[..., None], normaliser.forward(spectral(audio, frames, stride, hop=hop))), -1)


def clip_rows(audio, pitch, harmonicity, normaliser, layout=Layout(), hop=HOP):
    """The rows (without latents) of clips that begin with their onset, held where it is quiet.

    audio: [batch, samples]; pitch (octaves above C4), harmonicity (dB): [batch, ≥ samples // 64] one value per 64
    samples, or None where the layout is not pitched. Returns [batch, samples // hop, len(layout.conditions)].
    """
    frames = audio.shape[-1] // hop
    loud = db_to_loudness(loudness_db(audio, frames, hop)).clamp(*LOUDNESS_LIMITS)
    told = [normaliser.forward(spectral(audio, frames, hop=hop))]
    if layout.pitched:
        at = torch.arange(1, frames + 1, device=audio.device) * (hop // HOP) - 1
        told.append(_harmonicity(harmonicity, audio)[:, at, None])
    rows = [loud[..., None], hold_quiet(torch.cat(told, -1), loud)]
    if layout.pitched:
        rows.append(_pitch(pitch, audio)[:, at, None])
    return torch.cat(rows, -1)


def _harmonicity(level_db, audio):
    return harmonicity_to_unit(torch.as_tensor(level_db, dtype=torch.float32, device=audio.device)).clamp(-1, 1)


def _pitch(octaves, audio):
    return torch.as_tensor(octaves, dtype=torch.float32, device=audio.device).clamp(*PITCH_LIMITS_OCTAVES)


def crop_rows(batch, normaliser, layout, frames, history, hop=HOP):
    """`clip_rows` of a batch's crops only, at hop 64 at half the cost: measured every second frame, straight lines between.

    batch: `.audio` [count, samples] float32, `.starts` [count] first samples of the crops in hops of 64, for a pitched layout
    `.pitch` and `.harmonicity` [count, samples // 64]. frames, history: rows of `hop` samples. Returns
    [count, history + frames, len(layout.conditions)]; what lies before a clip's onset has loudness -1.5 and zeros, as at rest.
    """
    audio, length = torch.as_tensor(batch.audio), history + frames
    starts = torch.as_tensor(np.asarray(batch.starts), device=audio.device)
    ends = starts[:, None] * HOP + (torch.arange(length, device=audio.device) - history + 1) * hop
    loud = db_to_loudness(loudness_at(audio, ends, hop)).clamp(*LOUDNESS_LIMITS)
    loud = loud.masked_fill((ends <= 0) | (ends > audio.shape[1]), REST_LOUDNESS)
    told, pitch = [_crop_spectral(audio, normaliser, ends, hop)], []
    if layout.pitched:
        at = (ends // HOP - 1).clamp(0, np.shape(batch.pitch)[1] - 1)
        told.append(_harmonicity(batch.harmonicity, audio).gather(1, at)[..., None])
        pitch.append(_pitch(batch.pitch, audio).gather(1, at)[..., None])
    unit = torch.cat([hold_quiet(torch.cat(told, -1), loud), *pitch], -1)
    return torch.cat((loud[..., None], unit.masked_fill((ends <= 0)[..., None], 0.0)), -1)


def _crop_spectral(audio, normaliser, ends, hop):
    """Normalised spectral descriptors around the samples `ends` [count, length], a hop apart, silence around the clips."""
    length, stride = ends.shape[1], 2 if hop == HOP else 1
    count = (length - 1) // stride + 1 + (stride > 1)
    before = max(0, WINDOW // 2 - int(ends.min()))
    after = max(0, int(ends.max()) + (stride + 1) * hop + WINDOW // 2 - audio.shape[1])
    padded = F.pad(audio, (before, after))
    span = hop * stride * (count - 1) + WINDOW
    crops = torch.stack([row[at:at + span] for row, at in zip(padded, (ends[:, 0] + before - WINDOW // 2).tolist())])
    values = normaliser.forward(spectral(crops, count, stride, WINDOW // 2, hop))
    if stride > 1:
        size = stride * (count - 1) + 1
        values = F.interpolate(values.transpose(1, 2), size=size, mode="linear", align_corners=True).transpose(1, 2)
    return values[:, :length]

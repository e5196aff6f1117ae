"""Pictures and sounds for a page, as data URIs: spectrograms (PNG, by Pillow) and clips (Ogg Vorbis, by soundfile)."""

import base64
import io

import numpy as np
import soundfile
import torch
from PIL import Image

from ..descriptors import RATE_HZ
from .quality import log_mel

# from quiet to loud: dark blue, violet, orange, pale yellow; even steps of lightness between
COLOURS = np.array([[8, 8, 28], [58, 28, 110], [148, 44, 108], [222, 90, 58], [250, 166, 60], [252, 246, 190]], np.float64)
RANGE_DB = (-75.0, -10.0)


def _uri(kind, data):
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def spectrogram(audio, width=300, height=160):
    """Log-mel spectrogram (80 bands, 30 Hz at the bottom to 20 kHz) of sound [samples] as a PNG, -75 dB dark to -10 dB bright."""
    levels = log_mel(torch.as_tensor(audio)[None])[0].numpy().T[::-1]
    place = np.clip((levels - RANGE_DB[0]) / (RANGE_DB[1] - RANGE_DB[0]), 0, 1) * (len(COLOURS) - 1)
    pixels = np.stack([np.interp(place, np.arange(len(COLOURS)), COLOURS[:, c]) for c in range(3)], -1).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR).save(out, "PNG", optimize=True)
    return _uri("image/png", out.getvalue())


def sound(audio):
    """Sound [samples] as Ogg Vorbis; beyond full scale it is cut as a converter would."""
    out = io.BytesIO()
    soundfile.write(out, np.clip(np.asarray(audio, np.float32), -1, 1), RATE_HZ, format="OGG", subtype="VORBIS")
    return _uri("audio/ogg", out.getvalue())

"""Encoders, used in training and measuring: what descriptors do not say about a sound, as a latent."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..errors import ModelError
from .descriptors import WINDOW, _TABLES

SLOPE = 0.1                 # of the leaky ReLU
HOP = 256
ENCODER = "encoder."        # prefix of the encoder's tensors in a model file


class ClipEncoder(nn.Module):
    """One latent vector per clip, from half-Bark log spectra, by mean and maximum over time.

    forward: audio [batch, samples] from the onset on → (mean [batch, latents], log variance, the same shape).
    """

    def __init__(self, latents=8, width=64):
        super().__init__()
        self.latents = latents
        self.layers = nn.Sequential(nn.Conv1d(49, width, 3, padding=1), nn.LeakyReLU(SLOPE),
                                    nn.Conv1d(width, width, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE),
                                    nn.Conv1d(width, width, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE))
        self.out = nn.Linear(2 * width, 2 * latents)
        self.register_buffer("hann", _TABLES["hann"], persistent=False)
        self.register_buffer("bands", _TABLES["bands"], persistent=False)

    @property
    def settings(self):
        """What `make` builds this encoder from."""
        return {"per": "clip", "size": self.latents, "width": self.layers[0].out_channels}

    def forward(self, audio):
        spectrum = torch.stft(audio, WINDOW, HOP, window=self.hann, return_complex=True, pad_mode="constant")
        energy = torch.einsum("bft,fn->bnt", spectrum.real ** 2 + spectrum.imag ** 2, self.bands)
        energy = energy / (energy.amax((1, 2), keepdim=True) + 1e-9)
        heard = (energy.amax(1, keepdim=True) > 1e-6).float()
        x = self.layers(torch.log10(energy + 1e-6) / 3 + 1)
        heard = F.interpolate(heard, x.shape[-1], mode="nearest")
        mean = (x * heard).sum(-1) / (heard.sum(-1) + 1e-3)
        most = (x * heard - 10 * (1 - heard)).amax(-1).clamp(min=-5)
        return self.out(torch.cat((mean, most), -1)).chunk(2, -1)

    def change_latents(self, to_new, mean):
        """Give the latent in a new basis: new = (old - `mean`) @ `to_new`."""
        with torch.no_grad():
            count = self.latents
            self.out.weight[:count] = to_new.T @ self.out.weight[:count]
            self.out.bias[:count] = to_new.T @ (self.out.bias[:count] - mean)


def make(settings):
    """An encoder with fresh weights. settings: dict with `per` ("clip" or "frame") and `size`, and the encoder's own keys."""
    own = {key: value for key, value in settings.items() if key not in ("per", "size", "adversary")}
    if settings.get("per", "clip") == "clip":
        return ClipEncoder(settings["size"], **own)
    from .frame_encoder import FrameEncoder

    return FrameEncoder(settings["size"], **own)


def of_model(model):
    """The encoder of a model file with its weights, ready to run. ModelError where it cannot be built."""
    from .engines import UNFIT, layout_of

    size = layout_of(model).latents
    try:
        encoder = make(model.card.get("encoder", {"per": "clip", "size": size}))
        encoder.load_state_dict({name: torch.from_numpy(np.array(model.tensor(ENCODER + name))) for name in encoder.state_dict()})
    except UNFIT as error:
        raise ModelError(f"{model.path}: its encoder cannot be built ({' '.join(str(error).split())[:120]}); export it again") from None
    return encoder.eval()

"""Whole RAVE-like models: bank, encoder, latent, decoder, and what a host calls."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from .nets import AdaIN, GeneratorV1, GeneratorV2, encoder_v1, encoder_v2
from .latents import Discrete, Plain, Spherical, Variational
from .pqmf import Pqmf
from .streaming import Hold
from .wrappers import Exported, latent_labels, limit_rows

BANDS = 16
PEAK = 0.5  # of a decoder's output for white latents, when the file is written


class Resampler(nn.Module):
    """Between the host's rate and a net at 1 / ``factor`` of it: windowed sinc in phases, streaming."""

    def __init__(self, factor: int, channels: int = 1, half: int = 16):
        super().__init__()
        self.factor, self.channels = factor, channels
        taps = 2 * half * factor
        n = torch.arange(taps) - (taps - 1) / 2
        sinc = torch.sinc(n / factor) / factor * torch.kaiser_window(taps, periodic=False, beta=9.0)
        self.register_buffer("down_kernel", sinc.flip(0)[None, None])
        self.register_buffer("up_kernel", (factor * sinc).reshape(-1, factor).flip(0).t()[:, None].contiguous())
        self.down_hold = Hold(1, taps - factor)
        self.up_hold = Hold(1, 2 * half - 1)

    @torch.jit.export
    def down(self, x):
        rows, channels, frames = x.shape[0], x.shape[1], x.shape[2]
        y = F.conv1d(self.down_hold(x.reshape(rows * channels, 1, frames)), self.down_kernel, stride=self.factor)
        return y.reshape(rows, channels, -1)

    @torch.jit.export
    def up(self, x):
        rows, channels = x.shape[0], x.shape[1]
        y = F.conv1d(self.up_hold(x.reshape(rows * channels, 1, -1)), self.up_kernel)
        return y.permute(0, 2, 1).reshape(rows, channels, -1)

    def forward(self, x):
        return self.up(self.down(x))


class Core(nn.Module):
    """Audio [batch, 1, frames] <-> latent [batch, size, frames / ratio], before the host's wrapper."""

    def __init__(self, version=2, capacity=8, ratios=(4, 4, 4, 2), full=128, size=8, latent="variational", causal=False, quiet=False,
                 attenuation_db=100.0, polyphase=False, channels=1, **generator):
        super().__init__()
        self.ratio = BANDS * math.prod(ratios)
        self.bank = Pqmf(BANDS, attenuation_db, polyphase, causal)
        if latent == "variational":
            self.latent = Variational(full, size, quiet)
        else:
            self.latent = {"discrete": Discrete, "plain": Plain, "spherical": Spherical}[latent](full)
        encoder = {k: generator[k] for k in ("dilations", "act") if k in generator and version == 2}
        make_encoder, make_decoder = (encoder_v2, GeneratorV2) if version == 2 else (encoder_v1, GeneratorV1)
        self.channels = channels
        if channels > 1:
            generator["outputs"] = channels
        self.encoder = make_encoder(BANDS * channels, capacity, ratios, self.latent.encoded, causal=causal, **encoder)
        self.decoder = make_decoder(BANDS, capacity, ratios, self.latent.decoded, causal=causal, quiet=quiet, **generator)
        if quiet and latent == "variational":  # no deviation: sampling leaves the mean
            last = self.encoder[-1]
            last.weight.data[full:] = 0
            last.bias.data[full:] = -1000

    def adapters(self) -> list[AdaIN]:
        return [m for m in self.decoder.modules() if isinstance(m, AdaIN)]

    @torch.jit.export
    def encode(self, x):
        return self.latent.post(self.encoder(self.bank.split(x)))

    @torch.jit.export
    def decode(self, z):
        return self.bank.join(self.decoder(self.latent.pre(z)))

    def forward(self, x):
        return self.decode(self.encode(x))


def set_level(core: Core, peak: float = PEAK):
    """Scale the encoder to latents of deviation 1 for noise, then the wave head until the decoder peaks near ``peak`` for them."""
    with torch.no_grad():
        for i in range(4):
            noise = 0.3 * torch.randn(core.channels, 1, 32 * core.ratio)
            bands = core.bank.split(noise).reshape(1, BANDS * core.channels, -1)
            latent = core.encoder(bands)
            if i == 0:
                half = latent.shape[1] // 2 if latent.shape[1] > core.latent.decoded else latent.shape[1]
                core.encoder[-1].weight[:half] /= latent[:, :half, 8:].std()
            bands = core.decoder(core.latent.pre(core.latent.post(latent)))
            found = core.bank.join(bands.reshape(core.channels, BANDS, -1))[..., 8 * core.ratio:].abs().max()
            core.decoder.last.weight *= peak / float(found)


class RaveFile(Exported):
    """Files since 2023. ``factor``: host's rate over the net's; ``stereo``: two rows of a batch, which differ by the random latents.

    Blocks are multiples of the ratio, though encode and forward declare 1.
    """


    def __init__(self, core: Core, sample_rate: int, factor: int = 1, stereo: bool = False, rows: int = 64):
        super().__init__()
        self.core, self.sr, self.stereo = core, sample_rate, stereo
        self.resampler = Resampler(factor) if factor > 1 else None
        self.ratio = core.ratio * factor
        self.latent_size, channels = core.latent.size, 2 if stereo else 1
        self.register_buffer("sampling_rate", torch.tensor(sample_rate))
        labels = latent_labels(self.latent_size)
        self.add_method("encode", 1, 1, self.latent_size, self.ratio, outputs=labels)
        self.add_method("decode", self.latent_size, self.ratio, channels, 1, inputs=labels)
        self.add_method("forward", 1, 1, channels, 1)
        if rows < 64:
            limit_rows(self, rows)

    @torch.jit.export
    def encode(self, x):
        resampler = self.resampler
        if resampler is not None:
            x = resampler.down(x)
        return self.core.encode(x)

    @torch.jit.export
    def decode(self, z):
        rows = z.shape[0]
        if self.stereo:
            z = torch.cat([z, z], 0)
        y = self.core.decode(z)
        resampler = self.resampler
        if resampler is not None:
            y = resampler.up(y)
        if self.stereo:
            left, right = torch.split(y, rows, 0)
            y = torch.cat([left, right], 1)
        return y[..., : z.shape[-1] * self.ratio]

    def forward(self, x):
        return self.decode(self.encode(x))

    @torch.jit.export
    def get_sample_rate(self) -> int:
        return self.sr


class RaveFile2022(nn.Module):
    """Files of 2022: no list of methods, buffers beside them, an ``encode_amortized`` that shows mean and deviation."""

    def __init__(self, core: Core, sample_rate: int):
        super().__init__()
        latent = core.latent
        self.core, self.full = core, latent.full
        self.register_buffer("latent_pca", latent.latent_pca)
        self.register_buffer("latent_mean", latent.latent_mean)
        self.register_buffer("latent_size", torch.tensor(latent.size))
        self.register_buffer("sampling_rate", torch.tensor(sample_rate))
        self.register_buffer("max_batch_size", torch.tensor(64))
        self.register_buffer("encode_params", torch.tensor([1, 1, latent.size, core.ratio]))
        self.register_buffer("decode_params", torch.tensor([latent.size, core.ratio, 1, 1]))
        self.register_buffer("forward_params", torch.tensor([1, 1, 1, 1]))
        self.size, self.ratio = latent.size, core.ratio

    @torch.jit.export
    def encode(self, x):
        return self.core.encode(x)

    @torch.jit.export
    def encode_amortized(self, x):
        mean, scale = self.core.encoder(self.core.bank.split(x)).chunk(2, 1)
        mean = F.conv1d(mean - self.latent_mean.unsqueeze(-1), self.latent_pca.unsqueeze(-1))
        return mean[:, : self.size], F.softplus(scale) + 1e-4

    @torch.jit.export
    def decode(self, z):
        return self.core.decode(z)[..., : z.shape[-1] * self.ratio]

    def forward(self, x):
        return self.decode(self.encode(x))


class AdaptiveRaveFile(RaveFile):
    """Four switches: measure the source or the target while it plays, forget either."""

    def __init__(self, core: Core, sample_rate: int):
        super().__init__(core, sample_rate)
        self.adapters = nn.ModuleList(core.adapters())
        for name in ("learn_target", "reset_target", "learn_source", "reset_source"):
            self.add_attribute(name, False)

    @torch.jit.export
    def decode(self, z):
        for adapter in self.adapters:
            if self.reset_target[0]:
                adapter.reset(2)
            if self.reset_source[0]:
                adapter.reset(1)
            adapter.learn(self.learn_source[0], self.learn_target[0])
        self.reset_target = (False,)
        self.reset_source = (False,)
        return self.core.decode(z)[..., : z.shape[-1] * self.ratio]

    @torch.jit.export
    def get_learn_target(self) -> bool:
        return self.learn_target[0]

    @torch.jit.export
    def set_learn_target(self, learn_target: bool) -> int:
        self.learn_target = (learn_target,)
        return 0

    @torch.jit.export
    def get_reset_target(self) -> bool:
        return self.reset_target[0]

    @torch.jit.export
    def set_reset_target(self, reset_target: bool) -> int:
        self.reset_target = (reset_target,)
        return 0

    @torch.jit.export
    def get_learn_source(self) -> bool:
        return self.learn_source[0]

    @torch.jit.export
    def set_learn_source(self, learn_source: bool) -> int:
        self.learn_source = (learn_source,)
        return 0

    @torch.jit.export
    def get_reset_source(self) -> bool:
        return self.reset_source[0]

    @torch.jit.export
    def set_reset_source(self, reset_source: bool) -> int:
        self.reset_source = (reset_source,)
        return 0


class MultiRaveFile(Exported):
    """A net that takes and makes several channels, each with its own bank; only an attribute ``sr`` tells the rate."""

    def __init__(self, core: Core, sample_rate: int, channels: int = 2):
        super().__init__()
        self.core, self.sr, self.n_channels, self.ratio = core, sample_rate, channels, core.ratio
        size = core.latent.size
        self.add_method("encode", channels, 1, size, self.ratio, outputs=latent_labels(size))
        self.add_method("decode", size, self.ratio, channels, 1, inputs=latent_labels(size))
        self.add_method("forward", channels, 1, channels, 1)

    @torch.jit.export
    def encode(self, x):
        rows = x.shape[0]
        bands = self.core.bank.split(x.reshape(-1, 1, x.shape[-1]))
        return self.core.latent.post(self.core.encoder(bands.reshape(rows, -1, bands.shape[-1])))

    @torch.jit.export
    def decode(self, z):
        bands = self.core.decoder(self.core.latent.pre(z))
        audio = self.core.bank.join(bands.reshape(z.shape[0] * self.n_channels, -1, bands.shape[-1]))
        return audio.reshape(z.shape[0], self.n_channels, -1)

    def forward(self, x):
        return self.decode(self.encode(x))

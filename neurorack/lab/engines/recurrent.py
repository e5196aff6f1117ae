"""The recurrent trunk: a dense layer, a GRU and a dense layer at the hop rate, as in Engel et al., "DDSP" (2020).

Norms over channels after Ba et al., "Layer Normalization" (2016); the GRU is that of Cho et al. (2014) as torch has it. What a GRU
remembers has no end: in training its state is zero `WARM_UP` rows before a crop, and those rows make no sound; in
playing it is zero at the start and goes on.
"""

import torch
from torch import nn
from torch.nn import functional as F

from ..recipe import RecipeError
from . import base
from .base import SLOPE, Reader, arrays

WARM_UP = 48                # rows, 64 ms
EPSILON = 1e-5


class Norm(nn.Module):
    """Mean 0 and variance 1 over the channels of each frame, then `weight` and `bias`. [batch, channels, frames], scriptable."""

    def __init__(self, channels):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.epsilon: float = EPSILON

    def forward(self, x):
        x = x - x.mean(1, keepdim=True)
        x = x * torch.rsqrt((x * x).mean(1, keepdim=True) + self.epsilon)
        return x * self.weight[:, None] + self.bias[:, None]

    def build(self, b, x):
        """`forward` in the engine's operations, x [rows, channels]."""
        x = b.binary("sub", x, b.mean(x))
        root = b.unary("rsqrt", b.affine(b.mean(b.unary("square", x)), 1.0, EPSILON))
        return b.ternary("multiply_add", b.binary("mul", x, root), *arrays(self))


class Gru(nn.Module):
    """One layer of gated recurrent units, [batch, ins, frames] → [batch, hidden, frames]; scriptable, as wide as its weights.

    The state begins at zero in every call or, with `streaming` set, goes on from call to call.
    """

    def __init__(self, ins, hidden):
        super().__init__()
        made = nn.GRU(ins, hidden)
        self.weight_ih, self.weight_hh = made.weight_ih_l0, made.weight_hh_l0
        self.bias_ih, self.bias_hh = made.bias_ih_l0, made.bias_hh_l0
        self.streaming: bool = False
        self.register_buffer("state", torch.zeros(1, 1, hidden), persistent=False)

    def forward(self, x):
        state = self.state
        if not self.streaming or state.shape[1] != x.shape[0] or state.shape[2] != self.weight_hh.shape[1]:
            state = x.new_zeros((1, x.shape[0], self.weight_hh.shape[1]))
        weights = [self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh]
        y, state = torch.gru(x.transpose(1, 2), state, weights, True, 1, 0.0, self.training, False, True)
        if self.streaming:
            self.state = state
        return y.transpose(1, 2)

    def build(self, b, x):
        """`forward` in the engine's operations."""
        return b.gru(x, *(getattr(self, name).detach().cpu().numpy() for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")))


class RecurrentTrunk(Reader):
    """Dense, norm, GRU, then dense and norm over the GRU's result and what went into it. In and out as `base.Trunk`.

    conditioning "film": rows scale and shift the last layer besides. SPAN: rows before a crop that bring the state near
    that of playing; it is no bound, as that of a convolution net is.
    """

    SPAN = WARM_UP

    def __init__(self, layout, width, conditioning="concatenate"):
        super().__init__(layout)
        self.film = conditioning == "film"
        self.entry, self.entry_norm = nn.Conv1d(layout.width, width, 1), Norm(width)
        self.gru = Gru(width, width)
        self.leave, self.around, self.leave_norm = nn.Conv1d(width, width, 1), nn.Conv1d(width, width, 1, bias=False), Norm(width)
        if self.film:
            self.films = nn.ModuleList([base.film_layer(layout.width, width)])

    def forward(self, rows):
        x = self.limited(rows).transpose(1, 2)
        h = F.leaky_relu(self.entry_norm(self.entry(x)), SLOPE)
        y = self.leave_norm(self.leave(self.gru(h)) + self.around(h))
        if self.film:
            scale, shift = self.films[0](x).chunk(2, 1)
            y = y * scale + shift
        return F.leaky_relu(y, SLOPE)

    def latent_layers(self):
        """The layers that read the latent."""
        return [self.entry, *(self.films if self.film else ())]

    def build(self, b, rows):
        """`forward` in the engine's operations: a value [rows, layout.width] → [rows, width]."""
        x = self.build_limited(b, rows)
        h = b.leaky_relu(self.entry_norm.build(b, b.conv1d(x, *arrays(self.entry))), SLOPE)
        around = b.conv1d(h, self.around.weight.detach().cpu().numpy())
        y = self.leave_norm.build(b, b.conv1d(self.gru.build(b, h), *arrays(self.leave), residual=around))
        if self.film:
            y = base.build_film(b, y, b.conv1d(x, *arrays(self.films[0])))
        return b.leaky_relu(y, SLOPE)

    def live(self):
        """The same net as it streams, rows [batch, layout.width, frames] → [batch, width, frames]."""
        from .live import LiveRecurrent

        return LiveRecurrent(self)


TRUNKS = {"convolution": base.Trunk, "recurrent": RecurrentTrunk}


def make_trunk(kind, layout, width, conditioning):
    """The trunk of a kind. RecipeError for one there is none of."""
    if kind not in TRUNKS:
        raise RecipeError(f"engine.trunk is {kind!r}; one of {', '.join(TRUNKS)} belongs there")
    return TRUNKS[kind](layout, width, conditioning)

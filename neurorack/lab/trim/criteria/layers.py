"""Layers as they run: every convolution, matrix product and recurrent layer of a forward pass, found from the parameters it is given.

Functions are watched instead of modules, because a layer need not be a module of its own: one that calls ``torch.conv1d`` with a
parameter in some larger forward is seen like ``nn.Conv1d``.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

CONVOLUTIONS = (torch.conv1d, F.conv1d)
TRANSPOSED = (torch.conv_transpose1d, F.conv_transpose1d)
LINEAR = (F.linear,)
RECURRENT = (torch.gru, torch._VF.gru)
LAYERS = {function: kind for kind, functions in (("convolution", CONVOLUTIONS), ("transposed", TRANSPOSED), ("linear", LINEAR),
                                                 ("recurrent", RECURRENT)) for function in functions}


@dataclass
class Call:
    """A layer that runs. names: its tensors' names, weight before bias, those of a recurrent layer as torch orders them; x: its input."""

    kind: str
    names: list
    function: object
    args: tuple
    kwargs: dict

    @property
    def x(self):
        return self.args[0] if self.args else self.kwargs["input"]

    def run(self):
        """The result, as if nobody watched."""
        return self.function(*self.args, **self.kwargs)

    def reads(self, result):
        """(name, axis) of a tensor → what the layer reads through its slices on that axis, [batch, channels, frames].

        Frames are those of the result, where the input is longer by what a causal layer puts before it.
        """
        x = self.x.detach()
        if self.kind == "convolution":
            stride = self.args[3] if len(self.args) > 3 else self.kwargs.get("stride", 1)
            rows = result.shape[-1] * (stride[0] if isinstance(stride, (tuple, list)) else stride)
            return {(self.names[0], 1): x[..., max(0, x.shape[-1] - rows):]}
        if self.kind == "transposed":
            return {(self.names[0], 0): x}
        if self.kind == "linear":
            return {(self.names[0], 1): _frames(x)}
        batch_first = self.args[8] if len(self.args) > 8 else self.kwargs.get("batch_first", False)
        ahead = lambda value: value.detach() if batch_first else value.detach().transpose(0, 1)
        return {(self.names[0], 1): _frames(ahead(self.x)), (self.names[1], 1): _frames(ahead(result[0]))}


def _frames(x):
    """[…, channels] with or without frames and batch before, as [batch, channels, frames]."""
    while x.dim() < 3:
        x = x[None]
    return x.flatten(0, -3).transpose(1, 2)


class Watch(TorchFunctionMode):
    """Inside this context `handle(call)` makes the result of every layer that is given one of the tensors (name → tensor);
    `other(function, args, kwargs)` that of everything else, where it is given."""

    def __init__(self, tensors, handle, other=None):
        super().__init__()
        self.names = {id(tensor): name for name, tensor in tensors.items()}
        self.handle, self.other = handle, other

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in LAYERS:
            flat = [one for value in (*args, *kwargs.values()) for one in (value if isinstance(value, (list, tuple)) else (value,))]
            names = [self.names[id(one)] for one in flat if id(one) in self.names]
            if names:
                return self.handle(Call(LAYERS[func], names, func, args, kwargs))
        return self.other(func, args, kwargs) if self.other else func(*args, **kwargs)

"""An engine program in torch's operations, to be traced: what a model file plays, where our engine is not.

Meant for methods that are light (encode); every buffer of the program is a flat tensor, every view a strided view of it.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from ...engine.listing import dense_strides
from ...errors import ModelError

UNARY = {"copy": torch.clone, "neg": torch.neg, "abs": torch.abs, "square": torch.square, "sqrt": torch.sqrt, "reciprocal": torch.reciprocal,
         "exp": torch.exp, "log": torch.log, "sin": torch.sin, "cos": torch.cos, "tanh": torch.tanh, "sigmoid": torch.sigmoid,
         "relu": torch.relu, "silu": F.silu, "floor": torch.floor, "ceil": torch.ceil, "round": torch.round, "trunc": torch.trunc,
         "sign": torch.sign, "log1p": torch.log1p, "expm1": torch.expm1, "rsqrt": torch.rsqrt, "softplus": F.softplus}
PARAMETRIC = {"leaky_relu": lambda x, a, b: F.leaky_relu(x, a), "clamp": lambda x, a, b: x.clamp(a, b), "affine": lambda x, a, b: x * a + b,
              "elu": lambda x, a, b: F.elu(x, a), "not": lambda x, a, b: (x == 0).to(x.dtype)}
BINARY = {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "max": torch.maximum, "min": torch.minimum,
          "pow": torch.pow, "fmod": torch.fmod, "remainder": torch.remainder, "atan2": torch.atan2}
COMPARED = {"eq": torch.eq, "ne": torch.ne, "lt": torch.lt, "le": torch.le, "gt": torch.gt, "ge": torch.ge,
            "and": torch.logical_and, "or": torch.logical_or}
TERNARY = {"where": lambda a, b, c: torch.where(a != 0, b, c), "multiply_add": lambda a, b, c: a * b + c,
           "lerp": lambda a, b, c: a + (b - a) * c, "snake": lambda a, b, c: a + torch.sin(a * b) ** 2 * c}
FOLDS = {"add": lambda x, axes: x.sum(axes, keepdim=True), "max": lambda x, axes: x.amax(axes, keepdim=True),
         "min": lambda x, axes: x.amin(axes, keepdim=True)}


def _unary(fn, x, a, b):
    return UNARY[fn](x) if fn in UNARY else PARAMETRIC[fn](x, a, b)


def _pointwise(call, inputs, shape):
    """Result of an operation on numbers one by one."""
    fn, p = call.params["fn"], call.params
    if call.op == "unary":
        out = _unary(fn, inputs[0], p["a"], p["b"])
    elif call.op == "ternary":
        out = TERNARY[fn](*inputs)
    else:
        out = BINARY[fn](*inputs) if fn in BINARY else COMPARED[fn](*inputs).to(torch.float32)
    return out.expand(shape)


def _conv1d(call, inputs, shape):
    x, w, bias, residual = inputs
    p = call.params
    out = F.conv1d(x.t()[None], w.permute(2, 1, 0), bias, p["stride"], 0, p["dilation"], p["groups"])[0].t()[:shape[0]]
    if residual is not None and p["residual_first"]:
        return _unary(p["act"], out + residual, p["a"], p["b"])
    out = _unary(p["act"], out, p["a"], p["b"])
    return out if residual is None else out + residual


def _result(call, inputs, shape):
    """What an operation gives, of the shape of its output."""
    if call.op in ("unary", "binary", "ternary"):
        return _pointwise(call, inputs, shape)
    if call.op == "conv1d":
        return _conv1d(call, inputs, shape)
    if call.op == "matmul":
        return torch.matmul(*inputs)
    x = inputs[0]
    if call.op == "reduce":
        return FOLDS[call.params["fn"]](x, [k for k, n in enumerate(shape) if n == 1] or [0]) * call.params["scale"]
    if call.op == "arg":
        return (torch.argmax if call.params["fn"] == "max" else torch.argmin)(x, 1).to(x.dtype)
    if call.op == "scan":
        return torch.cumsum(x, call.params["axis"])
    return x.index_select(0, inputs[1].long())          # gather


KNOWN = ("unary", "binary", "ternary", "conv1d", "matmul", "reduce", "arg", "scan", "gather")


class Replayed(nn.Module):
    """A program's listing with its constants and states. forward: input [rows, channels] → output [rows, channels].

    ModelError for a program with an operation that is not known here.
    """

    def __init__(self, listing, arrays, shared):
        super().__init__()
        strange = {call.op for call in listing.calls} - set(KNOWN)
        if strange:
            raise ModelError(f"a program with the operation {sorted(strange)[0]!r} cannot be written as TorchScript")
        self.listing = listing
        for number, buffer in enumerate(listing.buffers):
            if buffer.kind == "constant":
                tensor = shared.setdefault((buffer.tensor, buffer.generator), torch.from_numpy(arrays[number].reshape(-1).copy()))
                self.register_buffer(f"constant{number}", tensor)
            elif buffer.kind == "state":
                first = torch.zeros(buffer.size) if number not in arrays else torch.from_numpy(arrays[number].reshape(-1).copy())
                self.register_buffer(f"state{number}", first)

    def forward(self, x):
        memory = {}
        for number, buffer in enumerate(self.listing.buffers):
            if buffer.kind in ("constant", "state"):
                memory[number] = getattr(self, f"{buffer.kind}{number}")
            elif buffer.kind == "input":
                memory[number] = x.reshape(-1).clone()       # strided views count from the start of the storage
        for call in self.listing.calls:
            self._run(call, memory)
        out = next(number for number, buffer in enumerate(self.listing.buffers) if buffer.kind == "output")
        return memory[out].reshape(self.listing.out_shape)

    def _run(self, call, memory):
        """One operation: reads its views, and writes what it gives."""
        *views, to = call.views
        if call.op == "conv1d":
            *views, to, second = call.views
            if second is not None:
                raise ModelError("a convolution with two results cannot be written as TorchScript")
        buffers = self.listing.buffers
        read = lambda view: None if view is None else _read(memory[view.buffer], view, buffers[view.buffer].size)
        value, buffer = _result(call, [read(view) for view in views], tuple(to.shape)), buffers[to.buffer]
        whole = to.offset == 0 and to.strides == dense_strides(to.shape) and math.prod(to.shape) == buffer.size
        if whole and buffer.kind != "state":
            memory[to.buffer] = value.reshape(-1)
            return
        if to.buffer not in memory:
            memory[to.buffer] = torch.zeros(buffer.size)
        _read(memory[to.buffer], to, buffer.size).copy_(value.reshape(to.shape))


def _columns(view, size):
    """(rows, width, first row, first column) where a view is columns of a matrix that fills a flat tensor, else None."""
    if len(view.shape) < 2:
        return None
    width, last = view.strides[-2:]
    rows, count = math.prod(view.shape[:-1]), view.shape[-1]
    if last != 1 or width < count or size % width or view.offset % width + count > width:
        return None
    fits = tuple(view.strides[:-1]) == tuple(step * width for step in dense_strides(view.shape[:-1]))
    return (rows, width, view.offset // width, view.offset % width) if fits else None


def _read(flat, view, size):
    """A view of a flat tensor of `size` numbers, by plain slices where they do.

    torch has no negative strides: what goes backwards is turned round.
    """
    if view.strides == dense_strides(view.shape):
        return flat[view.offset:view.offset + math.prod(view.shape)].view(view.shape)
    columns = _columns(view, size)
    if columns is not None:
        rows, width, row, column = columns
        part = flat.view(-1, width)[row:row + rows, column:column + view.shape[-1]]
        return part if len(view.shape) == 2 else part.unflatten(0, list(view.shape[:-1]))
    back = [k for k, step in enumerate(view.strides) if step < 0]
    first = view.offset + sum((view.shape[k] - 1) * view.strides[k] for k in back)
    found = torch.as_strided(flat, view.shape, [abs(step) for step in view.strides], first)
    return found.flip(back) if back else found


def traced(model, method, block_frames, shared):
    """The scripted module of one program of a model file. shared: tensors by name, so that programs share their constants."""
    listing = model.listing(method, block_frames)
    module = Replayed(listing, model.arrays(listing), shared).eval()
    states = {name: value.clone() for name, value in module.named_buffers() if name.startswith("state")}
    with torch.no_grad():
        made = torch.jit.trace(module, torch.zeros(listing.in_shape), check_trace=False)
        for name, value in made.named_buffers():
            if name in states:
                value.copy_(states[name])
    return made

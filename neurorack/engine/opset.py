"""The operations of a program: their numbers, operands and parameters. ``docs/engine.md`` says what each computes.

One table serves the reader (what a file may say), the compiled engine (in which order it gets things) and the
builder. Operand marks: ``?`` may be missing, ``=`` must be a constant, ``!`` is changed (a state).
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: Functions of one number, in the order of ``enum nr_unary``.
UNARY = ("copy neg abs square sqrt reciprocal exp log sin cos tanh sigmoid softplus relu leaky_relu elu silu clamp affine "
         "floor ceil round trunc sign log1p expm1 asin acos atan tan erf rsqrt not").split()
#: Functions of two numbers, in the order of ``enum nr_binary``.
BINARY = "add sub mul div max min pow fmod remainder atan2 eq ne lt le gt ge and or".split()
#: Functions of three numbers, in the order of ``enum nr_ternary``.
TERNARY = "where multiply_add lerp snake".split()
#: Functions that fold many numbers into one.
FOLDS = ("add", "mul", "max", "min")
#: What a convolution may end with.
ACTIVATIONS = ("copy", "leaky_relu", "relu", "tanh", "sigmoid", "softplus", "silu", "exp", "affine", "clamp")

MAX_DIMS = 4
MAX_VIEWS = 10


@dataclass(frozen=True)
class Op:
    """One operation: ``ints`` and ``floats`` are its parameters with their defaults, in the engine's order.

    A parameter whose default is a tuple of names takes one of them (the first is the default), and is sent as its
    place in ``names`` of that parameter.
    """

    code: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    ints: dict = field(default_factory=dict)
    floats: dict = field(default_factory=dict)

    @property
    def operands(self) -> tuple[str, ...]:
        return self.inputs + self.outputs

    def mutable(self, index: int) -> bool:
        return index >= len(self.inputs) or "!" in self.inputs[index]


class Choice:
    """A parameter that is one of some names; ``numbers`` maps them to what the engine expects."""

    def __init__(self, allowed, names, default=None):
        self.numbers = {name: names.index(name) for name in allowed}
        self.default = default


_ACT = {"a": 0.0, "b": 0.0}

OPS: dict[str, Op] = {
    "conv1d": Op(0, ("x", "w=", "bias=?", "residual?"), ("y", "y2?"),
                 {"stride": 1, "dilation": 1, "groups": 1, "act": Choice(ACTIVATIONS, UNARY, "copy"),
                  "act2": Choice(ACTIVATIONS, UNARY, "copy"), "residual_first": 0},
                 {"a": 0.0, "b": 0.0, "a2": 0.0, "b2": 0.0}),
    "conv_transpose1d": Op(1, ("x", "w=", "bias=?"), ("y", "y2?"),
                           {"stride": 1, "groups": 1, "crop": 0, "act": Choice(ACTIVATIONS, UNARY, "copy"),
                            "act2": Choice(ACTIVATIONS, UNARY, "copy")},
                           {"a": 0.0, "b": 0.0, "a2": 0.0, "b2": 0.0}),
    "matmul": Op(2, ("a", "b"), ("y",)),
    "unary": Op(3, ("x",), ("y",), {"fn": Choice(UNARY, UNARY)}, _ACT),
    "binary": Op(4, ("a", "b"), ("y",), {"fn": Choice(BINARY, BINARY)}),
    "ternary": Op(5, ("a", "b", "c"), ("y",), {"fn": Choice(TERNARY, TERNARY)}),
    "reduce": Op(6, ("x",), ("y",), {"fn": Choice(FOLDS, BINARY)}, {"scale": 1.0}),
    "arg": Op(7, ("x",), ("y",), {"fn": Choice(("max", "min"), BINARY)}),
    "scan": Op(8, ("x",), ("y",), {"fn": Choice(("add", "mul"), BINARY), "axis": 0}),
    "gather": Op(9, ("x", "index"), ("y",)),
    "gru": Op(10, ("x", "w_x=", "b_x=?", "w_h=", "b_h=?", "h!"), ("y",)),
    "oscillators": Op(11, ("amplitudes", "steps=?", "frequencies?", "last!", "phases!", "last_steps!?"), ("y",), {"hop": 1}),
    "noise_bands": Op(12, ("amplitudes", "table=", "last!", "position!"), ("y",), {"hop": 1}),
    "random": Op(13, ("counter!",), ("y",), {"normal": 0, "seed": 0}),
    "filter_frames": Op(14, ("x", "ir", "tail!"), ("y",), {"hop": 1}),
}

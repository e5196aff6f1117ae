"""What one number costs in each of the engine's functions: arithmetic operations, and the class whose speed it has.

Counted are floating-point additions, multiplications, divisions, roots and comparisons of the engine's own formulas
(``engine/simd.h``: a polynomial is its terms), so that a sigmoid is not passed off as one operation. Functions left to
the system's mathematics library count as ``LIBRARY``.
"""

from __future__ import annotations

LIBRARY = 20
EXP, LOG, SINE, PHASE_SINE = 23, 20, 19, 11

#: Classes of speed: "copy" moves numbers, "plain" is a few instructions a vector, "root" divides or takes a root, "exp" and
#: "trig" are polynomials and "long" is two of them, "step" and "library" go number by number.
CLASSES = ("copy", "plain", "root", "exp", "trig", "long", "step", "library")

#: function of one number -> (class, operations)
UNARY = {
    "copy": ("copy", 0), "neg": ("plain", 1), "abs": ("plain", 1), "square": ("plain", 1), "relu": ("plain", 1), "leaky_relu": ("plain", 2),
    "clamp": ("plain", 2), "affine": ("plain", 2), "not": ("plain", 1),
    "sqrt": ("root", 1), "rsqrt": ("root", 2), "reciprocal": ("root", 1),
    "exp": ("exp", EXP), "expm1": ("exp", EXP + 2), "log": ("exp", LOG), "tanh": ("exp", EXP + 4), "sigmoid": ("exp", EXP + 3),
    "softplus": ("long", EXP + 19), "elu": ("exp", EXP + 4), "silu": ("exp", EXP + 4),
    "sin": ("trig", SINE), "cos": ("trig", SINE + 2),
    "floor": ("step", 1), "ceil": ("step", 1), "round": ("step", 1), "trunc": ("step", 1), "sign": ("step", 2),
    "log1p": ("library", LIBRARY), "asin": ("library", LIBRARY), "acos": ("library", LIBRARY), "atan": ("library", LIBRARY),
    "tan": ("library", LIBRARY), "erf": ("library", LIBRARY),
}
BINARY = {
    **dict.fromkeys(("add", "sub", "mul", "max", "min", "eq", "ne", "lt", "le", "gt", "ge", "and", "or"), ("plain", 1)), "div": ("root", 1),
    **dict.fromkeys(("pow", "fmod", "remainder", "atan2"), ("library", LIBRARY)),
}
TERNARY = {"where": ("plain", 1), "multiply_add": ("plain", 2), "lerp": ("plain", 3), "snake": ("trig", SINE + 4)}

#: Per number of a sound source or of a gated unit.
OSCILLATOR, NOISE_BAND, UNIFORM, NORMAL, GRU_UNIT = PHASE_SINE + 5, 5, 1, LOG + PHASE_SINE + 5, 2 * (EXP + 4) + (EXP + 4) + 5

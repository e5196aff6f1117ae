"""The shapes of the engine's kernels for each instruction set: numbers a vector, and the tile of a product (product_simd.c)."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import NeurorackError


@dataclass(frozen=True)
class Isa:
    """``lanes`` numbers a vector; a tile is up to ``rows`` rows by ``wide`` vectors."""

    name: str
    lanes: int
    rows: int
    wide: int

    def vectors(self, cols: int) -> int:
        """Vectors that hold ``cols`` outputs: what is computed, whatever is asked for."""
        return -(-cols // self.lanes)

    def panels(self, cols: int) -> int:
        return -(-self.vectors(cols) // self.wide)

    def packed_bytes(self, depth: int, cols: int, taps: int = 1, form: str = "F32") -> int:
        """Of packed weights, their bias and scales: words of 32 bits that hold as many rows as the form allows."""
        rows_in, head = WORDS[form]
        return 4 * (head + taps * -(-(depth // taps) // rows_in)) * self.vectors(cols) * self.lanes


#: Rows of weights that share a word of 32 bits, and words of float32 in front of them.
WORDS = {"F32": (1, 1), "BF16": (2, 1), "I8": (4, 2)}

#: "scalar" is no instruction set of ours: a processor without vectors, for estimates.
ISAS = {isa.name: isa for isa in (Isa("scalar", 1, 4, 2), Isa("sse", 4, 4, 2), Isa("neon", 4, 8, 3), Isa("avx2", 8, 6, 2), Isa("avx512", 16, 8, 3))}


def named(name: str | None = None) -> Isa:
    """Of a name; without one, the one in use here. Raises ``NeurorackError``."""
    if name is None:
        from ..engine import isa

        name = isa()
    if name not in ISAS:
        raise NeurorackError(f"there is no instruction set {name!r}; there are {', '.join(ISAS)}")
    return ISAS[name]

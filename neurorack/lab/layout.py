"""What the rows of a model hold: descriptors, for pitched sounds harmonicity and pitch, then the latent.

A row is one frame of a model's control: `[loudness, centroid, bandwidth, sharpness, booming(, harmonicity, pitch), z0 …]`.
Descriptors and harmonicity stand on [-1, 1] (loudness at or below -1 is silence), pitch is octaves above C4 (0 V = 261.63 Hz,
the Eurorack convention of 1 V an octave), latents are standard deviations.
"""

from __future__ import annotations

from dataclasses import dataclass

DESCRIPTORS = ("loudness", "centroid", "bandwidth", "sharpness", "booming")
C4_HERTZ = 440.0 * 2 ** (-9 / 12)
PITCH_LIMITS_OCTAVES = (-4.0, 5.0)
#: Harmonicity is the power of the harmonics over that of the rest, in dB; its value v stands for `ZERO + PER_UNIT * v`.
HARMONICITY_ZERO_DB, HARMONICITY_DB_PER_UNIT = 5.0, 25.0
REST_LOUDNESS = -1.5


@dataclass(frozen=True)
class Layout:
    """pitched: rows have harmonicity and pitch; latents: how many columns the latent has."""

    pitched: bool = False
    latents: int = 8

    @property
    def described(self) -> tuple[str, ...]:
        """Names of the columns on [-1, 1] that are measured in a sound."""
        return DESCRIPTORS + (("harmonicity",) if self.pitched else ())

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of all columns before the latent."""
        return self.described + (("pitch",) if self.pitched else ())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns."""
        return self.conditions + tuple(f"z{k}" for k in range(self.latents))

    @property
    def width(self) -> int:
        """Columns of a row."""
        return len(self.names)

    def column(self, name: str) -> int:
        """Index of a column. ValueError for a name that this layout does not have."""
        return self.names.index(name)

    @property
    def rest(self) -> list[float]:
        """A row of rest: silence, all else in the middle."""
        return [REST_LOUDNESS] + [0.0] * (self.width - 1)

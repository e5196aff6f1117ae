"""What a ``ProgramBuilder`` offers: the network layers and sound sources our models are exported with.

Weights come in torch's shapes (``Conv1d`` [out, in / groups, taps], ``ConvTranspose1d`` [in, out / groups, taps],
``Linear`` [out, in], ``GRU`` [3 hidden, in]). Values are [rows, channels]. Everything streams: the past a layer looks back
on is kept, and what looks ahead is delayed, with ``Value.delay`` saying by how many of its rows.
"""

from __future__ import annotations

import numpy as np

from ..errors import ModelError
from .filterbank import analysis_weights, synthesis_weights
from .pointwise import Pointwise
from .value import Value


class Layers(Pointwise):
    """Methods of ``ProgramBuilder``; kept apart for length only."""

    def conv1d(
        self,
        x: Value,
        weight,
        bias=None,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        look_ahead: int | None = None,
        act: str = "copy",
        a: float = 0.0,
        b: float = 0.0,
        residual: Value | None = None,
        residual_first: bool = False,
        also: str | None = None,
        a2: float = 0.0,
        b2: float = 0.0,
    ):
        """Convolution over time, [rows, in] to [rows / stride, out], then ``act``, then ``residual`` is added.

        ``look_ahead``: rows after row ``i * stride`` that the last tap of result ``i`` sees, paid for by delay where they are
        not there yet. None: causal, no delay. ``span - padding``, span = (taps - 1) * dilation, gives torch's padding. With
        ``residual_first`` the residual is added before ``act``. ``also`` names a second activation, of the result; then both are
        returned.
        """
        weight = np.asarray(weight, np.float32)
        outs, ins, taps = weight.shape
        if x.channels != ins * groups or x.rows % stride or outs % groups:
            raise ModelError(
                f"conv1d: {x.shape} with stride {stride} does not fit weights {weight.shape} in {groups} groups"
            )
        span = (taps - 1) * dilation
        if look_ahead is None:
            look_ahead = min(span, stride - 1)
        if not 0 <= look_ahead <= span:
            raise ModelError(f"conv1d: look-ahead of {look_ahead} rows; 0 to {span}")
        late = max(
            0, look_ahead - (stride - 1)
        )  # row i stands for row i * stride - late of x: all that it sees is there by then
        late += -(x.delay + late) % stride
        past = span - look_ahead + late
        y = self.new(x.rows // stride, outs, delay=(x.delay + late) // stride)
        second = self.new(*y.shape, delay=y.delay) if also else None
        residual = self._in_step(residual, y) if residual is not None else None
        window = x.past(past)
        w = self.constant(weight).transposed(2, 1, 0)
        self.call(
            "conv1d",
            [window, w, None if bias is None else self.constant(bias), residual],
            [y, second],
            stride=stride,
            dilation=dilation,
            groups=groups,
            act=act,
            a=float(a),
            b=float(b),
            residual_first=int(residual_first),
            act2=also or "copy",
            a2=float(a2),
            b2=float(b2),
        )
        return (y, second) if also else y

    def linear(self, x: Value, weight, bias=None, **more):
        """Each row times a matrix [out, in]; ``more`` as in ``conv1d``."""
        return self.conv1d(x, np.reshape(np.asarray(weight, np.float32), (len(weight), -1, 1)), bias, **more)

    def conv_transpose1d(
        self,
        x: Value,
        weight,
        bias=None,
        *,
        stride: int = 1,
        groups: int = 1,
        crop: int = 0,
        act: str = "copy",
        a: float = 0.0,
        b: float = 0.0,
        also: str | None = None,
        a2: float = 0.0,
        b2: float = 0.0,
    ):
        """Transposed convolution, [rows, in] to [rows * stride, out].

        ``crop`` is torch's ``padding``: rows that torch leaves out in front are delay here, because each needs the future.
        Activations as in ``conv1d``.
        """
        weight = np.asarray(weight, np.float32)
        ins, outs, taps = weight.shape
        if x.channels != ins or ins % groups:
            raise ModelError(f"conv_transpose1d: {x.shape} does not fit weights {weight.shape} in {groups} groups")
        back = -(-taps // stride) - 1
        y = self.new(x.rows * stride, outs * groups, delay=x.delay * stride + crop)
        second = self.new(*y.shape, delay=y.delay) if also else None
        self.call(
            "conv_transpose1d",
            [x.past(back), self.constant(weight).transposed(2, 0, 1), None if bias is None else self.constant(bias)],
            [y, second],
            stride=stride,
            groups=groups,
            crop=back * stride,
            act=act,
            a=float(a),
            b=float(b),
            act2=also or "copy",
            a2=float(a2),
            b2=float(b2),
        )
        return (y, second) if also else y

    def gru(self, x: Value, w_ih, w_hh, b_ih=None, b_hh=None, initial=None) -> Value:
        """One layer of torch's GRU, [rows, in] to [rows, hidden]; its state lasts."""
        hidden = np.shape(w_hh)[1]
        y = self.new(x.rows, hidden, delay=x.delay)
        biases = [None if v is None else self.constant(v) for v in (b_ih, b_hh)]
        self.call(
            "gru",
            [
                x,
                self.constant(w_ih).transposed(),
                biases[0],
                self.constant(w_hh).transposed(),
                biases[1],
                self.state(hidden, initial=initial),
            ],
            [y],
        )
        return y

    def oscillators(self, amplitudes: Value, frequencies, sample_rate: float, hop: int, phases=None) -> Value:
        """Sum of sines, amplitudes [rows, n] to [rows * hop, 1].

        ``frequencies`` in Hz: n fixed ones (below half of ``sample_rate``), or a value [rows, n] that is interpolated like the amplitudes;
        partials at or above half of ``sample_rate`` are silent then. ``phases``: where each starts, in turns.
        The last of a row's ``hop`` samples has the row's amplitude, those before lie on the line from the row before.
        """
        n = amplitudes.channels
        start = np.zeros(n) if phases is None else np.asarray(phases, float)
        fixed = varying = last_steps = None
        if isinstance(frequencies, Value):
            varying = self.unary("affine", frequencies, a=1.0 / sample_rate)
            last_steps = self.state(n)
        else:
            fixed = self.constant(_words(np.asarray(frequencies, float) / sample_rate))
        y = self.new(amplitudes.rows * hop, delay=amplitudes.delay * hop)
        self.call(
            "oscillators",
            [amplitudes, fixed, varying, self.state(n), self.state(n, initial=_words(start % 1.0)), last_steps],
            [y],
            hop=hop,
        )
        return y[:, None]

    def noise_bands(self, amplitudes: Value, table: Value, hop: int, start: int = 0) -> Value:
        """Sum of looped bands of noise, amplitudes [rows, bands] to [rows * hop, 1]; ``table`` is a constant [bands, length].

        All loops begin at sample ``start``. Amplitudes are interpolated as in ``oscillators``.
        """
        y = self.new(amplitudes.rows * hop, delay=amplitudes.delay * hop)
        position = self.state(1, initial=np.array([start % table.shape[1]], np.uint32))
        self.call("noise_bands", [amplitudes, table, self.state(amplitudes.channels), position], [y], hop=hop)
        return y[:, None]

    def random(self, rows: int, channels: int = 1, *, normal: bool = False, seed: int | None = None) -> Value:
        """Noise [rows, channels], uniform in 0..1 or standard normal; the sequence does not depend on the block length."""
        self._seeds += 1
        y = self.new(rows, channels)
        self.call(
            "random",
            [self.state(2)],
            [y],
            normal=int(normal),
            seed=(self._seeds * 0x9E3779B9 if seed is None else seed) & 0xFFFFFFFF,
        )
        return y

    def filter_frames(self, x: Value, responses: Value) -> Value:
        """Each frame of x [rows * hop, 1] convolved with its own impulse response [rows, taps], overlapped and added."""
        rows, taps = responses.shape
        y = self.new(x.rows)
        self.call("filter_frames", [x.reshape(x.rows), responses, self.state(taps - 1)], [y], hop=x.rows // rows)
        return y[:, None]

    def filtered_noise(self, magnitudes: Value, hop: int, seed: int | None = None) -> Value:
        """White noise through a zero-phase filter of given magnitudes [rows, bins], as in DDSP (Engel et al., 2020).

        A row's response has 2 (bins - 1) taps: its inverse spectrum, centred and windowed (Hann), so the result is late by
        bins - 1 samples. Returns [rows * hop, 1].
        """
        bins = magnitudes.channels
        size = 2 * (bins - 1)
        unit = np.fft.irfft(np.eye(bins), size)
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
        matrix = np.roll(unit, size // 2, axis=1) * window
        noise = self.unary("affine", self.random(magnitudes.rows * hop, seed=seed), a=2.0, b=-1.0)
        return self.filter_frames(noise, self.linear(magnitudes, matrix.T))

    def pqmf_analysis(self, x: Value, bank) -> Value:
        """x [rows, 1] split by a bank of ``filterbank.pqmf_bank``, [rows / bands, bands]."""
        return self.conv1d(x, analysis_weights(bank), stride=len(bank))

    def pqmf_synthesis(self, x: Value, bank) -> Value:
        """Bands [rows, bands] put together, [rows * bands, 1]; analysis and synthesis are late by taps - bands samples."""
        return self.conv_transpose1d(x, synthesis_weights(bank), stride=len(bank))

    def spectrum(self, x: Value) -> Value:
        """Each row's real Fourier transform, [rows, n] to [rows, 2 (n // 2 + 1)]: real parts, then imaginary ones."""
        return self.matmul(x, self.generated(kind="real_dft", size=x.channels))

    def inverse_spectrum(self, x: Value, size: int) -> Value:
        """The inverse of ``spectrum`` for rows of ``size`` samples."""
        return self.matmul(x, self.generated(kind="inverse_real_dft", size=size))

    def _in_step(self, value: Value, other: Value) -> Value:
        if value.delay > other.delay:
            raise ModelError(
                f"a residual is {value.delay - other.delay} rows later than what it is added to; delay that first (align)"
            )
        return value.delayed(other.delay - value.delay)


def _words(turns: np.ndarray) -> np.ndarray:
    """Turns as unsigned 2^-32 parts."""
    return np.rint(turns * 2.0**32).astype(np.uint64).astype(np.uint32)

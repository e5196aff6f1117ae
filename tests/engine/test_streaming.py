"""A program of any block length gives what one pass over the whole signal gives; torch's layers are the measure."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurorack.engine.filterbank import pqmf_bank

from .helpers import normal, streamed

FRAMES = 512
BLOCKS = (1, 2, 4, 8, 32, 128, 512)


def same_at_all_blocks(build, x, blocks=BLOCKS, tolerance=2e-6, **ratios):
    whole = streamed(build, x, blocks[-1], **ratios)
    scale = max(1.0, float(np.abs(whole).max()))
    assert np.abs(whole).max() > 1e-3
    for block in blocks[:-1]:
        np.testing.assert_allclose(
            streamed(build, x, block, **ratios), whole, rtol=0, atol=tolerance * scale, err_msg=f"block {block}"
        )
    return whole


def conv_reference(x, w, bias, left, stride=1, dilation=1, groups=1):
    torch = pytest.importorskip("torch")
    padded = np.concatenate(
        [np.zeros((left, x.shape[1])), x, np.zeros(((w.shape[2] - 1) * dilation, x.shape[1]))]
    ).astype(np.float32)
    with torch.no_grad():
        y = torch.nn.functional.conv1d(
            torch.from_numpy(padded.T[None].copy()),
            torch.from_numpy(w),
            torch.from_numpy(bias),
            stride,
            0,
            dilation,
            groups,
        )
    return y[0].numpy().T


@settings(max_examples=25, deadline=None)
@given(
    taps=st.integers(1, 7),
    stride=st.sampled_from([1, 2, 4]),
    dilation=st.integers(1, 9),
    groups=st.sampled_from([1, 2]),
    centred=st.booleans(),
)
def test_convolutions_against_torch(taps, stride, dilation, groups, centred):
    w, bias, x = normal(6, 4 // groups, taps), normal(6), normal(FRAMES, 4)
    span = (taps - 1) * dilation
    ahead = span - span // 2 if centred else None
    late = []

    def build(b):
        y = b.conv1d(b.input(), w, bias, stride=stride, dilation=dilation, groups=groups, look_ahead=ahead)
        late.append(y.delay)
        b.output(y)

    got = same_at_all_blocks(build, x, [n for n in BLOCKS if n % stride == 0], out_channels=6, out_ratio=stride)
    assert len(set(late)) == 1
    left = span // 2 if centred else span - min(span, stride - 1)
    want = conv_reference(x, w, bias, left, stride, dilation, groups)
    delay = late[0]
    np.testing.assert_allclose(got[delay:], want[: len(got) - delay], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "stride, taps, crop", [(2, 4, 0), (4, 8, 2), (4, 8, 0), (3, 7, 2), (2, 2, 0), (5, 3, 0), (16, 64, 24)]
)
def test_transposed_convolutions_against_torch(stride, taps, crop):
    torch = pytest.importorskip("torch")
    w, bias, x = normal(4, 6, taps), normal(6), normal(FRAMES // 16, 4)
    late = []

    def build(b):
        y = b.conv_transpose1d(b.input(), w, bias, stride=stride, crop=crop)
        late.append(y.delay)
        b.output(y)

    blocks = [n * stride for n in (1, 2, 4, 8, 32)]
    got = same_at_all_blocks(build, x, blocks, out_channels=6, in_ratio=stride)
    with torch.no_grad():
        want = (
            torch.nn.functional.conv_transpose1d(
                torch.from_numpy(x.T[None].copy()), torch.from_numpy(w), torch.from_numpy(bias), stride, crop
            )[0]
            .numpy()
            .T
        )
    n = min(len(got) - late[0], len(want))
    np.testing.assert_allclose(got[late[0] :][:n], want[:n], rtol=1e-5, atol=1e-5)


def test_gru_against_torch():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    layer = torch.nn.GRU(5, 24, batch_first=True)
    weights = [p.detach().numpy() for p in (layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0)]
    x = normal(FRAMES, 5)
    got = same_at_all_blocks(lambda b: b.output(b.gru(b.input(), *weights)), x, out_channels=24)
    with torch.no_grad():
        np.testing.assert_allclose(got, layer(torch.from_numpy(x)[None])[0][0].numpy(), atol=2e-6)


def test_a_net_with_branches_of_different_delay():
    """Centred branches of different depth meet a skip connection: aligned, it equals the offline sum."""
    w1, w2, x = normal(3, 3, 5), normal(3, 3, 3), normal(FRAMES, 3)
    late = []

    def build(b):
        v = b.input()
        deep = b.conv1d(b.conv1d(v, w1, look_ahead=2, act="tanh"), w2, look_ahead=4, dilation=4)
        y = deep + b.conv1d(v, w2, look_ahead=1) + v
        late.append(y.delay)
        b.output(y)

    got = same_at_all_blocks(build, x, out_channels=3)
    assert set(late) == {6}
    zero = np.zeros(3, np.float32)
    inner = np.tanh(conv_reference(x, w1, zero, 2)[:FRAMES])
    want = conv_reference(inner, w2, zero, 4, dilation=4)[:FRAMES] + conv_reference(x, w2, zero, 1)[:FRAMES] + x
    edge = 12  # torch puts zeros before each layer, a stream what the layer below makes of them
    np.testing.assert_allclose(got[6 + edge :], want[edge:-6], rtol=1e-5, atol=2e-5)


def test_strided_stages_keep_their_delays_whole():
    """Down by 2 and 2 with centred taps, up again: the delay is a whole number of rows at each rate."""
    down, up, x = normal(4, 4, 5), normal(4, 4, 4), normal(FRAMES, 4)
    late = []

    def build(b):
        v = b.input()
        for _ in range(2):
            v = b.conv1d(v, down, stride=2, look_ahead=2, act="leaky_relu", a=0.2)
        for _ in range(2):
            v = b.conv_transpose1d(v, up, stride=2, crop=1)
        late.append(v.delay)
        b.output(b.sum(v * 1.0))

    same_at_all_blocks(build, x, [n for n in BLOCKS if n >= 4])
    assert len(set(late)) == 1


@pytest.mark.parametrize("bands, attenuation", [(4, 60), (16, 100)])
def test_pqmf_splits_and_restores(bands, attenuation):
    bank = pqmf_bank(bands, attenuation)
    x = normal(4096, 1)

    def build(b):
        v = b.pqmf_analysis(b.input(), bank)
        b.output(b.pqmf_synthesis(v, bank))

    got = same_at_all_blocks(build, x, (bands, 64, 256))
    delay = bank.shape[1] - bands  # taps - 1, less the bands - 1 rows the analysis reads ahead within its stride
    error = got[delay:, 0][1000:] - x[:-delay, 0][1000:]
    assert 10 * np.log10(np.var(x) / np.var(error)) > (45 if attenuation == 60 else 55)


def test_pqmf_bands_hold_their_tones():
    bands = 16
    bank = pqmf_bank(bands, 100)
    for k in (0, 3, 9, 15):
        tone = np.sin(2 * np.pi * (k + 0.5) / (2 * bands) * np.arange(4096))[:, None]
        levels = streamed(
            lambda b: b.output(b.pqmf_analysis(b.input(), bank)), tone, 256, bands, 1, bands
        )[64:].std(0)
        others = np.delete(levels, [i for i in (k - 1, k, k + 1) if 0 <= i < bands])
        assert levels[k] == levels.max() and others.max() < levels[k] * 10 ** (-80 / 20)


HOP = 32


def test_oscillators_glide_and_turn_without_steps():
    amplitudes, hz = np.abs(normal(FRAMES // HOP, 5)), 100 + 5000 * np.abs(normal(FRAMES // HOP, 5, seed=3))
    x = np.concatenate([amplitudes, hz], 1)
    blocks = (32, 64, 128, 512)
    for f in (None, np.geomspace(50, 10000, 5)):
        whole = same_at_all_blocks(
            lambda b: b.output(b.oscillators(b.input()[:, :5], b.input()[:, 5:] if f is None else f, 48000, HOP)),
            x,
            blocks,
            tolerance=1e-7,
            in_ratio=HOP,
        )
        if f is not None:
            grid = np.concatenate([np.zeros((1, 5)), amplitudes])
            at = (np.arange(FRAMES) + 1) / HOP
            envelope = np.stack([np.interp(at, np.arange(len(grid)), grid[:, k]) for k in range(5)], 1)
            want = (envelope * np.sin(2 * np.pi * f / 48000 * np.arange(1, FRAMES + 1)[:, None])).sum(1)
            np.testing.assert_allclose(whole[:, 0], want, atol=2e-5)


def test_a_long_tone_keeps_its_pitch():
    """After five minutes the phase of a 12 345.678 Hz sine is right to the rounding of its step."""
    rows, hop = 300 * 48000 // 4800, 4800
    y = streamed(
        lambda b: b.output(b.oscillators(b.input(), [12345.678], 48000, hop)), np.ones((rows, 1)), 480000, in_ratio=hop
    )
    n = np.arange(1, len(y) + 1)
    step = np.rint(12345.678 / 48000 * 2**32) / 2**32
    assert abs(step * 48000 - 12345.678) < 1e-5
    tail = slice(-4800, None)
    np.testing.assert_allclose(y[tail, 0], np.sin(2 * np.pi * ((n[tail] * step) % 1.0)), atol=5e-7)


def test_partials_beyond_half_the_rate_are_silent():
    x = np.concatenate([np.ones((16, 2)), np.full((16, 1), 25000.0), np.full((16, 1), 24000.0)], 1)
    y = streamed(
        lambda b: b.output(b.oscillators(b.input()[:, :2], b.input()[:, 2:], 48000, HOP)), x, HOP, in_ratio=HOP
    )
    assert np.abs(y).max() == 0


def test_noise_bands_and_noise_and_filters_do_not_hear_the_blocks():
    amplitudes = np.abs(normal(FRAMES // HOP, 8))

    def build(b):
        a = b.input()
        table = b.generated(kind="erb_noise_bands", bands=8, length=300, sample_rate=48000, seed=2)
        y = b.noise_bands(a, table, HOP) + b.random(b.block_frames, normal=True) * 0.1
        y = y + b.filtered_noise(a, HOP) + b.glide(a[:, :1], HOP) * b.random(b.block_frames) + b.hold(a[:, 1:2], HOP)
        b.output(y)

    same_at_all_blocks(build, amplitudes, (32, 64, 128, 512), in_ratio=HOP)


def test_filtered_noise_has_the_spectrum_it_was_given():
    bins, hop, rows = 33, 64, 4000
    want = np.linspace(1, 0, bins) ** 2
    y = streamed(lambda b: b.output(b.filtered_noise(b.input(), hop)), np.tile(want, (rows, 1)), hop, in_ratio=hop)[
        1000:, 0
    ]
    frames = y[: len(y) // 256 * 256].reshape(-1, 256) * np.hanning(256)
    power = np.mean(np.abs(np.fft.rfft(frames)) ** 2, 0)
    level = np.sqrt(power / (np.hanning(256) ** 2).sum() * 3)[::4]  # the noise has a variance of 1/3
    np.testing.assert_allclose(level[2:-2], want[2:-2], atol=0.04)


def test_reset_gives_the_same_again_and_keeps_other_programs():
    from .helpers import both

    w = normal(4, 4, 9)

    def build(b):
        h = b.gru(b.conv1d(b.input(), w, act="tanh"), normal(12, 4), normal(12, 4), initial=[0.1, 0.2, 0.3, 0.4])
        b.output(b.sum(h) + b.random(16, normal=True) * 0.01)

    one, _ = both(build, (16, 4), (16, 1))
    two, _ = both(build, (16, 4), (16, 1))
    x = normal(64, 4)
    first = one.stream(x)
    np.testing.assert_array_equal(two.stream(x), first)
    assert not np.array_equal(one.stream(x), first)
    one.reset()
    np.testing.assert_array_equal(one.stream(x), first)


def test_nan_shows_at_the_output_and_clears_when_it_has_left_the_caches():
    from .helpers import both

    w = normal(4, 1, 5)
    program, _ = both(
        lambda b: b.output(
            b.sum(b.conv1d(b.conv1d(b.input(), w, act="leaky_relu", a=0.2), normal(4, 4, 3), act="tanh"))
        ),
        (8, 1),
        (8, 1),
    )
    x = normal(32, 1)
    x[3] = np.nan
    y = program.stream(x)[:, 0]
    assert np.isnan(y).tolist() == [3 <= i < 3 + 5 + 3 - 1 for i in range(32)]


def test_spectra_and_back():
    """Overlapping windows of a signal, each to its spectrum and back: the window itself; and numpy's own spectrum."""
    x, size, hop = normal(FRAMES, 1), 64, 16

    def build(b):
        past = b.copy(b.input()).past(size - hop)
        rows = b.block_frames // hop
        frames = replace(past, shape=(rows, size), strides=(hop, 1))
        b.output(b.inverse_spectrum(b.spectrum(frames), size))

    def forward(b):
        past = b.copy(b.input()).past(size - hop)
        b.output(b.spectrum(replace(past, shape=(b.block_frames // hop, size), strides=(hop, 1))))

    padded = np.concatenate([np.zeros(size - hop), x[:, 0]])
    want = np.stack([padded[i : i + size] for i in range(0, FRAMES, hop)])
    back = same_at_all_blocks(build, x, (16, 64, 512), out_channels=size, out_ratio=hop)
    np.testing.assert_allclose(back, want, atol=2e-6)
    there = same_at_all_blocks(forward, x, (16, 64, 512), out_channels=66, out_ratio=hop)
    np.testing.assert_allclose(there[:, :33] + 1j * there[:, 33:], np.fft.rfft(want), atol=2e-5)

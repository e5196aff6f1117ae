"""Weights kept as bfloat16 or int8: what the file says, what the kernels make of it, and what is wrong with broken ones."""

import json
import os
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from neurorack.engine import Model, ModelWriter, native, store, stored
from neurorack.errors import ModelError

from .helpers import compiled, listing, normal
from .test_kernels import ROOT, narrower

KEPT = {"bf16": lambda w, axis: stored.bf16(w), "int8": stored.int8}
OUTPUTS = {"conv_transpose1d": 1, "matmul": 1}  # the axis of a tensor's outputs, where it is not the first


def narrowed(build, in_shape, out_shape, keep):
    """(compiled, reference) of a program whose constants but vectors ``keep`` (of an array and the axis of its outputs) makes ``Stored``."""
    from neurorack.engine.reference import ReferenceProgram

    made, arrays = listing(build, in_shape, out_shape)
    axes = {view.buffer: OUTPUTS.get(call.op, 0) for call in made.calls for view in call.views if view is not None}
    kept = {i: keep(a, axes[i]) if a.ndim > 1 and made.buffers[i].kind == "constant" else a for i, a in arrays.items()}
    plain = {i: a.floats() if isinstance(a, stored.Stored) else a for i, a in kept.items()}
    return compiled(made, kept), ReferenceProgram(made, plain)


def close(fast, slow, x, tolerance=2e-6):
    for block in x:
        got, want = fast.run(block), slow.run(block)
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * max(1e-37, np.abs(want).max()))


#: Every kind of product in one program: odd widths, taps with gaps and without, groups, few rows and many.
SCRIPT = textwrap.dedent("""
    import sys
    import numpy as np
    from neurorack.engine import isa
    from tests.engine.helpers import normal
    from tests.engine.test_narrow import KEPT, close, narrowed

    def build(b):
        h, a = b.conv1d(b.input(), normal(37, 7, 5), normal(37), dilation=3, also="leaky_relu", a2=0.2)
        h = b.conv1d(a, normal(37, 37, 3) * 0.1, normal(37), act="tanh", residual=h)
        h = b.conv1d(h, normal(38, 37, 2) * 0.1, normal(38))
        h = b.conv1d(h, normal(34, 19, 3) * 0.2, groups=2)
        h = b.conv1d(h, normal(34, 1, 3), groups=34)
        h = b.gru(b.linear(h, normal(21, 34) * 0.2), normal(57, 21) * 0.3, normal(57, 19) * 0.3, normal(57), normal(57))
        up = b.conv_transpose1d(h, normal(19, 9, 8) * 0.2, normal(9), stride=4)
        b.output(b.conv1d(up, normal(1, 9, 7), normal(1)))

    for kind, keep in KEPT.items():
        for rows in (1, 8, 40):
            fast, slow = narrowed(build, (rows, 7), (rows * 4, 1), keep)
            close(fast, slow, normal(3, rows, 7), 1e-5)
    print(isa())
""")


def test_every_instruction_set_computes_with_them():
    for isa in narrower():
        env = {**os.environ, "PYTHONPATH": ROOT, "NEURORACK_ISA": isa}
        done = subprocess.run([sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, cwd=ROOT, timeout=120)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == [isa]


@pytest.mark.parametrize("rows", (1, 2, 5, 17))
def test_int8_of_any_size_and_width(rows):
    for outs, ins in ((1, 1), (2, 3), (17, 4), (31, 33), (49, 6)):
        w = normal(outs, ins, 3, seed=outs) * (10.0 ** np.arange(-28, 29, 56 / max(1, outs - 1))[:outs, None, None] if outs > 1 else 1)
        w[outs // 2] = 0
        program = narrowed(lambda b: b.output(b.conv1d(b.input(), w)), (rows, ins), (rows, outs), stored.int8)
        for x in normal(3, rows, ins):
            got, want = (each.run(x) for each in program)
            for column in range(outs):
                np.testing.assert_allclose(got[:, column], want[:, column], rtol=0, atol=2e-6 * np.abs(w[column]).sum())
            assert np.isfinite(got).all() and not got[:, outs // 2].any()


def test_scales_along_another_axis_are_kept_exactly_too():
    """The engine keeps int8 panels only where an output has one scale; else the same weights as float32."""
    w = normal(20, 12, 3)
    for axis in (1, 2, None):
        fast, slow = narrowed(lambda b: b.output(b.conv1d(b.input(), w)), (8, 12), (8, 20), lambda w, _, axis=axis: stored.int8(w, axis))
        close(fast, slow, normal(3, 8, 12))


def test_narrow_constants_may_be_used_for_anything():
    table = normal(4, 6)
    for keep in KEPT.values():
        fast, slow = narrowed(lambda b: b.output(b.input() * b.constant(table) + b.matmul(b.input(), b.constant(normal(6, 6)))), (4, 6), (4, 6), keep)
        close(fast, slow, normal(3, 4, 6))


def test_what_rounding_does():
    exact = np.array([1.0, -2.5, 0, np.inf, -np.inf, 1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-8 + 2.0**-20, 3.4e38, 1e-40], np.float32)
    kept = stored.bf16(exact)
    want = [1.0, -2.5, 0, np.inf, -np.inf, 1.0, 1 + 2.0**-6, 1 + 2.0**-7, np.inf, stored.bf16(exact[-1:]).floats()[0]]
    np.testing.assert_array_equal(kept.floats(), np.array(want, np.float32))
    assert np.isnan(stored.bf16(np.array([np.nan, -np.nan])).floats()).all()
    w = normal(1000)
    assert (np.abs(stored.bf16(w).floats() - w) <= np.abs(w) * 2.0**-8).all() and kept.nbytes == 2 * exact.size
    w = normal(9, 5, 4) * np.arange(9)[:, None, None]
    whole = stored.int8(w, 0)
    assert (np.abs(whole.floats() - w) <= whole.scale * 0.5001).all() and whole.scale.shape == (9, 1, 1) and whole.channels() == (20, 9)
    assert (np.abs(whole.raw).max(axis=(1, 2))[1:] == 127).all() and not whole.raw[0].any()
    for wrong in (np.inf, np.nan, 3e38):
        with pytest.raises(ModelError, match="int8"):
            stored.int8(np.array([[1.0, wrong]]), 0)


def decode(b):
    h = b.conv1d(b.input(), normal(40, 3, 11), normal(40), act="tanh")
    h = b.gru(h, normal(60, 40) * 0.2, normal(60, 20) * 0.2)
    b.output(b.conv_transpose1d(h, normal(20, 1, 32) * 0.2, stride=16))


@pytest.fixture
def files(tmp_path):
    """Paths of one model as float32, bf16 and int8."""
    writer = ModelWriter({"name": "small", "sample_rate": 48000})
    writer.method("decode", decode, blocks=[16, 64, 256], in_channels=3, in_ratio=16)
    paths = {kind: tmp_path / f"{kind}.safetensors" for kind in ("float32", *KEPT)}
    model = writer.save(paths["float32"])
    for kind, keep in KEPT.items():
        file = store.Store(model.path)
        tensors = {name: keep(file.array(name), file.shapes[name].index(max(file.shapes[name]))) if len(shape) > 1 else file.stored(name)
                   for name, shape in file.shapes.items()}
        store.write(paths[kind], tensors, file.metadata)
    return paths


def test_a_file_comes_back_as_it_was(files, tmp_path):
    full = Model.load(files["float32"])
    for kind, least in (("bf16", 45), ("int8", 30)):
        file, model = store.Store(files[kind]), Model.load(files[kind])
        assert file.shapes.keys() == full.shapes.keys() == model.shapes.keys() and store.SCALES not in file.metadata
        store.write(tmp_path / "again", {name: file.stored(name) for name in file.shapes}, file.metadata)
        assert (tmp_path / "again").read_bytes() == files[kind].read_bytes()
        for name, shape in full.shapes.items():
            kept, exact = model.stored(name), full.tensor(name)
            assert kept.dtype == ("F32" if len(shape) < 2 else {"bf16": "BF16", "int8": "I8"}[kind]) == file.dtypes[name]
            assert kept.nbytes < exact.nbytes or len(shape) < 2
            np.testing.assert_array_equal(model.tensor(name), kept.floats())
            error = ((kept.floats() - exact) ** 2).sum()
            assert error == 0 or 10 * np.log10((exact**2).sum() / error) > least
    with pytest.raises(ModelError, match="no tensor"):
        full.stored("none")


def test_programs_stream_alike_and_share_their_panels(files):
    x = normal(64, 3)
    for kind in KEPT:
        model, full = Model.load(files[kind]), Model.load(files["float32"])
        programs = {block: model.program("decode", block) for block in (16, 64, 256)}
        bytes_of_all = model.weight_bytes
        [full.program("decode", block) for block in (16, 64, 256)]
        assert bytes_of_all < {"bf16": 0.6, "int8": 0.45}[kind] * full.weight_bytes
        want = model.reference("decode", 64).stream(x)
        results = [program.stream(x) for program in programs.values()]
        for result in results:
            np.testing.assert_allclose(result, want, rtol=0, atol=2e-6 * np.abs(want).max())
        programs[64].reset()
        assert programs[64].stream(x).tobytes() == results[1].tobytes() == model.program("decode", 64).stream(x).tobytes()
        assert model.weight_bytes == bytes_of_all


def changed(path, scales=None, numbers=None, header=None):
    """A copy of the file with another list of scales, other numbers in its first scales, or a changed header entry of the tensor they scale."""
    raw = path.read_bytes()
    length = struct.unpack("<Q", raw[:8])[0]
    head, data = json.loads(raw[8:8 + length]), bytearray(raw[8 + length:])
    known = json.loads(head["__metadata__"][store.SCALES])
    name, scale = next(iter(known.items()))
    if scales is not None:
        head["__metadata__"][store.SCALES] = scales if isinstance(scales, str) else json.dumps(scales(known, name, scale))
    if numbers is not None:
        start, end = head[scale]["data_offsets"]
        data[start:start + 4] = np.float32(numbers).tobytes()
    if header is not None:
        head[scale] = header(head[scale])
    text = json.dumps(head).encode()
    out = path.with_name("broken.safetensors")
    out.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return out


BROKEN = {
    "no JSON": ({"scales": "{"}, "list of scales"),
    "a list": ({"scales": "[]"}, "list of scales"),
    "names of numbers": ({"scales": lambda known, name, scale: {name: 3}}, "list of scales"),
    "of a tensor that is not there": ({"scales": lambda known, name, scale: {"x" * 200: scale}}, "no I8 tensor"),
    "that are not there": ({"scales": lambda known, name, scale: {name: "gone"}}, "no F32 tensor 'gone'"),
    "that are int8": ({"scales": lambda known, name, scale: {name: name}}, "no F32 tensor"),
    "of another tensor": ({"scales": lambda known, name, scale: {name: list(known.values())[1]}}, "do not fit"),
    "that are zero": ({"numbers": 0.0}, "1e-30 to 1e+30"),
    "below zero": ({"numbers": -1.0}, "1e-30 to 1e+30"),
    "that are no number": ({"numbers": np.nan}, "1e-30 to 1e+30"),
    "without end": ({"numbers": np.inf}, "1e-30 to 1e+30"),
    "of fewer dimensions": ({"header": lambda entry: {**entry, "shape": [n for n in entry["shape"] if n > 1]}}, "do not fit"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_scales_are_told_in_one_line(files, what):
    how, words = BROKEN[what]
    with pytest.raises(ModelError) as caught:
        Model.load(changed(files["int8"], **how)).program("decode", 64)
    assert words in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_the_engine_refuses_forms_it_does_not_know(monkeypatch):
    made, arrays = listing(lambda b: b.output(b.conv1d(b.input(), normal(4, 4, 3))), (4, 4), (4, 4))
    kept = {i: stored.bf16(a) for i, a in arrays.items()}
    monkeypatch.setitem(native._FORMS, "BF16", 7)
    with pytest.raises(ModelError, match="unknown form"):
        compiled(made, kept)
    monkeypatch.setitem(native._FORMS, "BF16", 2)      # int8, but with no scales
    with pytest.raises(ModelError, match="unknown form"):
        compiled(made, kept)


def test_wild_bytes_never_crash(files, tmp_path):
    """Changed bytes in the header or the scales end in one line, or in a model that loads."""
    rng = np.random.default_rng(5)
    whole = files["int8"].read_bytes()
    header = 8 + struct.unpack("<Q", whole[:8])[0]
    for i in range(100):
        bytes_ = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            bytes_[rng.integers(header if i % 3 else len(whole))] = rng.integers(256)
        (tmp_path / "wild").write_bytes(bytes_)
        try:
            Model.load(tmp_path / "wild").program("decode", 64).run(normal(4, 3))
        except ModelError as error:
            assert "\n" not in str(error)



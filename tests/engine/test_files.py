"""Model files: what is written is read; what is broken ends in one line and never in a crash."""

import copy
import json
import os
import random
import struct

import numpy as np
import pytest

from neurorack.engine import Model, ModelWriter, generate, store
from neurorack.errors import ModelError

from .helpers import normal


def decode(b):
    x = b.input()
    h, a = b.conv1d(x, normal(12, 3, 3), normal(12), also="leaky_relu", a2=0.2)
    h = b.conv1d(a, normal(12, 12, 3), dilation=2, act="tanh", residual=h)
    amplitudes = b.softplus(b.gru(h, normal(24, 12), normal(24, 8)))
    table = b.generated(kind="erb_noise_bands", bands=8, length=128, sample_rate=48000, seed=1)
    y = b.noise_bands(amplitudes, table, 16) + b.oscillators(amplitudes, np.geomspace(100, 5000, 8), 48000, 16)
    b.output(b.tanh(y + b.random(y.rows) * 0.01))


@pytest.fixture
def path(tmp_path):
    writer = ModelWriter({"name": "small", "sample_rate": 48000})
    writer.method("decode", decode, blocks=[16, 64], in_channels=3, in_ratio=16)
    writer.method(
        "encode",
        lambda b: b.output(b.conv1d(b.input(), normal(3, 1, 16), stride=16)),
        blocks=[64],
        in_channels=1,
        out_channels=3,
        out_ratio=16,
    )
    writer.save(tmp_path / "small.safetensors")
    return tmp_path / "small.safetensors"


def test_a_written_model_plays(path):
    model = Model.load(path)
    assert model.card == {"name": "small", "sample_rate": 48000}
    decode_method, encode_method = model.methods["decode"], model.methods["encode"]
    assert (
        decode_method.in_channels,
        decode_method.in_ratio,
        decode_method.out_channels,
        decode_method.out_ratio,
        decode_method.blocks,
    ) == (3, 16, 1, 1, (16, 64))
    assert (encode_method.in_ratio, encode_method.out_ratio, encode_method.out_channels) == (1, 16, 3)
    x = normal(64, 3)
    short, long = (model.program("decode", n).stream(x) for n in (16, 64))
    np.testing.assert_allclose(short, long, atol=1e-5)
    np.testing.assert_allclose(long, model.reference("decode", 64).stream(x), atol=1e-5)


def test_weights_are_stored_and_packed_once(path):
    model = Model.load(path)
    model.program("decode", 64)
    once = model.weight_bytes
    programs = [model.program("decode", 64) for _ in range(3)] + [model.program("decode", 16)]
    assert model.weight_bytes == once and programs
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:  # any reader of the format can open it
        sizes = {file.get_tensor(k).tobytes() for k in file.keys()}
        assert len(sizes) == len(list(file.keys()))


def test_writing_is_reproducible_and_leaves_nothing_half_done(path, tmp_path, monkeypatch):
    first = path.read_bytes()
    writer = ModelWriter({"name": "small", "sample_rate": 48000})
    writer.method("decode", decode, blocks=[16, 64], in_channels=3, in_ratio=16)
    writer.method(
        "encode",
        lambda b: b.output(b.conv1d(b.input(), normal(3, 1, 16), stride=16)),
        blocks=[64],
        in_channels=1,
        out_channels=3,
        out_ratio=16,
    )
    writer.save(path)
    assert path.read_bytes() == first

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        writer.save(path)
    assert path.read_bytes() == first and os.listdir(tmp_path) == [path.name]


def test_memory_outlives_its_program(path):
    output = Model.load(path).program("decode", 64).output
    import gc

    gc.collect()
    output[:] = 1
    assert output.sum() == 64


def refused(path, *words):
    with pytest.raises(ModelError) as caught:
        Model.load(path).program("decode", 64)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 500
    for word in words:
        assert word in message, message


def test_files_that_are_no_models(path, tmp_path):
    refused(tmp_path / "missing.safetensors", "no such file")
    refused(tmp_path, "directory")
    for name, content, words in (
        ("empty", b"", "0 bytes"),
        ("html", b"<!DOCTYPE html><html>", "not a model"),
        ("zeros", bytes(1000), "not JSON"),
        ("list", struct.pack("<Q", 2) + b"[]", "no object"),
        ("bare", struct.pack("<Q", 2) + b"{}", "not of a model"),
    ):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, words)
    whole = path.read_bytes()
    for cut in (5, 9, 100, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut").write_bytes(whole[:cut])
        refused(tmp_path / "cut")


def test_an_unknown_block_names_those_there_are(path):
    with pytest.raises(ModelError, match="16, 64"):
        Model.load(path).program("decode", 128)
    with pytest.raises(ModelError, match="decode, encode"):
        Model.load(path).program("prior", 64)
    with pytest.raises(ValueError, match=r"\(4, 3\)"):
        Model.load(path).program("decode", 64).run(np.zeros((64, 1)))


def rewritten(path, change):
    """The file with its description changed by a function."""
    opened = store.Store(path)
    data = json.loads(opened.metadata["neurorack"])
    change(data)
    tensors = {name: opened.array(name) for name in opened.shapes}
    out = path.with_name("changed.safetensors")
    store.write(out, tensors, {"neurorack": json.dumps(data)})
    return out


def program_of(data):
    return data["methods"]["decode"]["programs"]["64"]


def conv_of(data):
    return next(op for op in program_of(data)["ops"] if op["op"] == "conv1d")


BROKEN = {
    "another format": (lambda d: d.update(format=2), "format 2"),
    "no methods": (lambda d: d.update(methods={}), "no methods"),
    "unknown operation": (lambda d: conv_of(d).update(op="eval"), "unknown"),
    "unknown parameter": (lambda d: conv_of(d).update(path="/etc/passwd"), "no parameter"),
    "missing operand": (lambda d: conv_of(d)["in"].__setitem__(0, None), "lacks x"),
    "missing tensor": (
        lambda d: next(b for b in program_of(d)["buffers"] if "tensor" in b).update(tensor="gone"),
        "gone",
    ),
    "wrong tensor size": (
        lambda d: next(b for b in program_of(d)["buffers"] if "tensor" in b).update(size=7),
        "numbers, not 7",
    ),
    "view outside": (lambda d: conv_of(d)["in"][0].__setitem__(1, 10**6), "reaches"),
    "negative reach": (lambda d: conv_of(d)["in"].__setitem__(0, [0, 0, [6, 3], [-3, 1]]), "reaches"),
    "huge shape": (lambda d: conv_of(d)["in"].__setitem__(0, [0, 0, [1 << 40, 3]]), "shape"),
    "repeated without end": (
        lambda d: conv_of(d)["in"].__setitem__(0, [0, 0, [1 << 29, 1 << 29, 1 << 29, 3], [0, 0, 0, 1]]),
        "numbers",
    ),
    "too many dimensions": (lambda d: conv_of(d)["in"].__setitem__(0, [0, 0, [1] * 5]), "dimensions"),
    "fractional offset": (lambda d: conv_of(d)["in"][0].__setitem__(1, 0.5), "whole number"),
    "true as a number": (lambda d: conv_of(d)["in"][0].__setitem__(1, True), "whole number"),
    "written constant": (lambda d: conv_of(d)["out"].__setitem__(0, conv_of(d)["in"][1]), "constant"),
    "moving weights": (lambda d: conv_of(d)["in"].__setitem__(1, conv_of(d)["in"][0]), "must be a constant"),
    "shapes that disagree": (lambda d: conv_of(d).update(dilation=5), "conv1d"),
    "groups of nothing": (lambda d: conv_of(d).update(groups=0), "conv1d"),
    "20 GB of scratch": (lambda d: program_of(d)["buffers"].append({"kind": "scratch", "size": 5 * 10**9}), "size"),
    "no output": (
        lambda d: [b.update(kind="scratch") for b in program_of(d)["buffers"] if b["kind"] == "output"],
        "output",
    ),
    "input of another size": (lambda d: program_of(d).update({"in": [5, 3]}), "input"),
    "block of no multiple": (lambda d: d["methods"]["decode"]["programs"].update({"63": program_of(d)}), "63"),
    "generator unknown": (lambda d: d["generators"]["g0"].update(kind="os.system"), "no known kind"),
    "generator too large": (lambda d: d["generators"]["g0"].update(bands=4096, length=1 << 24), "too large"),
    "generator without rate": (lambda d: d["generators"]["g0"].pop("sample_rate"), "sample_rate"),
    "infinite parameter": (lambda d: conv_of(d).update(a=float("inf")), "no number"),
    "nested lists": (lambda d: program_of(d).update(ops=[[[[]]]]), "unknown"),
    "card a list": (lambda d: d.update(card=[]), "card"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_descriptions(path, name):
    change, word = BROKEN[name]
    refused(rewritten(path, change), word)


def mutated(value, rng):
    """A description with one thing in it changed."""
    value = copy.deepcopy(value)
    spots = []

    def walk(node):
        for key in (node if isinstance(node, dict) else range(len(node))):
            spots.append((node, key))
            if isinstance(node[key], (dict, list)):
                walk(node[key])

    walk(program_of(value))
    node, key = rng.choice(spots)
    old = node[key]
    if isinstance(old, int) and not isinstance(old, bool) and rng.random() < 0.7:
        node[key] = old + rng.choice([-1, 1, 2, -old, 7, 1000, -1000, 1 << 31, 1 << 62])
    else:
        node[key] = rng.choice(
            [
                None,
                0,
                1,
                -1,
                3,
                0.5,
                "",
                "copy",
                "min",
                [],
                {},
                [1, 2, 3],
                [0, 0, [1], [1]],
                [[0]],
                True,
                1 << 70,
                "t0",
                "g0",
            ]
        )
    return value


def test_no_mutation_of_a_description_crashes(path):
    """1500 files with one to three fields changed: each is refused in one line or plays without a fault."""
    rng = random.Random(5)
    opened = store.Store(path)
    data = json.loads(opened.metadata["neurorack"])
    played = 0
    for _ in range(1500):
        changed = data
        for _ in range(rng.randint(1, 3)):
            try:
                changed = mutated(changed, rng)
            except (KeyError, TypeError, IndexError):
                break  # an earlier change took the program away
        opened.metadata["neurorack"] = json.dumps(changed)
        try:
            program = Model(opened).program("decode", 64)
        except ModelError as error:
            assert "\n" not in str(error)
            continue
        for _ in range(2):
            program.run(normal(4, 3))
        program.reset()
        played += 1
    assert 20 < played < 1000


def test_no_mutation_of_bytes_crashes(path, tmp_path):
    rng = random.Random(6)
    whole = path.read_bytes()
    header = 8 + struct.unpack("<Q", whole[:8])[0]
    for i in range(400):
        changed = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            changed[rng.randrange(header if i % 4 else len(whole))] = rng.randrange(256)
        (tmp_path / "bytes").write_bytes(changed)
        try:
            Model.load(tmp_path / "bytes").program("decode", 64).run(normal(4, 3))
        except ModelError as error:
            assert "\n" not in str(error)


def test_half_precision_tensors_are_read(tmp_path):
    exact = normal(8, 4)
    for dtype, tolerance in (("F16", 1e-3), ("BF16", 1e-2)):
        raw = (
            exact.astype(np.float16).tobytes()
            if dtype == "F16"
            else (exact.view(np.uint32) >> 16).astype(np.uint16).tobytes()
        )
        text = json.dumps({"w": {"dtype": dtype, "shape": [8, 4], "data_offsets": [0, len(raw)]}}).encode()
        (tmp_path / "half").write_bytes(struct.pack("<Q", len(text)) + text + raw)
        np.testing.assert_allclose(store.Store(tmp_path / "half").array("w"), exact, rtol=tolerance, atol=tolerance)


def test_noise_bands_are_seamless_and_in_their_place():
    bands, length, rate = 24, 4096, 48000
    table = generate.erb_noise_bands(bands, length, rate, seed=3)
    np.testing.assert_array_equal(table, generate.erb_noise_bands(bands, length, rate, seed=3))
    assert not np.array_equal(table, generate.erb_noise_bands(bands, length, rate, seed=4))
    np.testing.assert_allclose(np.sqrt(np.mean(table.astype(float) ** 2, 1)), 1, atol=1e-5)
    edges = generate.erb_edges(bands, 20, rate / 2)
    for k in range(bands):
        power = np.abs(np.fft.rfft(table[k].astype(float))) ** 2
        hz = np.arange(len(power)) * rate / length
        width = rate / length
        inside = power[(hz >= edges[k] - width) & (hz <= edges[k + 1] + width)].sum()
        assert inside > (1 - 1e-9) * power.sum()  # nothing outside: the loop has no seam to splatter
    assert abs(np.corrcoef(table)[np.triu_indices(bands, 1)]).max() < 1e-5
    steps = generate.erb_number(edges[1:]) - generate.erb_number(edges[:-1])
    np.testing.assert_allclose(steps, steps[0])


def test_spectra_as_matrices():
    x = normal(3, 32).astype(float)
    there = x @ generate.real_dft(32)
    np.testing.assert_allclose(there[:, :17] + 1j * there[:, 17:], np.fft.rfft(x), atol=1e-5)
    np.testing.assert_allclose(there @ generate.inverse_real_dft(32), x, atol=1e-5)


def test_playing_imports_no_torch_nor_compiler():
    import subprocess
    import sys
    from .test_kernels import ROOT

    code = "import sys, neurorack.engine, neurorack.engine.reference; print(sorted({'torch', 'numba', 'scipy', 'safetensors'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": ROOT}, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_a_seed_changes_the_noise_alone(path):
    x = normal(64, 3)
    first, again, other = (Model.load(path, seed=s).program("decode", 64).stream(x) for s in (0, 0, 7))
    np.testing.assert_array_equal(first, again)
    assert 0.02 < np.abs(first - other).mean() and abs(first.std() / other.std() - 1) < 0.2
    reference = Model.load(path, seed=7).reference("decode", 64).stream(x)
    np.testing.assert_allclose(other, reference, atol=1e-5)


def test_a_state_saved_and_restored_continues_bit_for_bit(path):
    import ctypes

    from neurorack import core

    program, x = Model.load(path).program("decode", 64), normal(64, 3)
    size = core.declare("nr_program_state_bytes", ctypes.c_int64, ctypes.c_void_p)(program.handle)
    save = core.declare("nr_program_save", None, ctypes.c_void_p, ctypes.c_void_p)
    restore = core.declare("nr_program_restore", None, ctypes.c_void_p, ctypes.c_void_p)
    program.stream(x)
    kept = ctypes.create_string_buffer(size)
    save(program.handle, kept)
    first = program.stream(x)
    program.stream(normal(64, 3, seed=9))
    restore(program.handle, kept)
    np.testing.assert_array_equal(program.stream(x), first)

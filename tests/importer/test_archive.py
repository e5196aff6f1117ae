"""Archives: what is read, what is refused and how, and that nothing in them is run."""

import os
import random
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from neurorack.errors import ModelError  # noqa: E402
from neurorack.importer.archive import open_archive  # noqa: E402
from neurorack.importer.interpret import Interpreter  # noqa: E402
from neurorack.importer.limits import Limits  # noqa: E402
from neurorack.importer.unpickle import unpickle  # noqa: E402
from tests.importer.archives import Small, change, pickled, save  # noqa: E402
from tests.importer.torch_engine import TorchEngine  # noqa: E402

DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int8, torch.int16, torch.int32, torch.int64,
          torch.uint8,
          torch.bool, torch.complex64, torch.complex128]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return save(Small(), tmp_path_factory.mktemp("archive") / "small.ts")


def refused(path, *words, limits=Limits()):
    """The one line with which ``path`` is refused; ``words`` must be in it."""
    with pytest.raises(ModelError) as caught:
        open_archive(path, limits)
    line = str(caught.value)
    assert "\n" not in line and len(line) < 400
    for word in words:
        assert word in line, line
    return line


def test_root_version_and_hash(small):
    import hashlib

    archive = open_archive(small)
    assert archive.root.class_name.endswith("Small")
    assert set(archive.root.attributes) >= {"weight", "decode_params", "training"}
    assert archive.sha256 == hashlib.sha256(Path(small).read_bytes()).hexdigest()
    assert 3 <= archive.version <= 10
    assert np.array_equal(archive.array(archive.root.attributes["weight"]).ravel(), np.arange(6))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_type_of_number(tmp_path, dtype):
    class Holder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            values = torch.randn(4, 3, dtype=torch.complex128 if dtype.is_complex else torch.float64) * 50
            self.register_buffer("table", (values.abs() if dtype == torch.uint8 else values).to(dtype))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    module = Holder()
    archive = open_archive(save(module, tmp_path / "types.ts"))
    table = archive.array(archive.root.attributes["table"])
    want = (module.table.float() if dtype == torch.bfloat16 else module.table).numpy()
    assert table.dtype == want.dtype and np.array_equal(table, want)
    assert not table.flags.writeable


def test_views_share_their_storage(tmp_path):
    class Views(torch.nn.Module):
        def __init__(self):
            super().__init__()
            base = torch.arange(24.0)
            self.a, self.b, self.c = base, base[3:15].reshape(3, 4).t(), base[::5]
            self.wide = torch.arange(3.0).reshape(3, 1).expand(3, 4)
            self.none = torch.zeros(0, 5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    module = Views()
    archive = open_archive(save(module, tmp_path / "views.ts"))
    found = {name: archive.array(archive.root.attributes[name]) for name in "abc"}
    for name, array in found.items():
        assert np.array_equal(array, getattr(module, name).numpy()), name
        assert np.shares_memory(array, found["a"])
    assert np.array_equal(archive.array(archive.root.attributes["wide"]), module.wide.numpy())
    assert archive.array(archive.root.attributes["none"]).shape == (0, 5)


def test_other_byte_order_and_device(tmp_path, small):
    def swapped(data):
        return np.frombuffer(data, "<f4").astype(">f4").tobytes()

    entry = next(name for name in ("data/0", "data/1") if zipfile.ZipFile(small).getinfo(f"small/{name}").file_size == 24)
    whole = "data/1" if entry == "data/0" else "data/0"
    swap_whole = lambda data: np.frombuffer(data, "<i8").astype(">i8").tobytes()  # noqa: E731
    big = change(small, tmp_path / "big.ts", {entry: swapped, whole: swap_whole, "byteorder": b"big"})
    archive = open_archive(big)
    assert np.array_equal(archive.array(archive.root.attributes["weight"]).ravel(), np.arange(6))
    cuda = change(small, tmp_path / "cuda.ts", {"data.pkl": lambda data: data.replace(b"\x03\x00\x00\x00cpu",
                                                                                      b"\x06\x00\x00\x00cuda:0")})
    archive = open_archive(cuda)
    assert np.array_equal(archive.array(archive.root.attributes["decode_params"]), [1, 1, 6, 1])


def test_packed_archives_and_every_place_of_the_version(tmp_path, small):
    packed = change(small, tmp_path / "packed.ts", {}, compression=zipfile.ZIP_DEFLATED)
    assert open_archive(packed).root.attributes.keys() == open_archive(small).root.attributes.keys()
    for version in (3, 10):
        for drop, put in (((), "version"), (("version",), ".data/version")):
            moved = change(small, tmp_path / f"{version}{len(drop)}.ts", {put: str(version).encode() + b"\n"},
                           drop=(*drop, ".data/version") if put == "version" else drop)
            assert open_archive(moved).version == version
    for version in (b"2", b"11", b"0x3", b"", b"9" * 50, b"-3"):
        refused(change(small, tmp_path / "odd.ts", {"version": version}, drop=(".data/version",)), "format version")
    refused(change(small, tmp_path / "none.ts", {}, drop=("version", ".data/version")), "version")


NOT_ARCHIVES = {
    "empty": (b"", "empty"),
    "html": (b"\n<!DOCTYPE html><html><body>404</body></html>", "web page"),
    "pickle": (pickled([1, 2, 3]), "plain pickle"),
    "noise": (bytes(range(256)) * 8, "no TorchScript"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "pointer"),
    "text": (b"just some text", "no TorchScript"),
    "only a header": (b"PK\x03\x04" + bytes(100), "damaged"),
}


@pytest.mark.parametrize("name", NOT_ARCHIVES)
def test_what_is_no_archive(tmp_path, name):
    data, word = NOT_ARCHIVES[name]
    (tmp_path / "x.ts").write_bytes(data)
    refused(tmp_path / "x.ts", "x.ts", word)


def test_folders_missing_files_pipes_and_other_zips(tmp_path, small):
    (tmp_path / "folder.ts").mkdir()
    refused(tmp_path / "folder.ts", "no file")
    refused(tmp_path / "missing.ts", "does not exist")
    os.mkfifo(tmp_path / "pipe.ts")
    refused(tmp_path / "pipe.ts", "no file")
    torch.save({"weights": torch.ones(3)}, tmp_path / "weights.ts")
    refused(tmp_path / "weights.ts", "torch.save")
    with zipfile.ZipFile(tmp_path / "zip.ts", "w") as made:
        made.writestr("readme.txt", "hello")
    refused(tmp_path / "zip.ts", "no TorchScript file")
    refused(change(small, tmp_path / "codeless.ts", {}, drop=["code/__torch__/tests/importer/archives.py"]), "without a program")


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_payloads_never_run(tmp_path, small):
    mark = tmp_path / "ran"
    payload = pickled(Payload(mark))
    (tmp_path / "plain.ts").write_bytes(payload)
    refused(tmp_path / "plain.ts", "plain pickle")
    refused(change(small, tmp_path / "data.ts", {"data.pkl": payload}), "posix.system", "not run")
    refused(change(small, tmp_path / "constants.ts", {"constants.pkl": payload}), "posix.system", "not run")
    debug = change(small, tmp_path / "debug.ts", {"code/extra.debug_pkl": payload, "extra/payload.pkl": payload})
    assert open_archive(debug).root.attributes  # entries nobody needs are never unpickled
    assert not mark.exists()
    os.system(f"touch {mark}")
    assert mark.exists()  # it would have been seen


@pytest.mark.parametrize("name", ["builtins eval", "torch load", "torch.jit._pickle build_tensor_from_id", "collections Counter",
                                  "neurorack.importer.archive open_archive", "__torch__ X\x93"])
def test_names_outside_the_few_are_refused(name):
    module, function = name.split()
    call = b"\x80\x02c" + module.encode() + b"\n" + function.encode() + b"\n(X\x01\x00\x00\x00atR."
    if module != "__torch__":
        with pytest.raises(ModelError, match="not run|damaged"):
            unpickle(call, "data", "data")
    made = b"\x80\x02c" + module.encode() + b"\n" + function.encode() + b"\n)\x81."
    if module != "__torch__":
        with pytest.raises(ModelError):
            unpickle(made, "data", "data")


@pytest.mark.parametrize("data", [b"\x80\x02\x93.", b"\x80\x02(", b"\x80\x05N.", b"N", b"", b"\x80\x02" + b"(" * 20000 + b".",
                                  b"h\x05.", b"X\xff\xff\xff\xffab.",
                                  b"(]a.", b"\x8a\xff.", b"}(NNu.", b"]]\x85e.", b"(K\x01K\x02u.", b"cos\nsystem\n.",
                                  b"\x80\x02K\x01K\x02."])
def test_broken_pickles_are_errors(data):
    if data == b"cos\nsystem\n.":
        assert str(unpickle(data, "data", "data")[0]) == "os.system"  # a name stays a name
        return
    with pytest.raises(ModelError):
        unpickle(data, "data", "data")


def test_tensors_stay_within_their_storage(tmp_path, small):
    for old, new, word in ((b"K\x06K\x01t", b"K\x07K\x01t", "beyond"),
                           (b"(K\x01K\x06K\x01t(K\x06", b"(K\x01K\x06K\x01t(K\xff", "")):
        def edit(data, old=old, new=new):
            assert old in data
            return data.replace(old, new, 1)

        path = change(small, tmp_path / "edited.ts", {"data.pkl": edit})
        if word:
            refused(path, word)
    missing = change(small, tmp_path / "missing.ts", {}, drop=["data/0"])
    refused(missing, "lacks")
    short = change(small, tmp_path / "short.ts", {"data/0": lambda data: data[:-4]})
    refused(short, "lacks")


def test_a_view_of_few_numbers_cannot_become_a_mountain(small):
    huge = (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
            b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQK\x00"
            b"(\x8a\x04\x00\x00\x00\x40\x8a\x04\x00\x00\x00\x40t(K\x00K\x00t\x89ccollections\nOrderedDict\n)RtR.")
    with pytest.raises(ModelError, match="more than the 1 numbers"):
        unpickle(huge, "data", "data")


def test_zip_bombs_names_and_limits(tmp_path, small):
    with zipfile.ZipFile(tmp_path / "bomb.ts", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("bomb/data.pkl", b"N.")
        made.writestr("bomb/data/0", bytes(200 << 20))
    began = time.monotonic()
    refused(tmp_path / "bomb.ts", "unpack")
    assert time.monotonic() - began < 5
    for name in ("../evil", "/etc/evil", "a\\b", "c:evil"):
        with zipfile.ZipFile(tmp_path / "named.ts", "w") as made:
            made.writestr("m/data.pkl", b"N.")
            made.writestr(zipfile.ZipInfo(f"m/{name}" if name.startswith("..") or "\\" in name else name), b"x")
        refused(tmp_path / "named.ts", "name")
    refused(small, "entries", limits=Limits(entries=3))
    refused(small, "MiB", limits=Limits(file_bytes=100))
    refused(small, "source", limits=Limits(source_bytes=10))
    refused(small, "pickled", limits=Limits(pickle_bytes=10))
    with zipfile.ZipFile(small) as old, zipfile.ZipFile(tmp_path / "twice.ts", "w") as made, pytest.warns(UserWarning):
        for name in [*old.namelist(), old.namelist()[0]]:
            made.writestr(name, old.read(name))
    refused(tmp_path / "twice.ts", "twice")


def test_a_flipped_bit_in_any_entry_is_found(tmp_path, small):
    data = Path(small).read_bytes()
    with zipfile.ZipFile(small) as zipped:
        places = [info.header_offset + 30 + int.from_bytes(data[info.header_offset + 26:][:2], "little")
                  + int.from_bytes(data[info.header_offset + 28:][:2], "little") + info.compress_size // 2 for info in zipped.infolist() if info.file_size]
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 4
        (tmp_path / "flipped.ts").write_bytes(changed)
        refused(tmp_path / "flipped.ts", "damaged")


def test_random_damage_is_always_a_model_error(tmp_path, small):
    """Flips, cuts, repeats and zeros: a ModelError or a good archive, never anything else, never slow."""
    draw, data, path = random.Random(7), Path(small).read_bytes(), tmp_path / "damaged.ts"
    good = 0
    for _ in range(600):
        changed = bytearray(data)
        kind = draw.randrange(4)
        if kind == 0:
            for _ in range(draw.randint(1, 8)):
                changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del changed[draw.randrange(len(changed)):]
        elif kind == 2:
            at = draw.randrange(len(changed))
            changed[at:at] = changed[at:at + draw.randrange(200)]
        else:
            at = draw.randrange(len(changed))
            changed[at:at + draw.randrange(64)] = bytes(draw.randrange(64))
        path.write_bytes(changed)
        began = time.monotonic()
        try:
            Interpreter(open_archive(path), TorchEngine()).call("get_methods")
            good += 1
        except ModelError as error:
            assert "\n" not in str(error)
        assert time.monotonic() - began < 5
    assert good < 300


def test_damage_within_entries_is_always_a_model_error(tmp_path, small):
    """The same inside entries whose CRC is right: pickles and source written by someone who means harm."""
    draw, path = random.Random(8), tmp_path / "harmful.ts"
    with zipfile.ZipFile(small) as zipped:
        entries = [name.split("/", 1)[1] for name in zipped.namelist() if name.endswith((".pkl", ".py"))]

    def mangle(data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(len(changed)) if changed else 0
            if draw.random() < 0.5 and changed:
                changed[at] = draw.randrange(256)
            else:
                changed[at:at + draw.randrange(20)] = changed[(at * 7) % (len(changed) or 1):][:draw.randrange(20)]
        return bytes(changed)

    failed = 0
    for _ in range(400):
        change(small, path, {draw.choice(entries): mangle})
        try:
            model = Interpreter(open_archive(path), TorchEngine())
            for method in model.methods():
                if method != "get_methods":
                    model.call(method, model.engine.tensor(np.ones((1, 1, 4), np.float32)))
        except ModelError as error:
            assert "\n" not in str(error)
            failed += 1
    assert failed > 100


def test_source_that_is_none(tmp_path, small):
    code = "code/__torch__/tests/importer/archives.py"
    for text in (b"\xff\xfe", b"def f(:\n", b"x = " + b"(" * 5000, b"x = " + b"-" * 100_000 + b"1", b"a" + b".a" * 200_000, b"\0",
                 b"class Small(Module):\n  pass\n",
                 b"x = " + b"9" * 10_000):
        path = change(small, tmp_path / "text.ts", {code: text})
        with pytest.raises(ModelError):
            Interpreter(open_archive(path), TorchEngine()).call("get_methods")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A file of 150 MB with one large and a thousand small tensors."""
    class Large(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.big = torch.nn.ParameterList([torch.nn.Parameter(torch.randn(4 << 20)) for _ in range(9)])
            for i in range(300):
                self.register_buffer(f"b{i}", torch.randn(100))
            self.register_buffer("forward_params", torch.tensor([1, 1, 1, 1]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    return save(Large(), tmp_path_factory.mktemp("large") / "large.ts")


def test_a_large_file_in_little_time_memory_and_without_torch(large):
    """Opened and probed in a process that cannot import torch: at most three times the file's size in memory (the aim is 2 s)."""
    program = ("import sys, time, resource; sys.modules['torch'] = None\n"
               "import numpy\n"
               "from neurorack.importer.archive import open_archive\nfrom neurorack.importer.probe import probe\n"
               "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; t = time.monotonic()\n"
               f"found = probe(open_archive({str(large)!r}))\n"
               "print(time.monotonic() - t, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, list(found.methods))\n")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100,
                          cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    seconds, kilobytes, methods = done.stdout.split(maxsplit=2)
    size = os.path.getsize(large)
    assert methods.strip() == "['forward']"
    assert float(kilobytes) * 1024 < 1.5 * size, kilobytes
    assert float(seconds) < 10, seconds

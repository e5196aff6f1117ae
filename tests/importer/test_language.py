"""The language of printed TorchScript: odd modules, old formats, limits. Torch computes the tensors, so results must be the same."""

import itertools
import re
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
from neurorack.importer.errors import UnsupportedError  # noqa: E402
from neurorack.importer.interpret import Interpreter  # noqa: E402
from neurorack.importer.limits import Limits  # noqa: E402
from neurorack.importer.ops.machine import Ops  # noqa: E402
from neurorack.importer.record import record  # noqa: E402
from neurorack.importer.scalars import NUMBERS  # noqa: E402
from tests import zoo  # noqa: E402
from tests.importer.archives import Small, change, save, text_edit  # noqa: E402
from tests.importer.odd_modules import ODD  # noqa: E402
from tests.importer.torch_engine import TorchEngine, unwrap, wrap  # noqa: E402

DATA = Path(__file__).parent / "data"
CODE = "code/__torch__/tests/importer/archives.py"


def same(ours, theirs) -> bool:
    """Equal to the last bit, types included."""
    if isinstance(theirs, torch.Tensor):
        return isinstance(ours, torch.Tensor) and ours.dtype == theirs.dtype and torch.equal(ours, theirs)
    if isinstance(theirs, (list, tuple)):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(theirs, dict):
        return list(ours) == list(theirs) and all(same(ours[key], theirs[key]) for key in theirs)
    if isinstance(theirs, float):
        if ours != ours or theirs != theirs:
            return ours != ours and theirs != theirs
        return type(ours) is float and (ours == theirs or abs(ours - theirs) <= 1e-14 * abs(theirs))
    return ours == theirs and type(ours) is type(theirs)


@pytest.mark.parametrize("kind", ODD, ids=lambda kind: kind.__name__)
def test_odd_modules(tmp_path, kind):
    torch.manual_seed(0)
    path = save(kind(), tmp_path / "odd.ts")
    reference, model = torch.jit.load(str(path)).eval(), Interpreter(open_archive(path), TorchEngine())
    for block in range(3):
        x = torch.randn(1, 2, 16)
        with torch.no_grad():
            theirs = reference(x.clone())
        ours = unwrap(model.call("forward", wrap(x.clone())))
        theirs, ours = (theirs, ours) if isinstance(theirs, tuple) else ((theirs,), (ours,))
        assert len(theirs) == len(ours)
        for place, (a, b) in enumerate(zip(ours, theirs)):
            assert same(a, b), (block, place, a, b)


@pytest.mark.parametrize("name", ["v1", "v3", "discrete", "v2_prior", "ddsp", "nsf", "table", "tapes", "experts"])
def test_exports_give_torch_s_own_bits(name):
    """Every method of exports of each family, three blocks with state and the same random numbers."""
    family, path = zoo.FAMILIES.get(name) or zoo.STRANGERS[name], zoo.path(name)
    reference, model = torch.jit.load(str(path)).eval(), Interpreter(open_archive(path), TorchEngine())
    for method in family.methods:
        x = torch.from_numpy(family.feed(method, 2 * family.ratio))[None]
        for block in range(3):
            with torch.no_grad(), torch.jit.optimized_execution(False):
                torch.manual_seed(block)
                theirs = getattr(reference, method)(x)
                torch.manual_seed(block)
                ours = unwrap(model.call(method, wrap(x)))
            assert torch.equal(ours, theirs), (method, block)


def test_a_decode_is_walked_in_little_time():
    """A warm decode of a v3 file with torch's own operators: the language adds little (the aim is tens of ms; here 3)."""
    path = zoo.path("v3")
    family, model = zoo.FAMILIES["v3"], Interpreter(open_archive(path), TorchEngine())
    x = wrap(torch.from_numpy(family.feed("decode", family.ratio))[None])
    times = []
    for _ in range(8):
        began = time.process_time()
        model.call("decode", x)
        times.append(time.process_time() - began)
    assert sorted(times)[3] < 0.2


def test_two_interpreters_are_two_voices():
    path = zoo.path("v3")
    archive, family = open_archive(path), zoo.FAMILIES["v3"]
    one, two = Interpreter(archive, TorchEngine()), Interpreter(archive, TorchEngine())
    x = wrap(torch.from_numpy(family.feed("encode", family.ratio))[None])
    torch.manual_seed(0)
    first = unwrap(one.call("encode", x))
    one.call("encode", x)
    torch.manual_seed(0)
    assert torch.equal(unwrap(two.call("encode", x)), first)


def test_modules_are_in_evaluation_mode_and_state_names_paths(tmp_path):
    class Dropping(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.BatchNorm1d(2))
            self.memory = torch.jit.annotate(list[torch.Tensor], [torch.zeros(2)])
            self.blocks = 0

        def forward(self, x):
            self.blocks += 1
            self.memory[0] = x.mean(-1)
            return self.inner(x)

    module = torch.jit.script(Dropping())
    module.save(str(tmp_path / "drop.ts"))  # saved while training
    model = Interpreter(open_archive(tmp_path / "drop.ts"), TorchEngine())
    x = torch.randn(1, 2, 8)
    assert torch.equal(unwrap(model.call("forward", wrap(x))), module.eval()(x))
    state = model.state()
    assert state["blocks"] == 1 and "inner.1.running_mean" in state
    assert torch.equal(state["memory.0"].value, x.mean(-1))


@pytest.mark.parametrize("name", sorted(NUMBERS.keys() & {
    "add", "sub", "mul", "div", "floordiv", "remainder", "pow", "eq", "ne", "lt", "le", "gt", "ge", "__and__", "__or__", "__xor__",
    "__lshift__",
    "__rshift__", "min", "max", "atan2", "copysign", "fmod"}))
def test_numbers_of_two(name):
    """Every pair of types and of awkward values gives what TorchScript gives."""
    operators = {"add": "a + b", "sub": "a - b", "mul": "a * b", "div": "a / b", "floordiv": "a // b", "remainder": "a % b",
                 "pow": "a ** b",
                 "eq": "a == b", "ne": "a != b", "lt": "a < b", "le": "a <= b", "gt": "a > b", "ge": "a >= b", "__and__": "a & b",
                 "__or__": "a | b",
                 "__xor__": "a ^ b", "__lshift__": "a << b", "__rshift__": "a >> b", "min": "min(a, b)", "max": "max(a, b)"}
    values = {"int": [0, 1, -1, 2, -3, 7, 63, 2**40], "float": [0.0, -0.0, 0.5, -2.5, 7.0, 1e300, float("inf"), float("-inf"),
                                                                float("nan")],
              "bool": [True, False]}
    compared = 0
    for left, right in itertools.product(values, repeat=2):
        try:
            written = operators.get(name, f"torch.{name}(a, b)")
            unit = torch.jit.CompilationUnit(f"def f(a: {left}, b: {right}):\n  return {written}\n")
        except RuntimeError:
            continue
        for a, b in itertools.product(values[left], values[right]):
            if "shift" in name and not 0 <= b < 64 or name in ("floordiv", "remainder") and b == 0 and "float" not in (left, right):
                continue  # torch itself crashes
            try:
                theirs = unit.f(a, b)
            except Exception:
                continue
            assert same(NUMBERS[name](a, b), theirs), (a, b, NUMBERS[name](a, b), theirs)
            compared += 1
    assert compared > 60


@pytest.mark.parametrize("name", ["neg", "sqrt", "exp", "log", "log10", "log1p", "expm1", "sin", "tan", "asin", "acos", "atan",
                                  "sinh", "tanh", "acosh",
                                  "erf", "lgamma", "degrees", "isnan", "floor", "ceil", "round", "modf", "frexp"])
def test_numbers_of_one(name):
    compared = 0
    for value in (0, 1, -1, 7, 2**40, 0.0, 0.5, -2.5, 3.5, 1e300, float("inf"), float("-inf"), float("nan")):
        try:
            theirs = getattr(torch.ops.aten, name)(value)
        except Exception:
            continue
        assert same(NUMBERS[name](value), theirs), value
        compared += 1
    assert compared >= 9


# Printed source of other ages of torch, put into an archive by hand; torch reads the same file as the reference.

OLD = {
    "version line, imports, casts and unwraps": """op_version_set = 1
import __torch__.other
class Small(Module):
  __parameters__ = ["weight", ]
  weight : Tensor
  decode_params : Tensor
  training : bool
  __annotations__["_is_full_backward_hook"] = Optional[bool]
  def forward(self: __torch__.tests.importer.archives.Small,
    x: Tensor) -> Tensor:
    _0 = ops.prim.NumToTensor(torch.size(x, 2))
    _1 = int(torch.mul(_0, CONSTANTS.c0))
    _2 = annotate(Optional[Tensor], self.weight)
    if torch.__is__(_2, None):
      y = x
    else:
      y = torch.mul(x, ops.prim.unchecked_unwrap_optional(_2))
    _3 = torch.reshape(torch.repeat(y, [1, 1, 2]), [int(torch.size(x, 0)), -1, annotate(int, torch.tensor(_1))])
    z = unchecked_cast(Tensor, _3)
    return torch.slice(z, 2, 0, 9223372036854775807, 2)
""",
    "early returns and negative numbers": """class Small(Module):
  __parameters__ = ["weight", ]
  weight : Tensor
  decode_params : Tensor
  training : bool
  _is_full_backward_hook : Optional[bool]
  def forward(self,
    x: Tensor,
    by: float=-1.,
    list: List[int]=[1, -1]) -> Tensor:
    i = -1
    for _ in range(3):
      i = torch.add(i, -2)
    a, b = torch.chunk(x, 2, 2)
    c, d, = (a, b)
    g = {"a": c, "b": d}
    torch.warn("old", 2)
    if bool(torch.gt(torch.sum(x), 1e6)):
      ops.prim.RaiseException("AssertionError: ")
    else:
      pass
    return torch.add(torch.mul(g["a"], by), torch.add(g["b"], torch.neg(i)), alpha=list[-1])
""",
    "a named tuple and a module interface": """class Pair(NamedTuple):
  a : Tensor
  b : int
class Layer(ModuleInterface):
  def forward(self, x: Tensor) -> Tensor:
    pass
class Small(Module):
  __parameters__ = ["weight", ]
  __annotations__ = []
  __annotations__["weight"] = Tensor
  decode_params : Tensor
  training : bool
  _is_full_backward_hook : Optional[bool]
  by : Final[float] = 0.5
  def forward(self,
    x: Tensor) -> Tensor:
    p = __torch__.tests.importer.archives.Pair(x, 3)
    q = __torch__.tests.importer.archives.made(p, )
    r, n, = q
    return torch.mul(torch.add(r, p.a), torch.floordiv(n, 2))
def made(p: __torch__.tests.importer.archives.Pair) -> __torch__.tests.importer.archives.Pair:
  _0 = __torch__.tests.importer.archives.Pair(p.a, torch.mul(p.b, 2))
  return _0
""",
}


@pytest.mark.parametrize("name", OLD)
@pytest.mark.parametrize("version", [3, 10])
def test_source_of_other_ages(small, tmp_path, name, version):
    class Constant(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.traced = torch.jit.trace(lambda x: x * torch.tensor(2) + x.size(0), torch.randn(1, 1, 4))

        def forward(self, x):
            return self.traced(x)

    donor = save(Constant(), tmp_path / "donor.ts")
    with zipfile.ZipFile(donor) as zipped:
        constants = {entry: zipped.read(f"donor/{entry}") for entry in ("constants.pkl", "constants/0")}
    path = change(small, tmp_path / "old.ts", {**constants, CODE: OLD[name].encode(), "version": str(version).encode()},
                  drop=(".data/version",))
    x = torch.randn(2, 6, 8)
    theirs = torch.jit.load(str(path))(x)
    assert torch.equal(unwrap(Interpreter(open_archive(path), TorchEngine()).call("forward", wrap(x))), theirs)


BODY = "    weight = self.weight\n    return torch.mul(x, weight)\n"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return save(Small(), tmp_path_factory.mktemp("small") / "small.ts")


def bad(small, tmp_path, body: str, limits=Limits(steps=200_000, seconds=5)) -> str:
    """The error of a decode with this body (ModelError)."""
    path = change(small, tmp_path / "bad.ts", {CODE: text_edit((BODY, body))})
    model = Interpreter(open_archive(path), TorchEngine(), limits)
    with pytest.raises(ModelError) as caught:
        model.call("decode", wrap(torch.ones(1, 1, 4)))
    assert "\n" not in str(caught.value)
    return str(caught.value)


LIMITS = {
    "endless loop": ("    n = 0\n    while True:\n      n = torch.add(n, 1)\n    return x\n", "statements"),
    "long loop": ("    for i in range(9223372036854775807):\n      pass\n    return x\n", "statements"),
    "recursion": ("    return (self).decode(x, )\n", "deep|nested"),
    "long list": ("    l = [x]\n    for i in range(100):\n      l = torch.add(l, l)\n    return l[0]\n", "list or text"),
    "long text": ("    s = \"ab\"\n    for i in range(100):\n      s = torch.add(s, s)\n    return x\n", "list or text"),
    "repeated list": ("    l = torch.mul([1], 1000000000000)\n    return x\n", "list or text"),
    "padded text": ("    l = torch.center(\"a\", 1000000000000, \"*\")\n    return x\n", "text"),
    "growing list": ("    l = [1]\n    while True:\n      torch.extend(l, l)\n    return x\n", "list or text|statements"),
    "own exception": ("    ops.prim.RaiseException(\"too bad\", \"builtins.ValueError\")\n    return x\n", "ValueError: too bad"),
    "missing item": ("    l = [1]\n    return torch.add(x, l[3])\n", "item 3 of 1"),
    "missing attribute": ("    return torch.add(x, self.nothing)\n", "nothing"),
    "missing method": ("    return (self).nothing(x, )\n", "nothing"),
    "missing constant": ("    return torch.add(x, CONSTANTS.c7)\n", "c7"),
    "before assignment": ("    if False:\n      y = x\n    else:\n      pass\n    return torch.add(y, 1)\n", ""),
    "division by zero": ("    return torch.add(x, torch.floordiv(1, 0))\n", "zero"),
    "text of a tower of lists": ("    l = [[[[\"a\"]]]]\n    return torch.add(x, torch.len(torch.format(\"{}\", l, l)[99]))\n", "99|range"),
    "foreign format": ("    return torch.add(x, torch.len(torch.format(\"{0.__class__}{}\")))\n", "gaps"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits_name_themselves(small, tmp_path, name):
    body, words = LIMITS[name]
    line = bad(small, tmp_path, body)
    assert re.search(words, line), line


def test_seconds_are_limited(small, tmp_path):
    began = time.monotonic()
    line = bad(small, tmp_path, "    while True:\n      y = torch.add(x, 1)\n    return x\n", Limits(steps=10**12, seconds=0.3))
    assert "0.3 s" in line and time.monotonic() - began < 5


@pytest.mark.parametrize("body, word", [
    ("    return torch.add(x, eval(\"1\"))\n", "'eval'"), ("    return __import__(\"os\")\n", "__import__"),
    ("    return torch.add(x, os)\n", "'os'"),
    ("    y = lambda: 1\n    return x\n", "Lambda"), ("    import os\n    return x\n", "Import"), ("    return x + 1\n", "BinOp"),
    ("    return [q for q in x]\n", "ListComp"), ("    return x.__class__\n", "__class__"),
    ("    self.decode.__globals__\n    return x\n", "decode"),
    ("    return __torch__.nothing.here(x, )\n", "__torch__.nothing.here"), ("    return ops.strange.thing(x)\n", "strange"),
    ("    return torch.add(*[x, x])\n", "Call"), ("    l = [1]\n    return l.append(2)\n", "append"),
    ("    del x\n    return x\n", "Delete"),
    ("    return (\"a\").format(x)\n", "format"), ("    return print.__self__\n", "print"),
])
def test_python_that_is_no_torchscript_is_refused(small, tmp_path, body, word):
    assert word in bad(small, tmp_path, body)


def test_what_is_not_known_is_said_apart(small, tmp_path):
    """Unknown operators are ``UnsupportedError``: the file may play another way."""
    path = change(small, tmp_path / "odd.ts", {CODE: text_edit((BODY, "    return x @ x\n"))})
    with pytest.raises(UnsupportedError, match="decode"):
        Interpreter(open_archive(path), TorchEngine()).call("decode", wrap(torch.ones(1, 1, 4)))


def test_setting_attributes():
    model = Interpreter(open_archive(zoo.path("gain")), TorchEngine())
    model.set_attribute("gain", 2)
    assert model.call("get_gain") in (2.0, [2.0], (2.0,))
    for name, values, word in (("gain", ("loud",), "float"), ("gain", (1, 2), "takes 1"),
                               ("volume", (1,), "no attribute 'volume'")):
        with pytest.raises(ModelError, match=word):
            model.set_attribute(name, *values)


class Counting(torch.nn.Module):
    """Counts its calls in a plain number; ``after`` many it does something else (0: never)."""

    def __init__(self, after: int):
        super().__init__()
        self.calls, self.after = 0, after
        self.register_buffer("forward_params", torch.tensor([1, 1, 1, 1]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.after > 0 and self.calls > self.after:
            return x * 0.5
        return x * 2


def test_numbers_that_move_from_call_to_call_can_be_moved_on(tmp_path):
    model = Interpreter(open_archive(save(Counting(1000), tmp_path / "counting.ts")), TorchEngine())
    before = model.numbers()
    assert float(unwrap(model.call("forward", wrap(torch.ones(1, 1, 1))))) == 2
    assert model.advance(before, 5000) == ["calls"] and model.numbers()["calls"] == 5001
    assert float(unwrap(model.call("forward", wrap(torch.ones(1, 1, 1))))) == 0.5


def test_a_recording_does_not_hide_what_a_counter_will_do(tmp_path):
    settings = {"in_channels": 1, "in_ratio": 1}
    assert record(open_archive(save(Counting(0), tmp_path / "never.ts")), "forward", 64, **settings).operations() == 1
    with pytest.raises(UnsupportedError, match="same in every call"):
        record(open_archive(save(Counting(1000), tmp_path / "late.ts")), "forward", 64, **settings)


def test_reading_and_running_imports_no_torch():
    """In a process where torch cannot be imported, with the instrument's own operators."""
    program = ("import sys; sys.modules['torch'] = None\n"
               "import numpy as np\n"
               "from neurorack.importer.archive import open_archive\nfrom neurorack.importer.interpret import Interpreter\n"
               "from neurorack.importer.ops.machine import Ops\n"
               f"model = Interpreter(open_archive({str(zoo.path('gain'))!r}), Ops())\n"
               "y = model.call('forward', model.engine.tensor(np.ones((1, 1, 4), np.float32)))\n"
               "print(y.shape)\n")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60,
                          cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(1, 1, 4)"


@pytest.mark.parametrize("name", ["old_script", "old_trace"])
def test_files_that_torch_1_9_wrote(name):
    """With the instrument's own operators, against what torch 1.9.1 itself gave (see data/make_old_files.py)."""
    archive, known = open_archive(DATA / f"{name}.ts"), np.load(DATA / "old_files.npz")
    assert archive.version in (3, 4)
    model = Interpreter(archive, Ops(version=archive.version))
    for block, expected in enumerate(known[name]):
        y = model.engine.read(model.call("forward", model.engine.tensor(known["x"] * np.float32(block + 1)))).array
        assert np.abs(y - expected).max() < 1e-5 * np.abs(expected).max()

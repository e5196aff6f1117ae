"""What an archive offers by the nn~ contract: methods, attributes, labels, sample rate, channels.

The contract as hosts know it: a method's name is in ``get_methods()`` (or, in older files, is whatever method has a tensor
``NAME_params``); that tensor says [in_channels, in_ratio, out_channels, out_ratio]. Attributes are in ``get_attributes()``,
``NAME_params`` then holds a type for each value, and ``get_NAME``/``set_NAME`` read and write them.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field

import numpy as np

from ..errors import ModelError
from .archive import Archive
from .interpret import Interpreter
from .limits import Limits
from .ops.machine import Ops
from .tensors import Tensor

TYPES = ("bool", "int", "float", "str", "tensor", "buffer")
MOST_CHANNELS = 4096
MOST_RATIO = 1 << 17
MOST_NAMES = 256  # methods or attributes
SHOWN_NUMBERS = 64  # of a tensor as the value of an attribute
RATES_HZ = range(1000, 768001)
PROBE_LIMITS = Limits(steps=500_000, seconds=5.0)


@dataclass(frozen=True)
class MethodSpec:
    """A method: channels, and how many audio frames each of their rows stands for (1 = audio rate). Labels may be missing."""

    in_channels: int
    in_ratio: int
    out_channels: int
    out_ratio: int
    in_labels: list[str] | None = None
    out_labels: list[str] | None = None

    def to_json(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class Attribute:
    """An attribute: a type (see ``TYPES``) and a present value for each of its values (None where the file does not tell it)."""

    types: list[str]
    value: list | None
    settable: bool = False

    def to_json(self) -> dict:
        return asdict(self)


@dataclass(frozen=True)
class Probe:
    """What ``probe`` found. ``notes``: what is odd about the file, in words."""

    methods: dict[str, MethodSpec]
    attributes: dict[str, Attribute]
    sample_rate_hz: int | None
    sample_rate_from: str | None  # where the rate was found, as "get_sample_rate()"
    granularity_frames: int  # blocks are multiples of it: the largest ratio of any method (their least common multiple)
    takes_sample_rate: bool = False  # has set_sample_rate
    stereo_mode: bool = False  # has set_stereo_mode
    cache_rows: int | None = None  # the smallest batch that its caches hold
    latent_size: int | None = None
    full_latent_size: int | None = None
    buffers: list[str] = field(default_factory=list)  # named sounds it takes
    format: int = 0
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict:
        return asdict(self)


def probe(archive: Archive) -> Probe:
    """Asks the archive's own functions and tables. Raises ModelError where it offers no method a host could call."""
    return _Prober(archive).run()


class _Prober:
    def __init__(self, archive: Archive) -> None:
        self.archive, self.notes = archive, []
        self.model = Interpreter(archive, Ops(version=archive.version), PROBE_LIMITS)
        self.functions = set(self.model.methods())

    def run(self) -> Probe:
        methods = self.methods()
        rate, place = self.sample_rate()
        ratios = [ratio for spec in methods.values() for ratio in (spec.in_ratio, spec.out_ratio)]
        return Probe(methods, self.attributes(methods), rate, place, math.lcm(*ratios), "set_sample_rate" in self.functions,
                     "set_stereo_mode" in self.functions, self.cache_rows(), self.whole("latent_size"),
                     self.whole("full_latent_size"),
                     self.names("get_buffer_attributes") or [], self.archive.version, self.notes)

    # asking the model

    def ask(self, function: str):
        """The result of a method without arguments as plain values; None where it has none or fails."""
        if function not in self.functions:
            return None
        try:
            return self.plain(self.model.call(function))
        except ModelError as error:
            self.notes.append(f"{function}() failed: {error}")
            return None

    def value(self, name: str):
        """An attribute or Final constant of the model as a plain value; None where there is none."""
        root = self.model.root
        if name not in root.attributes and name not in root.kind.constants:
            return None
        try:
            return self.plain(self.model.get_attribute(root, name))
        except ModelError:
            return None

    def plain(self, value):
        """Tensors as (nested) lists, others as they are."""
        if isinstance(value, Tensor):
            array = np.asarray(self.model.engine.known(value, "probed"))
            return array.tolist() if array.size <= SHOWN_NUMBERS else f"{list(value.shape)}"
        if isinstance(value, (list, tuple)):
            return [self.plain(item) for item in value[:MOST_NAMES]]
        if isinstance(value, float) and not math.isfinite(value):
            return None
        return value if value is None or isinstance(value, (bool, int, float, str)) else f"<{type(value).__name__}>"

    def names(self, function: str) -> list[str] | None:
        """A list of names that a method gives, each once, "none" left out; None where it gives none."""
        found = self.ask(function)
        if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
            if found is not None:
                self.notes.append(f"{function}() gives no list of names")
            return None
        return [name for name in dict.fromkeys(found) if name.isidentifier() and len(name) <= 100 and name != "none"]

    def whole(self, name: str) -> int | None:
        return _whole(self.value(name))

    # the parts of the contract

    def methods(self) -> dict[str, MethodSpec]:
        names = self.names("get_methods")
        if not names:
            names = sorted(name for name in self.functions if self.value(f"{name}_params") is not None)
        found, wrong = {}, []
        for name in names[:MOST_NAMES]:
            try:
                found[name] = self.method(name)
            except ModelError as error:
                wrong.append(str(error))
        self.notes.extend(wrong)
        if not found:
            reason = wrong[0] if wrong else "it has neither get_methods() nor any method with a tensor METHOD_params"
            raise ModelError(f"no method to play: {reason}; export the model for nn~")
        return found

    def method(self, name: str) -> MethodSpec:
        if name not in self.functions:
            raise ModelError(f"the method {name} is listed, but not in the file")
        values = self.value(f"{name}_params")
        if values is None:
            raise ModelError(f"the method {name} lacks its tensor {name}_params of four whole numbers")
        numbers = [_whole(value) for value in values[:4]] if isinstance(values, list) else []
        if len(numbers) < 4 or None in numbers:
            raise ModelError(f"{name}_params is {_short(values)}; it must be four whole numbers: channels and ratio, in and out")
        in_channels, in_ratio, out_channels, out_ratio = numbers
        if not (1 <= min(in_channels, out_channels) and max(in_channels, out_channels) <= MOST_CHANNELS
                and 1 <= min(in_ratio, out_ratio) and max(in_ratio, out_ratio) <= MOST_RATIO):
            raise ModelError(f"{name}_params is {numbers}; channels must lie in 1 to {MOST_CHANNELS}, ratios in 1 to {MOST_RATIO}")
        return MethodSpec(in_channels, in_ratio, out_channels, out_ratio, self.labels(f"{name}_input_labels", in_channels),
                          self.labels(f"{name}_output_labels", out_channels))

    def labels(self, name: str, count: int) -> list[str] | None:
        found = self.value(name)
        if found is None:
            return None
        if not isinstance(found, list) or len(found) != count or not all(isinstance(label, str) for label in found):
            self.notes.append(f"{name} are not {count} names")
            return None
        return [label[:200] for label in found]

    def attributes(self, methods: dict[str, MethodSpec]) -> dict[str, Attribute]:
        names = self.names("get_attributes")
        if names is None:
            known = [*self.model.root.attributes, *self.model.root.kind.constants]
            names = sorted(name[:-len("_params")] for name in known if name.endswith("_params"))
        found = {}
        for name in names[:MOST_NAMES]:
            codes = self.value(f"{name}_params")
            types = [_type(code) for code in codes] if isinstance(codes, list) else [_type(codes)]
            if name in methods or name in self.functions:
                continue
            if not types or None in types:
                self.notes.append(f"the attribute {name} has types {_short(codes)}; whole numbers from 0 to {len(TYPES) - 1} are known")
                continue
            found[name] = Attribute(types, self.attribute_value(name, len(types)), f"set_{name}" in self.functions)
        return found

    def attribute_value(self, name: str, count: int) -> list | None:
        """By its getter, a tuple, a list or a single value; else the attribute itself."""
        value = self.ask(f"get_{name}") if f"get_{name}" in self.functions else self.value(name)
        if value is None:
            return None
        values = value if isinstance(value, list) and (len(value) == count or count > 1) else [value]
        if len(values) != count:
            self.notes.append(f"get_{name}() gives {len(values)} values, {count} are declared")
        return values

    def sample_rate(self) -> tuple[int | None, str | None]:
        places = [("get_sample_rate()", self.ask("get_sample_rate"))]
        places += [(name, self.value(name)) for name in ("sr", "sampling_rate", "sample_rate")]
        places += self.inner_rates()
        for place, value in places:
            rate = _whole(value[0] if isinstance(value, list) and len(value) == 1 else value)
            if rate is not None and rate in RATES_HZ:
                return rate, place
        return None, None

    def inner_rates(self) -> list[tuple[str, object]]:
        """Rates that only an inner module tells, the outermost first."""
        found = [(path, value) for path, value in self.model.state().items()
                 if path.count(".") and path.rsplit(".", 1)[1] in ("sr", "sampling_rate", "sample_rate")]
        return [(path, self.plain(value)) for path, value in sorted(found, key=lambda item: (item[0].count("."), item[0]))]

    def cache_rows(self) -> int | None:
        rows = [value.shape[0] for path, value in self.model.state().items()
                if isinstance(value, Tensor) and path.rsplit(".", 1)[-1] in ("cache", "pad") and len(value.shape) == 3]
        return min(rows, default=None)


def _whole(value) -> int | None:
    """A whole number, also written as a float or as a list of one; None for anything else."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value != int(value):
        return None
    return int(value)


def _type(code) -> str | None:
    code = _whole(code)
    return TYPES[code] if code is not None and 0 <= code < len(TYPES) else None


def _short(value) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

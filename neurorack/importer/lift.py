"""Lifting: from a TorchScript file to a file of our engine, proven block by block, with no torch.

>>> lifted = lift("percussion.ts", into="percussion.safetensors")                        # doctest: +SKIP
>>> lifted.reports["decode"][2048]                                                       # doctest: +SKIP
MethodReport(path='lifted', snr_db=121.4, reason='', operations=312)
"""

from __future__ import annotations

import ctypes
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from neurorack.engine import Model, ModelWriter, store
from neurorack.engine.builder import ProgramBuilder
from neurorack.engine.model import program_of
from neurorack.errors import ModelError
from neurorack.importer import LIFTER, verify
from neurorack.importer.archive import open_archive
from neurorack.importer.compile import lower
from neurorack.importer.probe import MethodSpec, Probe, probe
from neurorack.importer.record import Interpreted, record
from neurorack.importer.replay import Replay

LEAST_BLOCK_FRAMES = 64               # shorter programs gain nothing
SMALL_BLOCKS_FRAMES = (64, 128, 256, 512)
MOST_BLOCK_FRAMES = 1 << 16
SAMPLE_RATES_HZ = (8000, 192000)
ASSUMED_RATE_HZ = 48000
MOST_CONTROLS = 32
LATENT_RANGE = 3.0                    # a latent's control reaches so many standard deviations both ways


@dataclass(frozen=True)
class MethodReport:
    """How one method at one block length is played: ``lifted`` by the engine, as a ``list`` in numpy, or not at all (``none``)."""

    path: str
    snr_db: float | None = None
    reason: str = ""
    operations: int = 0


@dataclass
class Lifted:
    """``path``: the file, or None where no method could be compiled; ``reports[method][block_frames]``."""

    path: Path | None
    probe: Probe
    sha256: str
    sample_rate_hz: int
    reports: dict[str, dict[int, MethodReport]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def plays(self) -> str:
        """``lifted``, ``list`` or ``none`` for the method that plays (``playing_method``)."""
        found = [r.path for r in self.reports.get(playing_method(self.probe), {}).values()]
        return next((way for way in ("lifted", "list") if way in found), "none")

    @property
    def snr_db(self) -> float | None:
        """The least of all methods that were lifted."""
        found = [r.snr_db for blocks in self.reports.values() for r in blocks.values() if r.path == "lifted"]
        return min(found) if found else None


def playing_method(found: Probe) -> str:
    """``decode`` where there is one, else ``forward``, else the first."""
    return next((name for name in ("decode", "forward") if name in found.methods), next(iter(found.methods)))


def block_lengths(spec: MethodSpec, granularity_frames: int) -> list[int]:
    """Block lengths a method is lifted at unless told otherwise: the shortest whole one, and up to 512 frames its doubles."""
    whole = granularity_frames
    shortest = whole * max(1, -(-LEAST_BLOCK_FRAMES // whole))
    return sorted({shortest, *(n for n in SMALL_BLOCKS_FRAMES if n % whole == 0 and n > shortest)})


def sample_rate_of(found: Probe, wanted_hz: int | None) -> int:
    rate = wanted_hz or found.sample_rate_hz or ASSUMED_RATE_HZ
    if not SAMPLE_RATES_HZ[0] <= rate <= SAMPLE_RATES_HZ[1]:
        raise ModelError(f"sample rate {rate} Hz; it must lie from {SAMPLE_RATES_HZ[0]} to {SAMPLE_RATES_HZ[1]}: say which with --sample-rate")
    return int(rate)


def told(found: Probe, rate_hz: int, attributes: dict | None) -> dict:
    """What is set before a model is used: the attributes, and its sample rate where it wants to know it (nn~ does the same)."""
    return {**({"sample_rate": rate_hz} if found.takes_sample_rate else {}), **(attributes or {})}


def lift(path, *, blocks=None, attributes=None, sample_rate_hz: int | None = None, seed: int = 0, into=None, name: str | None = None,
         progress: Callable[[str], None] | None = None) -> Lifted:
    """Read, record, compile and prove every method of a TorchScript file.

    Args:
        path: the ``.ts`` file.
        blocks: block lengths in frames; multiples of the largest ratio of any method. None: see ``block_lengths``.
        attributes: name -> value (or tuple of values), set by the file's own ``set_`` methods before recording.
        sample_rate_hz: where the file does not say it, or says it wrongly.
        seed: of the random numbers the model draws.
        into: the file to write, whole or not at all; nothing is written where no method compiles.
        name: the model's name (default: the file's).
        progress: called with a line now and then.

    Raises ``ModelError`` for a file that cannot be read, has no usable method, or breaks a limit.
    """
    began, path = time.monotonic(), Path(path)
    archive = open_archive(path)
    found = probe(archive)
    rate = sample_rate_of(found, sample_rate_hz)
    attributes = told(found, rate, attributes)
    first = playing_method(found)
    _try_attributes(archive, first, found, attributes)
    writer = ModelWriter({})
    result = Lifted(None, found, archive.sha256, rate)
    shelf: dict = {}
    for method, spec in sorted(found.methods.items(), key=lambda item: item[0] != first):
        lengths = list(blocks) if blocks else block_lengths(spec, found.granularity_frames)
        programs, result.reports[method] = {}, {}
        for frames in lengths:
            check_block(frames, found.granularity_frames)
            report, program = _one(archive, method, spec, frames, attributes, seed, writer, rate, shelf)
            result.reports[method][frames] = report
            if program is not None:
                programs[str(frames)] = program
            if progress:
                progress(f"{method} at {frames} frames: {report.path}" + (f", {report.snr_db:.0f} dB" if report.snr_db is not None else f" ({report.reason})"))
        if programs:
            writer.methods[method] = {"in_channels": spec.in_channels, "in_ratio": spec.in_ratio,
                                      "out_channels": spec.out_channels, "out_ratio": spec.out_ratio, "programs": programs}
    if into is not None and playing_method(found) in writer.methods:
        writer.card = first_card(name or path.stem, found, rate, {"file": path.name, "sha256": archive.sha256, "format": archive.version,
                                                                  "lifter": LIFTER, "attributes": attributes, "seed": seed})
        _drop_unused(writer)
        writer.save(into)
        result.path = Path(into)
    result.seconds = time.monotonic() - began
    return result


def _try_attributes(archive, method: str, found: Probe, attributes: dict) -> None:
    """Raises ``ModelError`` for an attribute the model has not, or a value that it refuses."""
    spec = found.methods[method]
    Interpreted(archive, method, found.granularity_frames, in_channels=spec.in_channels, in_ratio=spec.in_ratio, attributes=attributes)


def check_block(frames: int, granularity_frames: int) -> None:
    if frames < 1 or frames % granularity_frames or frames > MOST_BLOCK_FRAMES:
        raise ModelError(f"a block of {frames} frames; it must be a multiple of {granularity_frames} up to {MOST_BLOCK_FRAMES}")


def _one(archive, method, spec, frames, attributes, seed, writer, rate_hz, shelf):
    """The report of one method at one block length, and its listing as JSON where it was lifted."""
    where = {"in_channels": spec.in_channels, "in_ratio": spec.in_ratio, "attributes": attributes, "seed": seed}
    _give_back()             # what the method before needed
    try:
        trace = record(archive, method, frames, **where, shelf=shelf)
    except ModelError as error:
        return MethodReport("none", reason=str(error)), None
    want = (frames // spec.out_ratio, spec.out_channels)
    shape = trace.nodes[trace.outputs[0]].shape
    if len(shape) < 2 or (shape[-1], shape[-2]) != want or int(np.prod(shape)) != want[0] * want[1]:
        reason = f"gives {shape} for {frames} frames; (1, {want[1]}, {want[0]}) was declared"
        return MethodReport("none", reason=reason, operations=trace.operations()), None
    replay, interpreted = Replay(trace), Interpreted(archive, method, frames, **where)
    in_rows = frames // spec.in_ratio
    test = verify.audio_signal if spec.in_ratio == 1 else verify.latent_signal
    recorded = verify.compare(interpreted, replay, test(verify.LEAST_BLOCKS * in_rows, spec.in_channels))
    if recorded < verify.LEAST_SNR_DB:
        return MethodReport("none", recorded, "what was recorded is not what the model does", trace.operations()), None
    replay.reset()
    del interpreted          # a large model's memory counts: weights are packed next
    _give_back()
    try:
        builder = ProgramBuilder(writer.weights, frames, spec.in_channels, spec.in_ratio, spec.out_channels, spec.out_ratio)
        lower(trace, builder)
        listing = builder.listing()
        program = program_of(listing, writer.weights)
    except ModelError as error:
        return MethodReport("list", reason=str(error), operations=trace.operations()), None
    snr = verify.prove(replay, program, frames, spec.in_ratio == 1, rate_hz)
    if not snr >= verify.LEAST_SNR_DB:
        return MethodReport("list", snr, f"the compiled program agrees to {snr:.0f} dB only", trace.operations()), None
    return MethodReport("lifted", snr, operations=trace.operations()), listing.json()


def _give_back() -> None:
    """What was freed goes back to the system, where the C library can do that."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)


def _drop_unused(writer: ModelWriter) -> None:
    """Weights of programs that were tried and not kept."""
    used = {buffer.get("tensor") for method in writer.methods.values() for program in method["programs"].values() for buffer in program["buffers"]}
    writer.weights.tensors = {name: array for name, array in writer.weights.tensors.items() if name in used}


def first_card(name: str, found: Probe, rate_hz: int, source: dict) -> dict:
    """The card of a lifted model before its knobs are named: one control a latent."""
    method = playing_method(found)
    spec = found.methods[method]
    names = latent_names(spec)
    low, high = (-LATENT_RANGE, LATENT_RANGE)
    card = {"name": name, "sample_rate_hz": rate_hz, "hop_frames": max(spec.in_ratio, 1), "method": method, "source": source,
            "channels": spec.out_channels, "delay_frames": 0, "author": "", "licence": "",
            "inputs": [{"name": n, "rest": 0.0} for n in names], "controls": [], "attributes": {k: a.to_json() for k, a in found.attributes.items()}}
    if spec.in_ratio > 1:
        card["controls"] = [{"name": n, "default": 0.5, "unit": "standard deviations", "range": [low, high],
                             "links": [{"input": n, "low": low, "high": high}]} for n in names[:MOST_CONTROLS]]
    return card


def latent_names(spec: MethodSpec) -> list[str]:
    """The file's own labels where they tell its inputs apart, else "latent 1" and so on."""
    labels = [str(label).strip() for label in (spec.in_labels or [])]
    if len(labels) == spec.in_channels and len(set(labels)) == len(labels) and all(labels) and not all(s.startswith("(signal)") for s in labels):
        return labels
    return [f"latent {i + 1}" for i in range(spec.in_channels)]


def rewrite_card(path, change: Callable[[dict], dict]) -> Model:
    """Give a model file another card; the file is replaced whole or not at all."""
    old = store.Store(path)
    data = json.loads(old.metadata["neurorack"])
    data["card"] = change(dict(data["card"]))
    store.write(path, {n: old.stored(n) for n in old.shapes}, {**old.metadata, "neurorack": json.dumps(data, separators=(",", ":"), allow_nan=False)})
    return Model.load(path)

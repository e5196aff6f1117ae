"""What is left makes up for what was taken away: the weights that read a trimmed layer are fitted again.

Layer after layer, in the order of the program: the inputs are those of the *trimmed* program, errors of earlier layers included, the
aim is what the untrimmed one computes there, and a ridge holds the weights near the old ones (channel selection with reconstruction:
He, Zhang and Sun, 2017; Luo, Wu and Lin, 2017). The offsets take up the mean of what was removed. No recording is needed: the inputs
are made up (``drive.py``). Loud moments do not outweigh soft ones, which are heard as well: a row counts with the inverse of its power.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from . import readers as rd
from .activations import Body, collect

RIDGE = 1e-3                       # of the mean power of a layer's inputs
ROWS_A_COLUMN, LEAST_ROWS, MOST_ROWS = 4, 2048, 6144
LEAST_SECONDS, MOST_SECONDS = 30.0, 120.0
SOFT_SHARE = 0.1                   # rows softer than all but so many count alike
CHUNK_NUMBERS = 4_000_000          # taken at a time


@dataclass(frozen=True)
class Plan:
    """Which rows of a reader's input are looked at: ``chosen`` of ``blocks`` blocks, ``chunk`` blocks at a time."""

    blocks: int
    chunk: int
    chosen: np.ndarray


@dataclass
class Seen:
    """A reader in the untrimmed program: what it gets (``mean`` and second moments ``power`` of its channels) and what comes out of its
    product, without the offset but with what is added behind it: ``result`` [chosen, columns]. ``weight``: what each row counts, 1 on
    average."""

    reader: rd.Reader
    plan: Plan
    mean: np.ndarray
    power: np.ndarray
    right: np.ndarray
    result: np.ndarray
    weight: np.ndarray


def plan(listing, reader: rd.Reader, block_seconds: float, random) -> Plan:
    columns = reader.ins * (reader.taps if reader.op == "conv1d" else rd.past(listing, reader) + 1)
    rows = int(np.clip(ROWS_A_COLUMN * columns, LEAST_ROWS, MOST_ROWS))
    blocks = int(np.clip(-(-rows // reader.rows), LEAST_SECONDS / block_seconds, MOST_SECONDS / block_seconds))
    numbers = sum(int(np.prod(view.shape)) for view in rd.wanted(listing, reader)[0])
    chunk = max(64, CHUNK_NUMBERS // numbers)
    every = np.arange(blocks * reader.rows)
    every = every[every % (chunk * reader.rows) >= rd.past(listing, reader)]
    return Plan(blocks, chunk, np.sort(random.choice(every, min(rows, len(every)), replace=False)))


def gather(body: Body, reader: rd.Reader, plan: Plan, signal: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The rows of a plan: the left side of the reader's product, and what is added behind it (None: nothing)."""
    listing, found, behind, start = body.listing, [], [], 0
    views, before = rd.wanted(listing, reader)
    for taken in collect(body, views, before, signal[: plan.blocks * listing.in_shape[0]], plan.chunk):
        end = start + len(taken[0]) * reader.rows
        chosen = plan.chosen[(plan.chosen >= start) & (plan.chosen < end)] - start
        found.append(rd.left(listing, reader, taken, chosen))
        behind.append(rd.residual(reader, taken, chosen))
        start = end
    return np.concatenate(found), None if behind[0] is None else np.concatenate(behind)


def observe(body: Body, names: set[str], signal: np.ndarray, block_seconds: float, seed: int = 0, tick=lambda share: None) -> dict[str, Seen]:
    """The readers of an untrimmed program whose weights are among ``names``, by that name. ``tick``: called with the share that is done."""
    random, found = np.random.default_rng(seed), {}
    ready = [reader for reader in rd.readers(body.listing) if reader.weight in names]
    for i, reader in enumerate(ready):
        how = plan(body.listing, reader, block_seconds, random)
        x, behind = gather(body, reader, how, signal)
        right = rd.matrix(body.listing, reader, rd.tensor_of(body, reader.weight))
        result = x @ right if behind is None else x @ right + behind
        weight = _counts(result)
        channels, each = x.reshape(-1, reader.ins).astype(float), np.repeat(weight, x.shape[1] // reader.ins)[:, None]
        power = channels.T @ (channels * each) / len(channels)
        found[reader.weight] = Seen(reader, how, (channels * each).mean(0), power, right, result, weight)
        tick((i + 1) / len(ready))
    return found


def _counts(result: np.ndarray) -> np.ndarray:
    """What each row counts: the inverse of its power, but for the softest."""
    power = (result**2).sum(1, dtype=float)
    soft = max(float(np.quantile(power, SOFT_SHARE)), 1e-9 * float(power.mean()), 1e-30)
    weight = soft / (power + soft)
    return weight / weight.mean()


def solve(x: np.ndarray, target: np.ndarray, start: np.ndarray, weight: np.ndarray, offset: bool) -> tuple[np.ndarray, np.ndarray]:
    """The matrix near ``start`` [columns, results] for which ``x @ matrix + offset`` comes nearest to ``target``, and the offset."""
    x, target, weight = x.astype(float), target.astype(float), weight[:, None]
    middle = ((x * weight).mean(0), (target * weight).mean(0)) if offset else (np.zeros(x.shape[1]), np.zeros(target.shape[1]))
    x, target = (x - middle[0]) * np.sqrt(weight), (target - middle[1]) * np.sqrt(weight)
    gram = x.T @ x
    ridge = RIDGE * np.trace(gram) / len(gram) + 1e-12
    made = start + np.linalg.solve(gram + ridge * np.eye(len(gram)), x.T @ (target - x @ start))
    return made, middle[1] - middle[0] @ made


def fold(x: np.ndarray, target: np.ndarray, start: np.ndarray, weight: np.ndarray, offset: bool) -> tuple[np.ndarray, np.ndarray]:
    """The cheaper way: weights stay as they are, only the mean of what is missing goes into the offset."""
    return start, ((target - x @ start) * weight[:, None]).mean(0, dtype=float) if offset else np.zeros(start.shape[1])


@dataclass
class Cut:
    """A trimmed program in the making: ``tensors`` by name, as they are now; ``numbers``: the places that their numbers had before;
    ``fitted``: names of those that were changed."""

    body: Body
    tensors: dict[str, np.ndarray]
    numbers: dict[str, np.ndarray]
    fitted: set[str] = field(default_factory=set)

    def store(self, name: str, array: np.ndarray) -> None:
        self.fitted.add(name)
        self.tensors[name] = array = np.ascontiguousarray(array, np.float32)
        for i, buffer in enumerate(self.body.listing.buffers):
            if buffer.tensor == name:
                self.body.arrays[i] = array


def refit(seen: dict[str, Seen], shapes: dict[str, tuple[int, ...]], cut: Cut, signal: np.ndarray, way=solve, tick=lambda share: None) -> dict[str, float]:
    """Fit the readers of a trimmed program, in place, where anything before them has changed.

    ``seen`` and ``shapes`` are of the untrimmed one. Returns the relative error that is left at each reader: power of what differs
    over power of what moves there.
    """
    left, listing = {}, cut.body.listing
    ready, touched = rd.readers(listing), False
    for i, reader in enumerate(ready):
        was = seen.get(reader.weight)
        if was is None:
            continue
        touched = touched or cut.tensors[reader.weight].shape != shapes[reader.weight]
        if not touched:
            continue
        _, outs = rd.survivors(was.reader, reader, shapes[reader.weight], cut.numbers[reader.weight])
        columns = (np.arange(was.right.shape[1] // was.reader.outs)[:, None] * was.reader.outs + outs).ravel()
        x, behind = gather(cut.body, reader, was.plan, signal)
        target = was.result[:, columns] if behind is None else was.result[:, columns] - behind
        start = rd.matrix(listing, reader, cut.tensors[reader.weight]).astype(float)
        made, offset = way(x, target, start, was.weight, reader.bias is not None)
        cut.store(reader.weight, rd.put(listing, reader, cut.tensors[reader.weight], made))
        if reader.bias is not None:
            offset = offset.reshape(-1, reader.outs).mean(0)
            cut.store(reader.bias, cut.tensors[reader.bias] + offset.reshape(cut.tensors[reader.bias].shape).astype(np.float32))
        error = target - x @ made - (np.tile(offset, len(columns) // reader.outs) if reader.bias is not None else 0)
        left[reader.weight] = _share(error, was.result[:, columns], was.weight)
        tick((i + 1) / len(ready))
    return left


def _share(error: np.ndarray, whole: np.ndarray, weight: np.ndarray) -> float:
    """The power of an error beside that of what moves, each row counted."""
    moved = whole - (whole * weight[:, None]).mean(0)
    return float((error**2).sum(1) @ weight / max((moved**2).sum(1) @ weight, 1e-30))

"""What benchmarks/trimming.py compares: training, training the small one from scratch, rounds of masks, rounds of trimming.

Each method yields one row (a dictionary) for each share removed, and goes on after the last one it finished. All of an architecture
and seed begin with the same full net.
"""

from __future__ import annotations

import copy
import time
from types import SimpleNamespace

import numpy as np
import torch

import trimming_nets as nets

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99)      # shares of the parameters removed, a round each
REWIND = 0.1                # part of the budget that the early checkpoint has seen
LONG = (0.8, 0.95, 0.99)    # shares at which the long baselines are trained
TRIMMED_BATCHES = 16        # that scores are taken over


class Bench:
    """One architecture with its crops and the folder for what is kept between tasks."""

    def __init__(self, arch, cache, work):
        self.arch, self.work = arch, work
        self.pool, self.held = nets.crops(arch, cache, work)
        self.full_size = nets.parameters_of(nets.fresh(arch, 0))

    @property
    def early(self):
        """The step of the early checkpoint."""
        return round(REWIND * self.arch.steps)

    def path(self, *words):
        return self.work / ("-".join([self.arch.name, self.arch.mark, *map(str, words)]) + ".pt")

    def row(self, engine, loss, steps, seconds, removed_units=None):
        """What is kept of a finished net. steps: trained in all, whatever was thrown away on the way."""
        size = nets.parameters_of(engine)
        return nets.judged(engine, self.held) | {
            "train_error": round(loss, 5), "parameters": size, "removed_parameters": round(1 - size / self.full_size, 5),
            "removed_units": removed_units, "steps": steps, "seconds": round(seconds, 2)}


def full(bench, seed):
    """The full net: {"engine": state, "early": state, "row"}, trained once."""
    path = bench.path("full", seed)
    if path.exists():
        return torch.load(path, weights_only=False)
    engine = nets.fresh(bench.arch, seed)
    about = {"data_set": bench.arch.data_set, "engine_kind": bench.arch.recipe["engine"]["kind"],
             "untrained_error": nets.judged(engine, bench.held)["error"]}
    early, loss, seconds = nets.train(engine, bench.pool, bench.arch, seed, keep_at=bench.early)
    row = bench.row(engine, loss, bench.arch.steps, seconds, 0.0) | about | {"level": 0.0}
    nets.store(path, {"engine": engine.state_dict(), "early": early, "row": row})
    return torch.load(path, weights_only=False)


def trained_in_all(bench, level):
    """Steps that a chain of rounds has trained when it is at `level`."""
    return bench.arch.steps + (LEVELS.index(level) + 1) * (bench.arch.steps - bench.early)


def full_rows(bench, seed, done):
    """The reference."""
    if 0.0 not in done:
        yield full(bench, seed)["row"]


def full_long(bench, seed, done):
    """The full net with all the steps that trimming has had when it is at 80 % and at 99 %."""
    for level in (0.8, 0.99):
        if level not in done:
            yield {"level": level} | _plain(bench, seed, None, trained_in_all(bench, level))


def full_fast(bench, seed, done, rate):
    """The full net at another learning rate."""
    if 0.0 not in done:
        yield {"level": 0.0} | _plain(bench, seed, None, None, rate)


def scratch(bench, seed, done, long=False, rate=1.0):
    """A narrower net of the same size from fresh weights; `long`: with all the steps that trimming has had."""
    for level in LONG if long else LEVELS:
        if level not in done:
            width = nets.width_for(bench.arch, (1 - level) * bench.full_size)
            yield {"level": level} | _plain(bench, seed, width, trained_in_all(bench, level) if long else None, rate)


def _plain(bench, seed, width, steps, rate=1.0):
    engine = nets.fresh(bench.arch, seed, width)
    _, loss, seconds = nets.train(engine, bench.pool, bench.arch, seed, steps=steps, rate=rate)
    return bench.row(engine, loss, steps or bench.arch.steps, seconds) | {"width": width}


# -- masks

def masked(bench, seed, done):
    """Iterative magnitude masks (Frankle and Carbin, 2019), local, with rewinding; and what they free in truth."""
    path = bench.path("mask", seed)
    state = torch.load(path, weights_only=False) if path.exists() else {"at": 0, "masks": None, "engine": full(bench, seed)["engine"]}
    engine, early = nets.fresh(bench.arch, seed), full(bench, seed)["early"]
    for level in LEVELS[state["at"]:]:
        masks = local_masks(state["engine"], state["masks"], level, engine)
        engine.load_state_dict(early)
        nets.hold(engine, masks)
        _, loss, seconds = nets.train(engine, bench.pool, bench.arch, seed, bench.early, masks=masks)
        row = bench.row(engine, loss, trained_in_all(bench, level), seconds)
        hidden = sum(float((mask == 0).sum()) for mask in masks.values())
        row |= freed(engine, masks) | {"level": level, "masked_parameters": round(hidden / bench.full_size, 5)}
        state = {"at": LEVELS.index(level) + 1, "masks": masks, "engine": copy.deepcopy(engine.state_dict())}
        nets.store(path, state)
        if level not in done:
            yield row


def local_masks(state, before, level, engine):
    """Parameter name → 0/1 tensor: of each weight tensor the largest numbers stay, so many that `level` of all parameters is masked."""
    weights = {name: state[name] for name, p in engine.named_parameters() if p.dim() > 1}
    share = min(1.0, level * nets.parameters_of(engine) / sum(w.numel() for w in weights.values()))
    masks = {}
    for name, w in weights.items():
        size = w.abs().flatten() if before is None else (w.abs() * before[name]).flatten()
        kept = max(1, round((1 - share) * w.numel()))
        mask = torch.zeros_like(size)
        mask[torch.topk(size, kept).indices] = 1
        masks[name] = mask.reshape(w.shape)
    return masks


def freed(engine, masks):
    """What could be cut out of a masked net: units whose makers, or whose readers, are all masked."""
    from neurorack.lab.trim import engine_units

    groups, gone, dead = engine_units.of_engine(engine), [], 0
    count = sum(len(group.units) for group in groups)
    for group in groups:
        found = []
        for unit in group.units:
            alive = {"out": False, "in": False}
            for member in unit.members:
                if member.role in alive and member.tensor in masks and not alive[member.role]:
                    alive[member.role] = bool(masks[member.tensor].select(member.axis, member.index).any())
            if not all(alive.values()):
                found.append(unit)
        dead += len(found)
        gone += found[len(found) == len(group.units):]          # a net needs one of each
    small = copy.deepcopy(engine)
    if gone:
        engine_units.cut_engine(small, gone)
    return {"freed_units": round(dead / count, 5), "freed_parameters": round(1 - nets.parameters_of(small) / nets.parameters_of(engine), 5)}


# -- trimming

def trimmed(bench, seed, done, criterion, scope, start, rate=1.0):
    """Rounds of trimming: score the trained net, cut units out, begin anew as `start` says, train, and so on.

    start: "rewind" (the early checkpoint of the full net, cut), "fine-tune" (the trained weights, cut) or "reinitialise" (fresh weights
    of the same shape). Every round has as many steps as one training has from the early checkpoint on, with the same learning rates.
    """
    from neurorack.lab import engines
    from neurorack.lab.trim import engine_units, rewind

    words = (criterion, scope, start, *([f"rate{rate:g}"] if rate != 1 else []), seed)
    path = bench.path("trim", *words)
    if path.exists():
        state = torch.load(path, weights_only=False)
    else:
        begun = full(bench, seed)
        state = {"at": 0, "engine": begun["engine"], "begin": begun["early"], "removed": [], "units": 0}
    for level in LEVELS[state["at"]:]:
        engine = nets.fresh(bench.arch, seed)
        engines.fit(engine, state["engine"])
        units, gone, notes = chosen(bench, engine, seed, criterion, scope, level)
        whole = state["units"] or units
        engine_units.cut_engine(engine, gone)
        begin, removed = engine_units.cut_state(state["begin"], gone), [*state["removed"], gone]
        if start == "rewind":
            engine.load_state_dict(begin)
        elif start == "reinitialise":
            whole_net = SimpleNamespace(engine=nets.fresh(bench.arch, seed), path=path)
            engine.load_state_dict(rewind.fresh(whole_net, removed, 1000 * seed + len(removed)))
        first = 0 if start == "reinitialise" else bench.early
        _, loss, seconds = nets.train(engine, bench.pool, bench.arch, seed, first, rate=rate)
        left = units - len(gone)
        row = bench.row(engine, loss, trained_in_all(bench, level), seconds, round(1 - left / whole, 5)) | notes | {"level": level}
        state = {"at": LEVELS.index(level) + 1, "engine": engine.state_dict(), "begin": begin, "removed": removed, "units": whole}
        nets.store(path, state)
        nets.store(bench.path("net", *words, level), state["engine"])
        if level not in done:
            yield row


def chosen(bench, engine, seed, criterion, scope, level):
    """(how many units the engine has, those to remove so that `level` of the full net's parameters is gone, what else there is to tell)."""
    from neurorack.lab.trim import criteria, engine_units, select

    groups, rng = engine_units.of_engine(engine), np.random.default_rng([seed, round(1000 * level)])

    def batch():
        some = torch.from_numpy(rng.integers(len(bench.pool.rows), size=bench.arch.recipe["train"]["batch"]))
        return bench.pool.rows[some], bench.pool.target[some]

    began = time.process_time()
    scores = criteria.score(criterion, criteria.Context(engine, groups, batch, rng=rng, count=TRIMMED_BATCHES))
    sizes = {name: tuple(p.shape) for name, p in engine.named_parameters()}
    gone = select.select(scores, groups, sizes, level, scope, criteria.normalisation(criterion), original=bench.full_size)
    told = {"scoring_seconds": round(time.process_time() - began, 2)} | bias_of(scores)
    return sum(len(group.units) for group in groups), gone, told


def bias_of(scores):
    """Of mutual information what it says itself about its bias: mean over units, nats; with other clips' targets, where the truth is 0; and
    on as many samples of Gaussian pairs, [true, estimated] each."""
    notes = [note for note in scores.notes.values() if isinstance(note, dict) and "shuffled" in note]
    if not notes:
        return {}
    return {"information": {"samples": notes[0]["samples"], "told": round(float(np.mean(np.concatenate([*scores.values()]))), 4),
                            "shuffled": round(float(np.mean(np.concatenate([np.ravel(note["shuffled"]) for note in notes]))), 4),
                            "gaussian": [[round(float(v), 4) for v in pair] for pair in notes[0]["gaussian"]]}}

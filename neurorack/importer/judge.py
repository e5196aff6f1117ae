"""What runs inside the fence to admit a model: lifting it, and playing it through everything it may meet."""

from __future__ import annotations

import numpy as np

from neurorack.engine import Model, denormals_off
from neurorack.errors import ModelError
from neurorack.importer import channel, measure, signals, verdict
from neurorack.importer.archive import open_archive
from neurorack.importer.probe import probe
from neurorack.importer.verify import snr_db

PATIENCE_SECONDS = 9.0            # of computing, for the long take; a model this slow is refused anyway
COMPARED_SECONDS, COMPARING_SECONDS = 3.0, 4.0
BURST_BLOCKS = 8
SEAMS = 40
CALL_SECONDS = 5.0                # of computing: the longest one call of a worker may take while it is checked


def lift_file(talk, path: str, into: str, blocks: list[int] | None, attributes: dict, sample_rate_hz: int | None, name: str) -> dict:
    """Lift ``path`` into ``into``; what came of it: ``path`` is lifted, list or none, with the ``reason`` where it is not lifted."""
    from neurorack.importer.errors import UnsupportedError
    from neurorack.importer.lift import lift, playing_method

    denormals_off()
    try:
        lifted = lift(path, blocks=blocks, attributes=attributes or None, sample_rate_hz=sample_rate_hz, into=into, name=name,
                      progress=lambda line: talk.send(progress=line))
    except UnsupportedError as error:
        return {"path": "none", "reason": str(error), "method": "decode", "methods": {}, "blocks": [], "snr_db": None}
    method = playing_method(lifted.probe)
    spec, reports = lifted.probe.methods[method], lifted.reports[method]
    return {"path": lifted.plays, "method": method, "sample_rate_hz": lifted.sample_rate_hz, "in_ratio": spec.in_ratio,
            "out_ratio": spec.out_ratio, "labels": [str(label) for label in spec.in_labels or []],
            "blocks": [frames for frames, report in sorted(reports.items()) if report.path == lifted.plays],
            "reason": next((report.reason for report in reports.values() if report.reason), ""),
            "snr_db": min((report.snr_db for report in reports.values() if report.path == "lifted"), default=None),
            "native_block": lifted.probe.granularity_frames,
            "methods": {name: {"path": worst.path, "snr_db": worst.snr_db, "reason": worst.reason}
                        for name, worst in ((name, _worst(found)) for name, found in lifted.reports.items())}}


def _worst(reports: dict):
    order = ("none", "list", "lifted")
    return min(reports.values(), key=lambda report: (order.index(report.path), report.snr_db if report.snr_db is not None else 0.0))


def describe(talk, path: str) -> dict:
    """What a model file of our own says of itself. Raises ``ModelError`` for anything else."""
    model = Model.load(path)
    method = model.card.get("method") or next((name for name in ("decode", "forward") if name in model.methods), next(iter(model.methods)))
    found = model.methods.get(method)
    if found is None:
        raise ModelError(f"its card names the method {method!r}; it has {', '.join(model.methods)}")
    if model.card.get("sample_rate_hz") is None:
        raise ModelError("its card has no 'sample_rate_hz'; export it again")
    from neurorack.voice.card import check_card

    if method == "decode":
        check_card(model.card, "its model")
    return {"path": "native", "method": method, "sample_rate_hz": int(model.card["sample_rate_hz"]), "in_ratio": found.in_ratio,
            "out_ratio": found.out_ratio, "labels": [], "blocks": list(found.blocks), "reason": "", "snr_db": None, "native_block": found.blocks[0],
            "methods": {name: {"path": "native", "snr_db": None, "reason": ""} for name in model.methods}}


def judge(talk, *, file: str, way: str, method: str, blocks: list[int], in_ratio: int, sample_rate_hz: int, attributes: dict,
          labels: list[str], worker: dict | None = None) -> dict:
    """Play a model and measure it.

    Args:
        file: the safetensors file (native, lifted) or the ``.ts`` (list, torchscript).
        way: native, lifted, list or torchscript: how it is played.
        blocks: block lengths to try in this order until one is fast enough.
        labels: what the file calls its inputs.
        worker: ends and shapes of a channel to TorchScript, for torchscript.
    """
    denormals_off()
    players = _Players(file, way, method, attributes, worker)
    for frames in blocks:
        talk.send(progress=f"{method} at block {frames}")
        result = _measure(players, frames, in_ratio, sample_rate_hz, labels)
        if result["load"] <= verdict.MOST_LOAD and result["p99_ms"] <= result["block_ms"]:
            break
    return result


def roughness(talk, *, file: str, way: str, method: str, in_ratio: int, sample_rate_hz: int, attributes: dict, labels: list[str],
              block_frames: int, every_frames: int, worker: dict | None = None) -> dict:
    """How rough the sound is at every odd multiple of ``every_frames``, played in blocks of ``block_frames``.

    Played in blocks of ``every_frames`` these places are seams, in blocks twice as long they are not, and all else is equal: steps of the
    input, patterns of the net and its noise.
    """
    denormals_off()
    player = measure.Timed(_Players(file, way, method, attributes, worker).at(block_frames), CALL_SECONDS)
    inputs = signals.Inputs.of(player.in_shape[1], in_ratio, labels=labels)
    rows = 2 * every_frames // in_ratio
    natural = signals.Feed(inputs, rows, sample_rate_hz / in_ratio).parts[0][1][:SEAMS].reshape(-1, *player.in_shape)
    player.reset()
    sound = np.concatenate([player.run(block) for block in natural]).astype(np.float64)
    return {"roughness": measure.roughness(sound, every_frames * player.out_shape[0] // block_frames)}


def compare(talk, *, file: str, source: str, way: str, method: str, block_frames: int, in_ratio: int, sample_rate_hz: int, attributes: dict,
            labels: list[str], worker: dict | None = None) -> dict:
    """How well what plays agrees with the file itself: with TorchScript in a worker, else with the interpreter of its printed source.

    They take turns of some blocks, with TorchScript first for time, then with random numbers pinned to the engine's. ``snr_db`` is None
    where TorchScript, started twice alike, is not the same twice: no comparison would mean anything. ``start_snr_db`` is that of the
    first blocks.
    """
    denormals_off()
    talk.send(progress="compared with " + ("TorchScript" if worker else "the interpreter"))
    players = _Players(file, way, method, attributes, worker)
    reference = WorkerPlayer(worker) if worker else interpreted(source, method, block_frames, attributes)
    ours, theirs = measure.Timed(players.at(block_frames), CALL_SECONDS), measure.Timed(reference, CALL_SECONDS)
    inputs = signals.Inputs.of(ours.in_shape[1], in_ratio, players.card, labels)
    blocks = [block for _, block in signals.Feed(inputs, ours.in_shape[0], sample_rate_hz / in_ratio).blocks()]
    most = max(4 * BURST_BLOCKS, round(COMPARED_SECONDS * sample_rate_hz / block_frames))
    varied = blocks[:: max(1, len(blocks) // most)][:most]
    times = _turns((ours, theirs), varied, pinned=False)[1] if worker else None
    mine, its = _turns((ours, theirs), varied, pinned=True)[0]
    snr, start = snr_db(np.concatenate(its), np.concatenate(mine)), snr_db(np.concatenate(its[:BURST_BLOCKS]), np.concatenate(mine[:BURST_BLOCKS]))
    if worker and snr < verdict.LEAST_SNR_DB:
        again = _turns((theirs,), varied, pinned=True)[0][0]
        same = all(np.array_equal(one, other, equal_nan=True) for one, other in zip(again, its, strict=False))
        snr = snr if same else None
    return {"snr_db": snr, "start_snr_db": start, "speedup": float(np.median(times[1]) / max(np.median(times[0]), 1e-9)) if worker else None}


def _turns(players: tuple, blocks: list, *, pinned: bool) -> tuple[list, list]:
    """All play the same blocks in turns of some: the sounds and the computing times of each."""
    sounds, times = [[] for _ in players], [[] for _ in players]
    for player in players:
        player.reset(**({"pinned": pinned} if player.foreign else {}))
    for at in range(0, len(blocks), BURST_BLOCKS):
        for player, its_sounds, its_times in zip(players, sounds, times, strict=True):
            for block in blocks[at:at + BURST_BLOCKS]:
                its_sounds.append(player.run(block))
                its_times.append(player.seconds)
        if sum(map(sum, times)) > COMPARING_SECONDS:
            break
    return sounds, times


class _Players:
    """Makes players of one model, and the worker's."""

    def __init__(self, file: str, way: str, method: str, attributes: dict, worker: dict | None):
        self.file, self.way, self.method, self.attributes, self.worker = file, way, method, attributes, worker
        self.model = Model.load(file) if way in ("native", "lifted") else None
        self.card = self.model.card if self.model else {}
        self.declared_frames = self.model.methods[method].delay_frames + int(self.card.get("delay_frames", 0)) if self.model else 0

    def at(self, block_frames: int):
        if self.way == "torchscript":
            return WorkerPlayer(self.worker)
        if self.way == "interpreted":
            return interpreted(self.file, self.method, block_frames, self.attributes)
        if self.model:
            return self.model.program(self.method, block_frames)
        return listed(self.file, self.method, block_frames, self.attributes)

    def gestures(self) -> np.ndarray | None:
        entries = self.card.get("gestures") or []
        return np.concatenate([self.model.tensor(entry["tensor"]) for entry in entries]) if entries and self.method == "decode" else None


def listed(file: str, method: str, block_frames: int, attributes: dict):
    """The recorded list of a ``.ts`` file, replayed in numpy."""
    from neurorack.importer.record import record
    from neurorack.importer.replay import Replay

    archive, where = _opened(file, method, attributes)
    return Replay(record(archive, method, block_frames, **where))


def interpreted(file: str, method: str, block_frames: int, attributes: dict):
    """The printed source of a ``.ts`` file, run line by line: slow."""
    from neurorack.importer.record import Interpreted

    archive, where = _opened(file, method, attributes)
    player = Interpreted(archive, method, block_frames, **where)
    spec = probe(archive).methods[method]
    player.out_shape = (block_frames // spec.out_ratio, spec.out_channels)
    return player


def _opened(file: str, method: str, attributes: dict):
    archive = open_archive(file)
    spec = probe(archive).methods[method]
    return archive, {"in_channels": spec.in_channels, "in_ratio": spec.in_ratio, "attributes": attributes or None}


class WorkerPlayer:
    """The far end of a TorchScript worker that somebody else keeps: ``run`` gives None where there is no block, ``cause`` says why."""

    def __init__(self, worker: dict):
        self.line = channel.Channel(channel.Ends(*worker["ends"]), worker["in_shape"], worker["out_shape"])
        self.line.clock = channel.computing_clock(worker["pid"])
        self.in_shape, self.out_shape, self.cause = self.line.in_shape, self.line.out_shape, None

    def run(self, block, timeout_seconds: float = CALL_SECONDS):
        return self.line.output.copy() if self._order(channel.RUN, block, timeout_seconds) else None

    def reset(self, pinned: bool = False) -> None:
        self._order(channel.PIN if pinned else channel.RESET, None, CALL_SECONDS)

    @property
    def cpu_ns(self) -> int:
        return self.line.cpu_ns

    @property
    def memory_mb(self) -> float:
        return self.line.memory_mb

    def _order(self, order: int, block, timeout_seconds: float) -> bool:
        self.cause = self.line.order(order, block, timeout_seconds)
        return self.cause is None


def _measure(players: _Players, block_frames: int, in_ratio: int, rate: int, labels: list[str]) -> dict:
    player = measure.Timed(players.at(block_frames), CALL_SECONDS)
    inputs = signals.Inputs.of(player.in_shape[1], in_ratio, players.card, labels, players.gestures())
    block_seconds = block_frames / rate
    feed = signals.Feed(inputs, player.in_shape[0], rate / in_ratio)
    player.reset()
    take = measure.play(player, feed, block_seconds, verdict.MOST_LOAD, PATIENCE_SECONDS)
    mean, p99 = measure.load(take.seconds, block_seconds)
    out_rate = rate * player.out_shape[0] // block_frames
    natural = take.sounds[signals.NATURAL]
    result = {"block_frames": block_frames, "block_ms": 1000 * block_seconds, "load": mean, "p99_ms": 1000 * p99 * block_seconds,
              "levels": measure.levels(take, out_rate), "seams": measure.seams(natural, player.out_shape[0]), "audio": inputs.audio,
              "declared_frames": players.declared_frames, "in_ratio": in_ratio, "sample_rate_hz": rate, "delay": None,
              "memory_mb": round(player.memory_mb), "leak_mb_s": take.leak_mb_s}
    if mean <= verdict.MOST_LOAD:
        result["delay"] = measure.delay(player, inputs, block_frames, in_ratio, rate)
    return result

"""Admission: no model reaches the jack before it has proven itself on this very board, inside a fence.

>>> verdict = admit("found.ts", out_folder="checked")            # doctest: +SKIP
>>> verdict.line                                                 # doctest: +SKIP
'plays: 6 % of one core, 83 ms, −18 LUFS'

The file is looked at from outside by its first bytes only. Everything else happens in disposable children (``fence.py``): one lifts it,
one plays and measures it (``judge.py``), and where torch is installed a third holds the file as TorchScript, to compare with and, where
nothing else can play it, to be judged itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from neurorack.errors import ModelError
from neurorack.importer import torchscript
from neurorack.importer.fence import Fence, Limits, open_to_all
from neurorack.importer.judge import COMPARED_SECONDS
from neurorack.importer.verdict import LEAST_SNR_DB, MOST_LOAD, PLAYS, SEAM_DBFS, SEAM_RATIO, Verdict, agrees, fault, gain_db, notes, refused

MOST_BYTES = 2 << 30
LIFT_CPU_SECONDS, JUDGE_CPU_SECONDS = 40, 60
BUSY = 4                          # the wall clock's limit in computing times: the sound has precedence
MEGABYTE = 1 << 20
SUFFIX = ".safetensors"


def admit(path, *, out_folder, block: int | None = None, rate_hz: int = 48000, callback_block: int = 128, attributes: dict | None = None,
          sample_rate_hz: int | None = None, lift_seconds: int = LIFT_CPU_SECONDS, low_priority: bool = True,
          progress: Callable[[str], None] | None = None) -> Verdict:
    """Check a model file on this board.

    Args:
        path: a ``.ts`` file or a model of the engine.
        out_folder: gets the lifted file (``Verdict.lifted`` is its name), if there is one and it plays; nothing else is written.
        block: the block length to judge, in frames of the model; None: the one that fits ``callback_block`` best, or a longer one where
            only that is fast enough.
        rate_hz: the card's rate; where the model's differs, the voice resamples.
        callback_block: frames of one callback at that rate.
        attributes: name -> value, set before lifting.
        sample_rate_hz: where the file does not say it.
        lift_seconds: computing time lifting may take.
        low_priority: only computing time that nobody wants, so that no sound is disturbed; on a busy machine it may take minutes.
        progress: called with a line now and then.

    Never raises for what is wrong with the model: that is the verdict. Takes some seconds.
    """
    began, path, case = time.monotonic(), Path(path), None
    with tempfile.TemporaryDirectory(prefix="neurorack-admit-") as scratch:
        try:
            if not Path(out_folder).is_dir():
                raise ModelError(f"there is no folder {out_folder} for what it is lifted to")
            native = look(path)
            case = _Case(path, Path(scratch), native, attributes or {}, sample_rate_hz, lift_seconds, low_priority, progress or (lambda line: None))
            verdict = case.decide(block, callback_block / rate_hz)
            if verdict.plays and verdict.lifted:
                keep(case.lifted, Path(out_folder) / verdict.lifted)
        except ModelError as error:
            verdict = refused(_short(str(error), path))
        except OSError as error:
            verdict = refused(f"{error.strerror or error}; see that there is room and access, and check it again")
    verdict.sha256, verdict.seconds = case.sha256 if case else None, round(time.monotonic() - began, 2)
    return verdict


def look(path: Path) -> bool:
    """True for a model of the engine, False for a TorchScript archive, by the first bytes. Raises ``ModelError`` for anything else."""
    try:
        kind = path.stat()
    except OSError as error:
        raise ModelError(f"it cannot be read: {error.strerror}") from None
    if stat.S_ISDIR(kind.st_mode):
        raise ModelError("it is a folder, no file; give the model file in it")
    if not stat.S_ISREG(kind.st_mode):
        raise ModelError("it is no plain file")
    if kind.st_size > MOST_BYTES:
        raise ModelError(f"it has {kind.st_size / MEGABYTE:.0f} MB; at most {MOST_BYTES // MEGABYTE} can be read")
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except OSError as error:
        raise ModelError(f"it cannot be read: {error.strerror}") from None
    if not head:
        raise ModelError("it is empty; copy or download it again")
    if head.startswith(b"PK\x03\x04"):
        return False
    if len(head) > 8 and head[8:9] == b"{":
        return True
    if head[:1] == b"\x80" and head[1:2] <= b"\x05":
        raise ModelError("it is a plain pickle, which may hold any program, and is never opened; export it as TorchScript (.ts)")
    if head.lstrip()[:1] == b"<":
        raise ModelError("it is a web page, no model; download the file itself")
    raise ModelError("it is neither TorchScript (.ts) nor a model of this instrument (.safetensors)")


def keep(made: Path, target: Path) -> None:
    """Copy whole or not at all; only a plain file, for a link might lead anywhere."""
    beside = target.with_name(f".{target.name}.new")
    try:
        with open(os.open(made, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as source, open(beside, "wb") as copy:
            shutil.copyfileobj(source, copy, MEGABYTE)
        os.replace(beside, target)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


class _Case:
    """One admission under way."""

    def __init__(self, path: Path, scratch: Path, native: bool, attributes: dict, sample_rate_hz: int | None, lift_seconds: int,
                 low_priority: bool, progress):
        self.path, self.native, self.attributes, self.sample_rate_hz, self.progress = path, native, attributes, sample_rate_hz, progress
        self.name, self.lift_seconds, self.low_priority, self.layers = path.stem, lift_seconds, low_priority, {}
        self.inside = scratch / "inside"      # the child's own
        self.inside.mkdir()
        self.file = path.resolve()
        if os.geteuid() == 0:                 # the children become nobody, who must find these
            os.chmod(scratch, 0o755)
        if os.geteuid() == 0 and not open_to_all(str(self.file)):
            (scratch / "copy").mkdir()
            os.chmod(scratch / "copy", 0o755)
            self.file = scratch / "copy" / path.name
            shutil.copyfile(path, self.file)
            os.chmod(self.file, 0o644)
        with open(self.file, "rb") as file:
            self.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self.megabytes = self.file.stat().st_size // MEGABYTE
        self.lifted = self.inside / f"{self.name}{SUFFIX}"

    def inside_run(self, function: str, arguments: dict, cpu_seconds: int, memory_mb: int, pass_fds=()):
        """One child; its result."""
        cpu_seconds += self.megabytes // 4
        limits = Limits(memory_mb=memory_mb + 8 * self.megabytes, cpu_seconds=cpu_seconds, wall_seconds=BUSY * cpu_seconds,
                        file_mb=4 * self.megabytes + 64)
        fence = Fence(read=[self.file], write=self.inside, limits=limits, low_priority=self.low_priority)
        with fence.start(f"neurorack.importer.judge:{function}", arguments, pass_fds) as child:
            result = child.wait(self.progress)
            self.layers |= child.layers
            return result

    def decide(self, block: int | None, callback_seconds: float) -> Verdict:
        if self.native:
            told = self.inside_run("describe", {"path": str(self.file)}, 20, 1024)
        else:
            self.progress("lifting")
            told = self.inside_run("lift_file", {"path": str(self.file), "into": str(self.lifted), "blocks": [block] if block else None,
                                                 "attributes": self.attributes, "sample_rate_hz": self.sample_rate_hz, "name": self.name},
                                   self.lift_seconds, 2048)
        blocks = [block] if block else _order(told["blocks"], round(callback_seconds * told.get("sample_rate_hz", 48000)))
        if self.native and block and block not in told["blocks"]:
            raise ModelError(f"it has no program for blocks of {block} frames; it has {', '.join(map(str, told['blocks']))}")
        if told["path"] == "none":
            return self.torchscript(told, block, told["reason"])
        if told["out_ratio"] > 1:
            raise ModelError(f"it makes no sound: its {told['method']} gives one row in {told['out_ratio']} frames, a control")
        measured = self.judge(told, told["path"], blocks)
        if self.native:
            return self.verdict(told, measured, "native")
        measured["torn"] = self.torn(told, measured)
        wrong = fault(measured)
        if told["path"] == "list" and wrong and measured["load"] > MOST_LOAD and torchscript.why_not() is None:
            return self.torchscript(told, block, f"not compiled ({told['reason']}), and its list is {measured['load'] / MOST_LOAD:.1f}× too slow")
        found = {"snr_db": told["snr_db"], "reference": "interpreter"}
        if not wrong:
            compared = self.compared(told, blocks[0])
            measured["notes"] = compared["notes"]
            if compared["snr_db"] is not None:
                found = {"snr_db": compared["snr_db"], "reference": compared["reference"]}
                if not agrees(compared):
                    return self.torchscript(told, block, f"{told['path']}, it agrees with its own file to {compared['snr_db']:.0f} dB only")
            found["speedup"] = compared["speedup"]
        return self.verdict(told, measured, told["path"], "" if told["path"] == "lifted" else f"replayed in numpy: {told['reason']}", **found)

    def compared(self, told: dict, block: int) -> dict:
        """The playing method beside TorchScript where torch is, else beside the interpreter: what ``judge.compare`` says, with
        ``reference`` and ``notes``."""
        worker, reason = self.worker(told["method"], block) if torchscript.why_not() is None else (None, "")
        reference, ends = ("torchscript", worker.channel.ends) if worker else ("interpreter", ())
        with worker or contextlib.nullcontext():
            arguments = {**self.arguments(told, told["path"], worker), "source": str(self.file), "block_frames": block}
            result = self.inside_run("compare", arguments, JUDGE_CPU_SECONDS, 2048, ends)
        noted = [f"not compared with TorchScript: {reason}"] if reason else []
        if result["snr_db"] is None:
            noted.append("in TorchScript not the same twice, so compared with the interpreter")
        elif result["snr_db"] < LEAST_SNR_DB:
            noted.append(f"rounding adds up: {result['start_snr_db']:.0f} dB in the first blocks, {result['snr_db']:.0f} dB in {COMPARED_SECONDS:g} s")
        return {**result, "reference": reference, "notes": noted}

    def torchscript(self, told: dict, block: int | None, why: str) -> Verdict:
        """Judge the file as TorchScript, because it cannot be lifted."""
        if missing := torchscript.why_not():
            raise ModelError(f"it cannot be lifted ({why}), and {missing}")
        worker, reason = self.worker(told["method"], block)
        if worker is None:
            raise ModelError(f"{reason}; lifting it: {why}")
        with worker:
            said = worker.described
            method = said["methods"][told["method"]]
            if method[3] > 1:
                raise ModelError(f"it makes no sound: its {told['method']} gives one row in {method[3]} frames, a control")
            rate = self.sample_rate_hz or said["sample_rate_hz"] or 48000
            told = {**told, "in_ratio": method[1], "sample_rate_hz": rate, "labels": told.get("labels", []),
                    "methods": {name: {"path": "torchscript", "snr_db": None, "reason": ""} for name in said["methods"]}}
            measured = self.judge(told, "torchscript", [worker.block_frames], worker)
            measured["torn"] = self.torn(told, measured, worker)
        return self.verdict(told, measured, "torchscript", f"by TorchScript, because it cannot be lifted: {why}")

    def torn(self, told: dict, measured: dict, worker=None) -> float | None:
        """How much rougher the seams are than the same places within a longer block; None where nothing points to tears."""
        ratio, level_dbfs = measured["seams"]
        if ratio < SEAM_RATIO or level_dbfs < SEAM_DBFS:
            return None
        self.progress("played in longer blocks")
        found, frames = [], measured["block_frames"]
        for block in (frames, 2 * frames):
            arguments = {"block_frames": block, "every_frames": frames}
            if worker is None:
                arguments |= self.arguments(told, "interpreted")
                found.append(self.inside_run("roughness", arguments, JUDGE_CPU_SECONDS, 2048)["roughness"])
                continue
            with contextlib.nullcontext(worker) if block == frames else torchscript.TorchScript(self.file, **worker.settings(block)) as player:
                arguments |= self.arguments(told, "torchscript", player)
                found.append(self.inside_run("roughness", arguments, JUDGE_CPU_SECONDS, 1536, player.channel.ends)["roughness"])
        return found[0] / max(found[1], 1e-9)

    def worker(self, method: str, block: int | None) -> tuple[torchscript.TorchScript | None, str]:
        """A TorchScript worker, or the reason why there is none."""
        self.progress("loading it with torch")
        try:
            worker = torchscript.TorchScript(self.file, method=method, block_frames=block, attributes=self.attributes, low_priority=self.low_priority,
                                             cpu_seconds=JUDGE_CPU_SECONDS + self.megabytes)
        except ModelError as error:
            return None, _short(str(error), self.file)
        self.layers |= {f"torchscript: {name}": state for name, state in worker.layers.items()}
        return worker, ""

    def arguments(self, told: dict, way: str, worker=None) -> dict:
        """What every child that plays is told."""
        said = {"file": str(self.lifted if way == "lifted" else self.file), "way": way, "method": told["method"], "in_ratio": told["in_ratio"],
                "sample_rate_hz": told["sample_rate_hz"], "attributes": self.attributes, "labels": told["labels"]}
        if worker:
            said["worker"] = {"ends": worker.channel.ends, "pid": worker.pid, "in_shape": worker.in_shape, "out_shape": worker.out_shape,
                              "block_frames": worker.block_frames}
        return said

    def judge(self, told: dict, way: str, blocks: list[int], worker=None) -> dict:
        ends = tuple(worker.channel.ends) if worker else ()
        return self.inside_run("judge", {**self.arguments(told, way, worker), "blocks": blocks}, JUDGE_CPU_SECONDS, 1536, ends)

    def verdict(self, told: dict, measured: dict, way: str, reason: str = "", **found) -> Verdict:
        """The measures in the words of a verdict."""
        wrong, rate, late, level = fault(measured), measured["sample_rate_hz"] / 1000, measured["delay"], measured["levels"]
        fields = {
            "path": way, "reason": reason, "method": told["method"], "methods": told["methods"], "sample_rate_hz": told["sample_rate_hz"],
            "rtf": 1 / max(measured["load"], 1e-9), "core_percent": 100 * measured["load"], "block_frames": measured["block_frames"],
            "block_p99_ms": measured["p99_ms"], "declared_delay_ms": measured["declared_frames"] / rate,
            "delay_ms": (measured["block_frames"] + late["reaction"]) / rate if late else None,
            "reaction_ms": late["reaction"] / rate if late else None, "centre_ms": late["centre"] / rate if late else None,
            **level, "gain_db": gain_db(level["lufs"]), "seams": measured["seams"][0], "torn": measured.get("torn"), "memory_mb": measured["memory_mb"],
            "notes": [*measured.get("notes", []), *notes(measured)], "layers": sorted(name for name, state in self.layers.items() if state == "on"),
            **found}
        fields = {name: round(value, 4) if isinstance(value, float) else value for name, value in fields.items()}
        if wrong:
            return refused(wrong, **{name: value for name, value in fields.items() if name != "reason"})
        return Verdict(PLAYS, lifted=self.lifted.name if way == "lifted" else None, **fields)


def _order(blocks: list[int], callback_frames: int) -> list[int]:
    """The block that fits the callback (the longest that is no longer, else the shortest), then the longer ones."""
    fitting = max([n for n in blocks if n <= callback_frames], default=blocks[0] if blocks else 0)
    return [n for n in blocks if n >= fitting]


def _short(text: str, path) -> str:
    """An error's text without the path it starts with: the person knows which file was checked."""
    for start in (f"{path}: ", f"{Path(path).resolve()}: "):
        text = text.removeprefix(start)
    return text.split(".ts: ", 1)[-1] if text.startswith("/") else text

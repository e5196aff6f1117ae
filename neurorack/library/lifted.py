"""What is known of a file's content: its verdict on this board, and the lifted file where there is one.

Kept by content (sha256) and options (attributes set, sample rate told), so a second add, another name or an upgrade of the
instrument repeats no work; only another version of the importer does. A record is ``KEY.json``, the lifted file ``KEY.safetensors``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import time
from pathlib import Path

from neurorack.errors import ModelError, NeurorackError
from neurorack.library import files

IMPORTER = 1                 # raise it when lifting or admission changed so that earlier results must not be trusted
KEEP_UNUSED_SECONDS = 30 * 86400
GESTURES = ".gestures.safetensors"        # neurorack/gesture.py keeps recorded gestures so, beside the file that plays


def key(sha256: str, options: dict) -> str:
    """The name of content with options (``attributes``, ``sample_rate_hz``); those that say nothing leave no trace."""
    said = {name: value for name, value in sorted(options.items()) if value}
    if not said:
        return sha256
    return f"{sha256}-{hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]}"


def folder() -> Path:
    return files.own() / files.LIFTED


def board() -> str:
    """This board, as a person would call it. A verdict holds for the board that gave it."""
    with contextlib.suppress(OSError):
        return Path("/proc/device-tree/model").read_text().rstrip("\0\n")
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return f"{line.split(':', 1)[1].strip()}, {os.cpu_count()} cores"
    return f"{platform.machine()}, {os.cpu_count()} cores"


def recall(sha256: str, options: dict) -> dict:
    """The record of this content; empty where it was never checked, by another importer or on another board."""
    record = files.read_json(folder() / f"{key(sha256, options)}.json")
    known = record.get("importer") == IMPORTER and record.get("board") == board() and isinstance(record.get("verdict"), dict)
    return record if known else {}


def keep(sha256: str, options: dict, verdict: dict, lifted: Path | None) -> dict:
    """Remember a verdict, and the lifted file with it (copied); returns the record. Raises ``NeurorackError``."""
    record = {"sha256": sha256, "options": options, "verdict": verdict, "importer": IMPORTER, "board": board(),
              "checked_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "lifted": None}
    files.made(files.LIFTED)
    name = key(sha256, options)
    with files.lock():
        if lifted:
            target = folder() / f"{name}.safetensors"
            record["lifted"] = {"sha256": files.copy(lifted, target), **files.stamp(target)}
            record["verdict"] = {**verdict, "lifted": str(target)}
        files.write_json(folder() / f"{name}.json", record)
    return record


def path_of(record: dict) -> Path:
    """Where the lifted file of this record lies."""
    return folder() / f"{key(record['sha256'], record['options'])}.safetensors"


def ready(record: dict, *, thorough: bool = False) -> Path | None:
    """The lifted file, if it is there and whole; None where it must be made again.

    Unchanged size and time are believed; otherwise, and when ``thorough``, its content is compared.
    """
    was, path = record.get("lifted"), None
    if was:
        path = path_of(record)
        try:
            same = files.stamp(path) == {name: was.get(name) for name in ("bytes", "mtime_ns")}
            if (thorough or not same) and files.sha256_of(path) != was.get("sha256"):
                return None
            if not _opens(path):
                return None
            os.utime(path.with_suffix(".json"))        # in use: tidy() leaves it
        except (OSError, ModelError):
            return None
    return path


def _opens(path: Path) -> bool:
    from neurorack.engine.store import Store

    return "neurorack" in Store(path).metadata


def take_gestures(sha256: str, was: dict, now: dict) -> None:
    """Gestures recorded with some options go on with others."""
    old, new = (folder() / f"{key(sha256, options)}{GESTURES}" for options in (was, now))
    if old != new and old.exists():
        files.copy(old, new)


def tidy(used: set[str]) -> None:
    """Remove what belongs to none of the keys in ``used`` and was not asked for in 30 days. Never raises."""
    with contextlib.suppress(OSError, NeurorackError), files.lock():
        for path in folder().glob("*.json"):
            if path.stem not in used and time.time() - path.stat().st_mtime > KEEP_UNUSED_SECONDS:
                for suffix in (".safetensors", GESTURES, ".json"):
                    path.with_suffix(suffix).unlink(missing_ok=True)

"""What is known of a file's content: its verdict on this board, and what plays it where that is another file.

Kept by content (sha256) and options (attributes set, sample rate told), so a second add, another name or an upgrade of the
instrument repeats no work; only another version of the importer does. A record is ``KEY.json``; what plays is ``KEY.safetensors``,
the lifted file, or ``KEY.player.json`` (``importer/players.py``) where the model could not be lifted.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import time
from pathlib import Path

from neurorack.engine.store import Store
from neurorack.errors import ModelError, NeurorackError
from neurorack.importer import LIFTER, players
from neurorack.library import files

CHECKS = 1                   # grows when admission or the naming of knobs changed so that earlier results must not be trusted
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
    known = record and isinstance(record.get("verdict"), dict) and record.get("board") == board() and record.get("importer") == importer()
    return record if known else {}


def importer() -> str:
    """The version of what made a record: of the lifter and of the checks."""
    return f"{LIFTER}.{CHECKS}"


def keep(sha256: str, options: dict, verdict: dict, player: Path | None) -> dict:
    """Remember a verdict, and what plays with it (copied); returns the record. Raises ``NeurorackError``."""
    record = {"sha256": sha256, "options": options, "verdict": verdict, "importer": importer(), "board": board(),
              "checked_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "player": None}
    files.made(files.LIFTED)
    name = key(sha256, options)
    with files.lock():
        if player:
            target = folder() / f"{name}{players.SUFFIX if player.name.endswith(players.SUFFIX) else '.safetensors'}"
            record["player"] = {"file": target.name, "sha256": files.copy(player, target), **files.stamp(target)}
            record["verdict"] = {**verdict, "lifted": str(target) if verdict.get("lifted") else None}
        files.write_json(folder() / f"{name}.json", record)
    return record


def ready(record: dict, source: Path, *, thorough: bool = False) -> Path | None:
    """What plays by this record, if it is there and whole; None where it must be made again. ``source``: the file that was brought.

    Unchanged size and time are believed; otherwise, and when ``thorough``, its content is compared. What is damaged is removed.
    """
    was = record.get("player")
    if not was:
        return source
    try:
        path = folder() / was["file"]
        if path.name.endswith(players.SUFFIX):
            _keep_source(path, source)
        else:
            same = files.stamp(path) == {name: was.get(name) for name in ("bytes", "mtime_ns")}
            if (thorough or not same) and files.sha256_of(path) != was.get("sha256") or "neurorack" not in Store(path).metadata:
                path.unlink()
                return None
        os.utime(folder() / f"{key(record['sha256'], record['options'])}.json")        # in use: tidy() leaves it
    except (OSError, KeyError, TypeError, ModelError):
        return None
    return path


def _keep_source(path: Path, source: Path) -> None:
    """A player file refers to its source, which may have another name by now. Raises ``ModelError`` for one that is damaged."""
    told = players.read_player(path)
    if told["source"] != str(source.absolute()):
        players.write_player(path, plays=told["plays"], card=told["card"], methods=told["methods"], source=source, attributes=told["attributes"])


def take_gestures(sha256: str, was: dict, now: dict) -> None:
    """Gestures recorded with some options go on with others."""
    old, new = key(sha256, was), key(sha256, now)
    for path in folder().glob(f"{old}.*") if old != new else ():
        if path.name.endswith(GESTURES):
            files.copy(path, folder() / f"{new}{path.name.removeprefix(old)}")


def tidy(used: set[str]) -> None:
    """Remove what belongs to none of the keys in ``used`` and was not asked for in 30 days. Never raises."""
    with contextlib.suppress(OSError, NeurorackError), files.lock():
        for path in folder().glob("*.json"):
            name = path.stem
            if "." not in name and name not in used and time.time() - path.stat().st_mtime > KEEP_UNUSED_SECONDS:
                for belonging in folder().glob(f"{name}.*"):
                    belonging.unlink(missing_ok=True)

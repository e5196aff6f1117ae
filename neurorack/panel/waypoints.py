"""Places on models' maps, kept in ``waypoints.yaml`` in the state folder: model -> the names of the plane's axes and points 0..1.

Called in the panel's threads: a file is waited for there, not by the drawing.
"""

from __future__ import annotations

import math
import threading

import yaml

from neurorack.errors import NeurorackError
from neurorack.inputs import store

FORMAT, MOST, MOST_BYTES = 1, 12, 1 << 18
_lock = threading.Lock()


def _read() -> dict:
    """Model -> {"plane": [x, y], "points": [[x, y], …]}; {} for a file that cannot be used."""
    try:
        data = (store.folder() / "waypoints.yaml").read_bytes()[:MOST_BYTES]
        content = yaml.safe_load(data.decode())
        models = content["models"] if content["kind"] == "waypoints" and content["format"] == FORMAT else {}
        return {name: {"plane": list(one["plane"]), "points": [[_share(x), _share(y)] for x, y in one["points"]][:MOST]} for name, one in models.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError, RecursionError):
        return {}


def _share(value) -> float:
    value = float(value)
    if not math.isfinite(value):
        raise ValueError(value)
    return round(min(1.0, max(0.0, value)), 4)


def _of(models: dict, request: dict) -> list:
    """The points of a model on this plane; those of another plane are of no use."""
    one = models.get(request["model"], {})
    return one["points"] if one.get("plane") == list(request["plane"]) else []


def waypoints(request: dict) -> dict:
    """``{"model", "plane"}`` -> ``{"points": [[x, y], …]}``."""
    return {"points": _of(_read(), request)}


def waypoint(request: dict) -> dict:
    """``{"model", "plane", "at": [x, y]}`` keeps a point, ``{…, "delete": index}`` forgets one; the points then."""
    with _lock:
        models = _read()
        points = _of(models, request)
        if "delete" in request:
            points = [point for index, point in enumerate(points) if index != request["delete"]]
        elif len(points) >= MOST:
            raise NeurorackError(f"a model's map keeps {MOST} places; delete one first (hold 1 s on it)")
        else:
            points = [*points, [_share(value) for value in request["at"]]]
        models[request["model"]] = {"plane": list(request["plane"]), "points": points}
        text = yaml.safe_dump({"kind": "waypoints", "format": FORMAT, "models": models}, default_flow_style=None, width=120, allow_unicode=True)
        store.replace(store.folder() / "waypoints.yaml", f"# Neurorack: places on the models' maps\n{text}")
    return {"points": points}

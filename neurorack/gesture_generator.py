"""New gestures from a model's own generator, by numpy alone: ``neurorack models gesture MODEL --generate 4``.

A model trained in the lab brings a small variational auto-encoder (Kingma and Welling, "Auto-encoding variational Bayes", 2014) of its
training clips' curves, as the first Neurorack had one beside its sound engine (Devis, Esling and others, "Neurorack", 2021). A
curve is told by its descriptors at `POINTS` places, denser at the beginning, its latent and the logarithm of its length; these numbers
are projected on their principal components, and the network turns components into a few numbers and back.

The model file holds the tensors ``generator.*``: mean, scale [features]; basis [components, features]; encoder and decoder
layers; posterior_mean, posterior_deviation [clips, size] of the training clips. Its card says `generator: {points, shortest, longest,
apart}`: seconds, and how far the clips' components are usually from the next ones'.
"""

from __future__ import annotations

import numpy as np

from neurorack.errors import ModelError
from neurorack.gesture import LONGEST_SECONDS, MOST_GESTURES, Gestures, changing, file_gestures, load_gestures, save_gestures
from neurorack.gesture_shape import described, end_softly, physical_levels, sustain_region, weighted_median

PREFIX = "generator."
POINTS = 48
WARP = 2.0                   # place k of n stands at (k / (n - 1)) ** WARP of the length
TENSORS = ("mean", "scale", "basis", "posterior_mean", "posterior_deviation",
           *(f"{net}.{layer}.{part}" for net in ("encoder", "decoder") for layer in (0, 2) for part in ("weight", "bias")))
LOUDNESS_LIMITS, UNIT_LIMIT, LATENT_LIMIT = (-1.0, 1.0), 1.2, 3.0
SPREAD = 0.5                 # around the training clips' places, besides their own deviation: so that what is drawn is new
TRIES = 24
NEAREST_SHARE = 0.35         # of the usual distance between clips: nearer to a known gesture is not new
MOST_AT_ONCE, MOST_PLACES = 32, 1024


def _warped(frames: int, points: int) -> np.ndarray:
    """The rows, as real numbers, where a table of so many frames is looked at."""
    return np.linspace(0, 1, points) ** WARP * (frames - 1)


def features_of(table, conditions: int, hop_seconds: float, points: int = POINTS) -> np.ndarray:
    """What tells a gesture: [points · conditions + latents + 1] numbers. Rows of silence at its end do not count."""
    table = np.asarray(table, np.float64)
    heard = np.flatnonzero(table[:, 0] > -1)
    table = table[:int(heard[-1]) + 1 if len(heard) else 1]
    rows = np.arange(len(table))
    curves = [np.interp(_warped(len(table), points), rows, table[:, c]) for c in range(conditions)]
    return np.concatenate([*curves, np.median(table[:, conditions:], axis=0), [np.log2(len(table) * hop_seconds)]])


def table_of(features, conditions: int, frames: int, points: int = POINTS) -> np.ndarray:
    """Back from features to a table [frames, columns], in straight lines from place to place."""
    at, rows = _warped(frames, points), np.arange(frames)
    curves = [np.interp(rows, at, features[c * points:(c + 1) * points]) for c in range(conditions)]
    latent = np.broadcast_to(features[conditions * points:-1], (frames, len(features) - 1 - conditions * points))
    return np.concatenate((np.stack(curves, 1), latent), 1)


class Generator:
    """The generator of a loaded model. Raises ``ModelError`` for one that has none, or one that cannot be used."""

    def __init__(self, model):
        self.card = model.card.get("generator")
        if not self.card:
            raise ModelError(f"{model.path}: has no generator of gestures; models that `neurorack train` makes of at least 12 clips have one")
        self.tensors = {name: np.array(model.tensor(PREFIX + name), np.float64) for name in TENSORS}
        self.inputs = model.card["inputs"]
        self.columns = [entry["name"] for entry in self.inputs]
        self.conditions = described(self.columns)
        self.hop_seconds = model.card["hop_frames"] / model.card["sample_rate_hz"]
        if not (self._told() and self._fits()):
            raise ModelError(f"{model.path}: its generator is broken; export it again")

    def _told(self) -> bool:
        """Does the card say what is needed, within what can be used?"""
        if not isinstance(self.card, dict) or self.columns[:1] != ["loudness"]:
            return False
        told = [self.card.get(key) for key in ("points", "shortest", "longest", "apart")]
        if not all(type(value) in (int, float) for value in told):
            return False
        points, shortest, longest, apart = told
        pitch = self.inputs[self.columns.index("pitch")] if "pitch" in self.columns else {"low": 0, "high": 0}
        return (type(points) is int and 2 <= points <= MOST_PLACES and 0 < shortest <= longest <= LONGEST_SECONDS and 0 <= apart < np.inf
                and all(type(pitch.get(key)) in (int, float) for key in ("low", "high")))

    def _fits(self) -> bool:
        """Are all tensors finite and of shapes that belong together?"""
        shapes = {name: tensor.shape for name, tensor in self.tensors.items()}
        if {len(shapes[name]) for name in ("basis", "posterior_mean", "encoder.0.weight", "decoder.0.weight")} != {2}:
            return False
        features = self.conditions * self.card["points"] + len(self.columns) - self.conditions + 1
        components, (clips, size) = shapes["basis"][0], shapes["posterior_mean"]
        wanted = {"mean": (features,), "scale": (features,), "basis": (components, features), "posterior_mean": (clips, size),
                  "posterior_deviation": (clips, size)}
        for net, ins, outs in (("encoder", components, 2 * size), ("decoder", size, components)):
            hidden = shapes[f"{net}.0.weight"][0]
            wanted |= {f"{net}.0.weight": (hidden, ins), f"{net}.0.bias": (hidden,), f"{net}.2.weight": (outs, hidden), f"{net}.2.bias": (outs,)}
        return bool(shapes == wanted and clips and all(np.isfinite(tensor).all() for tensor in self.tensors.values()) and (self.tensors["scale"] > 0).all())

    def _layers(self, x, name: str) -> np.ndarray:
        """A network of two layers."""
        t = self.tensors
        return np.tanh(x @ t[f"{name}.0.weight"].T + t[f"{name}.0.bias"]) @ t[f"{name}.2.weight"].T + t[f"{name}.2.bias"]

    def features(self, table) -> np.ndarray:
        """What tells a gesture."""
        return features_of(table, self.conditions, self.hop_seconds, self.card["points"])

    def components(self, table) -> np.ndarray:
        """A gesture's principal components."""
        return (self.features(table) - self.tensors["mean"]) * self.tensors["scale"] @ self.tensors["basis"].T

    def decoded(self, place) -> np.ndarray:
        """The features at a place."""
        return self._layers(place, "decoder") @ self.tensors["basis"] / self.tensors["scale"] + self.tensors["mean"]

    def place(self, table) -> np.ndarray:
        """Where a gesture stands among the generator's few numbers."""
        return self._layers(self.components(table), "encoder")[:self.tensors["posterior_mean"].shape[1]]

    def drawn(self, rng) -> np.ndarray:
        """A place drawn as the training clips' lie: near one of them (a kernel density of their posterior)."""
        k = rng.integers(len(self.tensors["posterior_mean"]))
        mean, deviation = self.tensors["posterior_mean"][k], self.tensors["posterior_deviation"][k]
        return mean + np.hypot(deviation, SPREAD) * rng.standard_normal(len(mean))

    def table(self, place, nearest=None, kept=None) -> np.ndarray:
        """The gesture at a place, ready to play.

        nearest: a gesture whose fine structure, beyond the places, is added (vibrato, beats: it is not learned); kept: features
        to add, what the generator cannot tell of a gesture that this one shall resemble.
        """
        features = self.decoded(place) + (0 if kept is None else kept)
        seconds = np.clip(2.0 ** features[-1], self.card["shortest"], self.card["longest"])
        made = table_of(features, self.conditions, max(8, round(seconds / self.hop_seconds)), self.card["points"])
        if nearest is not None:
            made[:, :self.conditions] += self._detail(nearest, len(made))
        made[:, 0] = np.clip(made[:, 0], *LOUDNESS_LIMITS)
        if "pitch" in self.columns:      # in tune, whatever was learned
            column = self.columns.index("pitch")
            made[:, column] -= weighted_median(made[:, column], 10 ** (1.5 * made[:, 0]))
        for column, entry in enumerate(self.inputs[1:], 1):
            limit = UNIT_LIMIT if column < self.conditions else LATENT_LIMIT
            limits = (entry["low"], entry["high"]) if self.columns[column] == "pitch" else (-limit, limit)
            made[:, column] = np.clip(made[:, column], *limits)
        return end_softly(made, self.inputs[0].get("rest", -1.5), self.conditions, self.hop_seconds)

    def _detail(self, table, frames: int) -> np.ndarray:
        """What a gesture has beyond its places, [frames, conditions]; where it is shorter, to and fro."""
        heard = max(8, int(np.flatnonzero(table[:, 0] > -1)[-1:].sum()) + 1)
        table = np.asarray(table[:heard], np.float64)
        smooth = table_of(features_of(table, self.conditions, self.hop_seconds, self.card["points"]), self.conditions, len(table), self.card["points"])
        detail = (table - smooth)[:, :self.conditions]
        turn = np.concatenate((np.arange(len(detail)), np.arange(len(detail))[::-1]))
        return np.clip(detail, -0.25, 0.25)[np.resize(turn, frames)]

    def sustain(self, table) -> list[int] | None:
        """Where it can be held; None for a model without pitch."""
        levels = physical_levels(table[:-1], self.inputs)
        if "pitch" not in self.columns or not levels:
            return None
        return sustain_region(levels[0], table[:-1, self.columns.index("pitch")], levels[1], self.hop_seconds)

    def new(self, rng, known: list, like=None, distance: float = 1.0) -> np.ndarray:
        """A gesture unlike those known (tables), or, at a distance from 0 (the same) to 1 (as if by itself), like one of them."""
        places = np.stack([self.components(table) for table in known]) if known else np.zeros((0, len(self.tensors["basis"])))
        best, best_distance = None, -1.0
        for _ in range(TRIES):
            place, kept, nearest = self.drawn(rng), None, like
            if like is not None:
                start = self.place(like)
                place = start + distance * (place - start)
                kept = (1 - distance) * (self.features(like) - self.decoded(start))
            elif known:
                apart = np.linalg.norm(places - self._layers(place, "decoder"), axis=1)
                nearest = known[int(apart.argmin())]
            made = self.table(place, nearest, kept)
            apart = np.linalg.norm(places - self.components(made), axis=1).min(initial=np.inf)
            if apart > best_distance:
                best, best_distance = made, apart
            if best_distance >= NEAREST_SHARE * self.card["apart"] * (distance if like is not None else 1.0):
                break
        return best


def own_gestures(model) -> tuple[dict, Gestures]:
    """Name -> table, of the model's file and of those beside it. Raises ``ModelError`` where the latter cannot be used."""
    beside, problem = load_gestures(model.path, len(model.card["inputs"]))
    if problem:
        raise ModelError(f"{problem}, or remove that file")
    return {g.get("name", "?"): table for g, table in zip(model.card.get("gestures", []), file_gestures(model))}, beside


def generate_gestures(model_path, count: int, seed: int | None = None, like: str | None = None, distance: float = 0.5) -> list[str]:
    """Make new gestures and keep them beside the model; returns their names.

    seed: the same gives the same gestures for a model with the same gestures (default: how many it has). like: the name of a gesture
    they shall resemble, distance 0 to 1. Raises ``ModelError``.
    """
    from neurorack.importer.players import load_model

    if not 1 <= count <= MOST_AT_ONCE:
        raise ModelError(f"{count} gestures; 1 to {MOST_AT_ONCE} can be made at once")
    if not 0 <= distance <= 1:
        raise ModelError(f"distance is {distance:g}; it must lie from 0 (the same) to 1 (as if by itself)")
    if seed is not None and seed < 0:
        raise ModelError(f"seed is {seed}; it must be 0 or more")
    model = load_model(model_path)
    with changing(model_path):
        return _generated(model, model_path, count, seed, like, distance)


def _generated(model, model_path, count: int, seed: int | None, like: str | None, distance: float) -> list[str]:
    generator, (own, beside) = Generator(model), own_gestures(model)
    everything = {**own, **beside}
    if like is not None and like not in everything:
        raise ModelError(f"{model_path}: has no gesture {like!r}; it has {', '.join(everything) or 'none'}")
    if len(beside) + count > MOST_GESTURES:
        raise ModelError(f"{model_path}: has {len(beside)} gestures beside it, {MOST_GESTURES} at most; remove some first (--remove)")
    rng = np.random.default_rng([len(beside), 7] if seed is None else [seed, 11])
    names = []
    for _ in range(count):
        table = generator.new(rng, list(everything.values()), everything.get(like), distance)
        stem = f"like {like}"[:32] if like else "new"
        name = next(f"{stem} {k}" for k in range(1, MOST_GESTURES + len(own) + 2) if f"{stem} {k}" not in everything)
        everything[name] = beside[name] = table
        names.append(name)
        if rows := generator.sustain(table):
            beside.sustain[name] = rows
    save_gestures(model_path, beside)
    return names


def remove_gesture(model_path, name: str) -> int:
    """Take one of the gestures kept beside a model away, or "all"; returns how many went. Raises ``ModelError``."""
    from neurorack.importer.players import load_model

    model = load_model(model_path)
    with changing(model_path):
        own, beside = own_gestures(model)
        gone = list(beside) if name == "all" else [name]
        if name != "all" and name not in beside:
            kind = "is in its file and stays" if name in own else "is none of its gestures"
            raise ModelError(f"{model_path}: {name!r} {kind}; those that can go: {', '.join(beside) or 'none'}")
        for one in gone:
            del beside[one]
        save_gestures(model_path, beside)
    return len(gone)

"""A model file taken apart: its programs and tensors, to find units in, to cut and to write again."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np

from ..engine import Model, store, stored
from ..engine.model import FORMAT, program_of
from .cut import begin, cut_listing, gone_classes
from .labels import Labels
from .units import Group, cut_tensors, found

LAB = "decoder."            # what the lab's trained tensors are named with; all others in its programs are tables
NARROW = ("F16", "BF16", "I8")
PRODUCTS = ("conv1d", "conv_transpose1d")
LEAST_BANDS = 4
MOST_LIKENESS = 0.02        # cosine of the angle between two filters of a bank


class Parts:
    """``card``, ``generators``, ``listings`` ((method, block) to ``Listing``) and ``tensors`` (name to array) of a model file.

    The tensors are float32 here; ``save`` writes each in the kind it had in the file. Change what you like before.
    """

    def __init__(self, path):
        model, file = Model.load(path), store.Store(path)
        data = json.loads(file.metadata["neurorack"])
        self.path, self.card, self.generators = Path(path), data["card"], data.get("generators", {})
        self.metadata = {key: text for key, text in file.metadata.items() if key != "neurorack"}
        self.methods = {name: {k: v for k, v in method.items() if k != "programs"} for name, method in data["methods"].items()}
        self.listings = {(name, block): model.listing(name, block) for name, method in model.methods.items() for block in method.blocks}
        self.tensors = {name: np.array(file.array(name)) for name in file.shapes}
        self.narrow = {name: file.stored(name) for name, dtype in file.dtypes.items() if dtype in NARROW}
        self.twins = self._name_layers()

    def _name_layers(self) -> dict[str, str]:
        """A program knows equal tensors by one name. Of the lab's: tables that are a layer's tensor in another shape get its name;
        returns the tensors that no program uses, with the one each is equal to."""
        layers, played = {}, self.played()
        for name in sorted(self.tensors, key=lambda name: name not in played):
            if name.startswith(LAB):
                layers.setdefault(self.tensors[name].tobytes(), name)
        for one in self.listings.values():
            for buffer in one.buffers:
                if buffer.tensor is not None and not buffer.tensor.startswith(LAB) and np.ptp(self.tensors[buffer.tensor]) > 0:
                    buffer.tensor = layers.get(self.tensors[buffer.tensor].tobytes(), buffer.tensor)
        now = self.played()
        self.tensors = {name: array for name, array in self.tensors.items() if name not in played - now}
        return {name: layers[array.tobytes()] for name, array in self.tensors.items() if name.startswith(LAB) and name not in now
                and self.tensors[layers[array.tobytes()]].shape == array.shape and layers[array.tobytes()] in now}

    def played(self) -> set[str]:
        """Names of the tensors that some program uses."""
        return {b.tensor for one in self.listings.values() for b in one.buffers if b.tensor is not None}

    def fixed(self) -> set[str]:
        """Names of tensors that programs use and that are no trained layers: tables of the lab; filter banks and transforms elsewhere."""
        played = self.played()
        if any(name.startswith(LAB) for name in played):
            return {name for name in played if not name.startswith(LAB)}
        return {name for one in self.listings.values() for name in orthogonal(one, self.tensors)}

    def labels(self, every_block=True) -> tuple[list, Labels]:
        """Keys of the listings that use trained tensors, and their labels; of each method's shortest block where not of every one."""
        fixed, keys = self.fixed(), []
        for key, one in sorted(self.listings.items()):
            free = any(b.tensor is not None and b.tensor not in fixed for b in one.buffers)
            if free and (every_block or key[0] not in [name for name, _ in keys]):
                keys.append(key)
        return keys, Labels([self.listings[key] for key in keys], self.shapes, fixed)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: array.shape for name, array in self.tensors.items()}

    def find(self) -> list[Group]:
        """The groups of units of all methods together (``units.find``)."""
        keys, labels = self.labels(every_block=False)
        return found(labels)

    def cut(self, removed) -> Parts:
        """The same model without some units. TrimError where they are not whole units of this model."""
        keys, labels = self.labels()
        gone = gone_classes(labels, removed)
        left = copy.copy(self)
        left.listings, begun = dict(self.listings), {}
        for k, key in enumerate(keys):
            left.listings[key] = cut_listing(labels, k, gone, begun)
        left.tensors = cut_tensors(self.tensors, removed) | begin(begun, self.tensors)
        for name in {old for old, _ in begun.values()} - left.played():
            del left.tensors[name]
        left.tensors |= {name: left.tensors[twin] for name, twin in self.twins.items()}
        return left

    def program(self, method: str, block_frames: int):
        """One program, ready to run; with no file between."""
        return program_of(self.listings[method, block_frames], self)

    def save(self, path) -> Model:
        """Write the file, whole or not at all, and load it back."""
        methods = {name: {**method, "programs": {str(block): one.json() for (own, block), one in sorted(self.listings.items()) if own == name}}
                   for name, method in self.methods.items()}
        data = {"format": FORMAT, "card": self.card, "generators": self.generators, "methods": methods}
        text = json.dumps(data, separators=(",", ":"), allow_nan=False)
        store.write(path, {name: self._kept(name) for name in self.tensors}, {**self.metadata, "neurorack": text})
        return Model.load(path)

    def _kept(self, name):
        """A tensor as the file had it: half precision, bfloat16, or int8 along its channel."""
        array, was = self.tensors[name], self.narrow.get(name)
        if was is None:
            return array
        if was.dtype == "I8":
            return stored.int8(array, int(np.argmax(was.scale.shape)))
        return stored.bf16(array) if was.dtype == "BF16" else array.astype(np.float16)


def cut_model(model, removed, path, card=None) -> Model:
    """Write a model (a path, or ``Parts``) without some units to ``path``; ``card`` takes the place of its card. Returns the new one."""
    left = (model if isinstance(model, Parts) else Parts(model)).cut(removed)
    if card is not None:
        left.card = card
    return left.save(path)


def orthogonal(listing, tensors) -> set[str]:
    """Weights of a program whose filters are orthogonal and equally strong: a filter bank or a transform, no trained layer.

    What lies between the bands of a bank cannot be taken out band by band without a hole in the spectrum.
    """
    banks = set()
    for call in listing.calls:
        view = call.views[1] if call.op in PRODUCTS else None
        name = view and listing.buffers[view.buffer].tensor
        if name is None:
            continue
        weight = tensors[name].reshape(-1)
        weight = np.lib.stride_tricks.as_strided(weight[view.offset:], view.shape, [weight.itemsize * s for s in view.strides])
        for axis in (1, 2) if weight.shape[0] > 1 or weight.shape[1] != weight.shape[2] else ():      # a rotation of latents may lose some
            filters = np.moveaxis(weight, axis, 0)
            if all(_is_bank(some.reshape(len(some), -1).astype(float)) for some in (filters[:2 * LEAST_BANDS], filters)):      # few tell most apart
                banks.add(name)
    return banks


def _is_bank(filters) -> bool:
    norms = np.linalg.norm(filters, axis=1)
    filters, norms = filters[norms > 1e-6 * norms.max()], norms[norms > 1e-6 * norms.max()]     # a transform's sine of frequency 0
    if not LEAST_BANDS <= len(filters) <= filters.shape[1] or norms.min() < 0.5 * norms.max():
        return False
    likeness = (filters / norms[:, None]) @ (filters / norms[:, None]).T
    return np.abs(likeness - np.eye(len(filters))).max() < MOST_LIKENESS

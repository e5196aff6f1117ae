"""A trained model with its weights kept narrower: which are, what it costs, and that the lab still opens it."""

import numpy as np
import pytest

pytest.importorskip("torch")

from neurorack import library
from neurorack.engine import Model, store
from neurorack.errors import ModelError
from neurorack.lab import engines
from neurorack.trim.weights import cost, outputs, with_weights

PARENT = library.FACTORY / "impacts" / "impacts.safetensors"


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    return {kind: (folder / kind, with_weights(PARENT, folder / kind, kind, {"parent": "impacts"})) for kind in ("bf16", "int8")}


def test_the_decoder_s_weights_are_kept_narrower_and_nothing_else(kept):
    parent = Model.load(PARENT)
    for kind, dtype in (("bf16", "BF16"), ("int8", "I8")):
        path, told = kept[kind]
        model = Model.load(path)
        changed = {name for name in parent.shapes if model.stored(name).dtype != parent.stored(name).dtype}
        assert told.weights == len(changed) and told.bytes_after == path.stat().st_size < told.bytes_before == PARENT.stat().st_size
        assert changed and all(name.startswith("decoder.") and name.endswith(".weight") and model.stored(name).dtype == dtype for name in changed)
        for name in parent.shapes.keys() - changed:
            np.testing.assert_array_equal(model.tensor(name).view(np.uint32), parent.tensor(name).view(np.uint32))
        assert model.card["weights"] == {"kind": kind, "parent": "impacts"}
        assert {k: v for k, v in model.card.items() if k != "weights"} == parent.card


def test_what_it_costs(kept):
    """bfloat16's relative error is about 2^-9 / sqrt(3) a weight, 59 dB below; errors of some layers add up."""
    parent = Model.load(PARENT)
    near, far = (cost(parent, Model.load(kept[kind][0]), "decode", 6) for kind in ("bf16", "int8"))
    assert near.snr_db > 40 and near.distance_db < 0.3 and abs(near.loudness_db) < 0.1
    assert 25 < far.snr_db < near.snr_db and far.distance_db < 1


def test_the_lab_opens_it(kept):
    for path, _ in kept.values():
        model = Model.load(path)
        state = engines.of_model(model).state_dict()
        for name in ("net.trunk.0.weight", "head.weight"):
            np.testing.assert_array_equal(state[name].numpy(), model.tensor("decoder." + name))


def test_back_to_float32_and_twice_the_same(kept, tmp_path):
    for kind, (path, _) in kept.items():
        assert with_weights(path, tmp_path / "twice", kind).weights == 0
        wide = with_weights(path, tmp_path / "wide", "float32")
        assert wide.weights == kept[kind][1].weights and wide.bytes_after > kept[kind][1].bytes_after
        file, narrow = store.Store(tmp_path / "wide"), store.Store(path)
        assert not {"BF16", "I8"} & set(file.dtypes.values())
        for name in narrow.shapes:
            np.testing.assert_array_equal(file.array(name), narrow.array(name))


def test_only_weights_of_products_count():
    model = Model.load(PARENT)
    found = outputs(model)
    assert found["decoder.net.trunk.0.weight"] == 0 and "decoder.net.trunk.0.bias" not in found
    with pytest.raises(ModelError, match="bf16, int8"):
        with_weights(PARENT, PARENT.with_name("never"), "int4")
    assert not PARENT.with_name("never").exists()

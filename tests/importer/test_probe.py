"""Probing: the nn~ contract, and the habits of real files that bend it."""

import json
import re

import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from neurorack.errors import ModelError  # noqa: E402
from neurorack.importer.archive import open_archive  # noqa: E402
from neurorack.importer.probe import Attribute, MethodSpec, probe  # noqa: E402
from tests import zoo  # noqa: E402
from tests.importer.archives import save  # noqa: E402
from tests.zoo.broken import BROKEN, touched  # noqa: E402


class Base(nn.Module):
    """A bare decode; the tests add to it what a file may hold. Attributes given by name become the module's."""

    def __init__(self, **more):
        super().__init__()
        for name, value in more.items():
            if isinstance(value, torch.Tensor):
                self.register_buffer(name, value)
            else:
                setattr(self, name, value)

    @torch.jit.export
    def decode(self, x: torch.Tensor) -> torch.Tensor:
        return x.repeat_interleave(512, -1)[:, :1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


PARAMS = torch.tensor([8, 512, 1, 1])


def found(tmp_path, module):
    return probe(open_archive(save(module, tmp_path / "probed.ts")))


def refusal(tmp_path, module) -> str:
    with pytest.raises(ModelError) as caught:
        found(tmp_path, module)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_family_declares_what_it_is():
    for name in ("v1", "v2_prior", "v3", "gain", "table", "nsf", "ddsp"):
        family, result = zoo.FAMILIES[name], probe(open_archive(zoo.path(name)))
        numbers = {method: (spec.in_channels, spec.in_ratio, spec.out_channels, spec.out_ratio) for method,
                   spec in result.methods.items()}
        assert numbers == family.methods, name
        assert result.granularity_frames == family.ratio
        assert result.sample_rate_hz in (family.sample_rate, None)
        assert {attribute: result.attributes[attribute].value[0] for attribute in family.attributes} == family.attributes
        json.dumps(result.to_json(), allow_nan=False)
    assert probe(open_archive(zoo.path("v3"))).attributes["learn_target"] == Attribute(["bool"], [False], True)
    assert probe(open_archive(zoo.path("v1"))).cache_rows == 64


def test_files_without_get_methods(tmp_path):
    """Methods are those with a tensor of their name; attributes that look like methods (four entries) are none."""
    result = found(tmp_path, Base(decode_params=PARAMS, mix=(0.0, 0.0, 1.0, 1.0), mix_params=torch.tensor([2, 2, 2, 2]),
                                  sampling_rate=torch.tensor(44100),
                                  latent_size=8, forward_params=torch.tensor([1, 1, 1, 1])))
    assert list(result.methods) == ["decode", "forward"]
    assert result.methods["decode"] == MethodSpec(8, 512, 1, 1)
    assert (result.sample_rate_hz, result.sample_rate_from, result.granularity_frames) == (44100, "sampling_rate", 512)
    assert result.attributes == {"mix": Attribute(["float"] * 4, [0.0, 0.0, 1.0, 1.0])}
    assert result.latent_size == 8


class Contract(Base):
    """All of the contract, some of it odd."""

    @torch.jit.export
    def get_methods(self) -> list[str]:
        return ["decode", "lost", "decode"]

    @torch.jit.export
    def get_attributes(self) -> list[str]:
        return ["none", "level", "pair", "name", "table", "odd", "nothing"]

    @torch.jit.export
    def get_level(self) -> float:
        return 0.5

    @torch.jit.export
    def set_level(self, value: float) -> int:
        return -1

    @torch.jit.export
    def get_pair(self) -> tuple[bool, int]:
        return True, 7

    @torch.jit.export
    def get_name(self) -> tuple[str]:
        return ("brass",)

    @torch.jit.export
    def get_table(self) -> torch.Tensor:
        return torch.arange(3.0)

    @torch.jit.export
    def get_nothing(self) -> list[int]:
        raise ValueError("not yet")

    @torch.jit.export
    def get_sample_rate(self) -> int:
        return -1

    @torch.jit.export
    def set_sample_rate(self, rate: int) -> int:
        return 0

    @torch.jit.export
    def set_stereo_mode(self, on: bool) -> int:
        return 0

    @torch.jit.export
    def get_buffer_attributes(self) -> list[str]:
        return ["none", "sample"]


def test_the_whole_contract(tmp_path):
    tables = {"level_params": torch.tensor([2]), "pair_params": torch.tensor([0, 1]), "name_params": torch.tensor([3]),
              "table_params": torch.tensor([4]),
              "odd_params": torch.tensor([9]), "nothing_params": torch.tensor([1])}
    result = found(tmp_path, Contract(decode_params=PARAMS, decode_input_labels=[f"z{i}" for i in range(8)],
                                      decode_output_labels=["mono", "extra"],
                                      sr=48000, full_latent_size=16, **tables))
    assert list(result.methods) == ["decode"]
    assert result.methods["decode"].in_labels == [f"z{i}" for i in range(8)]
    assert result.methods["decode"].out_labels is None
    assert result.attributes == {"level": Attribute(["float"], [0.5], True), "pair": Attribute(["bool", "int"], [True, 7]),
                                 "name": Attribute(["str"], ["brass"]), "table": Attribute(["tensor"], [[0.0, 1.0, 2.0]]),
                                 "nothing": Attribute(["int"], None)}
    assert (result.sample_rate_hz, result.sample_rate_from) == (48000, "sr")
    assert result.takes_sample_rate and result.stereo_mode and result.buffers == ["sample"] and result.full_latent_size == 16
    notes = " ".join(result.notes)
    for word in ("lost", "decode_output_labels", "odd", "not yet"):
        assert word in notes
    json.dumps(result.to_json(), allow_nan=False)


@pytest.mark.parametrize("rate, expected", [({"sr": 44100}, 44100), ({"sr": -1}, None), ({"sr": 0}, None),
                                            ({"sampling_rate": torch.tensor([24000])}, 24000),
                                            ({"sample_rate": 48000.0}, 48000), ({"sr": "fast"}, None), ({"sr": 44100.5}, None),
                                            ({}, None),
                                            ({"sr": -1, "sampling_rate": torch.tensor(32000)}, 32000)])
def test_every_place_of_the_sample_rate(tmp_path, rate, expected):
    assert found(tmp_path, Base(decode_params=PARAMS, **rate)).sample_rate_hz == expected


def test_the_rate_of_an_inner_module_is_the_last_resort(tmp_path):
    result = found(tmp_path, Base(decode_params=PARAMS, net=Base(sampling_rate=torch.tensor(44100))))
    assert (result.sample_rate_hz, result.sample_rate_from) == (44100, "net.sampling_rate")
    assert found(tmp_path, Base(decode_params=PARAMS, sr=48000,
                                net=Base(sampling_rate=torch.tensor(24000)))).sample_rate_hz == 48000


@pytest.mark.parametrize("params, words", [
    (torch.tensor([8, 512, 1]), "four whole numbers"), (torch.tensor([8, 512, 1, 0]), "ratios"),
    (torch.tensor([8, 512, -1, 1]), "channels"),
    (torch.tensor([8.5, 512, 1, 1]), "four whole numbers"), (torch.tensor([[8, 512], [1, 1]]), "four whole numbers"),
    ("8,512,1,1", "four whole numbers"),
    (7, "four whole numbers"), (torch.tensor([8, 2**40, 1, 1]), "ratios"), (torch.tensor([100_000, 512, 1, 1]), "channels"),
    (torch.tensor([float("nan")] * 4), "four whole numbers"), (torch.zeros(0), "four whole numbers"),
    (torch.zeros(1000), "four whole numbers"),
])
def test_wrong_params_are_named(tmp_path, params, words):
    line = refusal(tmp_path, Base(decode_params=params))
    assert "decode_params" in line and words in line


def test_params_written_as_floats_and_longer_ones_are_taken(tmp_path):
    for params in (PARAMS.float(), torch.cat([PARAMS, torch.tensor([7, 7])]), PARAMS.int()):
        assert found(tmp_path, Base(decode_params=params)).methods["decode"] == MethodSpec(8, 512, 1, 1)


def test_ratios_that_share_no_multiple_take_the_least_common_one(tmp_path):
    assert found(tmp_path, Base(decode_params=torch.tensor([8, 384, 1, 1]),
                                forward_params=torch.tensor([1, 1, 4, 512]))).granularity_frames == 1536


class Failing(Base):
    @torch.jit.export
    def get_methods(self) -> list[str]:
        raise ValueError("broken")


class Endless(Base):
    @torch.jit.export
    def get_methods(self) -> list[str]:
        n = 0
        while n >= 0:
            n += 1
        return ["decode"]


def test_get_methods_that_fails_or_never_ends_is_passed_by(tmp_path):
    for kind, word in ((Failing, "broken"), (Endless, "in one call|for one call")):
        result = found(tmp_path, kind(decode_params=PARAMS))
        assert list(result.methods) == ["decode"]
        assert any(re.search(word, note) for note in result.notes)


def test_files_without_anything_to_play(tmp_path):
    assert "no method to play" in refusal(tmp_path, Base())
    assert "get_methods" in refusal(tmp_path, Base())


@pytest.mark.parametrize("name", ["no_methods", "params_missing", "params_text", "params_short", "params_zero", "params_negative",
                                  "params_huge",
                                  "html", "truncated", "flipped_byte", "pickle_payload", "archive_payload", "directory",
                                  "huge_view"])
def test_broken_files_are_refused_in_one_line(tmp_path, name):
    path = tmp_path / f"{name}.ts"
    BROKEN[name](path)
    with pytest.raises(ModelError) as caught:
        probe(open_archive(path))
    assert "\n" not in str(caught.value) and 20 < len(str(caught.value)) < 400
    assert not touched(path).exists()


def test_a_probe_is_a_value(tmp_path):
    """Equal files give equal probes, whatever the name of the file."""
    one = found(tmp_path, Base(decode_params=PARAMS))
    (tmp_path / "probed.ts").rename(tmp_path / "other.ts")
    assert probe(open_archive(tmp_path / "other.ts")) == one

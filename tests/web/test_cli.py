"""The page's part of ``neurorack ctl``, as typed."""

import argparse

import pytest

from neurorack import control_cli
from neurorack.desk.cables import Cables
from neurorack.errors import NeurorackError
from neurorack.web import cli
from tests.inputs.test_hands import Wires


def typed(line: str) -> dict | None:
    parser = argparse.ArgumentParser()
    control_cli.register(parser.add_subparsers())
    return cli.read(parser.parse_args(["ctl", *line.split()]))


def test_requests_as_they_are_typed():
    assert typed("cable cv1 lfo rate_hz=0.5 shape=saw") == {"do": "cable", "jack": "cv1", "from": {"kind": "lfo", "rate_hz": 0.5, "shape": "saw"}}
    assert typed("cable cv1 sequencer volts=[0,1,-2.5]")["from"]["volts"] == [0, 1, -2.5]
    assert typed("cable gate1 clock vary=on")["from"] == {"kind": "clock", "vary": "on"}
    assert typed("cable cv1 none") == {"do": "cable", "jack": "cv1", "from": None}
    assert typed("gate gate1 high") == {"do": "gate", "jack": "gate1", "high": True} and typed("key 60 up") == {"do": "key", "note": 60, "high": False}
    assert typed("unpair all") is None, "its fields are the request's"
    with pytest.raises(NeurorackError, match="is no field"):
        typed("cable cv1 lfo 0.5")


def test_answers_for_a_person():
    cables = Cables(Wires())
    cables.plug("cv1", {"kind": "voltage", "volts": 2})
    cables.turn("cv2", -1.5)
    assert cli.page(cables.told()).splitlines()[:2] == ["cv1    voltage volts=2.0", "cv2    -1.50 V by hand"]
    assert cli.page({"simulated": False, "why": "real jacks"}) == "real jacks"
    assert cli.page({"code": "123456", "until_s": 60.0, "asked_by": "10.0.0.2", "pause_s": 0}).startswith("123456") and cli.page({"ok": True}) is None
    assert cli.page({"paired": []}) == "no browser is paired" and cli.page({"lines": ["a", "b"]}) == "a\nb"

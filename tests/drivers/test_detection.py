"""Which board this machine is, and board files that cannot be right."""

import copy

import pytest
import yaml

from neurorack.drivers import board as boards
from neurorack.errors import BoardError
from tests.drivers.conftest import Program


def detect(model, folder):
    from pathlib import Path

    path = Path(folder) / "model"
    path.write_bytes(model.encode() + b"\0")
    boards.MODEL = path
    return boards.detect()


@pytest.fixture
def detected(bench, tmp_path):
    """``detected(model, board whose chips are there, what is changed on it)``."""
    made = []

    def ask(model, name, change=lambda sim: None):
        b = bench(name)
        change(b.sim)
        made.append(Program(b.wires.environment()))
        return made[-1].run(detect, model, str(tmp_path))
    yield ask
    for program in made:
        program.close()


@pytest.mark.parametrize("model, name", [("Raspberry Pi 4 Model B Rev 1.4", "pi"), ("Raspberry Pi 5 Model B Rev 1.0", "pi"),
                                         ("Raspberry Pi 5 Model B Rev 1.0", "pi-ads1115"), ("NVIDIA Jetson Nano Developer Kit", "classic")])
def test_a_machine_with_its_chips_is_that_board(detected, model, name):
    assert detected(model, name) == (name, None)


def test_one_of_two_chips_is_enough(detected):
    assert detected("NVIDIA Jetson Nano Developer Kit", "classic", lambda sim: setattr(sim.board.chip[0], "absent", 1)) == ("classic", None)


def test_a_bare_pi_is_a_desk_and_says_what_was_looked_for(detected):
    name, warning = detected("Raspberry Pi 4 Model B Rev 1.4", "pi", lambda sim: setattr(sim.board.chip[0], "absent", 1))
    assert name == "desk" and "Raspberry Pi 4" in warning and "MCP3208 at spidev0.0" in warning and "ADS1115 at 0x48" in warning


def test_another_machine_is_a_desk(detected):
    assert detected("ASUS Tinker Board", "pi") == boards.detect()
    assert boards.detect()[0] == "desk"


@pytest.mark.parametrize("name", ["pi", "pi-ads1115", "classic"])
def test_a_board_file_that_lacks_something_says_what(name, tmp_path):
    good = yaml.safe_load((boards.HARDWARE / f"{name}.yaml").read_text())
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(good))
    assert boards.load(str(path))["name"] == "mine"

    def without(*keys):
        bad = copy.deepcopy(good)
        place = bad
        for key in keys[:-1]:
            place = place[key]
        del place[keys[-1]]
        return bad
    for keys in (("cv", "scan_hz"), ("cv", "zero_volts"), ("gates", "rise_volts"), ("converters",), ("gpio",),
                 ("converters", 0, "inputs"), ("converters", 0, "speed_hz")):
        path.write_text(yaml.safe_dump(without(*keys)))
        with pytest.raises(BoardError, match=str(keys[-1])):
            boards.load(str(path))
    bad = copy.deepcopy(good)
    bad["converters"][0]["chip"] = "ads9999"
    path.write_text(yaml.safe_dump(bad))
    with pytest.raises(BoardError, match="ads9999.*mcp3208"):
        boards.load(str(path))

"""``neurorack complexity`` as a user types it."""

import json
import subprocess
import sys
import xml.etree.ElementTree

import pytest
from PIL import Image

from neurorack import cli
from neurorack.complexity import boards, calibrate, command, energy, report
from neurorack.engine import ModelWriter
from tests.complexity.programs import numbers


def asked(capsys, *words):
    code = cli.main(["complexity", *map(str, words)])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture
def sized(tmp_path):
    """A file of a plain net of a width."""
    def make(width):
        writer = ModelWriter({"name": f"net {width}", "sample_rate_hz": 48000})

        def build(b):
            h = b.conv1d(b.input(), numbers(width, 8, 3), act="leaky_relu", a=0.2)
            for _ in range(3):
                h = b.conv1d(h, numbers(width, width, 3), act="leaky_relu", a=0.2)
            b.output(b.linear(h, numbers(1, width), act="tanh"))

        writer.method("decode", build, blocks=[32], in_channels=8)
        writer.save(tmp_path / f"net{width}.safetensors")
        return tmp_path / f"net{width}.safetensors"

    return make


def test_all_that_is_known_of_a_model(capsys):
    code, out, _ = asked(capsys, "impacts", "--block", 64, "--seconds", 0.05, "--board", "pi4", "--bounds", "--json")
    told = json.loads(out)
    assert code == 0 and told["model"].startswith("impacts") and told["block_frames"] == 64
    assert {"params", "macs", "macs_done", "flops", "read_bytes", "written_bytes", "memory_bytes", "file_bytes"} <= set(told)
    assert sum(layer["macs"] for layer in told["layers"]) == pytest.approx(told["macs"], rel=1e-6)
    assert len(told["operations"]) > len(told["layers"])
    (row,) = told["measured"]
    assert 0 < row["least_us"] and 0 < row["median_us"] <= row["p99_us"]
    assert row["load_median"] == pytest.approx(row["median_us"] / row["block_us"], rel=0.01)
    assert told["boards"][0]["board"] == "pi4" and not told["boards"][0]["measured"]
    assert {bound["board"] for bound in told["bounds"]} >= {"atmega1280", "pi1", "pi4", "cortex-m7"}


def test_the_table_for_a_person(capsys):
    code, out, _ = asked(capsys, "impacts", "--no-measure", "--board", "pi4,pi5", "--bounds")
    lines = out.splitlines()
    assert code == 0
    for word in ("decoder.net.trunk.0", "noise_bands", "oscillators", "together", "memory", "block 1024", "atmega1280"):
        assert word in out, word
    assert any(line.startswith("pi4") and "estimated" in line and " to " in line for line in lines)
    assert not any("\t" in line or len(line) > 170 for line in lines)


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_a_picture(capsys, tmp_path, suffix):
    file = tmp_path / f"impacts.{suffix}"
    assert asked(capsys, "impacts", "--no-measure", "--board", "pi4", "--picture", file)[0] == 0
    if suffix == "svg":
        words = "".join(xml.etree.ElementTree.parse(file).getroot().itertext())
        assert "decoder.net.trunk.0" in words and "time on" in words
    else:
        with Image.open(file) as image:
            assert image.width > 600 and len(image.getcolors(1 << 20)) > 3


def test_models_beside_each_other(capsys, sized):
    code, out, _ = asked(capsys, sized(96), sized(24), "--board", "pi4", "--json")
    first, second = json.loads(out)["compared"]
    assert code == 0 and first["exponent"] is None and first["ratios"]["time"] == 1
    assert second["ratios"]["macs"] == pytest.approx((8 * 3 * 24 + 3 * 3 * 24 ** 2 + 24) / (8 * 3 * 96 + 3 * 3 * 96 ** 2 + 96), rel=1e-3)
    assert second["exponent"] == report.exponent(second["ratios"]["time"], second["ratios"]["macs"]) > 0
    assert 0.5 < second["boards"][0]["exponent"] < 1.2
    assert "exponent" in asked(capsys, sized(96), sized(24), "--board", "pi4")[1]


def test_exponents():
    assert report.exponent(0.1, 0.1) == 1 and report.exponent(0.25, 0.0625) == 0.5 and report.exponent(1.1, 1.0) is None


@pytest.mark.parametrize("words, told", [
    ((), "give a model"), (("nobody",), "no model 'nobody'"), (("impacts", "--board", "pi9"), "board 'pi9'"), (("impacts", "--block", "7"), "blocks of 7"),
    (("impacts", "--method", "sing"), "no method 'sing'"), (("impacts", "--no-measure", "--picture", "a.gif"), "must end with .svg or .png"),
    (("impacts", "--no-measure", "--picture", "/none/a.svg"), "cannot be written"), (("impacts", "--seconds", "0"), "--seconds is 0"),
    (("--calibrate", "--name", "../x"), "--name is '../x'")])
def test_what_cannot_be_done_is_one_line(capsys, words, told):
    code, out, err = asked(capsys, *words)
    assert code == 2 and not out and told in err and err.count("\n") == 1


def test_a_calibration_of_this_machine(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(calibrate, "calibrate", lambda name: {"name": name, "description": "a bench", "seconds": 2.0, "cases": 5,
                                                              "spread": {"fit_median_error": 0.05}})
    code, out, _ = asked(capsys, "--calibrate", "--name", "bench", "--out", tmp_path)
    assert code == 0 and "bench.yaml: a bench, 2 s" in out and (tmp_path / "bench.yaml").exists()


def test_a_machine_that_was_never_calibrated(capsys, monkeypatch):
    monkeypatch.setattr(calibrate, "board_name", lambda: "never-seen")
    out = asked(capsys, "impacts", "--block", 64, "--seconds", 0.05)[1]
    assert "not calibrated: neurorack complexity --calibrate" in out and "pi4" in out


def test_energy_where_nothing_reports_it(capsys, monkeypatch):
    monkeypatch.setattr(energy, "meter", lambda: None)
    assert energy.NOTHING in asked(capsys, "impacts", "--no-measure", "--energy")[1]

    def refuse():
        raise energy.Refused("for root")

    monkeypatch.setattr(energy, "meter", refuse)
    assert "energy     for root" in asked(capsys, "impacts", "--no-measure", "--energy")[1]


def test_energy_where_it_is_reported(capsys, monkeypatch):
    monkeypatch.setattr(energy, "meter", lambda: energy.Powered("test", lambda: 3.0))
    measure = energy.measure
    monkeypatch.setattr(energy, "measure", lambda *given: measure(*given, seconds=0.2))
    told = json.loads(asked(capsys, "impacts", "--no-measure", "--energy", "--json")[1])["energy"]
    assert told["meter"] == "test" and told["joules_per_second"] < 0.001 and told["idle_watts"] == pytest.approx(3.0, rel=0.01)


def test_nothing_of_the_lab_is_needed():
    code = ("import sys; sys.modules['torch'] = sys.modules['scipy'] = None; from neurorack import cli; "
            "sys.exit(cli.main(['complexity', 'impacts', '--no-measure', '--json']))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and json.loads(done.stdout)["macs"] > 1e6, done.stderr


def test_boards_shown_where_none_is_named():
    here, shown = command._boards(None)
    assert {board.name for board in shown} >= {"pi4", "pi5", "jetson"} - ({here.name} if here else set())
    assert {board.name for board in command._boards(["all"])[1]} == set(boards.names())

"""``neurorack models …``: what it prints, as text and as JSON, and its exit codes."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from neurorack import library, models_cli
from neurorack.cli import main
from neurorack.errors import NeurorackError
from tests import models

ROW = {"name", "where", "kind", "file", "bytes", "sample_rate_hz", "hop_frames", "lufs", "verdict", "line", "licence"}
INFO = ROW | {"aliases", "author", "notes", "version", "source_file", "format", "sha256", "channels", "delay_frames", "methods", "inputs", "weights",
              "controls", "gestures", "attributes", "options", "check", "checked_at", "board"}


@pytest.fixture
def run(own, capsys):
    """Run a command; returns (exit code, standard output, standard error)."""

    def run(*arguments):
        code = main(["models", *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def as_json(result):
    return json.loads(result[1])


def test_the_list(run, tone):
    code, text, _ = run("list")
    assert code == 0 and text.splitlines()[0].split() == ["name", "from", "kind", "rate", "hop", "size", "loudness", "verdict"]
    assert any(line.startswith("impacts") and "factory" in line and "native" in line for line in text.splitlines())
    run("add", tone, "--name", "mine", "--licence", "CC0-1.0")
    told = as_json(run("list", "--json"))
    assert set(told) == {"library", "models", "hidden"} and all(set(row) == ROW for row in told["models"])
    mine = next(row for row in told["models"] if row["name"] == "mine")
    assert (mine["where"], mine["kind"], mine["verdict"], mine["licence"]) == ("own", "native", "plays", "CC0-1.0")
    assert mine["line"].startswith("plays: ") and mine["line"] in run("list")[1]


def test_info(run, tone):
    run("add", tone, "--name", "mine", "--author", "Somebody")
    told = as_json(run("info", "mine", "--json"))
    assert set(told) == INFO
    assert told["methods"]["decode"] == {"in_channels": 2, "in_ratio": 64, "out_channels": 1, "out_ratio": 1, "blocks": list(models.BLOCKS)}
    assert told["inputs"] == ["level", "spare"] and told["gestures"] == ["loud", "quiet"] and told["author"] == "Somebody"
    text = run("info", "mine")[1]
    for part in ("author    Somebody", "licence   CC0-1.0", told["sha256"], "48000 Hz, hop 64 frames", "control   level", "verdict   plays: "):
        assert part in text


def test_a_model_without_a_licence_says_so(run, tmp_path):
    models.tone(tmp_path / "bare.safetensors", more={"licence": ""})
    run("add", tmp_path / "bare.safetensors")
    assert "licence   licence not stated" in run("info", "bare")[1] and as_json(run("info", "bare", "--json"))["licence"] is None


def test_check_tells_with_its_exit_code(run, tone, tmp_path, own):
    code, text, _ = run("check", tone)
    assert code == 0 and text.startswith("plays: ")
    verdict = as_json(run("check", tone, "--json"))
    assert verdict["verdict"] == "plays" and verdict["line"] == text.strip()
    (tmp_path / "page.ts").write_text("<!DOCTYPE html><html>404</html>")
    code, text, _ = run("check", tmp_path / "page.ts")
    assert code == 1 and text.startswith("refused: ")
    (tmp_path / "x.ts").mkdir()
    assert run("check", tmp_path / "x.ts")[0] == 1
    code, _, error = run("check", tmp_path / "none.ts")
    assert code == 2 and "there is no model" in error and error.count("\n") == 1
    assert not [path for path in own.glob("*") if not path.name.startswith(".")]


def test_add_remove_restore_rename(run, tone, own):
    code, text, _ = run("add", tone, "--name", "mine")
    assert code == 0 and text.startswith("added mine; plays: ")
    assert "the same file is in the library as mine too" in run("add", tone, "--name", "other")[1]
    code, _, error = run("add", tone, "--name", "mine")
    assert code == 2 and "already" in error
    assert run("rename", "mine", "yours")[1] == "mine is called yours now; patches that say mine still find it\n"
    assert "also found as mine" in run("info", "mine")[1]
    code, text, _ = run("remove", "yours")
    assert code == 0 and "neurorack models restore 'yours'" in text and "yours" not in library.available()
    assert run("restore", "yours")[0] == 0 and library.find("yours") == own / "yours.safetensors"


def test_what_is_refused_is_not_added(run, tmp_path):
    (tmp_path / "page.ts").write_text("<!DOCTYPE html><html>404</html>")
    code, text, _ = run("add", tmp_path / "page.ts")
    assert code == 1 and text.startswith("page.ts was not added; refused: ")
    done = as_json(run("add", tmp_path / "page.ts", "--json"))
    assert done["name"] is None and done["verdict"]["verdict"] == "refused"


@pytest.mark.parametrize("arguments, what", [
    (["remove", "impacts"], "belongs to the factory bank"), (["remove", "../x"], "there is no model '../x'"), (["info", "kazoo"], "there is no model 'kazoo'"),
    (["rename", "impacts", "a/b"], "cannot be called 'a/b'"), (["restore", "kazoo"], "the trash has nothing"), (["add", "none.ts"], "cannot be read"),
    (["set", "impacts", "gain=1"], "has no attributes"), (["set", "impacts", "gain"], "write attribute=value"),
    (["check", "impacts", "--set", "gain"], "write attribute=value"), (["check", "impacts", "--sample-rate", "100"], "--sample-rate is 100; it must lie from 8000 to 192000")])
def test_wrong_use_is_one_line_and_code_2(run, arguments, what):
    code, out, error = run(*arguments)
    assert code == 2 and out == "" and what in error and error.count("\n") == 1


def test_an_unknown_action_is_one_line(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["models", "dance"])
    assert stop.value.code == 2 and capsys.readouterr().err.count("\n") == 1


def test_attributes_are_read_by_their_looks():
    read = models_cli.attributes(["a=true", "b = 3", "c=-0.5", "d=slow", "e=", "f=1,2.5,x", "g=False"])
    assert read == {"a": True, "b": 3, "c": -0.5, "d": "slow", "e": None, "f": [1, 2.5, "x"], "g": False} and read["a"] is True
    with pytest.raises(NeurorackError):
        models_cli.attributes(["=1"])


def test_as_a_program_nothing_heavy_is_imported_for_a_list(own):
    code = "import sys; from neurorack.cli import main; main(['models', 'list']); print([m for m in ('torch', 'sounddevice', 'soundfile', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_a_broken_file_in_the_library_does_not_hide_the_others(run, own, tone):
    (own / "broken.safetensors").write_bytes(b"nonsense" * 10)
    (own / "empty.ts").touch()
    os.mkfifo(own / "pipe.ts")
    shutil.copy(tone, own / "fine.safetensors")
    told = {row["name"]: row for row in as_json(run("list", "--json"))["models"]}
    assert {"broken", "empty", "fine", "impacts"} <= set(told) and "pipe" not in told
    assert told["fine"]["sample_rate_hz"] == 48000 and told["empty"]["kind"] == "unchecked"


def test_weights_makes_a_copy_that_says_what_it_cost(run, own, monkeypatch):
    """Checking the copy is left out here: it is what ``add`` does with any file."""
    from neurorack.engine import Model
    from neurorack.library import changes
    from neurorack.trim import weights

    added, whole_cost = [], weights.cost
    monkeypatch.setattr(weights, "cost", lambda *args: whole_cost(*args, stretches=3))
    monkeypatch.setattr(changes, "add", lambda file, name, replace: added.append((name, replace, Model.load(file))) or {
        "name": name, "verdict": {"line": "plays"}, "same_as": [], "hides_factory": False})
    code, out, err = run("weights", "impacts", "int8")
    assert code == 0 and "added impacts int8: 1.6 MB instead of 2.1 MB; it sounds 0." in out and out.rstrip().endswith("plays")
    told = as_json(run("weights", "impacts", "bf16", "--name", "thin", "--replace", "--json"))
    assert told["name"] == "thin" and told["bytes_after"] < told["bytes_before"] and told["quality"]["snr_db"] > 40
    (first, replace, model), second = added
    assert (first, replace) == ("impacts int8", False) and second[:2] == ("thin", True)
    assert model.card["weights"]["kind"] == "int8" and model.card["weights"]["parent"] == "impacts" and len(model.card["weights"]["parent_sha256"]) == 64
    assert model.stored("decoder.net.trunk.0.weight").dtype == "I8"


def test_weights_of_a_model_without_any(run, tone):
    run("add", tone)
    code, out, err = run("weights", "tone", "bf16")
    assert code == 2 and "has no weights" in err and err.count("\n") == 1

"""What doctor finds and bench measures, as a person and as a program read it."""

import json

import pytest

from neurorack import bench, cli, doctor, library
from tests import models


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Short measurements, and a library of one small model."""
    monkeypatch.setattr(bench, "SECONDS_EACH", 0.05)
    monkeypatch.setattr(doctor, "STALL_TEST_SECONDS", 0.05)
    monkeypatch.setattr(library, "folders", lambda: [tmp_path])
    models.tone(tmp_path / "tone.safetensors")
    return tmp_path


def test_every_finding_that_is_not_ok_names_its_remedy(capsys):
    cli.main(["doctor", "--json"])
    findings = json.loads(capsys.readouterr().out)
    assert {"python", "core", "audio", "scheduling", "cpu governor", "stalls", "board", "model tone", "midi", "disk"} <= {f["name"] for f in findings}
    for f in findings:
        assert set(f) == {"name", "status", "finding", "remedy"} and f["status"] in ("ok", "warn", "fail")
        assert f["finding"] and (f["status"] == "ok" or f["remedy"]), f


def test_a_broken_model_is_found_and_named(quick, capsys):
    (quick / "broken.safetensors").write_bytes(b"<html>not a model</html>")
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "[warn] model broken:" in out and "-> remove the file" in out


def test_no_model_at_all_fails(quick, capsys):
    (quick / "tone.safetensors").unlink()
    assert cli.main(["doctor"]) == 1
    assert "[FAIL] models: there is no model" in capsys.readouterr().out


def test_refused_scheduling_is_told_with_its_remedy(monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(doctor.os, "sched_setscheduler", refuse)
    found = doctor.check_scheduling()[0]
    assert found["status"] == "warn" and "limits.conf" in found["remedy"]


def test_a_sleepy_governor_is_found(monkeypatch, tmp_path):
    folder = tmp_path / "cpu0" / "cpufreq"
    folder.mkdir(parents=True)
    (folder / "scaling_governor").write_text("ondemand\n")
    monkeypatch.setattr(doctor, "Path", lambda place: tmp_path if place == "/sys/devices/system/cpu" else tmp_path / "none")
    found = doctor.check_cpu()[0]
    assert found["status"] == "warn" and "performance" in found["remedy"]


def test_bench_measures_every_block_of_the_model(capsys):
    assert cli.main(["bench", "--json"]) == 2      # the factory model is not in this library
    assert "there is no model 'impacts'" in capsys.readouterr().err
    assert cli.main(["bench", "--model", "tone", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert [row["block_frames"] for row in figures["blocks"]] == list(models.BLOCKS)
    for row in figures["blocks"]:
        assert 0 < row["median_us"] <= row["p99_us"]
        assert row["rtf"] == pytest.approx(row["block_us"] / row["median_us"], rel=0.05)
    assert 0 < figures["shared_memory"]["read_us"] < 1000


def test_bench_for_a_person(capsys):
    assert cli.main(["bench", "--model", "tone"]) == 0
    out = capsys.readouterr().out
    assert "tone on" in out and "load of one core" in out and "one control through shared memory" in out

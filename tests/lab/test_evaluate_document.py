"""The tables and drawings of docs/control.md are those of the figures in benchmarks/results."""

import copy
import json

import pytest

pytest.importorskip("torch")
pytest.importorskip("scipy")

from tools.draw import control


def test_the_document_shows_the_figures_that_are_kept():
    stale = [path.name for path in control.outdated()]
    assert not stale, "run: python -m tools.draw.control"


def test_goals_are_told_reached_or_missed_from_the_figures():
    figures = copy.deepcopy(control.bank()["impacts"])
    figures["control"]["all_five"]["spearman"], figures["log_mel_error_db"] = 0.9, 1.9
    lines = control.goal_table({"impacts": figures}).splitlines()
    assert any("≥ 0.86: 0.9 ✓" in line for line in lines) and any("≤ 1.8: 1.9 ✗" in line for line in lines)
    assert all("not measured" in line for line in lines[2:] if "Spearman" in line)          # strings are not there
    figures["silence_dbfs"] = None
    assert "exactly silent ✓" in control.goal_table({"impacts": figures})


def test_the_margin_is_that_over_the_best_baseline(tmp_path, monkeypatch):
    figures = control.bank()["impacts"]
    methods = {name: {**figures, "trainings": {"mean": mean}} for name, mean in (("ours", 0.8), ("c-rave", 0.5), ("f-rave", 0.55))}
    (tmp_path / "control-impacts.json").write_text(json.dumps(methods))
    monkeypatch.setattr(control, "RESULTS", tmp_path)
    text = control.baseline_table(control.compared())
    assert "impacts: ours | 0.800 (+0.250)" in text and "0.445" in text
    assert control.baseline_drawing(methods).count("<rect") > 15

"""The tables and drawings of docs/trimming.md are those of the figures in benchmarks/results; what the experiment's masks and rows are."""

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from tools.draw import trimming


@pytest.fixture
def benchmarks(monkeypatch):
    """Modules of the folder benchmarks can be imported."""
    monkeypatch.syspath_prepend(str(trimming.ROOT / "benchmarks"))


def _row(method, level, error, seed=1, **more):
    return {"architecture": "rave", "method": method, "criterion": "", "scope": "", "start": "", "rate": 1.0, "seed": seed, "level": level,
            "error": error, "removed_parameters": level, **more}


def test_the_document_shows_the_figures_that_are_kept():
    stale = [path.name for path in trimming.outdated()]
    assert not stale, "run: python -m tools.draw.trimming"


def test_a_multiplier_is_over_the_full_net_of_the_same_seed():
    rows = [_row("full", 0.0, 4.0), _row("full", 0.0, 5.0, 2), _row("scratch", 0.8, 5.0), _row("scratch", 0.8, 5.0, 2), _row("scratch", 0.8, 9.0, 3)]
    figures = trimming.Figures(rows)
    assert figures.multipliers("rave", "narrower, from scratch", 0.8) == [1.25, 1.0]        # the third has nothing to be measured by
    assert "1.125 (1.000 … 1.250, 2)" in trimming.arch_table(figures, "rave")


def test_goals_are_told_reached_or_missed_from_the_figures():
    trim = {"criterion": trimming.MAIN, "scope": "auto", "start": "rewind"}
    rows = [row for seed in (1, 2) for row in (_row("full", 0.0, 4.0, seed), _row("trim", 0.8, 3.6, seed, **trim), _row("trim", 0.95, 4.2 + seed / 100, seed, **trim),
                                               _row("scratch", 0.95, 4.0 + seed / 100, seed))]
    times = {"rave": [{"level": 0.0, "time": 1.0, "macs": 100}, {"level": 0.8, "time": 0.2, "macs": 20}, {"level": 0.95, "time": 0.5, "macs": 5}]}
    text = trimming.goal_table(trimming.Figures(rows), times)
    assert "≤ 0.95: 0.900 ✓" in text and "≤ 1: 1.054 ✗" in text and "not measured" in text
    assert "+0.050 ± 0.004 ✗" in text and "≥ 0.7: 1.00 ✓" in text and "≥ 0.7: 0.23 ✗" in text


def test_rows_are_kept_and_of_two_the_last_counts(tmp_path, benchmarks):
    import trimming as experiment

    class Arch:
        mark, steps = "00c0ffee", 10

    kept, task = experiment.Kept(tmp_path, tmp_path / "trimming.json"), experiment.Task("rave", "scratch")
    for error in (2.0, 1.0):
        kept.add(task, Arch, {"level": 0.5, "error": error})
    assert kept.done(task, Arch) == {0.5} and not kept.done(experiment.Task("rave", "mask"), Arch)
    assert [row["error"] for row in json.loads((tmp_path / "trimming.json").read_text())] == [1.0]
    names = [task.name for task in experiment.tasks(["rave", "ddsp"])]
    assert len(set(names)) == len(names)


def test_masks_grow_and_free_what_nothing_passes(benchmarks):
    import trimming_methods as methods

    from neurorack.lab import engines
    from neurorack.lab.layout import Layout
    from neurorack.lab.trim import engine_units

    torch.manual_seed(1)
    engine = engines.make({"kind": "noise-band", "width": 12, "bands": 8, "sines": 0}, Layout(False, 2))
    first = methods.local_masks(engine.state_dict(), None, 0.5, engine)
    then = methods.local_masks(engine.state_dict(), first, 0.9, engine)
    weights = {name: p for name, p in engine.named_parameters() if p.dim() > 1}
    assert first.keys() == weights.keys() and all((then[name] <= first[name]).all() for name in first)
    masked = sum(float((mask == 0).sum()) for mask in then.values()) / sum(p.numel() for p in engine.parameters())
    assert abs(masked - 0.9) < 0.01
    whole = {name: torch.ones_like(p) for name, p in weights.items()}
    assert methods.freed(engine, whole) == {"freed_units": 0.0, "freed_parameters": 0.0}
    unit = engine_units.of_engine(engine)[0].units[3]
    for member in unit.members:
        if member.role == "in":                          # nobody reads this channel any more
            whole[member.tensor].select(member.axis, member.index).zero_()
    told = methods.freed(engine, whole)
    assert 0 < told["freed_units"] < 0.2 and 0 < told["freed_parameters"] < 0.2

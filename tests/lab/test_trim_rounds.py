"""The rounds of a trim: from the first to the last, starts, and going on after whatever has happened."""

import copy
import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.engine import Model
from neurorack.lab import data, export
from neurorack.lab.recipe import RecipeError
from neurorack.lab.train import checkpoint, command, early
from neurorack.lab.trim import family, kept, looks, rewind, rounds, table, tuning
from neurorack.lab.trim.engine_units import cut_state
from tests.lab import runs, trims


@pytest.fixture(scope="module")
def small(tiny_model):
    return tiny_model


@pytest.fixture(autouse=True, scope="module")
def unmeasured():
    """The command's test does that."""
    with pytest.MonkeyPatch.context() as patch:
        trims.unjudged(patch)
        yield


def trim(small, work, early=None, **said):
    """A trim of 2 rounds of 2 steps and 3, not begun."""
    recipe = copy.deepcopy(small.recipe)
    recipe["trim"] |= {"steps": 5, "target": "removed:0.6", "rounds": 2, "least": 2, "multiple": 1} | said
    (work / "light").mkdir(parents=True, exist_ok=True)
    return rounds.Run(tuning.Parent(small.folder / "tiny.safetensors"), recipe, small.cache, work / "light", "light", early=early,
                      bar=table.Bar(runs.quiet))


def gone(run):
    """A trim, begun or taken up, and gone through."""
    if not run.load():
        run.begin()
    run.run()
    return run


def weights(run):
    """The engine's weights of each member of the family."""
    return [export.read(Model.load(run.work / kept.FAMILY / row["file"]))[0].state_dict() for row in run.state["rows"][1:]]


def same(one, other):
    return all(torch.equal(a[name], b[name]) for a, b in zip(one, other, strict=True) for name in a | b)


@pytest.fixture(scope="module")
def whole(small, tmp_path_factory):
    """A trim from its first step to its last; its weights."""
    run = gone(trim(small, tmp_path_factory.mktemp("whole")))
    return run, weights(run)


def test_rounds_lead_down_to_the_target_and_leave_a_family(whole):
    run, found = whole
    rows = run.state["rows"]
    assert [row["round"] for row in rows] == [0, 1, 2] and [row["steps"] for row in rows] == [0, 2, 3]
    assert rows[0]["params"] > rows[1]["params"] > rows[2]["params"] and 0.6 <= rows[2]["removed_parameters"] < 0.7
    assert [sum(value.numel() for value in state.values()) for state in found] == [row["params"] for row in rows[1:]]
    assert 0 < rows[1]["removed_units"] < rows[2]["removed_units"] < 1
    card = Model.load(run.work / kept.FAMILY / rows[2]["file"]).card
    assert card["trim"] | {"parent_sha256": "", "removed_units": 0, "removed_parameters": 0} == {
        "parent": "tiny", "parent_sha256": "", "criterion": "taylor", "scope": "auto", "removed_units": 0, "removed_parameters": 0, "rounds": 2,
        "start": "fine-tune", "error_multiplier": 1.0}
    told = json.loads((run.work / family.NAME).read_text())
    assert run.picked()[0] is rows[2] and [row["round"] for row in told["rows"]] == [0, 1, 2]


class Killed(BaseException):
    """What no handler expects."""


PLACES = {"train_step": tuning.RoundTrainer, "_cut": rounds.Run, "_add": rounds.Run, "_save": rounds.Run}


def broken_off(small, folder, monkeypatch, deaths):
    """A trim begun again until it is through, dying at each (place, how many times it came there, before it is done or behind)."""
    calls = dict.fromkeys(PLACES, 0)
    left = list(deaths)

    def deadly(place, genuine):
        def call(self, *more):
            calls[place] += 1
            mortal = [death for death in left if death[:2] == (place, calls[place])]
            for death in mortal:
                left.remove(death)
            if mortal and mortal[0][2] == "before":
                raise Killed
            done = genuine(self, *more)
            if mortal:
                raise Killed
            return done
        return call

    for place, owner in PLACES.items():
        monkeypatch.setattr(owner, place, deadly(place, getattr(owner, place)))
    for _ in range(len(deaths) + 1):
        try:
            return gone(trim(small, folder)), left
        except Killed:
            continue
    raise AssertionError("it never came through")


def same_run(run, whole):
    strip = lambda rows: [{key: value for key, value in row.items() if key != "seconds"} for row in rows]
    return same(weights(run), whole[1]) and strip(run.state["rows"]) == strip(whole[0].state["rows"])


def test_whatever_breaks_it_off_it_goes_on_as_if_nothing_had_been(small, whole, tmp_path, monkeypatch):
    run, left = broken_off(small, tmp_path, monkeypatch, [
        ("train_step", 2, "before"), ("_add", 1, "behind"), ("_cut", 2, "behind"), ("_save", 5, "before")])
    assert not left and same_run(run, whole)


@pytest.mark.soak
@pytest.mark.parametrize("time", ["before", "behind"])
@pytest.mark.parametrize("place", PLACES)
def test_broken_off_at_every_place(small, whole, tmp_path, monkeypatch, place, time):
    run, left = broken_off(small, tmp_path, monkeypatch, [(place, count, time) for count in (1, 2, 3)])
    assert len(left) < 3 and same_run(run, whole)


def test_a_stop_behind_a_rounds_last_step_is_not_forgotten(small, tmp_path, monkeypatch):
    run, genuine = trim(small, tmp_path), tuning.RoundTrainer.run
    run.stop = command.Stop()
    monkeypatch.setattr(tuning.RoundTrainer, "run", lambda trainer, log: (genuine(trainer, log), run.stop())[0])
    with pytest.raises(rounds.Stopped):
        gone(run)
    assert len(run.state["rows"]) == 1 and checkpoint.read(run.work / "round-01")["step"] == 2


def test_a_round_that_lost_its_weights_is_told(small, tmp_path):
    with pytest.raises(RecipeError, match="has lost its checkpoint.pt") as error:
        trim(small, tmp_path)._engine_of(1, trained=True)
    assert "\n" not in str(error.value)


def test_what_a_card_tells_of_its_own_file_is_not_passed_on(small):
    parent = tuning.Parent(small.folder / "tiny.safetensors")
    parent.card |= {"weights": {"kind": "int8"}, "trim": {"parent": "another"}}
    card = family.card_of(parent, "light", parent.engine, {"parent": "tiny"})
    assert card["trim"] == {"parent": "tiny"} and not {"weights", "measured"} & set(card) and card["inputs"] == parent.card["inputs"]


def test_another_trim_is_not_gone_on_with(small, whole, tmp_path):
    run = trim(small, whole[0].work.parent, criterion="magnitude")
    with pytest.raises(RecipeError, match="criterion taylor and not magnitude: --fresh"):
        run.load()
    (tmp_path / "light").mkdir()
    for text in ("{}", "no", '{"version": 9, "fixed": {}}'):
        (tmp_path / "light" / kept.NAME).write_text(text)
        with pytest.raises(RecipeError, match="--fresh") as error:
            trim(small, tmp_path).load()
        assert "\n" not in str(error.value)
    (tmp_path / "light" / kept.FULL).touch()
    kept.put_aside(tmp_path / "light")
    assert not trim(small, tmp_path).load() and all((tmp_path / "light" / "before" / name).exists() for name in (kept.NAME, kept.FULL))
    assert not (tmp_path / "light" / kept.FULL).exists()           # the run may have been trained on since


def test_early_weights_read_the_latent_that_the_model_has(small):
    """Of the weights that a run ended with it makes the very net that was exported."""
    parent, clips = tuning.Parent(small.folder / "tiny.safetensors"), data.Clips(small.cache, "train")
    last = checkpoint.read(small.run)
    state = {"engine": last["engine"], "encoder": last["encoder"]}
    found = rewind.in_basis_of(parent, state, small.recipe, clips)
    own = parent.engine.state_dict()
    assert all(torch.allclose(found[name], own[name], atol=2e-3) for name in own)


@pytest.mark.parametrize("said", [{"start": "rewind", "rewind_to": "0.2"}, {"start": "reinitialise"},
                                  pytest.param({"start": "rewind", "rewind_to": "auto"}, marks=pytest.mark.soak)])
def test_other_starts(small, whole, tmp_path, said):
    """Cut in the same way, trained from other weights."""
    run = trim(small, tmp_path, small.run, rounds=1, steps=1, rate=1e-6, **said)
    begun = {}
    genuine = run._trainer
    run._trainer = lambda number, engine, *more: begun.update({number: copy.deepcopy(engine.state_dict())}) or genuine(number, engine, *more)
    gone(run)
    first, row = begun[1], run.state["rows"][1]
    assert {tuple(value.shape) for value in first.values()} == {tuple(value.shape) for value in weights(run)[0].values()}
    own, removed = run.parent.engine.state_dict(), run.state["removed"][0]["removed"]
    assert row["removed_parameters"] >= 0.6
    assert not torch.equal(first["net.trunk.0.weight"], cut_state(own, kept.untold(removed))["net.trunk.0.weight"])
    if said["start"] == "rewind":
        states = early.read(small.run)
        assert run.state["rewound"]["step"] in [state["step"] for state in states]
        assert ("barriers" in run.state["rewound"]) == (said["rewind_to"] == "auto")
        kept_units = [k for k in range(len(own["head.weight"][0])) if k not in removed["head.weight"]["1"]]
        then = next(state for state in states if state["step"] == run.state["rewound"]["step"])["engine"]
        assert torch.equal(first["head.weight"], then["head.weight"][:, kept_units])
    else:
        deviation = first["net.trunk.0.weight"].std() * (3 * first["net.trunk.0.weight"].shape[1]) ** 0.5
        assert 0.4 < deviation < 0.8                       # evenly drawn within 1/√inputs: 0.58


def test_rewinding_needs_the_beginning_of_a_run(small, tmp_path):
    for folder, words in ((None, "a model file has none"), (tmp_path, "has none: its run is of before")):
        with pytest.raises(RecipeError, match=words) as error:
            trim(small, tmp_path, folder, start="rewind").begin()
        assert "\n" not in str(error.value)


def test_the_early_bird_ends_a_round_and_goes_on_where_it_was(small):
    """Keeps that stand still settle after five; one that goes on from an older checkpoint forgets what came after it."""
    class Scorer:
        groups = [type("Group", (), {"units": (1, 2, 3, 4)})]

        def selected(self, share, full):
            return [1, 2]

    class Trainer:
        step, seconds, settled, engine, budget = 0, 0.0, False, None, type("Budget", (), {"part": lambda self, step, seconds: step / 12})()

    notes, trainer, saved = [], Trainer(), []
    watch = looks.Looks(lambda trainer, told: None, 0.5, 100, lambda engine: Scorer(), notes, lambda: saved.append(len(notes)))
    while not trainer.settled:
        trainer.step += 1
        watch(trainer, {})
    assert trainer.step == 5 and saved == [1, 2, 3, 4, 5] and notes[0] == [1, "0011"]
    later = Trainer()
    later.step = 3
    watch.resume(later)
    assert len(notes) == 3 and not later.settled
    trainer.step, trainer.settled = 5, False
    notes[:] = [[k, "0011"] for k in range(1, 6)]
    watch.resume(trainer)
    assert trainer.settled


@pytest.mark.soak
def test_an_early_bird_s_round_is_shorter(small, tmp_path):
    run = gone(trim(small, tmp_path, steps=60, early_bird=True, criterion="magnitude", rate=1e-5))
    steps = [row["steps"] for row in run.state["rows"]]
    assert 1 <= steps[1] < 20 and steps[2] == 40               # of 20; the last is never cut short


def test_a_round_s_rate_warms_up_and_comes_down(small, tmp_path):
    parent = tuning.Parent(small.folder / "tiny.safetensors")
    recipe = tuning.recipe_of_round(small.recipe, 1, "fine-tune", ("steps", 100))
    trainer = tuning.RoundTrainer(recipe, small.cache, tmp_path, "cpu", parent, copy.deepcopy(parent.engine))
    rates = []
    for trainer.step in (0, 10, 29, 50, 75, 100):
        rates.append(trainer.rate(trainer.step / 100) / small.recipe["train"]["rate"])
    assert rates[0] < rates[1] < 1 / 3 and rates[2:] == sorted(rates[2:], reverse=True) and rates[-1] < 0.01
    assert not any(parameter is theirs for parameter in trainer.parameters for theirs in parent.encoder.parameters())
    assert torch.equal(trainer.rest_latent, parent.rest_latent) and 0.1 <= float(trainer.spread.min()) and float(trainer.spread.max()) <= 1

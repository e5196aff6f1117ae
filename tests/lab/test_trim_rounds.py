"""The rounds of a trim: targets, plans, starts, and going on after whatever has happened."""

import copy
import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.engine import Model
from neurorack.lab import data, export
from neurorack.lab.recipe import RecipeError
from neurorack.lab.train import checkpoint, early
from neurorack.lab.trim import family, kept, looks, rewind, rounds, table, targets, tuning
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
    kept.put_aside(tmp_path / "light")
    assert not trim(small, tmp_path).load() and (tmp_path / "light" / "before" / kept.NAME).exists()


def test_early_weights_read_the_latent_that_the_model_has(small):
    """Of the weights that a run ended with it makes the very net that was exported."""
    parent, clips = tuning.Parent(small.folder / "tiny.safetensors"), data.Clips(small.cache, "train")
    last = checkpoint.read(small.run)
    state = {"engine": last["engine"], "encoder": last["encoder"]}
    found = rewind.in_basis_of(parent, state, small.recipe, clips)
    own = parent.engine.state_dict()
    assert all(torch.allclose(found[name], own[name], atol=2e-3) for name in own)


@pytest.mark.parametrize("said", [{"start": "rewind", "rewind_to": "auto"}, {"start": "reinitialise"},
                                  pytest.param({"start": "rewind", "rewind_to": "0.2"}, marks=pytest.mark.soak)])
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


ROW = {"params": 1000, "removed_parameters": 0.0, "rtf": 0.5, "boards": {"pi4": [0.2, 0.6, 1.0]}}


@pytest.mark.parametrize("text, words", [
    ("half", "one of removed:"), ("removed:2", "a share from"), ("removed:", "a share from"), ("params:0", "whole number"),
    ("params:2.5", "whole number"),
    ("rtf:nan", "above 0"), ("rtf:-1", "above 0"), ("rtf:1e999", "above 0"), ("board:pi44", "did you mean 'pi4'"),
    ("bord:pi4", "did you mean 'board'"),
    ("board:atmega2560", "does not run on atmega2560"),
])
def test_a_target_that_is_none_is_one_line(text, words):
    with pytest.raises(RecipeError, match=words) as error:
        targets.read(text)
    assert "\n" not in str(error.value)


def falling(share):
    """What an even cut of ROW has."""
    left = 1 - share
    return {"params": round(1000 * left), "removed_parameters": share, "rtf": 0.1 + 0.4 * left,
            "boards": {"pi4": [0.1 * left, 0.3 * left, 0.2 + 0.8 * left]}}


@pytest.mark.parametrize("text, last, count", [("removed:0.9", 0.9, 6), ("params:300", 0.7, 3), ("rtf:0.3", 0.5, 2), ("board:pi4", 0.625, 3)])
def test_a_plan_ends_at_the_target(text, last, count):
    target = targets.read(text)
    plan = targets.shares(target, ROW, 0.95, falling)
    assert len(plan) == count and plan == sorted(plan) and plan[-1] == pytest.approx(last, abs=0.01) and target.met(falling(plan[-1]))
    lefts = [1.0] + [1 - share for share in plan]
    assert all(b / a == pytest.approx(lefts[1]) for a, b in zip(lefts, lefts[1:]))        # the same share of what is left each time
    assert len(targets.shares(target, ROW, 0.95, falling, 9)) == 9
    family = [ROW] + [falling(share) for share in plan]
    assert targets.picked(target, family) is family[-1] and targets.picked(target, family[:-1]) is None


@pytest.mark.parametrize("text, words", [
    ("params:1000", "is met already, the model has 1000 parameters"), ("rtf:0.5", "is met already"), ("removed:0.96", "95.0% removed"),
    ("params:49", "the smallest cut has 50 parameters"), ("rtf:0.11", "cannot be reached"),
])
def test_a_target_out_of_reach_is_one_line(text, words):
    with pytest.raises(RecipeError, match=words) as error:
        targets.shares(targets.read(text), ROW, 0.95, falling)
    assert "\n" not in str(error.value)


class Screen:
    """A terminal, or a file, that keeps what is written."""

    def __init__(self, live):
        self.live, self.written = live, ""

    def isatty(self):
        return self.live

    def write(self, text):
        self.written += text

    def flush(self):
        """Nothing to be done."""


def test_the_bar_is_drawn_in_place_and_makes_room_for_lines(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(table.time, "monotonic", lambda: now[0])
    for live in (True, False):
        screen, said = Screen(live), []
        bar = table.Bar(said.append, screen)
        for now[0] in (now[0] + 0.6, now[0] + 0.7, now[0] + 31, now[0] + 32):
            bar.show(0.5, 754.0, "round 1 of 2")
        bar.say("a row")
        if live:
            assert screen.written.count("[###############...............] round 1 of 2, 50%, 13 min left") == 3
            assert screen.written.endswith("\r" + " " * len("[###############...............] round 1 of 2, 50%, 13 min left") + "\r")
            assert said == ["a row"]
        else:
            assert screen.written == "" and said == ["round 1 of 2, 50%, 13 min left", "a row"]


def test_a_row_fits_below_its_head():
    row = ROW | {"round": 12, "macs": 31.6e6, "error": 4.5, "multiplier": 1.0, "control": None, "bytes": 1340000}
    for board in (None, "pi4"):
        head, line = table.head(board).splitlines()[-1], table.line(row, board)
        assert len(head) == len(line) and ("100.00%" in line) == (board == "pi4")
        ends = lambda text: [k for k in range(len(text)) if text[k] != " " and (k + 1 == len(text) or text[k + 1] == " ")]
        assert set(ends(head)) <= set(ends(line))


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

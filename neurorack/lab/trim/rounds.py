"""The rounds of a trim: score, select, cut, train on, measure; again, down to the target.

Iterative structured trimming after Esling et al., "Diet deep generative audio models with structured lottery" (DAFx 2020). Everything that is
decided lies in `run.json`, written in one move before it is acted upon, and every round has a checkpoint of its own: whatever is
broken off goes on as if nothing had been, bit by bit where the budget is in steps.
"""

import copy
from pathlib import Path

from ...engine import Model
from .. import data, engines
from ..recipe import RecipeError
from ..train import checkpoint
from . import family, kept, rewind, table, targets
from .engine_units import cut_engine, cut_state, of_engine
from .looks import BATCHES as LOOK_BATCHES
from .looks import Looks
from .scoring import BATCHES, Scorer, drawn_batches, error_of
from .tuning import RoundTrainer, recipe_of_round

LAST_WEIGHT = 2.0           # of the last round's training, over that of the others
MINUTES = 40.0
CHILD_SHARE = 0.05          # of the length of all rounds, for each of the trainings that tell how far to rewind
ERROR_BATCHES = 4           # on which these are compared
MOST_EXTRA = 4              # rounds beyond the plan, where a time is not met by it
_PLAIN = lambda line: None


class Stopped(Exception):
    """The user stopped the training, which has saved."""


class Run:
    """A trim in its work folder. parent: `tuning.Parent`; recipe: complete, its section `trim` says how; early: folder of the run that the
    parent comes of, or None; bar: `table.Bar`.
    """

    def __init__(self, parent, recipe, cache, work, name, device="cpu", early=None, bar=None):
        self.parent, self.recipe, self.trim, self.cache, self.work, self.name = parent, recipe, recipe["trim"], cache, Path(work), name
        self.device, self.early, self.bar = device, early, bar or table.Bar(print)
        self.target, self.trainer, self.stop = targets.read(self.trim["target"]), None, None
        self.board = self.target.value if self.target.kind == "board" else None
        self.whole = sum(len(group.units) for group in of_engine(parent.engine))
        self.judge, self.state, self._rewound, self.sha256 = None, {}, None, kept.sha256_of(parent.path)

    # -- state

    def _fixed(self):
        """What a run cannot change on its way."""
        keys = ("criterion", "scope", "start", "rewind_to", "rounds", "rate", "least", "multiple", "early_bird")
        return {"parent": self.sha256, "clips": Path(self.cache).name, "target": str(self.target), "seed": self.recipe["seed"],
                "early": self.trim["start"] == "rewind"} | {key: self.trim.get(key) for key in keys}

    def load(self):
        """Take up what lies in the work folder; True where there was something. RecipeError where it is another trim's."""
        state = kept.read(self.work, self._fixed())
        self.state = state or {}
        return state is not None

    def _save(self):
        kept.write(self.work, self.state)

    # -- the plan

    def begin(self):
        """Measure the whole model, plan the rounds. RecipeError where the target is met already or out of reach."""
        if self.trim["start"] == "rewind":
            self._early()
        elif self.trim["start"] == "reinitialise":
            rewind.fresh(self.parent, [], 0)         # can it be had?
        first = family.row_of(0, self.parent.path, self.parent.engine)
        scorer = self._scorer(self.parent.engine, 0)
        full = family.parameters(self.parent.engine)

        def row_at(share):
            engine = copy.deepcopy(self.parent.engine)
            cut_engine(engine, scorer.selected(share, full))
            if not self.target.times:
                return {"params": family.parameters(engine), "removed_parameters": 1 - family.parameters(engine) / full}
            path = self.work / kept.FAMILY / "trial.safetensors"
            family.write(path, family.card_of(self.parent, self.name, engine, {}), self.parent, engine)
            return family.row_of(0, path, engine, first)

        (self.work / kept.FAMILY).mkdir(parents=True, exist_ok=True)
        most = row_at(1 - 1e-6)["removed_parameters"]
        plan = targets.shares(self.target, first, most, row_at, self.trim.get("rounds"))
        (self.work / kept.FAMILY / "trial.safetensors").unlink(missing_ok=True)
        first |= self._judged(self.parent.path) | {"multiplier": 1.0, "removed_units": 0.0, "steps": 0, "seconds": 0.0}
        self.state |= {"version": kept.VERSION, "fixed": self._fixed(), "most": most, "plan": plan, "rows": [first], "removed": [], "current": None}
        self._save()

    def _judged(self, path):
        self.judge = self.judge or family.Judge(self.cache, self.parent.path)
        return self.judge(path)

    # -- a round

    def _scorer(self, engine, number, batches=BATCHES):
        return Scorer(self.recipe, self.cache, self.work, self.device, self.parent, engine, number, batches)

    def _cut(self, number):
        """Decide what goes in a round, and keep that."""
        engine = self._engine_of(number - 1, trained=True)
        scorer = self._scorer(engine, number)
        share, full = self.state["plan"][number - 1], self.state["rows"][0]["params"]
        while True:
            units = scorer.selected(share, full)
            cut = copy.deepcopy(engine)
            cut_engine(cut, units)
            left = family.parameters(cut)
            row = {"params": left, "removed_parameters": 1 - left / full}
            if number < len(self.state["plan"]) or self.target.times or self.target.met(row) or share >= 1 - 1e-6:
                break
            share = min(1 - 1e-6, share + 0.1 * (1 - share))          # kept counts are multiples: the next one down
        if not units and number < len(self.state["plan"]):           # … and none may be near: one round less
            self.state["plan"].pop(number - 1)
            return self._cut(number)
        self.state["current"] = {"round": number, "share": share, "removed": kept.told(units), "units": len(units)}
        self._save()

    def _folder(self, number):
        return self.work / f"round-{number:02d}"

    def _engine_of(self, number, trained=False):
        """The engine of a round: cut, with the weights that its training begins or (`trained`) ended with."""
        engine = copy.deepcopy(self.parent.engine).train()
        if number == 0:
            return engine
        if trained:
            state = checkpoint.read(self._folder(number))
            if state is None:
                raise RecipeError(f"{self._folder(number)} has lost its {checkpoint.NAME}, which the next round begins with: --fresh begins again")
            return engines.fit(engine, state["engine"])
        removed = [kept.untold(one["removed"]) for one in [*self.state["removed"], self.state["current"]][:number]]
        if self.trim["start"] == "fine-tune":
            state = cut_state(self._engine_of(number - 1, True).state_dict(), removed[-1])
        elif self.trim["start"] == "reinitialise":
            state = rewind.fresh(self.parent, removed, self.recipe["seed"] + number)
        else:
            state = self._early()
            for units in removed:
                state = cut_state(state, units)
        return engines.fit(engine, state)

    def _early(self):
        """The early weights to rewind to, as a state dict of the whole engine; chosen once in a trim."""
        if self._rewound is None:
            states = rewind.states_of(self.parent, self.early, self.recipe, data.Clips(self.cache, "train"))
            known = self.state.get("rewound")
            part = known["part"] if known else rewind.part_of(self.trim["rewind_to"])
            drawn = []

            def error(state):
                trainer = self._trainer(0, engines.fit(copy.deepcopy(self.parent.engine), state), ("steps", 1), self.work)
                drawn.extend([] if drawn else drawn_batches(trainer, ERROR_BATCHES))
                return error_of(trainer, drawn)

            self._rewound, how = rewind.chosen(states, part, self._child, error, self.bar.say)
            self.state.setdefault("rewound", how)
        return self._rewound["engine"]

    def _child(self, state, place, seed):
        """The weights after a short training of the whole engine from early ones; goes on where it was stopped."""
        kind, length = self._length()
        budget = (kind, max(1, round(CHILD_SHARE * length)) if kind == "steps" else CHILD_SHARE * length)
        folder = self.work / f"child-{self.sha256[:8]}-{place}-{seed}"
        trainer = self._trainer(800 + seed, engines.fit(copy.deepcopy(self.parent.engine), state), budget, folder)
        self._go(trainer, lambda trainer, told: self.bar.show(0.0, None, f"how far to rewind: child {seed} of early weights {place + 1}"))
        return trainer.engine.state_dict()

    def _trainer(self, number, engine, budget, folder):
        return RoundTrainer(recipe_of_round(self.recipe, number, self.trim["start"], budget), self.cache, folder, self.device, self.parent, engine)

    def _go(self, trainer, watch):
        """Train to the end of the trainer's budget, going on from its checkpoint. Stopped where it is stopped."""
        trainer.watch = watch
        trainer.resume(_PLAIN)
        if hasattr(watch, "resume"):
            watch.resume(trainer)
        if self.stop:
            self.stop.trainer = trainer
        try:
            done = trainer.finished() or trainer.run(_PLAIN)
        finally:
            if self.stop:
                self.stop.trainer = None
            self.bar.clear()
        if not done or self.stop and self.stop.wanted:               # it may have been stopped behind its last step
            raise Stopped

    def _length(self):
        """("steps" or "minutes", how many) of all rounds."""
        return ("steps", self.trim["steps"]) if "steps" in self.trim else ("minutes", self.trim.get("minutes", MINUTES))

    def _budget(self, number):
        """("steps" or "minutes", how many) of a round."""
        count, (kind, length) = len(self.state["plan"]), self._length()
        part = length * (LAST_WEIGHT if number >= count else 1.0) / (count - 1 + LAST_WEIGHT)
        return kind, max(1, round(part)) if kind == "steps" else part

    def _show(self, number):
        """What shows the bar in a round."""
        rounds = max(len(self.state["plan"]), number)
        budgets = [self._budget(k)[1] for k in range(1, rounds + 1)]
        before, whole = sum(budgets[:number - 1]), sum(budgets)

        def show(trainer, told):
            done = (before + trainer.budget.part(trainer.step, trainer.seconds) * budgets[number - 1]) / whole
            pace = trainer.seconds / trainer.step if trainer.budget.steps else 60.0
            self.bar.show(done, (1 - done) * whole * pace, f"round {number} of {rounds}, step {trainer.step}, spectral {told['spectral']:.2f}")
        return show

    def _trained(self, number):
        """The trainer of a round, trained to its end."""
        plan, notes = self.state["plan"], self.state["current"].setdefault("looks", [])
        share = plan[number] if self.trim["early_bird"] and number < len(plan) else None
        looks = Looks(self._show(number), share, self.state["rows"][0]["params"],
                      lambda engine: self._scorer(engine, number + 1, LOOK_BATCHES), notes, self._save)
        trainer = self._trainer(number, self._engine_of(number), self._budget(number), self._folder(number))
        self._go(trainer, looks)
        return trainer

    def _card(self, row, engine):
        """The card of a row's model."""
        return family.card_of(self.parent, self.name, engine, {
            "parent": self.parent.card["name"], "parent_sha256": self.state["fixed"]["parent"], "criterion": self.trim["criterion"],
            "scope": self.trim["scope"], "removed_units": row["removed_units"], "removed_parameters": row["removed_parameters"],
            "rounds": row["round"], "start": self.trim["start"], "error_multiplier": row["multiplier"]})

    def _add(self, number, trainer):
        """Write the model of a finished round, measure it, take it into the family."""
        engine, path = family.on_cpu(trainer.engine), self.work / kept.FAMILY / f"{self.name}-{number:02d}.safetensors"
        first, current = self.state["rows"][0], self.state["current"]
        row = {"round": number, "removed_units": round((sum(one["units"] for one in self.state["removed"]) + current["units"]) / self.whole, 5),
               "removed_parameters": round(1 - family.parameters(engine) / first["params"], 5), "multiplier": None}
        family.write(path, self._card(row, engine), self.parent, engine)
        row |= family.row_of(number, path, engine, first) | self._judged(path)
        row |= {"multiplier": round(row["error"] / first["error"], 4), "steps": trainer.step, "seconds": round(trainer.seconds, 1)}
        family.note(path, self._card(row, engine))
        self.state["rows"].append(row)
        self.state["removed"].append(current)
        self.state["current"] = None
        self._save()
        return row

    # -- the run

    def words(self):
        """What is going to be done, in a line."""
        trim, count = self.trim, len(self.state["plan"])
        length = f"{trim['steps']} steps" if "steps" in trim else f"{trim.get('minutes', MINUTES):g} minutes"
        return (f"trimming {self.parent.card['name']}: {self.parent.engine.kind}, to {self.target} in {count} round{'s' if count > 1 else ''}, "
                f"{length} of training in all; criterion {trim['criterion']}, scope {trim['scope']}, {trim['start']}; everything in {self.work}")

    def over(self):
        """Are there no more rounds to come?"""
        done, rows = len(self.state["removed"]), self.state["rows"]
        if self.target.times and targets.picked(self.target, rows):
            return True
        if done < len(self.state["plan"]):
            return False
        if not self.target.times or done >= len(self.state["plan"]) + MOST_EXTRA or self.state["plan"][-1] >= self.state["most"] - 1e-6:
            return True
        self.state["plan"].append(min(self.state["most"], 1 - (1 - self.state["plan"][-1]) * 0.7))
        return False

    def run(self):
        """Go through the rounds that are left. Stopped where it is stopped."""
        while not self.over():
            number = len(self.state["removed"]) + 1
            if not self.state["current"]:
                self._cut(number)
            row = self._add(number, self._trained(number))
            self.bar.say(table.line(row, self.board))
            self._tell()

    def _tell(self, picked=None):
        """The family as JSON beside its files."""
        family.write_json(self.work / family.NAME, {
            "parent": self.parent.card["name"], "target": str(self.target), **{key: self.trim[key] for key in ("criterion", "scope", "start")},
            "picked": picked and picked["round"], "rows": self.state["rows"]})

    def noted(self, path):
        """Measure a file of narrower weights as the family is, put that on its card beside their kind, and return what stands there."""
        card = Model.load(path).card
        card["weights"] |= {"error_multiplier": round(self._judged(path)["error"] / self.state["rows"][0]["error"], 4)}
        family.note(path, card)
        return card["weights"]

    def picked(self):
        """(the row that suits the target, its model's card and file). RecipeError where none does."""
        row = targets.picked(self.target, self.state["rows"])
        if row is None:
            last = self.state["rows"][-1]
            raise RecipeError(f"the target {self.target} was not reached: the last of the family, {self.work / kept.FAMILY / last['file']}, has "
                              f"{self.target.shown(self.target.told(last))}")
        self._tell(row)
        return row, self.work / kept.FAMILY / row["file"]

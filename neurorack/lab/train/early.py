"""Weights from the beginning of a run, kept beside its checkpoint: what a trimmed net may be rewound to.

Frankle et al., "Linear mode connectivity and the lottery ticket hypothesis" (2020): rewinding works from where two runs that
go on with other random numbers end in the same valley, which is after a small part of the run.
"""

from pathlib import Path

from . import checkpoint

PARTS = (0.02, 0.05, 0.1, 0.2)      # of the run that are over when weights are kept


class Early:
    """Keeps a trainer's weights when one of `PARTS` of its run is over; nothing is drawn and nothing changed by it.

    A run that goes on with a longer budget keeps what it has and adds what is still to come.
    """

    def __init__(self, trainer):
        self.trainer, self.parts = trainer, [part for part in PARTS]

    def keep(self):
        """To be called after a step: keep the weights where it is time. Only the first process of a team writes."""
        trainer = self.trainer
        now = trainer.budget.part(trainer.step, trainer.seconds)
        if not self.parts or now < self.parts[0]:
            return
        passed = [part for part in self.parts if part <= now]
        self.parts = self.parts[len(passed):]
        if trainer.held or not trainer.team.first:
            return
        known = read(trainer.folder)
        if any(state["part"] == passed[-1] and state["step"] <= trainer.step for state in known):
            return                                     # it was here before, and was stopped since
        checkpoint.write_state(trainer.folder / checkpoint.EARLY, {"version": checkpoint.VERSION, "states": [*known, {
            "part": passed[-1], "step": trainer.step, "engine": trainer.engine.state_dict(), "encoder": trainer.encoder.state_dict()}]})


def read(folder):
    """The early states of a run, first to last: dicts with part, step, engine and encoder (state dicts). [] where there are none.

    RecipeError for a file that is broken.
    """
    state = checkpoint.read_state(Path(folder) / checkpoint.EARLY)
    return [] if state is None else sorted(state["states"], key=lambda one: one["step"])

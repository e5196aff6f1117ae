"""What happens beside a round's training: the bar moves, and where it is asked for, the early bird looks whether more of it is of use."""

import torch

from .early_bird import EarlyBird, keep

LOOKS, BATCHES = 12, 4      # of the early bird in a round; batches that it judges by


class Looks:
    """Called after every step of a round's training. show(trainer, losses): the bar.

    share: of the `full` parameters that shall be gone after the next round, or None for no early bird; notes: a list, kept with
    the round's state by `save`, of what was seen: [step, which units would stay as a text of 0 and 1]. Going on from a checkpoint, what was
    seen after it is forgotten and seen again.
    """

    def __init__(self, show, share, full, scorer, notes, save):
        self.show, self.share, self.full, self.scorer, self.notes, self.save = show, share, full, scorer, notes, save

    def resume(self, trainer):
        """Take up what was seen until the trainer's step; it may have settled just there."""
        self.notes[:] = [note for note in self.notes if note[0] <= trainer.step]
        trainer.settled = bool(self.notes) and self.notes[-1][0] == trainer.step and self._settled()

    def _settled(self):
        bird, found = EarlyBird(), False
        for _, kept in self.notes:
            found = bird.add([letter == "1" for letter in kept])
        return found

    def __call__(self, trainer, told):
        self.show(trainer, told)
        part = trainer.budget.part(trainer.step, trainer.seconds)
        if self.share is None or part >= 1 or int(part * LOOKS) <= len(self.notes):
            return
        with torch.random.fork_rng():
            scorer = self.scorer(trainer.engine)
            kept = keep(scorer.groups, scorer.selected(self.share, self.full))
        self.notes.append([trainer.step, "".join("01"[int(one)] for one in kept)])
        self.save()
        trainer.settled = self._settled()

"""A process that saves scenes and edits without end, and says what is saved: ``python -m tests.patches.saver FOLDER``. To be killed.

A line ``scene N R`` is said after revision R of scene N was saved, ``edit K`` after edit K was noted.
"""

from __future__ import annotations

import itertools
import random
import sys
import time
from pathlib import Path

from neurorack.patches import schema
from neurorack.patches.bank import Bank
from neurorack.patches.history import History
from neurorack.patches.journal import NAME, Journal


def document(revision: int) -> dict:
    """Longer and shorter ones, which tell their revision."""
    knobs = {f"knob {i:03d}": round((revision * 7919 + i) % 1000 / 1000, 3) for i in range(revision % 40)}
    return schema.cleaned({"name": f"revision {revision}", "knobs": knobs, "revision": revision})


def main(folder: Path) -> None:
    chance, bank, history = random.Random(), Bank(folder / "scenes"), History()
    journal = Journal(folder / NAME, history)
    wrong = journal.open()
    start = max([history.now.get("revision", 0), *(found["revision"] for found, _ in bank.all().values() if found)]) + 1
    print(f"open {wrong}", flush=True)
    for revision in itertools.count(start):
        number = chance.randint(1, 4)
        if chance.random() < 0.5:
            bank.put(number, document(revision))
            print(f"scene {number} {revision}", flush=True)
        if chance.random() < 0.2 and history.now:
            history.join(document(revision))
        else:
            history.step(f"edit {revision}", document(revision))
        print(f"edit {revision}", flush=True)
        if chance.random() < 0.1 and history.at:
            history.do(op="move", to=history.at - 1)
            history.do(op="move", to=history.at + 1)
        time.sleep(0.002)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

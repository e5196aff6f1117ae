"""The panel's face in a test's own process, before a real instrument: its machine and screens, real answers, turns and presses with their times."""

from __future__ import annotations

import os
import time

import pytest
import yaml

from neurorack.drivers import board as boards
from neurorack.panel.asking import Asker
from neurorack.panel.canvas import SMALL, Layout
from neurorack.panel.local import LOCAL
from neurorack.panel.looking import Looker
from neurorack.panel.machine import Machine
from neurorack.panel.screens import home
from neurorack.panel.widgets import Item, ListScreen
from neurorack.preferences import Reader
from tests.panel.own import Own

PATIENCE_SECONDS = 15.0
HOLD_SECONDS = {1: 0.5, 2: 1.4, 3: 2.1}


class Heard:
    """The asker, noting every request and what became of it."""

    def __init__(self, pid: int):
        self.real, self.requests, self.refused = Asker(pid, LOCAL), [], []
        self.open: set = set()      # what was not answered yet: a number, or the key whose latest request counts

    def __getattr__(self, name):
        return getattr(self.real, name)

    def ask(self, request, then=None, failed=None, key=None):
        self.requests.append(request)
        mine = (key, len(self.requests))
        self.open = {one for one in self.open if key is None or one[0] != key} | {mine}

        def done(answer):
            self.open.discard(mine)
            if then:
                then(answer)

        def wrong(text):
            self.open.discard(mine)
            self.refused.append((request, text))
            if failed:
                failed(text)
        self.real.ask(request, done, wrong, key)


class Face:
    """``instrument``: one that plays; this process must see its folders in the environment."""

    def __init__(self, instrument: Own, layout: Layout = SMALL, board: str = "desk"):
        self.instrument = instrument
        self.asker = Heard(instrument.pid)
        self.looker, self.preferences = Looker(instrument.attach(), boards.load(board)), Reader()
        self.machine = Machine(layout, home(), self.asker, now_ns=time.monotonic_ns())
        self.until(lambda: self.view.slot.controls, "the model's card")

    @property
    def view(self):
        return self.machine.view

    @property
    def screen(self):
        return self.machine.screen

    def draw(self):
        """One picture of now."""
        self.asker.want(self.machine.needs)
        self.asker.results()
        now = time.monotonic_ns()
        return self.machine.draw(self.looker.look(now, self.asker.answers, self.preferences.values), now)

    def until(self, found, what: str = "it", seconds: float = PATIENCE_SECONDS):
        """Draw until ``found()`` is true, and return it."""
        deadline = time.monotonic() + seconds
        while True:
            self.draw()
            if result := found():
                return result
            assert time.monotonic() < deadline, f"{what} did not come within {seconds:g} s; on {self.screen.name}; refused: {self.asker.refused[-3:]}"
            time.sleep(0.02)

    def settled(self) -> None:
        """Every request has been answered, and its answer taken."""
        self.until(lambda: not self.asker.open, "an answer", 30)
        self.draw()

    # -- hands

    def turn(self, steps: int) -> None:
        """Slowly, so that every detent counts once."""
        for _ in range(abs(steps)):
            self.machine.turn(1 if steps > 0 else -1, time.monotonic_ns() + self._apart())

    def _apart(self) -> int:
        self._ahead = getattr(self, "_ahead", 0) + 50_000_000
        return self._ahead

    def press(self) -> None:
        now = time.monotonic_ns() + self._apart()
        self.machine.press(now)
        self.machine.release(now + 50_000_000)
        self.draw()

    def hold(self, stage: int) -> None:
        now = time.monotonic_ns() + self._apart()
        self.machine.press(now)
        end = now + round(HOLD_SECONDS[stage] * 1e9)
        if stage == 3:
            self.machine.tick(end)
        self.machine.release(end)
        self.draw()

    def home(self) -> None:
        self.machine.notices.clear()
        self.machine.home()
        self.draw()

    # -- lists

    def items(self) -> list[Item]:
        assert isinstance(self.screen, ListScreen), f"{self.screen.name} is no list"
        return self.screen.items(self.view)

    def find(self, label: str) -> int | None:
        return next((number for number, item in enumerate(self.items()) if item.label == label), None)

    def select(self, label: str) -> Item:
        """Turn to the row of this label, waiting for it."""
        self.until(lambda: self.find(label) is not None, f"the row {label!r}")
        self.turn(self.find(label) - self.screen.index)
        assert self.screen.item.label == label
        return self.screen.item

    def choose(self, *labels: str) -> None:
        """Row after row, each of the screen that the one before opened."""
        for label in labels:
            self.select(label)
            self.press()

    def menu(self, *labels: str) -> None:
        """From Home through the main menu."""
        self.home()
        self.machine.push(_main())
        self.choose(*labels)

    def yes(self) -> None:
        """To a question."""
        assert self.screen.name == "confirm", self.screen.name
        self.turn(1)
        self.press()

    def value(self, label: str) -> str:
        """What a row shows on its right."""
        self.until(lambda: self.find(label) is not None, f"the row {label!r}")
        return self.items()[self.find(label)].value


def _main():
    from neurorack.panel.screens import MainMenu

    return MainMenu()


@pytest.fixture(scope="module")
def instrument(tmp_path_factory):
    """With a desk board whose jacks nobody moves."""
    folder = tmp_path_factory.mktemp("every")
    score = folder / "silent.yaml"
    score.write_text(yaml.safe_dump({"seconds": 900, "events": []}))
    before = {name: os.environ.get(name) for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_DATA_HOME")}
    with Own(folder, "--score", score, "--seconds", 600, "--input") as run:
        os.environ.update({name: run.env[name] for name in before})
        try:
            yield run.sounding()
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture(scope="module")
def seat(instrument):
    return Face(instrument)


@pytest.fixture
def face(seat):
    """At Home, with nothing refused yet."""
    seat.home()
    seat.asker.refused.clear()
    seat.asker.requests.clear()
    yield seat


def patch(instrument) -> dict:
    """What its status tells of the patch."""
    return instrument.ask("status")["patch"]


def route(instrument, jack: str, control: str) -> dict | None:
    """One of its routes."""
    return next((one for one in patch(instrument)["routes"] if (one["jack"], one["control"]) == (jack, control)), None)

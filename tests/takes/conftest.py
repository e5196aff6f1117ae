"""One instrument on the fake card for most of the tests, with a data folder of its own."""

import contextlib

import pytest

from neurorack import control
from tests.conftest import no_card
from tests.play.runs import Playing, hits, write_score
from tests.rig.card import FakeCard

#: Gate 2 goes up every 0.4 s for 0.2 s, beside a hit every 0.1 s.
EVERY_SECONDS = 0.4


class Instrument:
    """A run, and what it is asked."""

    def __init__(self, run: Playing, data, card: FakeCard | None = None):
        self.run, self.card, self.folder = run, card, data / "neurorack" / "takes"

    def ask(self, do: str, **request) -> dict:
        return control.request({"do": do, **request}, self.run.pid)

    def names(self) -> list[str]:
        """Takes in the order of their making."""
        return [take["name"] for take in reversed(self.ask("takes")["takes"])]


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory):
    """Run files and takes of these tests lie apart."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        yield


@contextlib.contextmanager
def started(folder, model, *options, card=None):
    """An instrument whose takes lie in ``folder``."""
    run = Playing(folder, "--model", model, *options, card=card, env={"XDG_DATA_HOME": str(folder)})
    try:
        yield Instrument(run.sounding(), folder, card)
        if run.process.poll() is None:
            run.stop()
    finally:
        run.__exit__(None, None, None)


@pytest.fixture(scope="module")
def score(tmp_path_factory):
    gates = hits(100, EVERY_SECONDS, first=0.3, jack="gate2", length=0.2)
    return write_score(tmp_path_factory.mktemp("score") / "score.yaml", 100, sorted(hits(100, 0.1) + gates, key=lambda event: event["at"]))


@pytest.fixture(scope="module")
def playing(tmp_path_factory, tone, score):
    """On a card that keeps what it was given."""
    if why := no_card():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("playing")
    with FakeCard(folder) as card, started(folder, tone, "--score", score, card=card) as instrument:
        yield instrument



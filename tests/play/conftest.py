import pytest
import yaml

from neurorack.drivers import board as boards
from tests.play.runs import Playing


@pytest.fixture
def play(tmp_path):
    """Start instruments that end with the test: ``play("--block", 64, card=card)``."""
    runs = []

    def start(*options, folder=None, **more) -> Playing:
        runs.append(Playing(folder or tmp_path, *options, **more))
        return runs[-1]

    yield start
    for run in runs:
        run.__exit__(None, None, None)


@pytest.fixture(scope="session")
def board_file(tmp_path_factory):
    """A desk board with other settings: ``board_file(gates={"bounce_us": 300}, cv={"noise_lsb": 0})``."""
    def make(**sections):
        settings = yaml.safe_load((boards.HARDWARE / "desk.yaml").read_text())
        for name, changes in sections.items():
            settings[name].update(changes)
        path = tmp_path_factory.mktemp("board") / "own.yaml"
        path.write_text(yaml.safe_dump(settings))
        return path
    return make

import os

import pytest
import yaml

from neurorack.drivers import board as boards
from tests.play.runs import Playing


@pytest.fixture(scope="session", autouse=True)
def own_run_files(tmp_path_factory):
    """Run files of these tests lie apart: an instrument that somebody starts meanwhile would clean them up."""
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(tmp_path_factory.mktemp("runtime"))
    yield
    if before is None:
        del os.environ["XDG_RUNTIME_DIR"]
    else:
        os.environ["XDG_RUNTIME_DIR"] = before


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

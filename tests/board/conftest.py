"""The chips of a real board: ``make test-board``. Each test is skipped, by name, where its chip is not there.

Patch nothing into the jacks and leave the controls alone. ``tests/drivers`` runs the same tests on simulated boards.
"""

import os

import pytest

from neurorack.drivers import board as boards
from neurorack.drivers.converters import opener, title


@pytest.fixture(scope="session")
def board():
    """Settings of the board this machine is, or of the one named by BOARD."""
    name = os.environ.get("BOARD") or boards.detect()[0]
    if boards.load(name)["driver"] == "desk":
        pytest.skip("this machine is no board (BOARD=name chooses one)")
    return boards.load(name)


def pytest_generate_tests(metafunc):
    """One test for each converter of the board, by its name."""
    if "converter" in metafunc.fixturenames:
        name = os.environ.get("BOARD") or boards.detect()[0]
        found = boards.load(name).get("converters", []) or [None]
        metafunc.parametrize("converter", found, ids=[title(c) if c else "none" for c in found])


@pytest.fixture
def chip(board, converter):
    """An opened converter."""
    try:
        made = opener(board, converter)()
        if converter["chip"] == "mcp3208":
            made.read()
    except OSError as error:
        pytest.skip(f"{title(converter)} is not there: {error}")
    yield made
    made.close()

"""Fixtures shared by the tests. What needs the fake sound card is skipped, by name, where it cannot be built."""

import importlib.util

import pytest

from tests import models
from tests.rig import card as rig
from tests.stalls import Beside, Repeats


def pytest_configure(config):
    config.pluginmanager.register(Repeats())
    config.pluginmanager.register(Beside())


def no_card() -> str | None:
    """Why no test can play on the fake card here; None where it can."""
    if importlib.util.find_spec("sounddevice") is None:
        return "python-sounddevice is not installed"
    try:
        import sounddevice  # noqa: F401
    except OSError as error:
        return f"PortAudio is missing: {error}"
    return rig.unavailable()


@pytest.fixture
def card(tmp_path):
    """A fake sound card."""
    if why := no_card():
        pytest.skip(why)
    with rig.FakeCard(tmp_path) as card:
        yield card


@pytest.fixture(scope="session")
def tone(tmp_path_factory):
    """File of a model that plays a 1 kHz tone of 0.1 s at each hit."""
    path = tmp_path_factory.mktemp("tone") / "tone.safetensors"
    models.tone(path)
    return path

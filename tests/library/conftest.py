"""Libraries for the tests: empty ones, one that has checked two models before, one with foreign models in it."""

import shutil
import time

import pytest

from neurorack.library import changes, check, files, watch
from tests import models


@pytest.fixture(scope="session")
def low(tmp_path_factory):
    """A model of other content than ``tone``."""
    return models.tone(tmp_path_factory.mktemp("low") / "low.safetensors", hertz=300.0).path


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """An empty library of one's own, where nothing was ever checked."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    folder = tmp_path / "data" / "neurorack" / "models"
    assert files.own() == folder
    return folder


@pytest.fixture(scope="session")
def verdicts(tmp_path_factory, tone, low):
    """Verdicts on ``tone`` and ``low``: each is checked once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("checked")))
        for model in (tone, low):
            check.checked(model, files.sha256_of(model), {})
        return files.own() / files.LIFTED


@pytest.fixture
def own(empty, verdicts):
    """An empty library that has checked ``tone`` and ``low`` before."""
    shutil.copytree(verdicts, empty / files.LIFTED)
    return empty


@pytest.fixture(scope="session")
def zoo_files(tmp_path_factory):
    """Two small TorchScript files: (decodes two latents, has attributes)."""
    pytest.importorskip("torch")
    from tests import zoo

    folder = tmp_path_factory.mktemp("zoo")
    return tuple(shutil.copy(zoo.path(name), folder / f"{name}.ts") for name in ("toy", "gain"))


@pytest.fixture(scope="session")
def lifted_once(tmp_path_factory, zoo_files):
    """A library in which both were added, by one check each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("lifted")))
        for file in zoo_files:
            assert changes.add(file)["verdict"]["path"] == "lifted"
        return files.own()


@pytest.fixture
def stocked(empty, lifted_once):
    """That library, to oneself."""
    shutil.copytree(lifted_once, empty)
    return empty


class Told(list):
    """The watcher's lines, and a way to wait for one."""

    def wait_for(self, text, seconds=20.0):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if any(text in line for line in self):
                return True
            time.sleep(0.02)
        return False


@pytest.fixture
def watcher(own):
    told = Told()
    made = watch.Watcher(told.append, poll_seconds=0.05, still_seconds=0.3, patience_seconds=1.5)
    made.told = told
    yield made.start()
    made.stop()

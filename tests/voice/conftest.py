import pytest

from neurorack.engine import Model
from tests import models as tones
from tests.voice import models


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Name -> model file."""
    folder = tmp_path_factory.mktemp("models")
    paths = {name: folder / f"{name}.safetensors" for name in ("probe", "steps", "network", "wild", "codec", "effect", "tone", "low")}
    for name in ("probe", "steps", "network", "wild", "codec", "effect"):
        getattr(models, name)(paths[name])
    tones.tone(paths["tone"])
    tones.tone(paths["low"], hertz=100.0, hit_seconds=0.3)
    return paths


@pytest.fixture(scope="session")
def loaded(made):
    """Name -> loaded model; voices made of it are independent."""
    return {name: Model.load(path) for name, path in made.items()}

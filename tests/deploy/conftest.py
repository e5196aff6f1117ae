import pytest


@pytest.fixture(autouse=True)
def own_run_files(tmp_path_factory, monkeypatch):
    """Run files of these tests lie apart: an instrument that somebody starts meanwhile would clean them up."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))

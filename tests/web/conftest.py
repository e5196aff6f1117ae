"""One instrument with a page, shared by the tests of its server."""

import pytest

pytest.importorskip("aiohttp")

from tests.conftest import no_card  # noqa: E402
from tests.web.face import playing  # noqa: E402


@pytest.fixture(scope="session")
def face(tmp_path_factory):
    if why := no_card():
        pytest.skip(why)
    with playing(tmp_path_factory.mktemp("face")) as face:
        face.ask({"do": "cable", "jack": "gate1", "from": None})      # the tests hit by themselves
        yield face

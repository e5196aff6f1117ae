"""``pytest tests/panel --renew-references`` makes the reference pictures anew, and fails, so that nobody leaves it on."""

import pytest


def pytest_addoption(parser):
    parser.addoption("--renew-references", action="store_true", help="make the panel's reference pictures anew; the run fails on purpose")


@pytest.fixture
def renewing(request):
    return request.config.getoption("--renew-references", default=False)

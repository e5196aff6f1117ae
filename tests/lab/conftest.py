"""Tests of the lab need torch and scipy, the extras of training; each file skips itself without them."""

import importlib.util

import pytest

if importlib.util.find_spec("torch"):
    import torch

    torch.set_num_threads(1)      # figures are compared


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """A tiny trained model (`trims.Made`) that all tests may read; what they write goes into folders of their own."""
    from tests.lab import trims

    return trims.made(tmp_path_factory.mktemp("tiny_model"))

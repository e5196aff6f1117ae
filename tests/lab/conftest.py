"""Tests of the lab need torch and scipy, the extras of training; they run on one thread to stay comparable."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("scipy")
torch.set_num_threads(1)

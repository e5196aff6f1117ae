"""Tests of the lab need torch and scipy, the extras of training; each file skips itself without them."""

import importlib.util

if importlib.util.find_spec("torch"):
    import torch

    torch.set_num_threads(1)      # figures are compared

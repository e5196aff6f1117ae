import sys

import pytest


@pytest.fixture(autouse=True, scope="module")
def torch_as_written():
    """TorchScript in this process runs what is written, operation by operation: what its compiler makes of a net in its first blocks takes
    longer than all blocks of a test."""
    if (torch := sys.modules.get("torch")) is None:
        yield
        return
    with torch.jit.optimized_execution(False):
        yield

"""Programs that find a simulated board: a process of their own each, because the buses are preloaded into it."""

import concurrent.futures
import contextlib
import importlib.util
import multiprocessing
import os
import signal
import time

import pytest

from neurorack.drivers import board as boards
from neurorack.process import spawn
from neurorack.shm.rack import Rack
from neurorack.simbus.bus import SimBus
from neurorack.simbus.wires import SimWires

LIBRARIES = ("smbus2", "spidev", "gpiod")


def pytest_collection_modifyitems(items):
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    for item in items:
        if missing and "drivers" in item.path.parts:
            item.add_marker(pytest.mark.skip(reason=f"not installed: {', '.join(missing)}"))


class Program:
    """A process under a simulated board; ``run`` calls a module's function in it, whose state stays from call to call."""

    def __init__(self, environment: dict[str, str]):
        before = dict(os.environ)
        os.environ.update(environment)
        try:
            self._pool = concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
            self.pid = self._pool.submit(os.getpid).result(60)
        finally:
            for name in environment:
                os.environ.pop(name)
            os.environ.update(before)

    def start(self, function, *arguments):
        return self._pool.submit(function, *arguments)

    def run(self, function, *arguments):
        return self.start(function, *arguments).result(60)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)

    def close(self):
        self._pool.shutdown(wait=False, cancel_futures=True)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)


@pytest.fixture
def sim():
    """An empty simulated board with a Raspberry Pi's GPIO chip."""
    made = SimBus.create("pinctrl-bcm2711")
    yield made
    made.close()


@pytest.fixture
def program(sim):
    """A program under ``sim``."""
    made = Program(sim.environment())
    yield made
    made.close()


class Bench:
    """A board of ``hardware/`` with simulated chips, its inputs process, and the shared block it writes."""

    def __init__(self, name: str, **changes):
        self.settings = boards.load(name)
        for section, values in changes.items():
            self.settings[section] = {**self.settings[section], **values}
        self.wires = SimWires(self.settings)
        self.sim = self.wires.sim
        self.rack = Rack.create(sample_rate_hz=48000, block_frames=128, settle_us=1000)
        self.edges = self.rack.edge_reader()
        self.process = None

    def begin(self):
        """Start the inputs process and wait for its first scans."""
        self.process = spawn("inputs", self.rack, {"board": self.settings, "environment": self.wires.environment()})
        assert until(lambda: self.rack.inputs.scans > 3), "the inputs process scans"
        return self

    def new_edges(self) -> list[tuple[int, int, bool]]:
        found = []
        while edge := self.edges.next():
            found.append((edge.edge_ns, edge.jack, bool(edge.rising)))
        return found

    def close(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(5)
            except Exception:
                self.process.kill()
        self.sim.close()


def until(condition, seconds: float = 20.0):
    """What ``condition`` returned once it was true, or its last answer."""
    end = time.monotonic() + seconds
    while not (answer := condition()) and time.monotonic() < end:
        time.sleep(0.005)
    return answer


@pytest.fixture
def bench():
    """``bench(name, **changes of the board file's sections)``."""
    made = []

    def make(name, **changes):
        made.append(Bench(name, **changes))
        return made[-1]
    yield make
    for one in made:
        one.close()

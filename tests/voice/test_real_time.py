"""The real-time contracts: rendering, saving and restoring a voice allocate nothing, lock nothing and need no system; nor does
the callback allocate or lock."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from neurorack import build_core

HERE = Path(__file__).resolve().parent
SCRIPT = """
import ctypes, sys
from neurorack.core import library
from neurorack.engine import Model
from tests.voice.drive import Driven
from tests.voice.test_blocks import Saved
import numpy as np

here, core = ctypes.CDLL(None), library()
here.counted.restype = ctypes.c_long
def call(counter, name, a, b, n):
    return counter(getattr(core, name), ctypes.c_void_p(a), ctypes.c_void_p(b), ctypes.c_long(n))

for rate, path in ((48000, sys.argv[1]), (44100, sys.argv[1]), (44100, sys.argv[2])):
    driven = Driven(Model.load(path), block_frames=128, rate_hz=rate, listen=True)
    if driven.voice.listens:
        driven.voice.write_input(np.ones((40000, 2), np.float32))
        driven.struct.knob[:32] = [1.0] * 32
    for i in range(200):
        driven.hit(500 + 97 * i, i % 3 == 0, i % 2 == 0)
    out = driven.voice._out.ctypes.data
    driven.run(1)
    saved = Saved(driven)
    for counter in (here.counted, here.guarded):
        print(call(counter, "nr_voice_render", driven.voice.handle, out, 300), call(counter, "nr_voice_save", driven.voice.handle, saved.address, 50),
              call(counter, "nr_voice_restore", driven.voice.handle, saved.address, 50))

from neurorack.core import declare
from neurorack.shm.rack import Rack
rack = Rack.create(sample_rate_hz=48000, block_frames=128)
state, block = declare("nr_callback_new", ctypes.c_void_p, ctypes.c_void_p)(rack.base), np.zeros((128, 2), np.float32)
rack.synth[0].playing = rack.synth[1].playing = rack.run.recording = 1
rack.run.mix_target = 0.5
rack.rings[0].push(np.ones((128 * 60, 2)))
here.counted_callback.restype = ctypes.c_long
print(here.counted_callback(core.nr_callback, ctypes.c_void_p(block.ctypes.data), ctypes.c_ulong(128), ctypes.c_void_p(state), ctypes.c_long(100)))
print(here.counted(ctypes.cast(core.nr_voice_new, ctypes.c_void_p), ctypes.byref(driven.voice._spec(driven.voice.card, 0)), None, 1) > 0)
"""


@pytest.fixture(scope="module")
def answers(made, tmp_path_factory):
    library = tmp_path_factory.mktemp("count") / "count_calls.so"
    subprocess.run([*build_core.find_compiler(), "-shared", "-fPIC", "-O1", str(HERE / "count_calls.c"), "-o", str(library), "-ldl"], check=True)
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(made["network"]), str(made["codec"])], env={**os.environ, "LD_PRELOAD": str(library)},
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")


def test_nothing_is_allocated_or_locked(answers):
    assert answers[0] == answers[2] == answers[4] == "0 0 0"
    assert answers[7] == "True", "the counter counts: making a voice allocates"


def test_the_callback_allocates_and_locks_nothing(answers):
    """With frames, without (underruns), in a crossfade and recording; its thread's first call asks for real-time scheduling."""
    assert answers[6] == "0"


def test_nothing_asks_the_system(answers):
    if "-1" in answers[1]:
        pytest.skip("the kernel offers no seccomp here")
    assert answers[1] == answers[3] == answers[5] == "0 0 0"

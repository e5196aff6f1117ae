"""Kernels of every instruction set of this machine agree; running allocates nothing and needs no system."""

import ctypes
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from neurorack import build_core
from neurorack.engine import native

from .helpers import normal

#: A program of every kind of layer; prints the instruction set, writes what three blocks give.
SCRIPT = textwrap.dedent("""
    import sys
    import numpy as np
    from neurorack.engine import isa
    from tests.engine.helpers import both, normal

    def build(b):
        v = b.input()
        h, a = b.conv1d(v, normal(37, 6, 5), normal(37), dilation=3, also="leaky_relu", a2=0.2)
        h = b.conv1d(a, normal(37, 37, 3) * 0.1, normal(37), act="tanh", residual=h)
        h = b.conv1d(h, normal(37, 1, 3), groups=37, act="silu")
        h = b.gru(h, normal(3 * 19, 37) * 0.3, normal(3 * 19, 19) * 0.3, normal(57), normal(57))
        up = b.conv_transpose1d(h, normal(19, 8, 8) * 0.2, normal(8), stride=4)
        hop = 64
        amplitudes = b.softplus(h[:, :9])
        y = b.oscillators(amplitudes, 100 + 9000 * b.sigmoid(h[:, 9:18]), 48000, hop)
        y = y + b.noise_bands(amplitudes, b.generated(kind="erb_noise_bands", bands=9, length=1000, sample_rate=48000), hop)
        y = y + b.filtered_noise(amplitudes, hop) + b.random(y.rows, normal=True)
        w = b.sum(b.exp(-b.unary("square", up))) + b.unary("log", b.unary("abs", b.sin(up * 9.0))[:, :1])
        y = y + b.hold(w, hop // 4) + b.hold(b.reduce("max", b.matmul(h, normal(19, 5))), hop)
        b.output(y)

    fast, slow = both(build, (8, 6), (8 * 64, 1))
    x = normal(24, 6)
    got = fast.stream(x)
    print(isa(), float(np.abs(got - slow.stream(x)).max()), float(np.abs(got).max()))
    np.save(sys.argv[1], got)
    if len(sys.argv) > 2:
        import ctypes
        counter = ctypes.CDLL(None)
        counter.counted.restype = ctypes.c_long
        run, reset, handle = fast._functions.repeat, fast._functions.reset, fast.handle
        run(handle, 1), reset(handle)
        before = counter.counted()
        run(handle, 200), reset(handle), run(handle, 200)
        print("calls", counter.counted() - before)
""")

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def run_script(out, isa="", *more, **env):
    environment = {**os.environ, "PYTHONPATH": ROOT, "NEURORACK_ISA": isa, **env}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(out), *more],
        env=environment,
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), done.stderr


def narrower():
    names = [name for name, _ in build_core.ISAS[build_core.machine()]]
    return names[: names.index(native.isa()) + 1]


def test_every_instruction_set_gives_the_same(tmp_path):
    results = {}
    for isa in narrower():
        (name, error, level), _ = run_script(tmp_path / "out.npy", isa)
        assert name == isa
        assert float(level) > 1 and float(error) < 2e-5 * float(level)
        results[isa] = np.load(tmp_path / "out.npy")
    first = next(iter(results.values()))
    for isa, got in results.items():
        np.testing.assert_allclose(got, first, atol=2e-5 * np.abs(first).max(), rtol=0, err_msg=isa)


def test_an_unknown_instruction_set_is_named_and_the_widest_used(tmp_path):
    words, err = run_script(tmp_path / "out.npy", "mmx")
    assert words[0] in err and "NEURORACK_ISA=mmx" in err


COUNTER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
static long calls;
long counted(void) { return calls; }
#define COUNT(type, name, params, args)                                   \\
    type name params {                                                    \\
        static type (*real) params;                                       \\
        if (!real) real = (type(*) params)dlsym(RTLD_NEXT, #name);        \\
        __atomic_fetch_add(&calls, 1, __ATOMIC_RELAXED);                  \\
        return real args;                                                 \\
    }
COUNT(void *, malloc, (size_t n), (n))
COUNT(void *, realloc, (void *p, size_t n), (p, n))
COUNT(void *, mmap, (void *a, size_t n, int b, int c, int d, long e), (a, n, b, c, d, e))
COUNT(int, posix_memalign, (void **p, size_t a, size_t n), (p, a, n))
COUNT(int, pthread_mutex_lock, (void *m), (m))
COUNT(long, write, (int f, const void *p, size_t n), (f, p, n))
"""


def test_running_allocates_nothing(tmp_path):
    """An interposed library counts allocations and locks over 400 runs and a reset: none (beyond the interpreter's own calls)."""
    source, library = tmp_path / "count.c", tmp_path / "count.so"
    source.write_text(COUNTER)
    try:
        compiler = build_core.find_compiler()
    except build_core.NoCompiler as error:
        pytest.skip(str(error))
    subprocess.run([*compiler, "-shared", "-fPIC", "-O1", str(source), "-o", str(library), "-ldl"], check=True)
    words, _ = run_script(tmp_path / "out.npy", "", "count", LD_PRELOAD=str(library))
    assert words[-2] == "calls"
    assert int(words[-1]) < 100, "400 runs of 50 operations cost more than what the interpreter needs for three calls"


GUARD = """
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
/* Runs p n times and resets it in a child that the kernel kills at any system call but exit; the wait status, -1 if it can't be guarded. */
int guarded(void (*repeat)(void *, long), void (*reset)(void *), void *p, long n) {
    int status, child = fork();
    if (!child) {
        if (prctl(PR_SET_SECCOMP, 1, 0, 0, 0)) syscall(SYS_exit, 7);
        repeat(p, n);
        reset(p);
        repeat(p, n);
        syscall(SYS_exit, 0);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 7 ? -1 : status;
}
"""


def test_a_run_makes_no_system_call(tmp_path):
    from .helpers import both

    source, library = tmp_path / "guard.c", tmp_path / "guard.so"
    source.write_text(GUARD)
    try:
        compiler = build_core.find_compiler()
    except build_core.NoCompiler as error:
        pytest.skip(str(error))
    subprocess.run([*compiler, "-shared", "-fPIC", "-O1", str(source), "-o", str(library)], check=True)

    def build(b):
        h = b.gru(b.conv1d(b.input(), normal(40, 4, 3), act="tanh"), normal(60, 40), normal(60, 20))
        b.output(b.sum(h) + b.random(16, normal=True) + b.sum(b.conv1d(h, normal(20, 1, 3), groups=20)))

    program, _ = both(build, (16, 4), (16, 1))
    functions, guard = program._functions, ctypes.CDLL(str(library))
    status = guard.guarded(functions.repeat, functions.reset, ctypes.c_void_p(program.handle), ctypes.c_long(500))
    if status == -1:
        pytest.skip("the kernel offers no seccomp here")
    assert status == 0, "killed at a system call"


def test_denormals_are_off_only_where_asked():
    """A decaying filter passes through denormals in a fresh thread, not after denormals_off."""
    import threading

    from .helpers import both

    program, _ = both(lambda b: b.output(b.input() * np.float32(0.5)), (4, 1), (4, 1))
    seen = {}

    def work(off):
        if off:
            native.denormals_off()
        seen[off] = program.run(np.full((4, 1), 1.5e-38, np.float32)).view(np.uint32).max()

    for off in (False, True):
        thread = threading.Thread(target=work, args=(off,))
        thread.start()
        thread.join()
    assert seen[False] != 0 and seen[True] == 0

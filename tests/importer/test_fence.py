"""The fence, from inside: whatever is forbidden is really tried."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from neurorack.errors import ModelError
from neurorack.importer import landlock, seccomp
from neurorack.importer.fence import Fence, FenceError, Limits

REPOSITORY = Path(__file__).resolve().parents[2]
INSIDE = "tests.importer.inside"
FREE = {"write in the scratch"}       # the one thing that is allowed


def fence(**more) -> Fence:
    return Fence(read=[REPOSITORY], **more)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def places(tmp_path):
    """A scratch, a folder outside of it, and a file nobody should read."""
    for name in ("scratch", "outside", "private"):
        (tmp_path / name).mkdir()
    (tmp_path / "private" / "secret").write_text("secret")
    return {"scratch": str(tmp_path / "scratch"), "outside": str(tmp_path / "outside"), "secret": str(tmp_path / "private" / "secret")}


@pytest.mark.parametrize("writable", [True, False])
def test_what_is_forbidden_fails(places, writable):
    if not writable:
        places["scratch"] = None
    with fence(write=places["scratch"]).start(f"{INSIDE}:try_everything", places) as child:
        outcome = child.wait()
    if child.layers["landlock"] != "on" or child.layers["seccomp"] != "on":
        pytest.skip(f"this kernel cannot do all of it: {child.layers}")
    assert {name for name, what in outcome.items() if what == "done"} == (FREE if writable else set()), outcome
    assert os.listdir(places["outside"]) == [] and Path(places["secret"]).read_text() == "secret"
    assert not Path("/dev/shm/neurorack-test").exists()


def test_layers_are_said(tmp_path):
    with fence(write=tmp_path).start(f"{INSIDE}:echo", {"value": 3}) as child:
        assert child.wait() == 3
    assert child.holds and {"limits", "namespaces", "landlock", "seccomp", "no new privileges", "capabilities", "user", "priority"} <= set(child.layers)
    assert all(state for state in child.layers.values())


def test_a_child_leads_its_own_session_and_steps_back():
    with fence().start(f"{INSIDE}:who", {}) as child:
        seen = child.wait()
    assert seen["group"] and seen["session"] and seen["policy"] == os.SCHED_IDLE
    assert os.geteuid() != 0 or child.layers["user"] != "on" or seen["uid"] != 0
    with fence(low_priority=False).start(f"{INSIDE}:who", {}) as child:
        assert child.wait()["policy"] == os.sched_getscheduler(0)


def test_no_process_can_be_made():
    assert fence().run(f"{INSIDE}:fork_bomb", {}) == 0


def test_threads_and_descriptors_come_to_an_end():
    assert fence(limits=Limits(memory_mb=1024)).run(f"{INSIDE}:thread_bomb", {}) < 5000
    assert fence(limits=Limits(open_files=50)).run(f"{INSIDE}:open_files", {}) < 50


@pytest.mark.parametrize("how", ["allocate", "map_memory"])
def test_twenty_gigabytes_are_refused(how):
    with pytest.raises(FenceError, match="more memory than the 512 MB|Cannot allocate memory"):
        fence(limits=Limits(memory_mb=512)).run(f"{INSIDE}:{how}", {"gigabytes": 20})


def test_an_endless_loop_ends():
    with pytest.raises(FenceError, match="within 1 s of computing"):
        fence(limits=Limits(cpu_seconds=1)).run(f"{INSIDE}:spin", {})


def test_an_endless_sleep_ends():
    with fence(limits=Limits(wall_seconds=0.7)).start(f"{INSIDE}:sleep", {}) as child:
        with pytest.raises(FenceError, match="did not come to an end within 0.7 s"):
            child.wait()
    assert not alive(child.pid)


def test_a_crash_is_one_line():
    with pytest.raises(FenceError, match=r"crashed \(SIGSEGV\)"):
        fence().run(f"{INSIDE}:crash", {})


def test_reasons_come_through():
    with pytest.raises(ModelError, match="^it is green$"):
        fence().run(f"{INSIDE}:refuse", {})
    with pytest.raises(FenceError, match="KeyError: 'nothing there'"):
        fence().run(f"{INSIDE}:stumble", {})
    assert fence().run(f"{INSIDE}:print_much", {}) == 1


def test_progress_is_told():
    lines = []
    fence().run(f"{INSIDE}:echo", {"value": None}, progress=lines.append)
    assert lines == ["on my way"]


def test_a_child_dies_with_its_parent_and_not_with_the_thread_that_started_it():
    """The parent starts a child in a thread, lets the thread end, and is then killed."""
    program = textwrap.dedent(f"""
        import threading, time
        from neurorack.importer.fence import Fence
        def start():
            global child
            child = Fence(read=[{str(REPOSITORY)!r}]).start("{INSIDE}:sleep", {{}})
        thread = threading.Thread(target=start)
        thread.start()
        thread.join()
        child.message(30), child.message(30)
        print(child.pid, flush=True)
        time.sleep(60)
    """)
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=REPOSITORY)
    try:
        pid = int(parent.stdout.readline())
        time.sleep(0.2)
        assert alive(pid)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        end = time.monotonic() + 5
        while alive(pid) and time.monotonic() < end:
            time.sleep(0.01)
        assert not alive(pid)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()


def test_many_threads_may_fence_at_once():
    results = []
    threads = [threading.Thread(target=lambda i=i: results.append(fence().run(f"{INSIDE}:echo", {"value": i}))) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == list(range(6))


def test_without_any_layer_nothing_is_run():
    """In a process from which the kernel's three ways are taken, by a filter of its own."""
    program = textwrap.dedent(f"""
        import platform
        from neurorack.importer import fenced, seccomp
        from neurorack.importer.fence import Fence, FenceError
        column = seccomp.MACHINES[platform.machine()][0]
        steps = [(0x20, 0, 0, 0)]
        for numbers in ((444, 444), (272, 97)):
            steps += [(0x15, 0, 1, numbers[column]), (0x06, 0, 0, 0x00050000 | 1)]
        steps += [(0x15, 0, 4, (157, 167)[column]), (0x20, 0, 0, 16), (0x15, 0, 1, 22), (0x06, 0, 0, 0x00050000 | 1), (0x06, 0, 0, seccomp.ALLOW)]
        fenced.no_new_privileges()
        seccomp.load([*steps, (0x06, 0, 0, seccomp.ALLOW)])
        try:
            Fence(read=[{str(REPOSITORY)!r}]).run("{INSIDE}:echo", {{"value": 1}})
        except FenceError as error:
            print(error)
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=REPOSITORY, timeout=60)
    assert "nothing foreign is run here" in done.stdout, done


# -- the filter itself, on both machines

def run_filter(steps, arch: int, number: int, *arguments: int) -> int:
    """What the kernel's packet machine answers to a call."""
    data = {0: number, 4: arch, **{16 + 8 * i: value & 0xFFFFFFFF for i, value in enumerate(arguments)}}
    at, a = 0, 0
    while True:
        code, so, otherwise, k = steps[at]
        if code == 0x06:
            return k
        if code == 0x20:
            a = data.get(k, 0)
            at += 1
            continue
        met = {0x15: a == k, 0x35: a >= k, 0x45: bool(a & k)}[code]
        at += 1 + (so if met else otherwise)


CALLS = {"x86_64": {"read": 0, "openat": 257, "socket": 41, "connect": 42, "execve": 59, "clone": 56, "kill": 62, "ptrace": 101, "unlinkat": 263},
         "aarch64": {"read": 63, "openat": 56, "socket": 198, "connect": 203, "execve": 221, "clone": 220, "kill": 129, "ptrace": 117, "unlinkat": 35}}


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_answers_as_it_should(machine):
    arch, calls = seccomp.MACHINES[machine][1], CALLS[machine]

    def ask(read_only, name, *arguments):
        answer = run_filter(seccomp.program(machine, 77, read_only), arch, calls[name], *arguments)
        return "allowed" if answer == seccomp.ALLOW else "forbidden"

    for name in ("socket", "connect", "execve", "ptrace"):
        assert ask(False, name) == "forbidden"
    assert ask(False, "read") == ask(True, "read") == "allowed"
    assert ask(False, "clone", 0x11) == "forbidden" and ask(False, "clone", 0x3D0F00) == "allowed"
    assert ask(False, "kill", 77) == "allowed" and ask(False, "kill", 1) == "forbidden" and ask(False, "kill", -1) == "forbidden"
    assert ask(True, "openat", 0, 0, os.O_RDONLY | os.O_CLOEXEC) == "allowed"
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_CREAT, os.O_RDONLY | os.O_TRUNC):
        assert ask(True, "openat", 0, 0, flags) == "forbidden" and ask(False, "openat", 0, 0, flags) == "allowed"
    assert ask(True, "unlinkat") == "forbidden" and ask(False, "unlinkat") == "allowed"
    other = seccomp.MACHINES["aarch64" if machine == "x86_64" else "x86_64"][1]
    assert run_filter(seccomp.program(machine, 77, True), other, calls["read"]) == seccomp.KILL
    assert len(seccomp.program(machine, 77, True)) < 4096


def test_other_machines_have_no_filter():
    with pytest.raises(OSError, match="riscv64"):
        seccomp.program("riscv64", 1, True)


def test_the_version_of_landlock_is_known():
    assert 0 <= landlock.abi() < 100

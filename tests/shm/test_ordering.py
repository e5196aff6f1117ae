"""x86-64 forgives a missing barrier, arm64 does not: look at the instructions the arm64 compiler emits."""

import importlib.util
import re
import subprocess
import sys

import pytest

from neurorack import build_core

pytestmark = pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="the ziglang wheel (a cross compiler) is not installed")


@pytest.fixture(scope="module")
def assembly(tmp_path_factory):
    """Function name -> its arm64 instructions."""
    folder = tmp_path_factory.mktemp("arm64")
    (folder / "rack_table.h").write_text(build_core.generated_header())
    out = folder / "shm.s"
    flags = [f for f in build_core.FLAGS if f != "-fvisibility=hidden"]
    subprocess.run([sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-gnu", *flags, f"-I{build_core.PACKAGE}", f"-I{folder}",
                    "-S", str(build_core.PACKAGE / "shm" / "shm.c"), "-o", str(out)], check=True)
    functions, name = {}, None
    for line in out.read_text().splitlines():
        if match := re.match(r"(nr_\w+):", line):
            name = match.group(1)
            functions[name] = []
        elif name and line.startswith("\t") and not line.startswith("\t."):
            functions[name].append(line.split()[0])
    return functions


def acquires(code):
    return [i for i, op in enumerate(code) if op in ("ldar", "ldapr")]


def releases(code):
    return [i for i, op in enumerate(code) if op == "stlr"]


def test_the_ring_loads_with_acquire_and_stores_with_release(assembly):
    for function, stores in (("nr_push", 1), ("nr_pull", 2)):     # pull announces its claim first
        code = assembly[function]
        copies = [i for i, op in enumerate(code) if op == "bl"]     # memcpy
        assert acquires(code) and len(releases(code)) == stores, function
        assert copies and max(copies) < releases(code)[-1], "the index moves only after the frames"


def test_claim_and_take_back_see_each_other(assembly):
    """Both sides: release store, full barrier, acquire load (Dekker's argument needs the barrier in between)."""
    for function in ("nr_pull", "nr_take_back"):
        code = assembly[function]
        barrier = code.index("dmb")
        assert releases(code)[0] < barrier < acquires(code)[0 if acquires(code)[0] > barrier else 1], function


def test_a_snapshot_is_fenced_on_both_sides(assembly):
    write, read = assembly["nr_controls_write"], assembly["nr_controls_read"]
    assert "dmb" in write and "stlr" in write and write.index("dmb") < write.index("stlr")
    assert any(i in ("ldar", "ldapr") for i in read) and "dmb" in read
    first = next(i for i, op in enumerate(read) if op in ("ldar", "ldapr"))
    assert first < read.index("dmb")


def test_an_edge_is_counted_after_it_is_whole(assembly):
    code = assembly["nr_edge_publish"]
    releases = [i for i, op in enumerate(code) if op == "stlr"]
    assert "dmb" in code and len(releases) == 2      # the slot's mark, then the head
    assert any(i in ("ldar", "ldapr") for i in assembly["nr_edge_next"])

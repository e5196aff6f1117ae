"""Taking rendered frames back from the ring: across two processes racing for them, never a frame that was taken back is
heard, and never one is lost or doubled."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from neurorack import build_core
from neurorack.shm.rack import Rack

HERE = Path(__file__).resolve().parent
ROUND_SECONDS, SOAK_ROUNDS = 4.0, 200


def compiled(folder: Path) -> Path:
    (folder / "rack_table.h").write_text(build_core.generated_header())
    out = folder / "ring_race.so"
    subprocess.run([*build_core.find_compiler(), *build_core.FLAGS, "-shared", f"-I{build_core.PACKAGE}", f"-I{folder}", str(HERE / "ring_race.c"), "-o", str(out)], check=True)
    return out


def race(folder: Path, seconds: float, seed: int) -> tuple[dict, dict]:
    """(producer's, consumer's) notes and tallies."""
    library, rack = compiled(folder), Rack.create(sample_rate_hz=48000, block_frames=64)
    sides = []
    for role, more in (("consume", 0.5), ("produce", 0.0)):      # the consumer takes what is left at the end
        command = [sys.executable, "-m", "tests.shm.race", role, str(rack.fd), str(library), str(seconds + more), str(seed), str(folder / role)]
        sides.append(subprocess.Popen(command, pass_fds=(rack.fd,)))
    assert [side.wait(timeout=seconds + 60) for side in sides] == [0, 0]
    return tuple(dict(np.load(folder / f"{role}.npz")) for role in ("produce", "consume"))


@pytest.mark.parametrize("rounds", [1, pytest.param(SOAK_ROUNDS, marks=pytest.mark.soak)])
def test_no_frame_that_was_taken_back_is_ever_heard(tmp_path, rounds):
    for seed in range(7, 7 + rounds):
        check(*race(tmp_path, ROUND_SECONDS, seed))


def check(made: dict, heard: dict) -> None:
    assert heard["misplaced"] == 0, "every frame once, in its place"
    assert heard["frames"] == made["frames"]
    assert made["notes"].shape[0] > 1000 and made["refused"] > 10, "no race took place"

    # the version of a frame is that of the last take-back to a place at or before it
    places, versions = made["notes"][:, 0], made["notes"][:, 1]
    final = np.minimum.accumulate(places[::-1])[::-1] == places      # not undone by a later one further back
    later = np.concatenate([np.minimum.accumulate(places[::-1])[::-1][1:], [np.iinfo(np.uint64).max]])
    stands = final & (places < later)
    want = np.stack([places[stands], versions[stands] & 0x3FFFFF], 1)
    got = heard["notes"]
    if got[0, 1] == 0:
        got = got[1:]       # before the first take-back
    want = want[want[:, 0] < heard["frames"]]      # a place never filled again after it
    assert np.array_equal(got, want)


def test_one_process_alone_takes_back_what_was_not_claimed():
    ring = Rack.create(sample_rate_hz=48000, block_frames=64).rings[0]
    ramp = np.arange(1000, dtype=np.float32)[:, None] * [1, -1]
    ring.push(ramp)
    assert np.array_equal(ring.pull(300), ramp[:300])
    assert not ring.take_back(299), "claimed: the callback may be copying it"
    assert ring.fill_frames == 700
    assert ring.take_back(300) and ring.fill_frames == 0
    ring.push(ramp[:50] + 5)
    assert ring.take_back(320) and ring.fill_frames == 20
    ring.push(ramp[:10] + 9)
    assert np.array_equal(ring.pull(100), np.concatenate([ramp[:20] + 5, ramp[:10] + 9]))


def test_a_pull_that_ran_dry_keeps_its_claim_until_the_next():
    """What it asked for and did not get may still be being looked at."""
    ring = Rack.create(sample_rate_hz=48000, block_frames=64).rings[0]
    ring.push(np.zeros((10, 2)))
    assert len(ring.pull(64)) == 10
    ring.push(np.ones((100, 2)))
    assert not ring.take_back(63) and ring.take_back(64) and ring.fill_frames == 54

"""The watched folder: what is copied in is checked when it is whole, and made available."""

import os
import shutil
import subprocess
import time
from pathlib import Path

from neurorack import library
from neurorack.library import describe, entries, files, watch
from tests.library.conftest import Told
from tests.library.helpers import sound

def test_a_file_copied_in_is_checked_and_made_available(own, watcher, tone):
    shutil.copy(tone, own / "dropped (v2).safetensors")
    assert watcher.told.wait_for("dropped v2: plays")
    assert entries.entry("dropped v2").record()["verdict"]["verdict"] == "plays"
    assert library.find("dropped v2") == own / "dropped (v2).safetensors"


def test_an_upload_in_progress_is_not_touched(own, watcher, tone):
    data = tone.read_bytes()
    for name in (".mine.safetensors.Ab12Cd", "mine.safetensors.part", "mine.tmp"):
        (own / name).write_bytes(data)
    with open(own / "slow.safetensors", "wb") as file:
        for at in range(0, len(data), len(data) // 4 + 1):
            file.write(data[at: at + len(data) // 4 + 1])
            file.flush()
            if file.tell() < len(data):
                time.sleep(0.6)          # longer than a file must stand still
                assert watcher.told == []
    assert watcher.told.wait_for("slow: plays") and not any("mine" in line for line in watcher.told)


def test_a_foreign_file_that_arrives_in_pieces_is_taken_when_it_is_whole(own, lifted_once, watcher, zoo_files):
    shutil.copytree(lifted_once / files.LIFTED, own / files.LIFTED, dirs_exist_ok=True)          # checked before
    data = Path(zoo_files[1]).read_bytes()
    with open(own / "piecewise.ts", "wb") as file:
        file.write(data[: len(data) // 2])
        file.flush()
        time.sleep(1.0)                    # longer than a file must stand still
        assert watcher.told == []
        file.write(data[len(data) // 2:])
    assert watcher.told.wait_for("piecewise: plays", 60) and library.available()["piecewise"].parent == own / files.LIFTED


def test_a_refused_file_is_remembered_with_its_reason_until_it_changes(own, watcher, tone, low):
    (own / "page.ts").write_text("<!DOCTYPE html><html>404</html>")
    assert watcher.told.wait_for("page: refused")
    watcher.stop()
    told = Told()
    second = watch.Watcher(told.append, poll_seconds=0.05, still_seconds=0.1).start()
    time.sleep(1.0)
    assert told == [] and describe.row(entries.entry("page"))["kind"] == "refused"
    (own / "page.ts").write_text("<!DOCTYPE html><html>405</html>!")
    assert told.wait_for("page: refused")
    second.stop()


def test_a_truncated_file_is_judged_once_it_stands_still(own, watcher, tone):
    (own / "cut.safetensors").write_bytes(tone.read_bytes()[:-100])
    assert watcher.told.wait_for("cut: refused") and not watcher.told.wait_for("plays", 0.1)


def test_a_lifted_file_that_was_damaged_in_silence_is_made_again_at_the_next_start(stocked):
    path = library.find("gain")
    wanted, stat, data = sound(path), path.stat(), bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    told = Told()
    made = watch.Watcher(told.append, poll_seconds=0.05, still_seconds=0.1).start()
    try:
        assert told.wait_for("gain: plays", 60) and "gain.ts is to be lifted again: it is being checked" in told and len(told) == 2
    finally:
        made.stop()
    assert (sound(library.find("gain")) == wanted).all()


def test_two_files_of_one_name(own, watcher, tone):
    shutil.copy(tone, own / "mine.safetensors")
    (own / "mine.ts").write_text("<html>")
    assert watcher.told.wait_for("mine.ts is not available: another file is called 'mine' too") and watcher.told.wait_for("mine: plays")


def test_a_watcher_that_is_stopped_leaves_nothing_running(empty, tone):
    empty.mkdir(parents=True)
    shutil.copy(tone, empty / "mine.safetensors")
    made = watch.Watcher(lambda line: None, poll_seconds=0.01, still_seconds=0.0).start()
    time.sleep(0.15)
    began = time.monotonic()
    made.stop()
    assert time.monotonic() - began < 3 and not made._thread.is_alive()
    running = subprocess.run(["ps", "-eo", "ppid,args"], capture_output=True, text=True).stdout
    assert not [line for line in running.splitlines() if line.split()[0] == str(os.getpid()) and "library" in line]

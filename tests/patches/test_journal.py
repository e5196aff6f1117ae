"""History and journal: undo across restarts; cut or spoilt at any byte, it is as it was a little before; killed while saving, nothing saved is lost."""

import contextlib
import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurorack.patches import journal as journals
from neurorack.patches import schema
from neurorack.patches.bank import Bank
from neurorack.patches.history import STEPS, History, change, changed
from neurorack.patches.journal import NAME, Journal, line, replay
from tests.patches.documents import DOCUMENTS, PLAIN
from tests.patches.saver import document

ROOT = Path(__file__).resolve().parents[2]
OFTEN = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
DICTS = st.dictionaries(st.text(max_size=4), PLAIN, max_size=4)
ACTS = st.lists(st.tuples(st.sampled_from(["step", "join", "amend", "undo", "redo", "note", "bank"]), st.integers(0, 200)), max_size=25)


def act(history: History, acts) -> None:
    """What a musician does."""
    history.step("", document(0))
    for what, number in acts:
        if what == "step":
            history.step(f"edit {number}", document(number))
        elif what == "bank":
            history.step("delete", document(number), (1 + number % 64, f"text {number}", None))
        elif what in ("join", "amend"):
            getattr(history, what)(document(number))
        elif what == "note":
            history.note(current=number)
        else:
            to = history.at + (-1 if what == "undo" else 1)
            if 0 <= to < len(history.steps):
                history.do(op="move", to=to)


def looks(history: History) -> str:
    return json.dumps([[step.label, step.state, step.bank] for step in history.steps] + [history.at, history.now, history.notes], sort_keys=True)


@OFTEN
@given(DICTS, DICTS)
def test_a_change_leads_from_one_document_to_the_other(one, other):
    assert json.dumps(changed(one, change(one, other)), sort_keys=True) == json.dumps(other, sort_keys=True)
    assert change(one, json.loads(json.dumps(one))) == []


@OFTEN
@given(ACTS)
def test_a_journal_repeats_its_history_and_so_does_the_shortest(acts):
    written: list[dict] = []
    history = History(written.append)
    act(history, acts)
    again = History()
    data = b"".join(map(line, written))
    assert replay(data, again) == len(data) and looks(again) == looks(history)
    short = History()
    assert replay(b"".join(map(line, history.snapshot()())), short) and looks(short) == looks(history)


@OFTEN
@given(ACTS, st.randoms(use_true_random=False))
def test_cut_or_spoilt_at_any_byte_it_is_as_it_was_before(acts, chance):
    """Every state that can be read is one that was there."""
    written: list[dict] = []
    history, states = History(written.append), [looks(History())]
    history.write = lambda operation: (written.append(operation), states.append(looks(history)))
    act(history, acts)
    lines = [line(operation) for operation in written]
    data = b"".join(lines)
    for _ in range(20):
        at = chance.randrange(len(data) + 1)
        whole = sum(1 for i in range(len(lines)) if sum(map(len, lines[:i + 1])) <= at)
        cut = History()
        replay(data[:at], cut)
        assert looks(cut) == states[whole], "no whole line is lost, no half one is taken"
        if at < len(data):
            spoilt = bytearray(data)
            for _ in range(chance.randint(1, 3)):
                spoilt[chance.randrange(at, len(data))] = chance.randrange(256)
            found = History()
            replay(bytes(spoilt), found)
            assert looks(found) in states[whole:]


@OFTEN
@given(st.lists(st.one_of(DICTS, st.builds(dict, op=st.sampled_from(["begin", "step", "join", "move", "amend", "note", "x"]), state=PLAIN, change=PLAIN, label=PLAIN, to=PLAIN,
                                           what=PLAIN, bank=PLAIN)), max_size=6))
def test_lines_that_are_whole_and_make_no_sense_do_no_harm(operations):
    history = History()
    history.step("", document(3))
    replay(b"".join(map(line, operations)), history)
    assert history.steps and 0 <= history.at < len(history.steps) and isinstance(history.now, dict)
    assert json.loads(history.steps[history.at].state) == history.now


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(DOCUMENTS)
def test_any_patch_can_be_journaled(given_):
    whole, history, again = schema.cleaned(given_), History(), History()
    written: list[dict] = []
    history.write = written.append
    history.step("", document(1))
    history.step("a", whole)
    assert replay(b"".join(map(line, written)), again) and again.now == whole


def test_undo_is_kept_across_restarts_and_has_an_end(tmp_path):
    history = History()
    journal = Journal(tmp_path / NAME, history)
    assert journal.open() == ""
    for i in range(STEPS + 50):
        history.step(f"edit {i}", document(i))
    history.do(op="move", to=history.at - 2)
    journal.close()
    later = History()
    assert Journal(tmp_path / NAME, later).open() == ""
    assert looks(later) == looks(history) and len(later.steps) == STEPS + 1
    assert later.undo_label == f"edit {STEPS + 47}" and later.redo_label == f"edit {STEPS + 48}" and later.now == document(STEPS + 47)


def test_it_is_written_within_a_second_and_seldom_and_stays_small(tmp_path, monkeypatch):
    monkeypatch.setattr(journals, "MOST_BYTES", 20000)
    syncs, real = [], journals.os.fsync
    monkeypatch.setattr(journals.os, "fsync", lambda handle: (syncs.append(time.monotonic()), real(handle)))
    history = History()
    journal = Journal(tmp_path / NAME, history)
    journal.open()
    began, i, late = time.monotonic(), 0, []
    while time.monotonic() - began < 2.2:
        history.step(f"edit {i}", document(i))
        if i % 10 == 0:
            seen = History()
            with contextlib.suppress(OSError):
                replay((tmp_path / NAME).read_bytes(), seen)
            late.append(i - seen.now.get("revision", 0) if seen.now else i)
        i += 1
        time.sleep(0.01)
    writes = len({round(sync, 2) for sync in syncs})
    assert writes <= 2 * (2.2 / journals.PAUSE_SECONDS + 1), "the file and its folder, when it is written anew"
    assert sorted(late)[len(late) // 2] <= 1.0 / 0.01
    journal.close()
    shortest = sum(len(line(operation)) for operation in history.snapshot()())
    assert (tmp_path / NAME).stat().st_size < 2.2 * shortest + 20000
    seen = History()
    replay((tmp_path / NAME).read_bytes(), seen)
    assert seen.now == document(i - 1)


def test_a_disk_that_takes_nothing_is_told_once_and_tried_again(tmp_path):
    said, history = [], History()
    journal = Journal(tmp_path / "state" / NAME, history, said.append)
    journal.open()
    history.step("", document(1))
    journal.flush()
    (tmp_path / "state" / NAME).unlink()
    (tmp_path / "state" / NAME).mkdir()                 # in its place: nobody can write it
    for i in range(3):
        history.step("a", document(2 + i))
        journal.flush()
    assert len(said) == 1 and "edits cannot be kept" in said[0]
    (tmp_path / "state" / NAME).rmdir()
    history.step("a", document(9))
    journal.close()
    again = History()
    replay((tmp_path / "state" / NAME).read_bytes(), again)
    assert again.now == document(9) and len(again.steps) == 5, "all of it"


def test_one_instrument_at_a_time_keeps_it(tmp_path):
    first, second = Journal(tmp_path / NAME, History()), Journal(tmp_path / NAME, History())
    assert first.open() == "" and "another instrument keeps the patch" in second.open()
    second.history.step("", document(5))
    second.close()
    first.close()
    assert not (tmp_path / NAME).exists()


def test_a_damaged_journal_is_told_and_kept_aside(tmp_path):
    lines = [line({"op": "begin", "state": document(1)}), line({"op": "step", "label": "a", "change": change(document(1), document(2))}), line({"op": "note", "what": {"current": 2}})]
    data = bytearray(b"".join(lines))
    data[len(lines[0]) + 20] ^= 1
    (tmp_path / NAME).write_bytes(data)
    history = History()
    journal = Journal(tmp_path / NAME, history)
    assert f"is damaged after {len(lines[0])} bytes" in journal.open() and history.now == document(1)
    assert (tmp_path / "patch.damaged").read_bytes() == data
    history.step("b", document(3))
    journal.close()
    again = History()
    assert replay((tmp_path / NAME).read_bytes(), again) == (tmp_path / NAME).stat().st_size and again.now == document(3)


class Saver:
    """``saver.py`` as a process; what it has said so far."""

    def __init__(self, folder: Path):
        self.process = subprocess.Popen([sys.executable, "-m", "tests.patches.saver", str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.said: list[tuple[float, str]] = []
        self.opened = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        for said in self.process.stdout:
            self.said.append((time.monotonic(), said.strip()))
            self.opened.set()

    def kill(self) -> float:
        self.process.kill()
        at = time.monotonic()
        self.process.wait()
        self.reader.join(5)
        return at


def kills(folder: Path, times: int, chance: random.Random) -> tuple[int, int]:
    """Kill a saver so many times at random moments, and look after each; returns saves and edits that were said."""
    saves = edits = 0
    for _ in range(times):
        saver = Saver(folder)
        assert saver.opened.wait(60), "it did not open the folder"
        assert saver.said[0][1] == "open", "nothing is damaged by a kill"
        time.sleep(chance.uniform(0.0, 0.4) if chance.random() < 0.8 else chance.uniform(0.8, 1.5))
        killed_at = saver.kill()
        saved = {int(said.split()[1]): int(said.split()[2]) for _, said in saver.said if said.startswith("scene")}
        bank = Bank(folder / "scenes")
        for number, revision in saved.items():
            found = bank.get(number)
            assert found["revision"] >= revision and found == document(found["revision"]), f"scene {number}"
        assert all(found == document(found["revision"]) and not wrong for found, wrong in bank.all().values()), "none is half"
        history = History()
        data = (folder / NAME).read_bytes() if (folder / NAME).exists() else b""
        replay(data, history)
        noted = [int(said.split()[1]) for at, said in saver.said if said.startswith("edit") and at < killed_at - 1.0]
        assert not noted or history.now["revision"] >= noted[-1], "an edit older than a second is lost"
        assert all(document(state["revision"]) == state for state in map(history.state, range(len(history.steps))))
        saves, edits = saves + sum(said.startswith("scene") for _, said in saver.said), edits + sum(said.startswith("edit") for _, said in saver.said)
    return saves, edits


def test_killed_while_it_saves_nothing_saved_is_lost(tmp_path):
    saves, edits = kills(tmp_path, 8, random.Random())
    assert saves > 20 and edits > 50


@pytest.mark.soak
def test_killed_two_hundred_times_while_it_saves_nothing_saved_is_lost(tmp_path):
    saves, edits = kills(tmp_path, 200, random.Random())
    print(f"{saves} scenes saved, {edits} edits noted, 200 kills")
    assert saves > 2000

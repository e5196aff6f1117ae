"""The library on disk: names, adds that are whole or nothing, the trash, aliases, full disks, damaged files, the watched folder."""

import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from neurorack import library
from neurorack.errors import ModelError, NeurorackError
from neurorack.library import cards, changes, check, describe, entries, files, lifted, names, watch
from tests import models


@pytest.fixture(scope="module")
def low(tmp_path_factory):
    """A model of other content than ``tone``."""
    return models.tone(tmp_path_factory.mktemp("low") / "low.safetensors", hertz=300.0).path


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """An empty library of one's own, where nothing was ever checked."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    folder = tmp_path / "data" / "neurorack" / "models"
    assert files.own() == folder
    return folder


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory, tone, low):
    """Verdicts on ``tone`` and ``low``: each is checked once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("checked")))
        for model in (tone, low):
            check.checked(model, files.sha256_of(model), {})
        return files.own() / files.LIFTED


@pytest.fixture
def own(empty, verdicts):
    """An empty library that has checked ``tone`` and ``low`` before."""
    shutil.copytree(verdicts, empty / files.LIFTED)
    return empty


def in_folder(folder):
    """Files of the library that a person sees."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def left_over(folder):
    return [path for path in folder.rglob(f"*{files.PART}")]


# ---- names


@pytest.mark.parametrize("name", ["a", "Deep Drum", "v1.2_b-3", "7", "Glöckchen", "x" * 60])
def test_good_names(name):
    assert names.check(name) == name == names.tidy(name)


@pytest.mark.parametrize("name", ["", " a", "a ", "a.", ".a", "../a", "a/b", "a\\b", "a\nb", "a:b", "-a", "a  b", "x" * 61, "ö" * 31, "a.ts", "A.SafeTensors", "a\0"])
def test_bad_names_are_refused_and_can_be_made_good(name, own, tone):
    with pytest.raises(ModelError):
        names.check(name)
    assert names.check(names.tidy(name))
    with pytest.raises(ModelError):
        changes.rename("impacts", name)
    if name:
        with pytest.raises(ModelError):
            changes.add(tone, name=name)


def test_a_name_spelt_in_two_ways_is_one():
    assert names.check("Glo\u0308ckchen") == names.check("Gl\u00f6ckchen")


# ---- adding


def test_an_added_model_is_a_copy_that_plays(own, tone):
    done = changes.add(tone, name="mine", author="A. Maker", licence="CC0-1.0")
    assert (done["name"], done["verdict"]["verdict"], done["same_as"]) == ("mine", "plays", [])
    assert (own / "mine.safetensors").read_bytes() == tone.read_bytes()
    assert library.find("mine") == library.available()["mine"] == own / "mine.safetensors"
    told = describe.info(entries.entry("mine"))
    assert (told["author"], told["licence"], told["where"], told["kind"]) == ("A. Maker", "CC0-1.0", "own", "native")
    assert told["check"] == done["verdict"] and told["board"] == lifted.board() and told["sha256"] == files.sha256_of(tone)
    assert in_folder(own) == ["mine.safetensors", "mine.yaml"] and not left_over(own)


def test_a_name_that_is_taken_is_refused_unless_replaced(own, tone, low):
    changes.add(tone, name="mine", licence="CC0-1.0")
    with pytest.raises(ModelError, match="--name, or replace that one with --replace"):
        changes.add(low, name="mine")
    with pytest.raises(ModelError, match="this very file is in the library as 'mine' already"):
        changes.add(tone, name="mine")
    assert (own / "mine.safetensors").read_bytes() == tone.read_bytes()
    changes.add(low, name="mine", replace=True)
    assert (own / "mine.safetensors").read_bytes() == low.read_bytes() and not (own / "mine.yaml").exists()
    changes.rename("mine", "new")
    changes.restore("mine")                                                 # the one that was replaced, with its card
    assert (own / "mine.safetensors").read_bytes() == tone.read_bytes() and cards.read_beside(own / "mine.safetensors") == {"licence": "CC0-1.0"}


def test_the_same_content_under_another_name_is_said_and_not_checked_twice(empty, tone):
    first = changes.add(tone, name="one")
    began = lifted.recall(files.sha256_of(tone), {})["checked_at"]
    again = changes.add(tone, name="two")
    assert again["same_as"] == ["one"] and again["verdict"] == first["verdict"]
    assert lifted.recall(files.sha256_of(tone), {})["checked_at"] == began


def test_refused_files_are_not_taken(own, tmp_path):
    (tmp_path / "page.ts").write_text("<!DOCTYPE html><html>404</html>")
    done = changes.add(tmp_path / "page.ts")
    assert done["name"] is None and done["verdict"]["verdict"] == "refused" and in_folder(own) == []


@pytest.mark.parametrize("make, what", [
    (lambda folder: (folder / "x.ts").mkdir(), "is a folder"), (lambda folder: None, "cannot be read"),
    (lambda folder: (folder / "x.ts").symlink_to("nowhere"), "cannot be read")])
def test_what_is_no_file_cannot_be_added(own, tmp_path, make, what):
    make(tmp_path)
    with pytest.raises(ModelError, match=what):
        changes.add(tmp_path / "x.ts")


def test_a_file_of_the_library_is_not_added_to_it(own, tone):
    changes.add(tone, name="mine")
    with pytest.raises(ModelError, match="lies in the library already"):
        changes.add(own / "mine.safetensors", name="other")


def test_a_model_of_one_s_own_hides_the_factory_s(own, tone):
    assert changes.add(tone, name="impacts")["hides_factory"]
    assert library.find("impacts") == own / "impacts.safetensors"
    assert changes.remove("impacts")["uncovers"] == "factory"
    assert library.find("impacts").is_relative_to(library.FACTORY)


def test_many_at_once_take_a_name_once(own, tone, low, tmp_path):
    """Adds of the same name from several threads: one succeeds, the library is whole."""
    outcome = []

    def add(file):
        try:
            changes.add(file, name="mine")
            outcome.append("added")
        except ModelError as error:
            outcome.append(str(error))

    threads = [threading.Thread(target=add, args=(file,)) for file in (tone, low, tone, low)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcome.count("added") == 1 and sum("already" in text for text in outcome) == 3
    assert (own / "mine.safetensors").read_bytes() in (tone.read_bytes(), low.read_bytes())


# ---- full disks


CHILD = """
import resource, signal, sys
from pathlib import Path
from neurorack.errors import NeurorackError
from neurorack.library import changes
if int(sys.argv[3]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    print(changes.add(Path(sys.argv[1]), name=sys.argv[2], replace=True)["name"])
except NeurorackError as error:
    print(error)
"""


def test_a_write_that_fails_half_way_leaves_everything_as_it_was(own, tone, tmp_path):
    """The system itself cuts the copy short (EFBIG), in the middle of a model that replaces another."""
    changes.add(tone, name="mine", licence="CC0-1.0")
    big = models.tone(tmp_path / "big.safetensors", hertz=500.0, more={"padding": "x" * 300_000}).path
    check.checked(big, files.sha256_of(big), {})
    before = {path: path.read_bytes() for path in own.rglob("*") if path.is_file()}
    done = subprocess.run([sys.executable, "-c", CHILD, str(big), "mine", "200000"], capture_output=True, text=True, timeout=60)
    assert "File too large; nothing was kept: free some space and try again" in done.stdout, done.stdout + done.stderr
    assert {path: path.read_bytes() for path in own.rglob("*") if path.is_file()} == before
    assert library.find("mine") == own / "mine.safetensors"


def test_a_disk_without_room_is_told_before_anything_is_written(empty, tone, monkeypatch):
    monkeypatch.setattr(files, "KEEP_FREE_BYTES", 1 << 60)
    with pytest.raises(NeurorackError, match="MB left: free some space"):
        changes.add(tone, name="mine")
    assert in_folder(empty) == [] and not list((empty / files.LIFTED).glob("*"))


def test_a_small_disk_fills_up_and_stays_whole(tmp_path):
    """A real file system of 3 MB: models are added until it is full (ENOSPC); each that was added is whole."""
    model, tmp_path = models.tone(tmp_path / "big.safetensors", more={"padding": "x" * 300_000}).path, tmp_path / "disk"
    tmp_path.mkdir()
    script = f"""
set -e
mount -t tmpfs -o size=3m tmpfs {tmp_path}
export XDG_DATA_HOME={tmp_path}
exec {sys.executable} -c '
import sys
from pathlib import Path
from neurorack.errors import NeurorackError
from neurorack.library import changes, files, entries
files.KEEP_FREE_BYTES = -(1 << 40)        # only the disk itself says no
model = Path(sys.argv[1])
for i in range(10000):
    try:
        changes.add(model, name=f"m{{i}}")
    except NeurorackError as error:
        print(error)
        break
whole = [entry.file.read_bytes() == model.read_bytes() for entry in entries.entries().values() if entry.where == "own"]
print(len(whole), all(whole), len(list(files.own().rglob("*" + files.PART))), i)
' {model}
"""
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script], capture_output=True, text=True, timeout=100)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    error, count = done.stdout.splitlines()
    assert "No space left on device; nothing was kept: free some space and try again" in error
    number, whole, parts, tried = count.split()
    assert int(number) == int(tried) > 0 and whole == "True" and parts == "0"


def test_room_is_made_from_the_trash(own, tone, low, monkeypatch):
    for name in ("one", "two"):
        changes.add(tone, name=name)
        changes.remove(name)
    free = shutil.disk_usage(own).free
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": free - 10**6 * len(changes._trash())}))
    monkeypatch.setattr(files, "KEEP_FREE_BYTES", free - 10**6 - 10**5)
    changes.add(low, name="three")
    assert len(changes._trash()) == 1


def test_what_a_killed_writer_left_is_cleared(own, tone):
    files.made(files.LIFTED)
    (own / f".x.ts{files.PART}").write_bytes(b"half")
    (own / files.LIFTED / f".x.json{files.PART}").write_bytes(b"half")
    (own / "upload.part").write_bytes(b"somebody else's")
    changes.add(tone, name="mine")
    assert not left_over(own) and (own / "upload.part").exists()


# ---- removing, renaming


def test_the_trash_keeps_the_last_five(own, tone):
    for number in range(7):
        changes.add(tone, name=f"m{number}")
        changes.remove(f"m{number}")
    assert len(changes._trash()) == changes.KEEP_TRASH == 5
    with pytest.raises(ModelError, match="no removed model is called 'm1'; the trash has m2, m3, m4, m5, m6"):
        changes.restore("m1")
    changes.restore("m2")
    assert library.find("m2") == own / "m2.safetensors" and len(changes._trash()) == 4


def test_a_playing_model_can_be_removed(own, tone):
    """The file is moved, not overwritten: who has it open plays on."""
    from neurorack.engine import Model

    changes.add(tone, name="mine")
    model = Model.load(library.find("mine"))
    changes.remove("mine")
    assert model.program("decode", 64).run().shape == (64, 1)


def test_an_old_name_still_leads_to_a_renamed_model(own, tone, low):
    changes.add(tone, name="one", licence="CC0-1.0")
    changes.rename("one", "two")
    changes.rename("two", "three")
    assert in_folder(own) == ["three.safetensors", "three.yaml"]
    assert library.find("one") == library.find("two") == library.find("three") == own / "three.safetensors"
    assert describe.info(entries.entry("one"))["aliases"] == ["one", "two"] and entries.entry("two").record()
    changes.add(low, name="one")                                 # a new model of the old name takes it
    assert library.find("one") == own / "one.safetensors" and library.find("two") == own / "three.safetensors"
    with pytest.raises(ModelError, match="there is a model 'one' already"):
        changes.rename("three", "one")


def test_gestures_go_where_their_model_goes(own, tone):
    changes.add(tone, name="one")
    (own / "one.gestures.safetensors").write_bytes(b"curves")
    assert "one.gestures" not in entries.entries()
    changes.rename("one", "two")
    changes.remove("two")
    assert in_folder(own) == []
    changes.restore("two")
    assert in_folder(own) == ["two.gestures.safetensors", "two.safetensors"] and library.find("two") == own / "two.safetensors"


@pytest.mark.parametrize("name", ["impacts", "nothing", "../impacts", "/etc/passwd", "."])
def test_what_is_not_one_s_own_is_neither_removed_nor_renamed(own, name, tmp_path):
    factory = sorted(library.FACTORY.rglob("*"))
    for change in (lambda: changes.remove(name), lambda: changes.rename(name, "new"), lambda: changes.restore(name)):
        with pytest.raises(ModelError):
            change()
    assert sorted(library.FACTORY.rglob("*")) == factory and in_folder(own) == []


def test_a_linked_folder_s_models_are_not_touched(own, tone, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(tone, elsewhere / "theirs.safetensors")
    (own / "linked").symlink_to(elsewhere)
    for change in (lambda: changes.remove("theirs"), lambda: changes.rename("theirs", "mine")):
        with pytest.raises(ModelError, match="lies outside the library"):
            change()
    assert (elsewhere / "theirs.safetensors").exists()


# ---- what is known of a file


def test_a_changed_file_counts_as_not_checked(own, tone, low):
    changes.add(tone, name="mine")
    assert entries.entry("mine").record()
    shutil.copy(low, own / "mine.safetensors")
    assert not entries.entry("mine").record() and describe.row(entries.entry("mine"))["verdict"] is None
    check.check_entry(entries.entry("mine"))
    assert entries.entry("mine").record()["sha256"] == files.sha256_of(low)


def test_a_verdict_holds_for_its_board_and_importer_only(own, tone, monkeypatch):
    changes.add(tone, name="mine")
    with monkeypatch.context() as patch:
        patch.setattr(lifted, "board", lambda: "another board")
        assert not entries.entry("mine").record()
    with monkeypatch.context() as patch:
        patch.setattr(lifted, "CHECKS", lifted.CHECKS + 1)
        assert not entries.entry("mine").record()
    assert entries.entry("mine").record()


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-9]), lambda path: path.write_bytes(b""),
                                    lambda path: path.write_bytes(b"\0" * path.stat().st_size)])
def test_a_damaged_lifted_file_is_noticed(own, tone, damage):
    record = lifted.keep("a" * 64, {}, {"verdict": "plays"}, tone)
    path = lifted.ready(record, Path("source.ts"))
    assert path.read_bytes() == tone.read_bytes()
    damage(path)
    assert lifted.ready(record, Path("source.ts")) is None


def test_silent_damage_is_noticed_by_a_thorough_look(own, tone):
    record = lifted.keep("a" * 64, {}, {"verdict": "plays"}, tone)
    source = Path("source.ts")
    path, data = lifted.ready(record, source), bytearray(tone.read_bytes())
    stat = path.stat()
    data[-5] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert lifted.ready(record, source) == path and lifted.ready(record, source, thorough=True) is None


def test_damaged_notes_are_as_none(own, tone):
    changes.add(tone, name="mine")
    for path in [*(own / files.NAMES).iterdir(), *(own / files.LIFTED).iterdir()]:
        path.write_bytes(b"{broken")
    (own / files.ALIASES).write_text("[]")
    assert library.find("mine") == own / "mine.safetensors" and not entries.entry("mine").record()


def test_what_nothing_needs_goes_after_a_month(own, tone):
    for key in ("a", "b"):
        lifted.keep(key * 64, {}, {"verdict": "plays"}, tone)
        os.utime(own / files.LIFTED / f"{key * 64}.json", (0, 0))
    lifted.tidy({"b" * 64})
    assert sorted(path.name for path in (own / files.LIFTED).iterdir() if path.name[:64] in ("a" * 64, "b" * 64)) == ["b" * 64 + ".json", "b" * 64 + ".safetensors"]


def test_options_make_another_lifted_file():
    plain, other = lifted.key("a", {}), lifted.key("a", {"attributes": {"gain": 1.0}})
    assert plain == "a" == lifted.key("a", {"attributes": {}, "sample_rate_hz": None}) and other.startswith("a-") and other != lifted.key("a", {"attributes": {"gain": 2.0}})


# ---- foreign files


@pytest.fixture(scope="module")
def zoo_files(tmp_path_factory):
    """Two small TorchScript files: (decodes two latents, has attributes)."""
    pytest.importorskip("torch")
    from tests import zoo

    folder = tmp_path_factory.mktemp("zoo")
    return tuple(shutil.copy(zoo.path(name), folder / f"{name}.ts") for name in ("toy", "gain"))


@pytest.fixture(scope="module")
def lifted_once(tmp_path_factory, zoo_files):
    """A library in which both were added, by one check each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("lifted")))
        for file in zoo_files:
            assert changes.add(file)["verdict"]["path"] == "lifted"
        return files.own()


@pytest.fixture
def stocked(empty, lifted_once):
    """That library, to oneself."""
    shutil.copytree(lifted_once, empty)
    return empty


def checks(folder):
    """When each content was checked last."""
    return {path.name: json.loads(path.read_text())["checked_at"] + str(path.stat().st_size) for path in (folder / files.LIFTED).glob("*.json")}


def sound(path, **patience):
    """What a model says to three blocks of latents."""
    import numpy as np

    from neurorack.importer.players import load_model

    model = load_model(path)
    method = model.card.get("method", "decode")
    program = model.program(method, model.methods[method].blocks[0])
    random = np.random.default_rng(3)
    return np.concatenate([program.run(random.standard_normal(program.in_shape).astype(np.float32), **patience) for _ in range(3)])


def test_a_foreign_file_is_kept_and_its_lifted_file_plays(stocked, zoo_files):
    from neurorack.voice.card import check_card

    assert in_folder(stocked) == ["gain.ts", "toy.ts"] and (stocked / "toy.ts").read_bytes() == Path(zoo_files[0]).read_bytes()
    path = library.find("toy")
    assert path.parent == stocked / files.LIFTED and path == library.available()["toy"] and sound(path).any()
    card = cards.card_of(path)
    check_card(card, path)
    told = describe.info(entries.entry("toy"))
    assert told["kind"] == "lifted" and {"encode", "decode", "forward"} == set(told["methods"]) and card["loudness_lufs"] == told["lufs"]
    assert told["source_file"] == "toy.ts" and told["sha256"] == files.sha256_of(stocked / "toy.ts") == card["source"]["sha256"]


def test_lifting_is_not_done_twice_for_the_same_content(stocked, zoo_files):
    before = checks(stocked)
    assert changes.add(zoo_files[0], name="again")["same_as"] == ["toy"]
    assert library.find(str(zoo_files[0])) == library.find("again") == library.find("toy") and checks(stocked) == before


def test_a_foreign_file_given_directly_is_checked_lifted_and_kept(empty, zoo_files, capsys):
    path = library.find(str(zoo_files[1]))
    assert "gain.ts is checked on this board first" in capsys.readouterr().err and sound(path).any()
    assert in_folder(empty) == [] and library.find(str(zoo_files[1])) == path and capsys.readouterr().err == ""
    shutil.copy(zoo_files[1], empty / "loud.ts")                  # the same file in the library, not noted yet
    assert describe.row(entries.entry("loud"))["kind"] == "unchecked" and "loud" not in library.available()
    assert library.find("loud") == path and capsys.readouterr().err == ""


def test_a_refused_foreign_file_is_refused_with_its_reason(empty, tmp_path):
    (tmp_path / "page.ts").write_text("<!DOCTYPE html><html>404</html>")
    with pytest.raises(ModelError, match="page.ts is refused: .*web page"):
        library.find(str(tmp_path / "page.ts"))


def test_a_damaged_lifted_file_is_lifted_again(stocked):
    path = library.find("gain")
    wanted, data = sound(path), path.read_bytes()
    path.write_bytes(data[:-50] + bytes(50))
    assert "gain" not in library.available()
    assert (sound(library.find("gain")) == wanted).all()


def test_attributes_are_set_for_good(stocked):
    plain = sound(library.find("gain"))
    before = checks(stocked)
    done = changes.set_attributes("gain", {"gain": 1, "invert": True})
    assert done["attributes"] == {"gain": 1.0, "invert": True} and done["verdict"]["verdict"] == "plays"
    changed = sound(library.find("gain"))
    assert changed.shape == plain.shape and abs(changed[-1] + 2 * plain[-1]) < 1e-4 and len(checks(stocked)) == 3
    assert describe.info(entries.entry("gain"))["options"] == {"attributes": {"gain": 1.0, "invert": True}}
    changes.rename("gain", "loud")
    changes.remove("loud")
    changes.restore("loud")
    assert (sound(library.find("loud")) == changed).all()                      # attributes go with their model
    changes.set_attributes("loud", {"gain": None, "invert": None})
    assert (sound(library.find("loud")) == plain).all() and before.items() <= checks(stocked).items()


@pytest.mark.parametrize("wrong, what", [({"gone": 1}, "has no attribute 'gone'; it has gain, invert"), ({"gain": "much"}, "takes float, not much"),
                                         ({"gain": [1.0, 2.0]}, "takes float, not 1.0, 2.0"), ({"invert": 1}, "takes bool, not 1")])
def test_wrong_attributes_are_refused(stocked, wrong, what):
    with pytest.raises(ModelError, match=what):
        changes.set_attributes("gain", wrong)
    assert entries.entry("gain").options == {}


def test_a_value_that_the_model_refuses_changes_nothing(stocked):
    try:
        verdict = changes.set_attributes("gain", {"gain": 100.0})["verdict"]
        assert verdict["verdict"] == "refused"
    except ModelError:
        pass
    assert entries.entry("gain").options == {} and sound(library.find("gain")).any()


@pytest.mark.parametrize("way", ["list", "torchscript"])
def test_what_cannot_be_lifted_gets_a_player_file_that_follows_its_source(empty, zoo_files, tmp_path, way):
    import numpy as np

    from neurorack.library import playing

    empty.mkdir(parents=True)
    file, scratch = empty / "toy.ts", tmp_path / "scratch"
    scratch.mkdir()
    shutil.copy(zoo_files[0], file)
    verdict = {"verdict": "plays", "path": way, "lufs": -20.0, "block_frames": 256, "sample_rate_hz": 48000, "line": "plays", "lifted": None}
    made = playing.finish(file, verdict, None, {}, scratch)
    entry = entries.entry("toy")
    lifted.keep(entry.sha256(), {}, verdict, made)
    with files.lock():
        entries.note(entry)
    changes.rename("toy", "other")
    path = library.find("other")
    assert path.name.endswith(".player.json") and describe.row(entries.entry("other"))["kind"] == way
    heard = sound(path, **({"timeout_seconds": 20} if way == "torchscript" else {}))
    assert heard.shape == (768, 1) and np.isfinite(heard).all() and heard.any()
    told = describe.info(entries.entry("other"))
    assert told["methods"]["decode"]["blocks"] == [256] and any(control["measured"] for control in told["controls"])


# ---- cards


def test_a_card_beside_a_model_is_read_and_judged(own, tone):
    shutil.copy(tone, own / "mine.safetensors")
    beside = own / "mine.yaml"
    beside.write_text("license: MIT\nauthor: Somebody\nother: [1, 2]\n")
    told = describe.info(entries.entry("mine"))
    assert (told["licence"], told["author"]) == ("MIT", "Somebody")
    for text in ("{", "- a\n- b", "!!python/object:os.system {}", "x" * 70000, "\0"):
        beside.write_text(text)
        with pytest.raises(ModelError, match="mine.yaml"):
            describe.info(entries.entry("mine"))
        assert describe.row(entries.entry("mine"))["licence"] == "CC0-1.0"      # the model's own card


# ---- the watched folder


class Told(list):
    """The watcher's lines, and a way to wait for one."""

    def wait_for(self, text, seconds=20.0):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if any(text in line for line in self):
                return True
            time.sleep(0.02)
        return False


@pytest.fixture
def watcher(own):
    told = Told()
    made = watch.Watcher(told.append, poll_seconds=0.05, still_seconds=0.3, patience_seconds=1.5)
    made.told = told
    yield made.start()
    made.stop()


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


def test_a_foreign_file_that_arrives_in_pieces_is_lifted_when_it_is_whole(own, watcher, zoo_files):
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


def test_the_name_of_a_library_that_cannot_be_made(monkeypatch, tone):
    monkeypatch.setenv("XDG_DATA_HOME", "/proc/nothing")
    with pytest.raises(NeurorackError, match="cannot be made .*set XDG_DATA_HOME"):
        changes.add(tone, name="mine")


def test_the_library_s_json_is_readable(own, tone):
    changes.add(tone, name="mine")
    assert json.loads((own / files.NAMES / "mine.json").read_text())["file"] == "mine.safetensors"

"""The library on disk: names, adds, the trash, old names."""

import json
import shutil
import threading

import pytest

from neurorack import library
from neurorack.errors import ModelError, NeurorackError
from neurorack.library import cards, changes, describe, entries, files, lifted, names
from tests.library.helpers import in_folder, left_over


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


def test_the_name_of_a_library_that_cannot_be_made(monkeypatch, tone):
    monkeypatch.setenv("XDG_DATA_HOME", "/proc/nothing")
    with pytest.raises(NeurorackError, match="cannot be made .*set XDG_DATA_HOME"):
        changes.add(tone, name="mine")


def test_the_library_s_json_is_readable(own, tone):
    changes.add(tone, name="mine")
    assert json.loads((own / files.NAMES / "mine.json").read_text())["file"] == "mine.safetensors"

"""Foreign files in the library: lifted once, kept by content, played as what they are, with attributes set for good."""

import shutil
from pathlib import Path

import pytest

from neurorack import library
from neurorack.errors import ModelError
from neurorack.library import cards, changes, describe, entries, files, lifted
from tests.library.helpers import checks, in_folder, sound


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


def test_a_foreign_file_given_directly_is_checked_lifted_and_kept(stocked, zoo_files, capsys):
    """Its lifted file was damaged, so it is made again, the same."""
    path = library.find("gain")
    wanted, data = sound(path), path.read_bytes()
    path.write_bytes(data[:-50] + bytes(50))
    assert "gain" not in library.available()
    assert library.find(str(zoo_files[1])) == path and (sound(path) == wanted).all()
    assert "gain.ts is checked on this board first" in capsys.readouterr().err and library.available()["gain"] == path
    shutil.copy(zoo_files[1], stocked / "loud.ts")                # the same file in the library, not noted yet
    assert describe.row(entries.entry("loud"))["kind"] == "unchecked" and "loud" not in library.available()
    assert library.find("loud") == library.find(str(zoo_files[1])) == path and capsys.readouterr().err == ""


def test_a_refused_foreign_file_is_refused_with_its_reason(empty, tmp_path):
    (tmp_path / "page.ts").write_text("<!DOCTYPE html><html>404</html>")
    with pytest.raises(ModelError, match="page.ts is refused: .*web page"):
        library.find(str(tmp_path / "page.ts"))


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

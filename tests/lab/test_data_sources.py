"""SoundFonts' tables, spoken words, and sources that say something wrong."""

import struct

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("scipy")

from neurorack.lab.data import RecipeError, reading, soundfont, sources, speech
from tests.lab.test_descriptors import noise_hit


def chunk(name, body):
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def small_soundfont(path):
    """Two presets on one instrument of two stereo samples, split at key 60; the second preset plays the upper half only."""
    name = lambda text: text.encode().ljust(20, b"\0")
    split = lambda low, high: low | high << 8
    samples = ["Oak C2-L", "Oak C2-R", "Oak C4 L", "Oak C4 R", "EOS"]
    zones = [[(soundfont.KEY_RANGE, split(0, 59)), (soundfont.SAMPLE, 0)], [(soundfont.KEY_RANGE, split(0, 59)), (soundfont.SAMPLE, 1)],
             [(soundfont.KEY_RANGE, split(60, 127)), (soundfont.VELOCITY_RANGE, split(0, 90)), (soundfont.SAMPLE, 2)],
             [(soundfont.KEY_RANGE, split(60, 127)), (soundfont.SAMPLE, 3)]]
    common = [(17, 250)]                                # a first zone that only pans
    presets = [[(soundfont.INSTRUMENT, 0)], [(soundfont.KEY_RANGE, split(60, 127)), (soundfont.INSTRUMENT, 0)]]
    bags = lambda groups: b"".join(struct.pack("<HH", sum(map(len, groups[:k])), 0) for k in range(len(groups) + 1))
    rows = lambda groups: b"".join(struct.pack("<HH", *row) for group in groups for row in group) + bytes(4)
    inst_zones = [common, *zones]
    tables = {b"phdr": b"".join(name(n) + struct.pack("<HHHIII", program, bank, bag, 0, 0, 0)
                                for n, program, bank, bag in (("Door", 5, 0, 0), ("High door", 6, 8, 1), ("EOP", 0, 0, 2))),
              b"pbag": bags(presets), b"pmod": bytes(10), b"pgen": rows(presets),
              b"inst": name("Door") + struct.pack("<H", 0) + name("EOI") + struct.pack("<H", len(inst_zones)),
              b"ibag": bags(inst_zones), b"imod": bytes(10), b"igen": rows(inst_zones),
              b"shdr": b"".join(name(n) + struct.pack("<IIIIIBbHH", 0, 0, 0, 0, 48000, 60, 0, 0, 1) for n in samples)}
    lists = chunk(b"LIST", b"INFO" + chunk(b"ifil", bytes(4))) + chunk(b"LIST", b"sdta" + chunk(b"smpl", bytes(7)))
    lists += chunk(b"LIST", b"pdta" + b"".join(chunk(key, body) for key, body in tables.items()))
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(lists)) + b"sfbk" + lists)
    return path


def test_a_soundfonts_tables_say_which_samples_sound(tmp_path):
    zones = soundfont.Zones(small_soundfont(tmp_path / "a.sf2"))
    assert zones.of(0, 5, 40, 100) == ["Oak C2"]        # both sides of one recording
    assert zones.of(0, 5, 60, 60) == ["Oak C4"] == zones.of(8, 6, 72, 100)
    assert zones.of(8, 6, 59, 100) == [] == zones.of(0, 9, 60, 100)


def test_what_is_no_soundfont_is_named(tmp_path):
    (tmp_path / "b.sf2").write_bytes(b"RIFF....WAVEfmt ")
    (tmp_path / "c.sf2").write_bytes(b"RIFF....sfbk" + chunk(b"LIST", b"INFO"))
    whole = small_soundfont(tmp_path / "a.sf2").read_bytes()
    (tmp_path / "d.sf2").write_bytes(whole.replace(b"shdr", b"xxxx"))
    generators = whole.index(b"pgen") + 8
    (tmp_path / "e.sf2").write_bytes(whole[:generators] + struct.pack("<HH", soundfont.INSTRUMENT, 999) + whole[generators + 4:])
    for name, reason in (("b.sf2", "is not a SoundFont 2 file"), ("c.sf2", "tables are missing"), ("d.sf2", "tables are broken"),
                         ("e.sf2", "tables are broken")):
        with pytest.raises(RecipeError, match=f"{name}.*{reason}"):
            soundfont.Zones(tmp_path / name)


def test_every_word_is_said_by_every_voice_and_a_voice_that_is_another_is_left_out(monkeypatch):
    asked = []

    def say(text, voice, pitch, sung):
        asked.append((text, voice, pitch, sung))
        if text == "hush":
            raise reading.Unusable("silent (peak below -60 dBFS)")
        return noise_hit(len(text) + pitch + (500 if voice == "b" else 0), 4800)

    monkeypatch.setattr(speech, "say", say)
    source = {"kind": "speech", "name": "say", "voices": ["a", "a+x", "b"], "pitches": [20, 40], "sung": {"ah": "[[A:]]"}, "spoken": ["one", "hush"]}
    said = []
    found = list(sources.collect({"data": {"sources": [source]}}, said.append))
    assert len(asked) == 18 and ("[[A:]]", "b", 40, True) in asked and ("one", "a", 20, False) in asked
    assert {r.name for r in found} == {f"say/{v}/{w}/{p}" for v in "ab" for w in ("ah", "one") for p in (20, 40)}
    assert {r.licence for r in found} == {speech.LICENCE} and len({r.group for r in found}) == 4
    assert "skipped say/a+x/one/20: the very same as by voice a" in said and sum("hush" in line for line in said) == 6


@pytest.mark.parametrize("source, words", [
    ({"kind": "tape"}, "source kind 'tape' is unknown: use one of folder, files, soundfont, speech"),
    ({"kind": "folder", "path": ".", "cutt": "hits"}, "unknown key cutt in a source of kind folder: did you mean 'cut'"),
    ({"kind": "folder"}, "lacks the key path"),
    ({"kind": "folder", "path": ".", "cut": "bits"}, "cut is 'bits' in a source of kind folder: it must be one of auto, hits, windows, whole"),
    ({"kind": "speech", "name": "s", "voices": ["a"], "pitches": [1], "spoken": [True]}, "the word True is no text to YAML"),
    ({"kind": "soundfont", "name": "f", "package": "some-font", "path": "/nowhere.sf2", "licence": "MIT", "holder": "x"},
     "install the package some-font"),
    ({"kind": "soundfont", "name": "f", "package": "p", "path": "/f.sf2", "licence": "MIT", "holder": "x",
      "kits": [{"name": "a", "program": 0, "keys": [1, 2, 1]}]}, "it must be name, program, keys"),
    ({"kind": "speech", "name": "s", "voices": "a", "pitches": [1]}, "voices is 'a' in a source of kind speech: it must be a list"),
    ("kit", "source kind 'kit' is unknown")])
def test_a_wrong_source_is_one_line(source, words):
    with pytest.raises(RecipeError) as error:
        list(sources.collect({"data": {"sources": [source]}}, lambda line: None))
    assert words in str(error.value) and "\n" not in str(error.value)

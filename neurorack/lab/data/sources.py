"""Where recordings come from: folders of audio files, Debian packages with a licence for each file, SoundFonts, a speaking program.

`collect` yields every recording that a recipe names as a `Recording`. Files with a licence that is not in their source's
list are left out and named in the log.
"""

import fnmatch
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..recipe import RecipeError, nearest
from . import folder, reading, soundfont, speech


@dataclass
class Recording:
    """One sound. name: unique, e.g. "sonic-pi/bd_fat"; audio: float32 mono at 48 kHz; licence: short name.

    zones: names of what was once recorded for it, where other recordings may hold the same ("fluid:Viola G3"); they and
    `group`, e.g. the file it was cut from, are kept on one side of the split. note: nominal pitch in octaves above C4 or
    None. lasting: a piece of a sound without an onset, kept as it is; windows: to be cut into such pieces; place: where in
    its file it begins, in seconds.
    """

    name: str
    audio: np.ndarray
    licence: str
    origin: str
    holder: str
    zones: tuple = ()
    group: str = ""
    note: float | None = None
    lasting: bool = False
    windows: bool = False
    place: float = 0.0


def read_copyright(path):
    """Stanzas of a machine-readable Debian copyright file, in order: (patterns, licence, copyright holder)."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError:
        raise RecipeError(f"licence file {path} is missing: install the Debian package it belongs to") from None
    stanzas = []
    for block in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^(Files|License|Copyright):[ \t]*((?:.*)(?:\n[ \t]+.*)*)", block, re.M))
        if "Files" in fields and "License" in fields:
            holder = " ".join(fields.get("Copyright", "").split())
            stanzas.append((fields["Files"].split(), fields["License"].split("\n")[0].strip(), holder))
    return stanzas


def licence_of(stanzas, member):
    """(licence, holder) of one file by the last stanza that matches it, as the format defines; ("none", "") without."""
    found = ("none", "")
    for patterns, licence, holder in stanzas:
        if any(fnmatch.fnmatchcase(member, pattern) for pattern in patterns):
            found = (licence, holder)
    return found


def _from_files(source, recipe, log):
    folder = Path(source["path"])
    if not folder.is_dir():
        raise RecipeError(f"source folder {folder} is missing: install the package {source['package']}")
    accept = source["licences"]
    stanzas = read_copyright(source["copyright"]) if "copyright" in source else []
    for path in sorted(p for pattern in source["files"] for p in folder.glob(pattern)):
        if any(fnmatch.fnmatchcase(path.name, pattern) for pattern in source.get("skip", [])):
            continue
        name = f"{source['name']}/{path.stem}"
        if stanzas:
            member = source.get("listed_as") or f"{source.get('listed_in', '.')}/{path.name}"
            licence, holder = licence_of(stanzas, member)
        else:
            licence, holder = source.get("licence", "none"), source.get("holder", "")
        if licence not in accept:
            log(f"skipped {name}: licence {licence!r} is not among {', '.join(accept)}")
            continue
        try:
            audio = reading.whole(path)
        except reading.Unusable as error:
            log(f"skipped {name}: {error}")
            continue
        yield Recording(name, audio, licence, f"{source['package']}: {path.name}", holder, group=name,
                        windows=source.get("cut") == "windows")


def _from_soundfont(source, recipe, log):
    path = Path(source["path"])
    if not path.is_file():
        raise RecipeError(f"SoundFont {path} is missing: install the package {source['package']}")
    zones, seen = soundfont.Zones(path), set()
    hold, release = source.get("hold", soundfont.HOLD_SECONDS), source.get("release", soundfont.RELEASE_SECONDS)
    for drums, group in ((True, source.get("kits", [])), (False, source.get("programs", []))):
        for entry in group:
            low, high, step = entry["keys"]
            bank, program = soundfont.DRUM_BANK if drums else 0, entry["program"]      # other banks are variations of these
            notes = [(key, velocity) for key in range(low, high + 1, step) for velocity in entry["velocities"]]
            for (key, velocity), audio in zip(notes, soundfont.render_notes(path, program, drums, notes, hold, release)):
                mark = soundfont.fingerprint(audio)
                if mark is None or mark in seen:
                    continue
                seen.add(mark)
                name = f"{source['name']}/{entry['name']}/{key}/{velocity}"
                origin = f"{source['package']}: {entry['name']}, key {key}, velocity {velocity}"
                note = None if drums else (key - 60) / 12
                yield Recording(name, audio, source["licence"], origin, source["holder"], note=note, windows=source.get("cut") == "windows",
                                zones=tuple(f"{source['name']}:{zone}" for zone in zones.of(bank, program, key, velocity)))


def _from_folder(source, recipe, log):
    licence, holder = source.get("licence", "not stated"), source.get("holder", "")
    prefix = f"{source['name']}/" if "name" in source else ""

    def make(name, audio, file, lasting, place):
        return Recording(prefix + name, audio, licence, file, holder, group=prefix + file, lasting=lasting, place=place)

    yield from folder.read(source, recipe, log, make)


def _from_speech(source, recipe, log):
    said = {}
    for name, text, voice, pitch, sung in speech.utterances(source):
        try:
            audio = speech.say(text, voice, pitch, sung)
        except reading.Unusable as error:
            log(f"skipped {name}: {error}")
            continue
        other = said.setdefault(hash(audio.tobytes()), voice)
        if other != voice:      # espeak-ng takes an unknown variant for the plain voice, without a word
            log(f"skipped {name}: the very same as by voice {other}")
            continue
        yield Recording(name, audio, speech.LICENCE, f"espeak-ng: {text} by {voice}, pitch {pitch}", "", group=name.rsplit("/", 1)[0])


#: kind: (reader, keys that must be there, keys that may be)
KINDS = {
    "folder": (_from_folder, {"path"}, {"name", "cut", "licence", "holder"}),
    "files": (_from_files, {"name", "package", "path", "files"},
              {"skip", "copyright", "listed_in", "listed_as", "licences", "licence", "holder", "cut"}),
    "soundfont": (_from_soundfont, {"name", "package", "path", "licence", "holder"}, {"kits", "programs", "hold", "release", "cut"}),
    "speech": (_from_speech, {"name", "voices", "pitches"}, {"sung", "spoken"}),
}


_LISTS = ("files", "skip", "licences", "voices", "pitches", "kits", "programs")
_ENTRY = {"name": str, "program": int, "keys": list, "velocities": list}      # of a SoundFont source's kits and programs


def _check_values(source):
    """RecipeError where a value is of the wrong kind."""
    for key in source:
        wanted = list if key in _LISTS else (int, float) if key in ("hold", "release") else (list, dict) if key == "spoken" \
            else dict if key == "sung" else str
        if not isinstance(source[key], wanted):
            words = {list: "a list", dict: "names with phonemes", str: "text", (int, float): "a number of seconds", (list, dict): "a list of words"}
            raise RecipeError(f"{key} is {str(source[key])[:60]!r} in a source of kind {source['kind']}: it must be {words[wanted]}")
    for entry in [*source.get("kits", []), *source.get("programs", [])]:
        fits = isinstance(entry, dict) and entry.keys() == _ENTRY.keys() and all(isinstance(entry[k], kind) for k, kind in _ENTRY.items())
        numbers = entry["keys"] + entry["velocities"] if fits else []
        if not fits or len(entry["keys"]) != 3 or entry["keys"][2] == 0 or not all(isinstance(n, int) and 0 <= n <= 127 for n in numbers):
            raise RecipeError(f"{str(entry)[:80]} in a SoundFont source: it must be name, program, keys: [lowest, highest, step] and "
                              "velocities: [1 to 127, …]")


def check(source):
    """RecipeError where a source lacks a key, has one that its kind does not know, or a value of the wrong kind."""
    if not isinstance(source, dict) or source.get("kind") not in KINDS:
        kind = source.get("kind") if isinstance(source, dict) else source
        raise RecipeError(f"source kind {str(kind)[:60]!r} is unknown: use one of {', '.join(KINDS)}")
    _, needed, optional = KINDS[source["kind"]]
    for key in sorted(source.keys() - needed - optional - {"kind"}):
        raise RecipeError(f"unknown key {key} in a source of kind {source['kind']}: {nearest(key, sorted(needed | optional))}")
    for key in sorted(needed - source.keys()):
        raise RecipeError(f"a source of kind {source['kind']} lacks the key {key}")
    _check_values(source)
    cuts = folder.CUTS if source["kind"] == "folder" else ("hits", "windows")
    if source.get("cut", cuts[0]) not in cuts:
        raise RecipeError(f"cut is {str(source['cut'])[:60]!r} in a source of kind {source['kind']}: it must be one of {', '.join(cuts)}")


def collect(recipe, log=print):
    """All recordings of the recipe's `data` section, in a fixed order."""
    for source in recipe["data"]["sources"]:
        check(source)
    for source in recipe["data"]["sources"]:
        yield from KINDS[source["kind"]][0](source, recipe, log)

"""Where recordings come from: folders of audio files and SoundFonts of Debian packages, each file with its licence.

`collect` yields every recording a recipe names as a `Recording`; `licence_table` writes what was used under which
terms. A file whose licence is not in its source's list is left out and named in the log.
"""

import fnmatch
import re
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from .descriptors import RATE_HZ
from .recipe import RecipeError

NOTE_SECONDS, SLOT_SECONDS = 3.2, 3.5


@dataclass
class Recording:
    """One sound. name: unique, e.g. "sonic-pi/bd_fat"; audio: float32 mono at 48 kHz; licence: short name."""

    name: str
    audio: np.ndarray
    licence: str
    origin: str
    holder: str


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


def to_mono(audio, rate_hz):
    """The louder channel of audio [samples, channels], at 48 kHz (a mix of two microphones would comb). float32."""
    audio = np.asarray(audio, np.float64)
    audio = audio if audio.ndim == 1 else audio[:, int(np.argmax(np.sum(audio ** 2, 0)))]
    if rate_hz != RATE_HZ:
        from scipy.signal import resample_poly
        divisor = np.gcd(int(rate_hz), RATE_HZ)
        audio = resample_poly(audio, RATE_HZ // divisor, int(rate_hz) // divisor)
    return audio.astype(np.float32)


def _from_files(source, log):
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
            audio, rate_hz = soundfile.read(path, dtype="float32")
        except soundfile.LibsndfileError as error:
            log(f"skipped {name}: {error}")
            continue
        yield Recording(name, to_mono(audio, rate_hz), licence, f"{source['package']}: {path.name}", holder)


def _variable_length(value):
    data = [value & 0x7F]
    while value := value >> 7:
        data.append(0x80 | value & 0x7F)
    return bytes(reversed(data))


def midi_file(notes, program, drums):
    """Standard MIDI file, format 0, 1 ms per tick: notes (key, velocity) one per slot of `SLOT_SECONDS`."""
    channel = 9 if drums else 0
    track = bytes((0, 0xC0 | channel, program))
    wait = round(100)
    for key, velocity in notes:
        held = round(NOTE_SECONDS * 1000)
        track += _variable_length(wait) + bytes((0x90 | channel, key, velocity))
        track += _variable_length(held) + bytes((0x80 | channel, key, 0))
        wait = round(SLOT_SECONDS * 1000) - held
    track += _variable_length(wait + 500) + b"\xff\x2f\x00"
    tempo = b"\x00\xff\x51\x03" + (480000).to_bytes(3, "big")     # 480 ticks per quarter of 480 ms
    body = tempo + track
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480) + b"MTrk" + struct.pack(">I", len(body)) + body


def render_notes(soundfont, program, drums, notes, fluidsynth="fluidsynth"):
    """Notes through fluidsynth without reverb and chorus. Returns one float32 mono array per note, at 48 kHz."""
    if shutil.which(fluidsynth) is None:
        raise RecipeError("fluidsynth is missing: install the package fluidsynth")
    with tempfile.TemporaryDirectory() as folder:
        score, sound = Path(folder, "notes.mid"), Path(folder, "notes.wav")
        score.write_bytes(midi_file(notes, program, drums))
        command = [fluidsynth, "-ni", "-q", "-R", "0", "-C", "0", "-g", "0.5", "-r", str(RATE_HZ), "-O", "float",
                   "-T", "wav", "-F", str(sound), str(soundfont), str(score)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode or not sound.exists():
            raise RecipeError(f"fluidsynth failed on {soundfont}: {done.stderr.strip()[-200:]}")
        audio, rate_hz = soundfile.read(sound, dtype="float32")
    slot, lead = round(SLOT_SECONDS * RATE_HZ), round(0.09 * RATE_HZ)
    if len(audio) < slot * len(notes):
        raise RecipeError(f"fluidsynth wrote {len(audio)} samples where {slot * len(notes)} were expected")
    return [to_mono(audio[lead + slot * k:lead + slot * (k + 1)], rate_hz) for k in range(len(notes))]


def _from_soundfont(source, log):
    path = Path(source["path"])
    if not path.is_file():
        raise RecipeError(f"SoundFont {path} is missing: install the package {source['package']}")
    seen = set()
    for drums, group in ((True, source.get("kits", [])), (False, source.get("programs", []))):
        for entry in group:
            low, high, step = entry["keys"]
            notes = [(key, velocity) for key in range(low, high + 1, step) for velocity in entry["velocities"]]
            for (key, velocity), audio in zip(notes, render_notes(path, entry["program"], drums, notes)):
                mark = _fingerprint(audio)
                if mark is None or mark in seen:
                    continue
                seen.add(mark)
                name = f"{source['name']}/{entry['name']}/{key}/{velocity}"
                origin = f"{source['package']}: {entry['name']}, key {key}, velocity {velocity}"
                yield Recording(name, audio, source["licence"], origin, source["holder"])


def _fingerprint(audio):
    """The sound apart from its level, coarsely, so that one sample under several presets counts once; None if silent."""
    peak = float(np.abs(audio).max())
    if peak < 1e-4:
        return None
    start = int(np.argmax(np.abs(audio) > 0.05 * peak))
    return np.round(audio[start:start + 4096] / peak, 2).tobytes()


def collect(recipe, log=print):
    """All recordings of the recipe's `data` section, in a fixed order."""
    readers = {"files": _from_files, "soundfont": _from_soundfont}
    for source in recipe["data"]["sources"]:
        if source.get("kind") not in readers:
            raise RecipeError(f"source kind {source.get('kind')!r} is unknown: use one of {', '.join(readers)}")
        yield from readers[source["kind"]](source, log)


def licence_table(title, used):
    """Markdown: every used recording with its licence, side of the split and copyright holder."""
    counts = {}
    for clip in used:
        counts[clip["licence"]] = counts.get(clip["licence"], 0) + 1
    lines = [f"# Licences of the recordings behind {title}", "",
             "Written by the data step of `python -m neurorack.lab.train`; one line per recording used.", ""]
    lines += [f"* {licence}: {count} recordings" for licence, count in sorted(counts.items())]
    lines += ["", "| recording | from | licence | copyright | side |", "|---|---|---|---|---|"]
    for clip in used:
        holder = re.sub(r"\s*<[^>]*>", "", clip["holder"]).replace("|", "/")
        lines.append(f"| {clip['name']} | {clip['origin']} | {clip['licence']} | {holder} | {clip['side']} |")
    return "\n".join(lines) + "\n"

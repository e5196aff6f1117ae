"""Notes of a SoundFont through fluidsynth, each with the names of the samples that sound in it.

The samples are read from the file's own tables (SoundFont 2.04 specification, section 7), so that a split can keep every
recording of a microphone on one side, whichever notes, velocities or presets play it.
"""

import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from ..descriptors import RATE_HZ
from ..recipe import RecipeError
from .reading import to_mono

HOLD_SECONDS, RELEASE_SECONDS = 3.2, 0.3
LEAD_SECONDS = 0.1
INSTRUMENT, KEY_RANGE, VELOCITY_RANGE, SAMPLE = 41, 43, 44, 53      # generators
DRUM_BANK = 128


class Zones:
    """Which samples a preset plays at a key and velocity."""

    def __init__(self, path):
        with open(path, "rb") as file:
            tables = _tables(file)
        try:
            self._read(tables)
        except (struct.error, KeyError, IndexError):
            raise RecipeError(f"{path}: the SoundFont's preset tables are broken") from None

    def _read(self, tables):
        """Samples, instruments and presets; IndexError where one points at what is not there."""
        self.samples = [name.split(b"\0")[0].decode("latin-1").strip() for name, *_ in struct.iter_unpack("<20sIIIIIBbHH", tables["shdr"])]
        instruments = _zones([row[1] for row in struct.iter_unpack("<20sH", tables["inst"])], tables["ibag"], tables["igen"])
        self.instruments = [[(keys, speeds, target) for keys, speeds, target in zones] for zones in
                            (_targets(zone, SAMPLE) for zone in instruments)]
        heads = list(struct.iter_unpack("<20sHHHIII", tables["phdr"]))
        presets = _zones([head[3] for head in heads], tables["pbag"], tables["pgen"])
        self.presets = {(head[2], head[1]): _targets(zone, INSTRUMENT) for head, zone in zip(heads, presets)}
        for zones, there in ((self.instruments, self.samples), (self.presets.values(), self.instruments)):
            if any(target >= len(there) for each in zones for *_, target in each):
                raise IndexError

    def of(self, bank, preset, key, velocity):
        """Names of the samples that sound, without "L" and "R" at the end, sorted. Empty where nothing does."""
        found = set()
        for keys, speeds, instrument in self.presets.get((bank, preset), ()):
            if keys[0] <= key <= keys[1] and speeds[0] <= velocity <= speeds[1]:
                found |= {self.samples[sample] for k, v, sample in self.instruments[instrument]
                          if k[0] <= key <= k[1] and v[0] <= velocity <= v[1]}
        return sorted({_one_side(name) for name in found})


def _one_side(name):
    """A stereo sample's name without its side."""
    for ending in ("(L)", "(R)", "-L", "-R", "_L", "_R", " L", " R"):
        if name.endswith(ending):
            return name[:-len(ending)].rstrip(" -_")
    return name


def _tables(file):
    """The chunks of the "pdta" list by name. RecipeError where this is no SoundFont."""
    if file.read(4) != b"RIFF" or not file.read(4) or file.read(4) != b"sfbk":
        raise RecipeError(f"{file.name} is not a SoundFont 2 file")
    while True:
        head = file.read(8)
        if len(head) < 8:
            raise RecipeError(f"{file.name}: the SoundFont's preset tables are missing")
        size = struct.unpack("<I", head[4:])[0]
        if head[:4] == b"LIST" and file.read(4) == b"pdta":
            break
        file.seek(size - 4 + size % 2, 1)
    data, tables, at = file.read(size - 4), {}, 0
    while at + 8 <= len(data):
        length = struct.unpack("<I", data[at + 4:at + 8])[0]
        tables[data[at:at + 4].decode("latin-1")] = data[at + 8:at + 8 + length]
        at += 8 + length + length % 2
    return tables


def _zones(firsts, bags, generators):
    """For each head (given by the index of its first bag) a list of zones, each a dictionary of generators."""
    starts = [row[0] for row in struct.iter_unpack("<HH", bags)]
    rows = list(struct.iter_unpack("<HH", generators))
    return [[dict(rows[starts[bag]:starts[bag + 1]]) for bag in range(first, last)] for first, last in zip(firsts, firsts[1:])]


def _targets(zones, target):
    """(key range, velocity range, index of the target) of each zone; a first zone without target gives what the others lack."""
    common = zones[0] if zones and target not in zones[0] else {}
    ranges = lambda value: (value & 0xFF, value >> 8)
    found = []
    for zone in zones:
        if target in zone:
            settings = common | zone
            found.append((ranges(settings.get(KEY_RANGE, 0x7F00)), ranges(settings.get(VELOCITY_RANGE, 0x7F00)), zone[target]))
    return found


def _variable_length(value):
    data = [value & 0x7F]
    while value := value >> 7:
        data.append(0x80 | value & 0x7F)
    return bytes(reversed(data))


def midi_file(notes, program, drums, hold=HOLD_SECONDS, release=RELEASE_SECONDS):
    """Standard MIDI file, format 0, 1 ms per tick: notes (key, velocity), one every `hold + release` seconds."""
    channel = 9 if drums else 0
    track = bytes((0, 0xC0 | channel, program))
    held, after = round(hold * 1000), round(release * 1000)
    wait = round(LEAD_SECONDS * 1000)
    for key, velocity in notes:
        track += _variable_length(wait) + bytes((0x90 | channel, key, velocity))
        track += _variable_length(held) + bytes((0x80 | channel, key, 0))
        wait = after
    track += _variable_length(wait + 500) + b"\xff\x2f\x00"
    tempo = b"\x00\xff\x51\x03" + (480000).to_bytes(3, "big")     # 480 ticks per quarter of 480 ms
    body = tempo + track
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480) + b"MTrk" + struct.pack(">I", len(body)) + body


def render_notes(soundfont, program, drums, notes, hold=HOLD_SECONDS, release=RELEASE_SECONDS, fluidsynth="fluidsynth"):
    """Notes through fluidsynth without reverb and chorus. Returns one float32 mono array per note, at 48 kHz."""
    if shutil.which(fluidsynth) is None:
        raise RecipeError("fluidsynth is missing: install the package fluidsynth")
    with tempfile.TemporaryDirectory() as folder:
        score, sound = Path(folder, "notes.mid"), Path(folder, "notes.wav")
        score.write_bytes(midi_file(notes, program, drums, hold, release))
        command = [fluidsynth, "-ni", "-q", "-R", "0", "-C", "0", "-g", "0.5", "-r", str(RATE_HZ), "-O", "float",
                   "-T", "wav", "-F", str(sound), str(soundfont), str(score)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode or not sound.exists():
            raise RecipeError(f"fluidsynth failed on {soundfont}: {done.stderr.strip()[-200:]}")
        audio, rate_hz = soundfile.read(sound, dtype="float32")
    slot, lead = round((hold + release) * RATE_HZ), round((LEAD_SECONDS - 0.01) * RATE_HZ)
    if len(audio) < slot * len(notes):
        raise RecipeError(f"fluidsynth wrote {len(audio)} samples where {slot * len(notes)} were expected")
    return [to_mono(audio[lead + slot * k:lead + slot * (k + 1)], rate_hz) for k in range(len(notes))]


def fingerprint(audio):
    """The sound apart from its level, coarsely, so that one sample under several presets counts once; None if silent."""
    peak = float(np.abs(audio).max())
    if peak < 1e-4:
        return None
    start = int(np.argmax(np.abs(audio) > 0.05 * peak))
    return np.round(audio[start:start + 4096] / peak, 2).tobytes()

"""Gestures recorded from sound: a file goes through a model's encoder, and the curve of latents is kept beside the model.

>>> record_gesture("models/birds.safetensors", "blackbird.wav", "blackbird")        # doctest: +SKIP
PosixPath('models/birds.gestures.safetensors')

The voice plays them like the gestures of the model itself: on a trigger, looped, frozen, scrubbed. One file holds all of a
model's: a tensor [rows, inputs] each, a row every hop; its metadata ``neurorack_gestures`` lists their names in order.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from pathlib import Path

import numpy as np

from neurorack import library
from neurorack.engine import store
from neurorack.errors import ModelError
from neurorack.gesture_shape import finished
from neurorack.voice.card import is_stretch

SUFFIX = ".gestures.safetensors"
LONGEST_SECONDS, MOST_GESTURES, LONGEST_NAME = 120.0, 64, 40
SILENCE_DB = -60.0            # what is quieter at the ends of the file is left out


class Gestures(dict):
    """Name -> float32 [rows, inputs]. ``sustain``: name -> the first and last row where one is held while its gate is high."""

    def __init__(self, curves=(), sustain=()):
        super().__init__(curves)
        self.sustain = dict(sustain)


def gestures_path(model_path) -> Path:
    """The file of a model's recorded and generated gestures: beside it, or, for one of the factory bank, which updates replace, in
    the folder ``.gestures`` of the musician's own library."""
    path = Path(model_path)
    name = path.name.removesuffix(".safetensors").removesuffix(".player.json") + SUFFIX
    return library.folders()[0] / ".gestures" / name if path.absolute().is_relative_to(library.FACTORY) else path.with_name(name)


def gesture_names(model_path, card: dict) -> list[str]:
    """The names of all gestures that a voice of this model brings, those kept beside it last; nothing is read but the file's head."""
    path, beside = gestures_path(model_path), []
    if path.exists():
        with contextlib.suppress(ModelError, ValueError, TypeError):
            beside = [str(name) for name in json.loads(store.Store(path).metadata.get("neurorack_gestures", "[]"))]
    return [gesture.get("name", "?") for gesture in card.get("gestures", [])] + beside


def file_gestures(model) -> list[np.ndarray]:
    """The gestures in a model's own file, float32 [rows, inputs] each. Raises ``ModelError`` for one that cannot be played."""
    inputs, found = len(model.card["inputs"]), []
    for entry in model.card.get("gestures", []):
        table, rows = np.ascontiguousarray(model.tensor(entry["tensor"]), np.float32), entry.get("sustain")
        name = entry.get("name", "?")
        if table.ndim != 2 or table.shape[1] != inputs or not len(table):
            raise ModelError(f"{model.path}: gesture {name!r} has shape {list(table.shape)}; the model takes {inputs} inputs: export it again")
        if not np.isfinite(table).all():
            raise ModelError(f"{model.path}: gesture {name!r} holds numbers that are not finite; export it again")
        if rows and rows[1] >= len(table):
            raise ModelError(f"{model.path}: gesture {name!r} is held to row {rows[1]}; it has {len(table)}: export it again")
        found.append(table)
    return found


def load_gestures(model_path, inputs: int) -> tuple[Gestures, str | None]:
    """Those kept beside a model, in the order they came; and why there are none where a file is there but
    cannot be used (it must not keep the model from playing)."""
    path = gestures_path(model_path)
    if not path.exists():
        return Gestures(), None
    try:
        file = store.Store(path)
        names = json.loads(file.metadata.get("neurorack_gestures", "null"))
        if not isinstance(names, list) or not all(name in file.shapes for name in names):
            raise ModelError(f"{path}: holds no gestures; record them again")
        for name in names:
            shape = file.shapes[name]
            if len(shape) != 2 or shape[1] != inputs or not shape[0]:
                raise ModelError(f"{path}: gesture {name!r} has shape {list(shape)}; the model takes {inputs} inputs: record it again")
        curves = {name: np.ascontiguousarray(file.array(name)) for name in names}
        wild = [name for name, curve in curves.items() if not np.isfinite(curve).all()]
        if wild:
            raise ModelError(f"{path}: gesture {wild[0]!r} holds numbers that are not finite; record it again")
        sustain = json.loads(file.metadata.get("neurorack_sustain", "{}"))
        wrong = [name for name, rows in sustain.items() if rows is None or not is_stretch(rows) or name not in curves or rows[1] >= len(curves[name])]
        if wrong:
            raise ModelError(f"{path}: gesture {wrong[0]!r} is held at {sustain[wrong[0]]}, which are not rows of it; record it again")
        return Gestures(curves, sustain), None
    except (ModelError, ValueError, TypeError, AttributeError) as error:
        return Gestures(), str(error)


@contextlib.contextmanager
def changing(model_path):
    """Alone with a model's file of gestures, from reading it to writing it anew: others that change one in that folder wait."""
    folder = gestures_path(model_path).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ModelError(f"cannot write to {folder}: {error.strerror or error}") from None
    try:
        with contextlib.suppress(OSError):       # a file system without locks: as well as it goes
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def save_gestures(model_path, gestures: Gestures) -> Path:
    """Write the file beside a model, whole or not at all. Raises ``ModelError`` where it cannot be written."""
    path = gestures_path(model_path)
    sustain = {name: list(rows) for name, rows in gestures.sustain.items() if rows and name in gestures}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        store.write(path, dict(gestures), {"neurorack_gestures": json.dumps(list(gestures)), "neurorack_sustain": json.dumps(sustain)})
    except OSError as error:
        raise ModelError(f"cannot write {path}: {error.strerror or error}") from None
    return path


def record_gesture(model_path, wav_path, name: str) -> Path:
    """Run the model's ``encode`` over a sound file and keep the latents as the gesture ``name``; one of that name is replaced.

    Returns the file of gestures, written whole or not at all. Silence at both ends is left out. Raises ``ModelError`` for a
    model that cannot encode into its own decoder's inputs, a file that cannot be read, and one that is silent or too long.
    """
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise ModelError(f"a gesture's name is {name[:60]!r}; it must have 1 to {LONGEST_NAME} printable letters")
    from neurorack.importer.players import load_model

    model = load_model(model_path)
    audio, rate_hz = read_sound(wav_path, LONGEST_SECONDS)
    loud = np.flatnonzero(np.abs(audio).max(axis=1, initial=0) > 10 ** (SILENCE_DB / 20))
    if not len(loud):
        raise ModelError(f"{wav_path}: is silent (below {SILENCE_DB:g} dB); give a file with sound in it")
    curve = encode(model, audio[loud[0]: loud[-1] + 1], rate_hz)
    with changing(model_path):
        known, problem = load_gestures(model_path, curve.shape[1])
        if problem:
            raise ModelError(f"{problem}, or remove that file")
        if name not in known and len(known) >= MOST_GESTURES:
            raise ModelError(f"{model_path}: has {len(known)} gestures, the most it can have; record over one of them")
        known[name], held = finished(curve, model.card)
        known.sustain |= {name: held}
        return save_gestures(model_path, known)


def read_sound(path, longest_seconds: float) -> tuple[np.ndarray, int]:
    """A sound file: float32 [frames, 2], and its rate in Hz. Raises ``ModelError`` for none, and for one that is too long."""
    import soundfile

    try:
        info = soundfile.info(str(path))
        if info.frames > longest_seconds * info.samplerate:
            raise ModelError(f"{path}: lasts {info.frames / info.samplerate:.0f} s; {longest_seconds:g} s can be used: cut it")
        audio, rate_hz = soundfile.read(str(path), dtype="float32", always_2d=True)
    except (RuntimeError, OSError, TypeError) as error:
        raise ModelError(f"{path}: cannot be read as sound ({' '.join(str(error).split())}); give a WAV, FLAC, OGG or MP3 file") from None
    return (audio[:, :2] if audio.shape[1] > 1 else np.repeat(audio, 2, axis=1)), rate_hz


def resampled(audio: np.ndarray, rate_hz: int, wanted_hz: int) -> np.ndarray:
    """A whole signal [frames, channels] at another rate, band-limited, by its spectrum; for offline use."""
    if rate_hz == wanted_hz:
        return audio
    period = rate_hz // int(np.gcd(rate_hz, wanted_hz))
    size = period << int(np.ceil(np.log2((len(audio) + rate_hz // 10) / period)))     # whole periods of both rates, and room to ring
    spectrum = np.fft.rfft(audio, size, axis=0)
    longer = size * wanted_hz // rate_hz
    kept = min(size, longer) // 2
    return (np.fft.irfft(spectrum[:kept], longer, axis=0) * (wanted_hz / rate_hz))[: len(audio) * wanted_hz // rate_hz].astype(np.float32)


def encode(model, audio: np.ndarray, rate_hz: int) -> np.ndarray:
    """The model's latents of a signal [frames, 2]: float32 [rows, inputs], a row every hop, without the encoder's delay."""
    from neurorack.voice.voice import check_pair

    check_pair(model, model)
    method = model.methods["encode"]
    block = max(method.blocks)
    audio = resampled(audio, rate_hz, int(model.card["sample_rate_hz"]))
    rows = -(-len(audio) // method.out_ratio)
    late_rows = round(method.delay_frames / method.out_ratio)
    blocks = -(-(rows + late_rows) * method.out_ratio // block)
    heard = np.zeros((blocks * block, method.in_channels), np.float32)
    heard[: len(audio), :2] = audio.mean(axis=1, keepdims=True) if method.in_channels == 1 else audio
    program = model.program("encode", block)
    curve = np.concatenate([program.run(piece) for piece in heard.reshape(-1, block, method.in_channels)])[late_rows: late_rows + rows]
    if not np.isfinite(curve).all():
        raise ModelError(f"{model.path}: its encoder gives numbers that are not finite; another file of sound may do")
    return np.ascontiguousarray(curve, np.float32)

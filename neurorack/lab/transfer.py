"""Attribute transfer: the descriptors of one recording, and its pitch, played with the latent of another by a model of the lab.

Everything runs as programs of the engine, from the model file alone: neither torch nor the recordings it was trained
on are needed. In real time the same happens with `neurorack play --input`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import ModelError, NeurorackError
from ..gesture_shape import described
from .descriptors.tables import QUIET
from .layout import DESCRIPTORS, PITCH_LIMITS_OCTAVES

LONGEST_SECONDS = 600.0
LATENT_AFTER_SECONDS = 0.1      # before, the pooled latent has heard too little
TAIL_SECONDS = 0.5
HIGHEST_PEAK = 0.98
MOST_SEMITONES = 60.0


def arguments(parser) -> None:
    """The options of `neurorack transfer`."""
    parser.add_argument("out", type=Path, metavar="OUT", help="a .wav or .flac file")
    parser.add_argument("--descriptors", type=Path, required=True, metavar="A", help="the sound whose loudness, brightness … and pitch are played")
    parser.add_argument("--latent", type=Path, metavar="B", help="the sound whose timbre is played (default: A itself)")
    parser.add_argument("--model", default="impacts", help="a model's name or file (default impacts)")
    parser.add_argument("--semitones", type=float, default=0.0, metavar="N", help="transpose a pitched model by so many (default 0)")


def run(options) -> int:
    """Carry out `neurorack transfer`; returns the exit code."""
    import soundfile

    from .. import library
    from ..gesture import read_sound
    from ..importer.players import load_model
    from ..render import check_target, write_atomically

    if options.out.suffix.lower() not in (".wav", ".flac"):
        raise NeurorackError(f"{options.out}: the output must end in .wav or .flac")
    check_target(options.out)
    if not abs(options.semitones) <= MOST_SEMITONES:
        raise NeurorackError(f"--semitones is {options.semitones:g}; it must lie from {-MOST_SEMITONES:g} to {MOST_SEMITONES:g}")
    model = load_model(library.find(options.model))
    check_model(model)
    curves = encoded(model, *read_sound(options.descriptors, LONGEST_SECONDS), options.descriptors)
    other = curves if options.latent is None else encoded(model, *read_sound(options.latent, LONGEST_SECONDS), options.latent)
    audio = play(model, rows_of(model, curves, None if options.latent is None else latent_of(model, other, options.latent), options.semitones))
    peak = float(np.abs(audio).max())
    if peak > HIGHEST_PEAK:
        audio *= HIGHEST_PEAK / peak
    rate_hz = model.card["sample_rate_hz"]
    write_atomically(options.out, lambda path: soundfile.write(path, audio, rate_hz, subtype="PCM_24"))
    softer = f", {20 * np.log10(peak / HIGHEST_PEAK):.1f} dB softer than it came to stay below full scale" if peak > HIGHEST_PEAK else ""
    print(f"{options.out}: {len(audio) / rate_hz:.2f} s, peak {min(peak, HIGHEST_PEAK):.2f}{softer}")
    return 0


def names_of(model) -> list[str]:
    """Names of the inputs of a model's decoder."""
    return [entry["name"] for entry in model.card.get("inputs", [])]


def check_model(model) -> None:
    """Raises `ModelError` for a model that does not measure and play descriptors."""
    from ..voice.voice import check_pair

    if names_of(model)[:len(DESCRIPTORS)] != list(DESCRIPTORS):
        raise ModelError(f"{model.path}: is not steered by descriptors ({', '.join(DESCRIPTORS)}); take a model of `neurorack train`")
    if "encode" not in model.methods:
        raise ModelError(f"{model.path}: has no method encode, which measures a sound; export it again with `neurorack train`")
    check_pair(model, model)


def encoded(model, audio, rate_hz, path) -> np.ndarray:
    """Rows of a sound [frames, 2], float32 [rows, inputs], a row each hop, every column where it belongs in time.

    Raises `ModelError` where the sound (`path` names it) is silent to the model.
    """
    from ..gesture import encode
    from .descriptors.streaming import DELAYS

    hop, names = model.card["hop_frames"], names_of(model)
    late = [round(DELAYS.get(name, 0) / hop) for name in names]
    rows = -(-len(audio) * model.card["sample_rate_hz"] // (rate_hz * hop))
    more = np.zeros((-(-(max(late) + 1) * hop * rate_hz // model.card["sample_rate_hz"]), 2), np.float32)
    curves = encode(model, np.concatenate((audio, more)), rate_hz)
    curves = np.stack([curves[by:by + rows, column] for column, by in enumerate(late)], 1)
    if not len(curves) or curves[:, 0].max() <= QUIET:
        raise ModelError(f"{path}: is silent; give a file with sound in it")
    return curves


def latent_of(model, curves, path) -> np.ndarray:
    """The latent of a sound from its rows: the mean over what is heard, once enough was. float32 [latents]."""
    names = names_of(model)
    first = described(names)
    if first == len(names):
        raise ModelError(f"{model.path}: has no latent that {path} could give it; leave --latent out")
    heard = np.nonzero(curves[:, 0] > QUIET)[0]
    after = min(round(LATENT_AFTER_SECONDS * model.card["sample_rate_hz"] / model.card["hop_frames"]), len(heard) // 2)
    return curves[heard[after:], first:].mean(0)


def rows_of(model, curves, latent=None, semitones=0.0) -> np.ndarray:
    """What to play: the curves with another latent where one is given, transposed where they have a pitch."""
    rows, names = curves.copy(), names_of(model)
    if latent is not None:
        rows[:, len(names) - len(latent):] = latent
    if "pitch" in names:
        column = names.index("pitch")
        rows[:, column] = np.clip(rows[:, column] + semitones / 12, *PITCH_LIMITS_OCTAVES)
    elif semitones:
        raise ModelError(f"{model.path}: has no pitch to transpose; leave --semitones out")
    return rows


def play(model, rows) -> np.ndarray:
    """Rows through the model's decoder, and half a second of rest after them. float32 [frames] at the model's rate."""
    hop, method = model.card["hop_frames"], model.methods["decode"]
    rest = np.array([entry.get("rest", 0.0) for entry in model.card["inputs"]], np.float32)
    block, late = max(method.blocks), method.delay_frames
    wanted = len(rows) * hop + round(TAIL_SECONDS * model.card["sample_rate_hz"])
    spare = -(-(wanted + late) // block) * block // hop - len(rows)
    program = model.program("decode", block)
    return program.stream(np.concatenate((rows, np.repeat(rest[None], spare, 0))))[late:late + wanted, 0]

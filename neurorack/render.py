"""Play a score into a file, faster than real time, through the very voice that plays live.

The result depends on the score, the model and the seed alone: control values are taken on the model's own grid, so
every block size gives the same audio.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from neurorack import library
from neurorack.errors import DeviceError, NeurorackError, ScoreError
from neurorack.gesture import read_sound, resampled
from neurorack.inputs import sources_offline
from neurorack.patches.present import patch_of, played_sources
from neurorack.patches.waking import heard_model, load_document
from neurorack.score import SECONDS_LIMIT, Score
from neurorack.shm import table
from neurorack.slot import fitted
from neurorack.voice.loudness import lufs, onsets_seconds
from neurorack.voice.patch import Patch, default_patch
from neurorack.voice.voice import BLOCK_LIMITS, RATES_HZ, Voice

SETTLE_SECONDS = 0.001
INPUT_PIECE_FRAMES = 256


def check_audio_settings(block_frames: int, rate_hz: int) -> None:
    """Raises ``DeviceError`` for a block or rate outside the limits."""
    low, high = BLOCK_LIMITS
    if not low <= block_frames <= high:
        raise DeviceError(f"block is {block_frames} frames; it must lie from {low} to {high}")
    if rate_hz not in RATES_HZ:
        raise DeviceError(f"rate is {rate_hz} Hz; it must be one of {', '.join(map(str, RATES_HZ))}")


def drive_indices(score: Score, controls: list[str]) -> dict[str, int]:
    """Score control -> its index in the model; raises ``ScoreError`` for one that the model does not have."""
    for name in score.controls:
        if name not in controls:
            raise ScoreError(f"the model has no control {name!r}; its controls are {', '.join(controls)}")
    return {name: controls.index(name) for name in score.controls}


class ScorePlayer:
    """Feeds a voice from a score, hop by hop."""

    def __init__(self, score: Score, voice: Voice, settle_seconds: float = SETTLE_SECONDS, input_audio: np.ndarray | None = None,
                 seed: int | None = None, patch: Patch | None = None):
        """``input_audio``: float32 [frames, 2] at the card's rate, what comes in at the audio input; silence follows it.
        ``seed``: of the modulators (default: the score's). ``patch``: default the model's own."""
        if score.wishes:
            raise ScoreError("swap and mix happen in real time only: use `neurorack play --score`")
        self.score, self.voice, self.input_audio, self.heard_frames = score, voice, input_audio, 0
        patch = score.patched(fitted(patch, voice.card, voice.listens) if patch else default_patch(voice.card, listens=voice.listens))
        struct = patch.to_struct(voice.card["controls"])
        voice.set_patch(struct)
        self.level_db = patch.level_db
        rate, hop = voice.sample_rate_hz, voice.hop_frames
        # room for the resampler's delay, and whole blocks
        self.hops = math.ceil((score.seconds * rate + 2 * voice.block_frames + 64) / voice.block_frames) * voice.rows
        times = np.arange(self.hops) * hop / rate
        self.cv = np.zeros((self.hops, table.CV_JACKS))
        self.cv[:, :4] = score.cv_volts(times)
        self.knobs = np.tile(np.array(struct.knob), (self.hops, 1))
        self.drives = np.tile(np.array(struct.drive), (self.hops, 1))
        for name, index in drive_indices(score, voice.controls).items():
            self.knobs[:, index] = score.control_values(name, times)
            self.drives[:, index] = 1.0
        self.edges = score.gate_edges()
        self.edge_cv = np.zeros((len(self.edges), table.CV_JACKS))
        if self.edges:
            self.edge_cv[:, :4] = score.cv_volts(np.array([e.at_seconds + settle_seconds for e in self.edges]))
        self.sources, self.edge_sources = self._modulators(times, settle_seconds, score.seed if seed is None else seed)

    def _modulators(self, times: np.ndarray, settle_seconds: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Their volts at each hop and at each edge, float64 [hops, 8] and [edges, 8]."""
        settled = np.array([e.at_seconds + settle_seconds for e in self.edges])
        every = np.concatenate([times, settled])
        order = np.argsort(every, kind="stable")
        volts = np.empty((len(every), table.MODULATORS))
        volts[order] = sources_offline.play(self.score.sources, seed, every[order], self.score.cv_volts, self.edges, settle_seconds, self.score.tempo_bpm)
        return volts[: len(times)], volts[len(times):]

    def blocks(self):
        """Yield the audio of one run after another, float32 [frames, 2] at the card's rate."""
        voice, next_edge = self.voice, 0
        for start in range(0, self.hops, voice.rows):
            end_frame = (start + voice.rows) * voice.hop_frames + 1024
            while next_edge < len(self.edges) and self.edges[next_edge].at_seconds * voice.sample_rate_hz < end_frame:
                edge = self.edges[next_edge]
                voice.add_edge(round(edge.at_seconds * voice.sample_rate_hz), edge.jack, edge.rising, self.edge_cv[next_edge], self.edge_sources[next_edge])
                next_edge += 1
            for row in range(voice.rows):
                hop = start + row
                voice.set_row(row, self.cv[hop], self.knobs[hop], self.drives[hop], self.level_db, self.sources[hop])
            while voice.listens and voice.input_frames < voice.block_frames:
                voice.write_input(self._next_input())
            yield voice.render()

    def _next_input(self) -> np.ndarray:
        piece, at = np.zeros((INPUT_PIECE_FRAMES, 2), np.float32), self.heard_frames
        there = self.input_audio[at: at + INPUT_PIECE_FRAMES]
        piece[: len(there)] = there
        self.heard_frames += INPUT_PIECE_FRAMES
        return piece


def render(score: Score, *, model: str | None = None, block_frames: int = 64, rate_hz: int = 48000,
           seed: int | None = None, input_path: Path | None = None, encoder: str | None = None, patch: Path | None = None) -> tuple[np.ndarray, dict]:
    """The score's audio, float32 [frames, 2], and its report (the keys of ``neurorack render --report``).

    ``input_path``: a sound file at the audio input, followed by a model that can. ``encoder``: the model that encodes it.
    ``patch``: a patch file, of whose models the one that is heard more of is played; the score's own model, modulators and routes win.
    """
    from neurorack.importer.players import load_model

    check_audio_settings(block_frames, rate_hz)
    seed = score.seed if seed is None else seed
    document = load_document(patch) if patch else None
    if document:
        score = dataclasses.replace(score, sources=played_sources(document) | score.sources)
        model = model or score.model or heard_model(document, patch)
    loaded = load_model(library.find(model or score.model, score.folder), seed)
    other = load_model(library.find(encoder, score.folder), seed) if encoder else None
    voice = Voice(loaded, block_frames, rate_hz, encoder=other, listen=input_path is not None)
    if input_path is not None and not voice.listens:
        raise NeurorackError(f"{loaded.path}: has no encoder for its inputs, so it cannot follow {input_path}; "
                             "take --encoder MODEL or another model")
    sound = None if input_path is None else resampled(*read_sound(input_path, SECONDS_LIMIT), rate_hz)
    player = ScorePlayer(score, voice, input_audio=sound, seed=seed, patch=document and patch_of(document))
    frames = round(score.seconds * rate_hz)
    audio = np.zeros((frames + voice.delay_frames, 2), np.float32)
    loads, at = [], 0
    block_seconds = voice.block_frames / voice.sample_rate_hz
    blocks = player.blocks()
    while True:
        began = time.perf_counter()
        block = next(blocks, None)
        if block is None:
            break
        loads.append((time.perf_counter() - began) / block_seconds)
        taken = min(len(block), len(audio) - at)
        audio[at: at + taken] = block[:taken]
        at += taken
    audio = audio[voice.delay_frames:]
    loads = np.array(loads)
    rms = float(np.sqrt(np.mean(audio.astype(np.float64) ** 2)))
    loudness = lufs(audio, rate_hz)
    report = {
        "model": voice.card.get("name"), "seconds": len(audio) / rate_hz, "rate": rate_hz, "block": block_frames,
        "program_frames": voice.block_frames, "seed": seed,
        "rtf": float(1 / loads.mean()), "block_load_median": float(np.median(loads)), "block_load_p99": float(np.percentile(loads, 99)),
        "peak": float(np.abs(audio).max()), "rms_db": round(20 * math.log10(rms), 3) if rms > 0 else None,
        "missing_blocks": voice.missing_blocks,
        "lufs": None if loudness is None else round(loudness, 3), "nan_count": voice.nan_values + int(np.isnan(audio).sum()),
        "onsets_seconds": [round(t, 6) for t in onsets_seconds(audio, rate_hz)],
    }
    voice.close()
    return audio, report


def check_target(path: Path) -> None:
    """Raises ``NeurorackError`` for a path that no file can be written to; ask before the work, not after."""
    path = Path(path)
    if path.is_dir():
        raise NeurorackError(f"{path} is a folder: name a file in it")
    if not path.parent.is_dir():
        raise NeurorackError(f"there is no folder {path.parent}: make it first")


def write_atomically(path: Path, write) -> None:
    """``write(temporary path)``, then rename; a failure leaves nothing behind. Raises ``NeurorackError`` with the remedy."""
    path = Path(path)
    check_target(path)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        os.close(handle)
        os.chmod(temporary, 0o644)
        write(temporary)
        os.replace(temporary, path)
        temporary = None
    except (OSError, RuntimeError) as error:
        raise NeurorackError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from None
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def render_to_file(score: Score, out: Path, report_path: Path | None = None, **settings) -> dict:
    """Render to a 24-bit WAV file (or FLAC, by its suffix), and the report beside it where asked for."""
    import soundfile

    out = Path(out)
    if out.suffix.lower() not in (".wav", ".flac"):
        raise NeurorackError(f"{out}: the output must end in .wav or .flac")
    for path in filter(None, (out, report_path)):
        check_target(path)
    audio, report = render(score, **settings)
    write_atomically(out, lambda path: soundfile.write(path, audio, settings.get("rate_hz", 48000), subtype="PCM_24"))
    if report_path:
        write_atomically(Path(report_path), lambda path: Path(path).write_text(json.dumps(report, indent=2) + "\n"))
    return report

"""Reads any audio file: WAV, FLAC, AIFF, Ogg, MP3, CAF, W64, RF64 and more by libsndfile, the rest by ffmpeg where it is at hand.

Everything becomes float32 mono at 48 kHz. A file is read in pieces by `pieces`, so one of many gigabytes costs no more
memory than what is kept of it. Whatever cannot be used raises `Unusable` with the reason in a few words.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from ..descriptors import RATE_HZ
from ..recipe import RecipeError

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1000, 768000
SILENT_PEAK = 1e-3                      # -60 dBFS
#: Read here without help; ".raw" is left out, because nothing in such a file says how it is to be read.
KNOWN = frozenset(("wav", "wave", "flac", "aif", "aiff", "aifc", "ogg", "oga", "opus", "mp3", "mp2", "caf", "w64", "rf64", "au", "snd",
                   "bwf", "voc", "paf", "ircam", "sf", "nist", "sph", "mat", "avr", "xi", "sd2", "svx", "8svx"))
#: Audio in other formats and videos: only with ffmpeg.
FOREIGN = frozenset(("m4a", "aac", "mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "mpeg", "wma", "wmv", "flv", "3gp", "ape", "wv", "ac3",
                     "amr", "mka", "ts", "m2ts", "tta", "alac", "dsf"))
VIDEO = frozenset(("mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "mpeg", "wmv", "flv", "3gp", "m2ts"))


class Unusable(RecipeError):
    """A file, or a part of one, that cannot be used; the text says why in a few words."""


@dataclass(frozen=True)
class Header:
    """What a file says of itself. seconds is 0 where only reading would tell."""

    rate_hz: int
    channels: int
    seconds: float
    foreign: bool = False


def is_audio(path):
    """Does the name's ending say that this is sound (or a video with sound)?"""
    return Path(path).suffix.lower().lstrip(".") in KNOWN | FOREIGN


def to_mono(audio, rate_hz):
    """The louder channel of audio [samples, channels], at 48 kHz (a mix of two microphones would comb). float32."""
    audio = np.asarray(audio, np.float64)
    audio = audio if audio.ndim == 1 else audio[:, int(np.argmax(np.sum(audio ** 2, 0)))]
    if rate_hz != RATE_HZ:
        from scipy.signal import resample_poly
        divisor = np.gcd(int(rate_hz), RATE_HZ)
        audio = resample_poly(audio, RATE_HZ // divisor, int(rate_hz) // divisor)
    return audio.astype(np.float32)


def header(path):
    """The `Header` of a file, read without its sound. Unusable says what is wrong and what to do."""
    path = Path(path)
    if path.stat().st_size == 0:
        raise Unusable("empty file")
    if path.suffix.lower().lstrip(".") in FOREIGN:
        if shutil.which("ffmpeg") is None:
            raise Unusable(f"{path.suffix} needs ffmpeg: install ffmpeg, or convert the file to WAV or FLAC")
        return Header(RATE_HZ, 1, 0.0, foreign=True)
    try:
        info = soundfile.info(str(path))
    except (soundfile.SoundFileError, OSError, TypeError) as error:
        raise Unusable(f"not readable as audio ({_reason(error)}): broken, or another kind of file under this name") from None
    if not LOWEST_RATE_HZ <= info.samplerate <= HIGHEST_RATE_HZ:
        raise Unusable(f"sample rate {info.samplerate} Hz; usable are {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz")
    if info.frames <= 0:
        raise Unusable("no samples")
    return Header(info.samplerate, info.channels, info.frames / info.samplerate)


def _reason(error):
    """libsndfile's words without the path it puts before them."""
    return str(error).rsplit(": ", 1)[-1].strip().rstrip(".") or type(error).__name__


def pieces(path, spans=None):
    """Yields (start in seconds, audio float32 mono at 48 kHz) for each of `spans` [(start, seconds), …], in order.

    Without spans: the whole file as one piece. A span beyond the end is cut or left out. Unusable at the first sample
    that is not a number, or where the data break off before anything was read.
    """
    head = header(path)
    if head.foreign:
        yield from _foreign_pieces(path, spans)
        return
    got = 0
    try:
        with soundfile.SoundFile(str(path)) as file:
            for start, seconds in spans or [(0.0, head.seconds)]:
                first = int(start * head.rate_hz)
                if first >= file.frames:
                    continue
                file.seek(first)
                audio = file.read(min(file.frames - first, round(seconds * head.rate_hz)), dtype="float32", always_2d=True)
                if len(audio) == 0:
                    continue
                got += 1
                yield start, to_mono(_finite(audio, start, head.rate_hz), head.rate_hz)
    except (soundfile.SoundFileError, OSError) as error:
        raise Unusable(f"breaks off ({_reason(error)})") from None
    if not got:
        raise Unusable("breaks off before its first sample")


def _finite(audio, start, rate_hz):
    """The audio as it is; Unusable where a sample is not a finite number."""
    wrong = ~np.isfinite(audio).all(-1)
    if wrong.any():
        raise Unusable(f"holds a sample that is not a finite number, at {start + int(np.argmax(wrong)) / rate_hz:.3f} s")
    return audio


def _foreign_pieces(path, spans):
    """The first audio track of a file by ffmpeg, cut to the spans; the whole of it (at most an hour) without."""
    for start, seconds in spans or [(0.0, 3600.0)]:
        command = ["ffmpeg", "-v", "error", "-nostdin", "-ss", str(start), "-t", str(seconds), "-i", str(path), "-vn", "-map", "0:a:0",
                   "-ac", "1", "-ar", str(RATE_HZ), "-f", "f32le", "-"]
        done = subprocess.run(command, capture_output=True)
        audio = np.frombuffer(done.stdout[:len(done.stdout) // 4 * 4], "<f4")
        if done.returncode or len(audio) == 0:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            raise Unusable(f"ffmpeg found no sound in it{': ' + lines[-1][-120:] if lines else ''}")
        yield start, _finite(audio[:, None], start, RATE_HZ)[:, 0].copy()


def whole(path):
    """A whole file as float32 mono at 48 kHz. Unusable where it cannot be read or is silent (peak below -60 dBFS)."""
    audio = np.concatenate([piece for _, piece in pieces(path)])
    if np.abs(audio).max(initial=0.0) < SILENT_PEAK:
        raise Unusable("silent (peak below -60 dBFS)")
    return audio

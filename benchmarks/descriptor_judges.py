"""What librosa, mosqito and AudioCommons' timbral models say of the sounds of `descriptor_signals.py`, as JSON on standard output.

Run by `descriptors.py` in an environment of its own, with none of this project's code.
"""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
warnings.filterwarnings("ignore")

import descriptor_signals as signals

STEP = 1024
PASCAL_AT_60_DB = 2e-5 * 10 ** 3


def frames(sound):
    """Centroid and bandwidth in Hz of centred windows of 1024, 1024 apart, and RMS in dB of 4096, as librosa has them."""
    import librosa

    spectrum = dict(y=sound, sr=signals.RATE_HZ, n_fft=1024, hop_length=STEP)
    rms = librosa.feature.rms(y=sound, frame_length=4096, hop_length=STEP)[0]
    return {"centroid_hz": librosa.feature.spectral_centroid(**spectrum)[0].tolist(),
            "bandwidth_hz": librosa.feature.spectral_bandwidth(**spectrum)[0].tolist(), "rms_db": (20 * np.log10(rms + 1e-12)).tolist()}


def judged(sound):
    """All values of a sound: librosa's by frame, sharpness (DIN 45692, at 60 dB), roughness (Daniel and Weber), booming."""
    import timbral_models
    from mosqito.sq_metrics import roughness_dw, sharpness_din_st

    wide = sound.astype(float)
    level = wide / np.sqrt(np.mean(wide ** 2)) * PASCAL_AT_60_DB
    middle = level[len(level) // 2 - 9600:len(level) // 2 + 9600]
    return frames(sound) | {"sharpness_acum": float(sharpness_din_st(level, signals.RATE_HZ, weighting="din")),
                            "roughness_asper": float(np.mean(roughness_dw(middle, signals.RATE_HZ, overlap=0)[0])),
                            "booming": float(timbral_models.timbral_booming(wide, fs=signals.RATE_HZ))}


def main():
    out = {"versions": {name: version(name) for name in ("librosa", "mosqito", "timbral_models")}, "sounds": {}}
    with contextlib.redirect_stdout(sys.stderr):
        for name, sound in {**signals.made(), **signals.recorded()}.items():
            out["sounds"][name] = judged(sound)
            print(name, file=sys.stderr, flush=True)
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    main()

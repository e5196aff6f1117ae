"""Our descriptors beside those of librosa, mosqito and AudioCommons' timbral models, and the incoming ones beside the offline ones.

    python benchmarks/descriptors.py [--judged FILE.json] [--keep FOLDER]

The other libraries are installed into an environment of their own, made in a temporary folder (or kept in FOLDER) and thrown away:
this project does not need them. --judged takes their values from a file that `descriptor_judges.py` wrote. Sounds: synthetic ones and
recordings of the Debian package sonic-pi-samples; for pitch, notes of fluid-soundfont-gm. Writes benchmarks/results/descriptors.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import descriptor_signals as signals

RESULTS = HERE / "results" / "descriptors.json"
NEEDED = ("librosa", "mosqito", "matplotlib", "pyloudnorm", "six", "scikit-learn", "setuptools<80", "wheel")
STEP = 1024
REFERENCES = ("sine 250", "sine 2000", "modulated 1000 by 70", "modulated 500 by 40", "modulated 4000 by 100",
              "saw 220", "pink", "white", "noise 50 to 150")
INSTRUMENTS = {40: (56, 96), 42: (36, 72), 52: (48, 79), 73: (60, 93), 56: (55, 84), 0: (36, 96),
               24: (40, 76), 32: (28, 55), 65: (49, 80), 71: (50, 89)}
NOTES = 5


def judges(folder):
    """The other libraries' values, from an environment made in `folder`."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    install = [python, "-m", "pip", "install", "-q"]
    subprocess.run([*install, *NEEDED], check=True)
    subprocess.run([*install, "--no-deps", "--no-build-isolation", "timbral_models"], check=True)
    return json.loads(subprocess.run([python, HERE / "descriptor_judges.py"], check=True, stdout=subprocess.PIPE, text=True).stdout)


def ours(sound):
    """Our values of a sound, by the names and in the places of `descriptor_judges.judged`."""
    import torch

    from neurorack.lab import descriptors as d

    audio = torch.from_numpy(sound)[None]
    count = 1 + len(sound) // STEP
    spectral = d.spectral(audio, count, STEP // 64, first=0)[0].numpy()
    level = d.loudness_db(audio)[0].numpy()
    every = d.spectral(audio, len(level))[0].numpy()
    loud = level > level.max() - 30
    middle = audio[:, len(sound) // 2 - 9600:len(sound) // 2 + 9600]
    around = np.concatenate((level[:1], level))[np.arange(count) * (STEP // 64)]
    return {"centroid_hz": 2 ** spectral[:, 0], "bandwidth_hz": 2 ** spectral[:, 1], "rms_db": around,
            "sharpness_acum": float(every[loud, 2].mean()), "booming": float(every[loud, 3].mean()),
            "roughness_asper": float(d.roughness_asper(middle).mean())}


def agreement(a, b):
    """Pearson and Spearman correlation of two lists."""
    from scipy.stats import pearsonr, spearmanr

    return {"pearson": round(float(pearsonr(a, b)[0]), 4), "spearman": round(float(spearmanr(a, b)[0]), 4), "values": len(a)}


def framewise(key, pairs):
    """Agreement of a value by frame over sounds, (ours, the judge's) each: frames above -60 dB, edges left out."""
    both = [[], []]
    for own, other in pairs:
        inside = slice(2, len(own[key]) - 3)
        heard = np.array(other["rms_db"])[:len(own[key])][inside] > -60
        for kept, values in zip(both, (own[key], np.array(other[key])[:len(own[key])])):
            kept.append(values[inside][heard])
    a, b = (np.concatenate(kept) for kept in both)
    if key == "rms_db":
        return agreement(a, b) | {"median_error_db": round(float(np.median(np.abs(a - b))), 2)}
    off = np.abs(np.log2(a / b))
    return agreement(a, b) | {"median_error_octaves": round(float(np.median(off)), 4), "p95_error_octaves": round(float(np.quantile(off, 0.95)), 4)}


def compared(judged):
    """Figures for each descriptor, over synthetic and recorded sounds."""
    sounds = {**signals.made(), **signals.recorded()}
    mine = {name: ours(sound) for name, sound in sounds.items() if name in judged}
    figures = {}
    groups = {"synthetic": [name for name in mine if name in signals.made()], "recorded": [name for name in mine if name not in signals.made()]}
    for key in ("centroid_hz", "bandwidth_hz", "rms_db"):
        for group, names in groups.items():
            if names:
                figures[f"{key}, {group}"] = framewise(key, [(mine[name], judged[name]) for name in names])
    for key in ("sharpness_acum", "roughness_asper", "booming"):
        for group, names in groups.items():
            usable = [n for n in names if np.isfinite(judged[n][key])]
            a, b = (np.array([values[n][key] for n in usable]) for values in (mine, judged))
            if len(usable) > 2:
                figures[f"{key}, {group}"] = agreement(a, b) | ({} if key == "booming" else {"mean_error": round(float(np.abs(a - b).mean()), 3)})
    return figures


def notes():
    """(MIDI key, note) of ten instruments of FluidR3, one second each, and their recordings' names."""
    from neurorack.lab.data.soundfont import render_notes

    rng, found = np.random.default_rng(5), []
    for program, (low, high) in INSTRUMENTS.items():
        keys = sorted(int(key) for key in rng.choice(np.arange(low, high), NOTES, replace=False))
        rendered = render_notes("/usr/share/sounds/sf2/FluidR3_GM.sf2", program, False, [(key, 100) for key in keys], hold=1.0, release=0.2)
        found += list(zip(keys, rendered))
    return found


def incoming():
    """The engine program beside the offline descriptors: correlation once its delay is taken off, pitch in cents, and cost."""
    import torch

    from neurorack.engine import ModelWriter
    from neurorack.lab import descriptors as d
    from neurorack.lab.data.f0 import harmonicity, track
    from neurorack.lab.descriptors.streaming import DELAYS, encode_method
    from neurorack.lab.layout import Layout

    layout, sounds = Layout(True), list(signals.recorded().values())
    quantiles = d.fit_normaliser(np.concatenate([d.spectral(torch.from_numpy(s)[None], len(s) // 256, 4)[0].numpy() for s in sounds]))
    writer = ModelWriter({"name": "incoming", "sample_rate_hz": signals.RATE_HZ})
    writer.method("encode", encode_method(layout, quantiles), blocks=[64, 128, 256, 1024], in_channels=1, out_channels=layout.width, out_ratio=64)
    with tempfile.TemporaryDirectory() as folder:
        model = writer.save(Path(folder) / "incoming.safetensors")
        program = model.program("encode", 1024)
        cost = {str(block): cost_percent(model.program("encode", block), block) for block in (64, 128, 256, 1024)}

    def rows(sound):
        program.reset()
        return program.stream(np.pad(sound, (0, 4096 - len(sound) % 1024))[:, None])

    pairs = {name: [[], []] for name in layout.described}
    for sound in sounds:
        offline = d.clip_rows(torch.from_numpy(sound)[None], None, None, quantiles)[0].numpy()
        heard, got = offline[:-16, 0] > -0.9, rows(sound)
        for column, name in enumerate(d.NAMES):
            late = DELAYS[name] // 64
            keep = slice(None) if name == "loudness" else heard
            pairs[name][0].append(got[late:late + len(offline) - 16, column][keep])
            pairs[name][1].append(offline[:-16, column][keep])
    cents, late = [], round(DELAYS["pitch"] / 64)
    for key, sound in notes():
        got, (pitch, voiced) = rows(sound), track(sound, (key - 60) / 12)
        offline, inside = harmonicity(sound, pitch), slice(120, 700)
        cents.append((1200 * (got[late:, 6][inside] - pitch[inside]))[voiced[inside]])
        pairs["harmonicity"][0].append(d.unit_to_harmonicity(got[late:, 5][inside]))
        pairs["harmonicity"][1].append(offline[inside])
    cents = np.abs(np.concatenate(cents))
    return {"agreement": {name: agreement(*map(np.concatenate, both)) for name, both in pairs.items()},
            "harmonicity_mean_error_db": round(float(np.abs(np.subtract(*map(np.concatenate, pairs["harmonicity"]))).mean()), 2),
            "pitch_cents": {"median": round(float(np.median(cents)), 2), "p95": round(float(np.quantile(cents, 0.95)), 1),
                            "share_within_50": round(float(np.mean(cents < 50)), 4), "notes": NOTES * len(INSTRUMENTS)},
            "delay_ms": {name: round(frames / 48, 2) for name, frames in DELAYS.items()}, "cost_percent_of_a_core": cost}


def cost_percent(program, block, seconds=2.0):
    """Processor time of a program for a second of noise, in percent: the least of five rounds."""
    sound = (0.1 * np.random.default_rng(3).standard_normal((int(seconds * signals.RATE_HZ) // block * block, 1))).astype(np.float32)
    rounds = []
    for _ in range(5):
        began = time.process_time()
        for piece in sound.reshape(-1, block, 1):
            program.run(piece)
        rounds.append(time.process_time() - began)
    return round(100 * min(rounds) / (len(sound) / signals.RATE_HZ), 2)


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--judged", type=Path, help="values of the other libraries, as descriptor_judges.py writes them")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="make their environment here and leave it")
    options = parser.parse_args()
    if options.judged:
        found = json.loads(options.judged.read_text(encoding="utf-8"))
    else:
        with tempfile.TemporaryDirectory() as folder:
            found = judges(options.keep or Path(folder))
    references = {name: {key: (np.median(value[2:-3]).item() if isinstance(value, list) else value) for key, value in found["sounds"][name].items()}
                  for name in REFERENCES}
    results = {"versions": found["versions"], "beside": compared(found["sounds"]), "incoming": incoming(),
               "references": {name: {key: round(value, 4) for key, value in row.items()} for name, row in references.items()}}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: results[key] for key in ("versions", "beside", "incoming")}, indent=1))


if __name__ == "__main__":
    main()

"""The page of a model: its figures with plots, pictures and sounds, in one HTML file that needs nothing else."""

from html import escape

import numpy as np
import torch

from ..descriptors import HOP, NAMES, RATE_HZ
from . import media, plots
from .bench import FRAMES, STRIDE
from .figures import TITLES, number
from .protocol import QUIET, followed

CURVES = 96                 # drawn anew for the plots
EXAMPLES = (("unseen", "shapes training never draws"), ("swap", "curves of another clip"))
CLIPS = 6
FADE = ((FRAMES * HOP - torch.arange(FRAMES * HOP)) / 960.0).clamp(max=1.0)       # clips break off: 20 ms without a click

STYLE = """
:root { --ink: #20242a; --quiet: #6a717a; --paper: #ffffff; --panel: #f4f5f7; --line: #1f6fb4; --warm: #c8641e; color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --quiet: #98a0aa; --paper: #16181c; --panel: #1f2228; --line: #5aa9e6; --warm: #f0924c; } }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p { max-width: 46rem; } .quiet { color: var(--quiet); } .wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; margin-bottom: .8rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .5rem; text-align: right; border-bottom: 1px solid var(--panel); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
.clip { background: var(--panel); border-radius: .5rem; padding: .7rem; margin-bottom: 1rem; } figure { margin: 0; }
figcaption { font-size: .85rem; color: var(--quiet); }
.clip img { display: block; width: 17.5rem; max-width: 100%; border-radius: .25rem; }
audio { display: block; width: 17.5rem; max-width: 100%; height: 2rem; margin-top: .3rem; }
svg { max-width: 100%; height: auto; }
"""

#: Figure, what it is, unit, figures to show beside it.
QUALITY = (
    ("log_mel_error_db", "log-mel error, held-out clips rebuilt", "dB",
     (("log_mel_error_of_noise_db", "other noise"), ("log_mel_error_of_silence_db", "silence"),
      ("log_mel_error_of_another_clip_db", "another clip"), ("log_mel_error_above_60_db", "with a floor of -60 dB"))),
    ("log_mel_error_heard_db", "the same where the recording sounds", "dB",
     (("log_mel_error_of_noise_heard_db", "other noise"), ("log_mel_error_of_silence_heard_db", "silence"),
      ("log_mel_error_of_another_clip_heard_db", "another clip"))),
    ("rise_ms", "attack, 10 to 90 %", "ms", (("rise_of_recordings_ms", "recordings"), ("rise_over_ms", "median of differences"))),
    ("silence_dbfs", "silence, when it is asked for", "dBFS", ()),
    ("buzz_db", "frame-rate line under constant controls", "dB", ()),
    ("loudness_step_ms", "step of loudness to half its effect", "ms", (("first_sample", "first sample"),)),
    ("centroid_step_ms", "step of centroid to half its effect", "ms", ()),
    ("pitch_error_cents", "pitch, median error", "cents", (("pitch_error_swapped_cents", "swapped curves"), ("unvoiced", "share unvoiced"))),
    ("harmonicity_error_db", "harmonicity over the recording's", "dB",
     (("harmonicity_away_db", "mean size"), ("harmonicity_error_swapped_db", "swapped curves"), ("harmonicity", "Spearman when asked"))),
    ("loudness_lufs", "loudness of all gestures", "LUFS", ()),
    ("cost_percent", "cost on one core", "%", (("cost_block_frames", "block"), ("real_time_factor", "real-time factor"))),
    ("dc_under_level_db", "direct current, under the sound's level", "dB", ()),
    ("peak", "greatest sample", "", (("not_numbers", "values that are no numbers"),)),
)


def quality_rows(figures):
    """(what, value with unit, what stands beside it) of each figure that is there, as text."""
    rows = []
    for key, title, unit, others in QUALITY:
        if key in figures:
            value = "exactly silent" if key == "silence_dbfs" and figures[key] is None else f"{_plain(figures[key])} {unit}".strip()
            rows.append((title, value, ", ".join(f"{name} {_plain(figures[other])}" for other, name in others if other in figures)))
    return rows


def _plain(value):
    return "–" if value is None else f"{value:g}"


def _table(headings, rows):
    cells = lambda tag, row: "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in row) + "</tr>"
    return '<div class="wide"><table>' + cells("th", headings) + "".join(cells("td", row) for row in rows) + "</table></div>"


def control_rows(control):
    """Title, mean Spearman with its interval, Pearson and each descriptor of every protocol, as text."""
    rows = []
    for key, title in TITLES:
        row = control[key]
        low, high = row["interval"]["spearman"]
        rows.append((title, number(row["spearman"]), f"{number(low)} … {number(high)}", number(row["pearson"]),
                     *(number(row.get(name)) for name in NAMES)))
    for title, other in (("unseen shapes, judged by other code", control["second_opinion"]),
                         ("the same, both codes with each other", control["opinions_agree"]["unseen"]),
                         ("recordings, both codes with each other", control["opinions_agree"]["recordings"])):
        rows.append((title, "", "", "", *(number(other.get(n)) for n in NAMES)))
    return rows


def comparison(name, figures, baselines, background=False):
    """Bars of this model beside others. baselines: {name: figures}."""
    series = {name: figures} | baselines
    value = lambda row: (row["spearman"], *row.get("interval", {}).get("spearman", (None, None)))
    groups = [(title, [value(each["control"][key]) if key in each["control"] else None for each in series.values()]) for key, title in TITLES]
    groups += [(f"all five: {d}", [(each["control"]["all_five"].get(d), *each["control"]["all_five"].get("interval", {}).get(d, (None, None)))
                                   for each in series.values()]) for d in NAMES]
    return plots.bars(groups, list(series), background=background)


def _follows(bench):
    """Densities of all five at once, and example curves."""
    whole, _ = followed(bench, "all_five", CURVES, bench.seed)
    maps = [plots.density(*whole.frames(d)[:2], name) for d, name in enumerate(NAMES)]
    examples = []
    for title, text in EXAMPLES:
        part, _ = followed(bench, title, 24, bench.seed)
        loud = int(np.argmax((part.asked[..., 0] > QUIET).mean(1) * part.asked.std(1).min(1)))       # one in which all move
        seconds = part.asked.shape[1] * STRIDE * HOP / RATE_HZ
        drawing = plots.over_time(part.asked[loud], part.got[loud], NAMES, seconds)
        examples.append(f"<figure>{drawing}<figcaption>{escape(text)}</figcaption></figure>")
    return '<div class="row">' + "".join(maps) + '</div><div class="row">' + "".join(examples) + "</div>"


def _sounds(bench):
    """Held-out clips, rebuilt, and with their latent under another clip's curves: pictures and players."""
    index = bench.pick(min(CLIPS, len(bench.audio)))
    other = index.roll(1)
    rebuilt = torch.cat([audio for _, audio in bench.sounds(bench.curves[index], index)]) * FADE
    swapped = torch.cat([audio for _, audio in bench.sounds(bench.curves[other], index, bench.extras[other])]) * FADE
    out = []
    for k, clip in enumerate(index.tolist()):
        name, from_name = (bench.clips.rows[j]["name"] for j in (clip, int(other[k])))
        figures = "".join(f'<figure><figcaption>{escape(text)}</figcaption><img alt="spectrogram: {escape(text)}" src="{media.spectrogram(sound)}">'
                          f'<audio controls preload="none" src="{media.sound(sound)}"></audio></figure>'
                          for text, sound in (("recording", (bench.audio[clip] * FADE).numpy()),
                                              ("rebuilt from its curves and latent", rebuilt[k].numpy()),
                                              (f"its latent, the curves of {from_name}", swapped[k].numpy())))
        out.append(f'<div class="clip"><b>{escape(name)}</b><div class="row">{figures}</div></div>')
    return "".join(out)


def page(name, figures, bench, card=None, baselines=None):
    """The page as text. card: the model's (for its description); baselines: {name: figures} to stand beside it."""
    control, card = figures["control"], card or {}
    about = " · ".join(str(card[key]) for key in ("description", "licence", "author") if card.get(key))
    parts = [
        f"<h1>{escape(name)}</h1><p class=quiet>{escape(about)}</p>",
        f"<p>{control['curves']} curves a protocol and draw, {control.get('seeds', 1)} draws, latents of {figures['held_out_clips']} held-out clips. "
        "Plain correlations of asked and measured; intervals of 95 % by bootstrap over clips. docs/control.md says how everything is measured.</p>",
        "<h2>Control</h2>", _table(("curves", "Spearman", "95 %", "Pearson", *NAMES), control_rows(control)),
        "<div class=wide>", comparison(name, figures, baselines or {}), "</div>",
        "<h2>Asked and measured</h2><p class=quiet>All five descriptors random at once: asked to the right, measured up, each column by itself. "
        "Below, asked is dashed.</p>", _follows(bench),
        f"<h2>Leakage {number(control['leakage']['mean'])}</h2><p class=quiet>Spearman of what is asked of one descriptor (rows) with the error "
        "of the others (columns), all five at once.</p>", plots.leakage(control["leakage"]["matrix"], NAMES),
        "<h2>Sound</h2>", _table(("", "measured", "beside it"), quality_rows(figures)),
        "<h2>Held-out clips</h2><p class=quiet>Spectrograms: 80 mel bands from 30 Hz to 20 kHz, -75 dB (dark) to -10 dB.</p>", _sounds(bench)]
    return ("<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width, initial-scale=1'>"
            f"<title>{escape(name)}: control</title><style>{STYLE}</style><body>" + "\n".join(parts) + "</body></html>\n")

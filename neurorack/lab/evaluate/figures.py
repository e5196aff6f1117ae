"""All figures of a model in one dictionary, and as a table."""

from ..descriptors import NAMES
from .pitched import followed_pitch
from .protocol import control
from .quality import constants, likeness, steps

TITLES = (("all_five", "all five at once"), ("unseen", "all five, unseen shapes"), ("single", "one at a time"),
          ("random_one", "one at random, the rest kept"), ("swap", "curves of another clip"))


def evaluate(bench, count=512, seeds=3):
    """All figures of a model as a dictionary of numbers for JSON (docs/control.md says what they are).

    count: curves a protocol and draw; seeds: draws. None stands for exact silence in levels, and for what cannot be said.
    """
    out = {"control": control(bench, count, seeds), "held_out_clips": len(bench.audio)}
    out |= likeness(bench) | constants(bench) | steps(bench) | followed_pitch(bench)
    return out | {"peak": round(bench.peak, 3), "not_numbers": bench.broken}


def number(value, places=3):
    """A figure as text; a dash where there is none."""
    return "–" if value is None else f"{value:.{places}f}"


def _interval(row):
    low, high = row["interval"]["spearman"]
    return f"{number(row['spearman'])} ({number(low)} … {number(high)})"


def summary(figures):
    """The most telling figures in three lines for who has just trained a model; `table` gives all."""
    five, other = figures["control"]["all_five"], figures["control"]["swap"]["spearman"]
    each = ", ".join(f"{name} {number(five.get(name), 2)}" for name in NAMES)
    silence = figures["silence_dbfs"]
    return "\n".join((
        f"control on {figures['held_out_clips']} held-out sounds (1 is perfect): all five descriptors at once {number(five['spearman'], 2)} ({each})",
        f"curves of another sound {number(other, 2)}; rebuilt sounds are {number(figures['log_mel_error_db'], 1)} dB from the recordings "
        f"(other noise {number(figures['log_mel_error_of_noise_db'], 1)}, another sound {number(figures['log_mel_error_of_another_clip_db'], 1)})",
        f"attacks {number(figures['rise_over_ms'], 1)} ms over the recordings'; at rest "
        + ("exactly silent" if silence is None else f"{number(silence, 0)} dBFS") + "; everything measured: neurorack evaluate"))


def table(figures):
    """The figures as lines of Markdown."""
    control = figures["control"]
    lines = [f"{control['curves']} curves a protocol and draw, {control.get('seeds', 1)} draws, latents of {figures['held_out_clips']} "
             "held-out clips; plain correlations, 95 % by bootstrap over clips", "",
             "| | mean Spearman | mean Pearson | " + " | ".join(NAMES) + " |", "|---" * (3 + len(NAMES)) + "|"]
    for key, title in TITLES:
        row = control[key]
        lines.append(f"| {title} | {_interval(row)} | {number(row['pearson'])} | "
                     + " | ".join(number(row.get(name)) for name in NAMES) + " |")
    other = control["second_opinion"]
    lines.append("| unseen shapes, judged by other code | | | " + " | ".join(number(other.get(n)) for n in NAMES) + " |")
    for key, title in (("unseen", "the same, both codes with each other"), ("recordings", "recordings, both codes with each other")):
        lines.append(f"| {title} | | | " + " | ".join(number(control["opinions_agree"][key].get(n)) for n in NAMES) + " |")
    leak = control["leakage"]
    lines += ["", f"leakage {number(leak['mean'])}: Spearman of what is asked (row) with the error of the others (column)", "",
              "| asked | " + " | ".join(NAMES) + " |", "|---" * (1 + len(NAMES)) + "|"]
    lines += [f"| {name} | " + " | ".join("" if k == d else number(v, 2) for k, v in enumerate(row)) + " |"
              for d, (name, row) in enumerate(zip(NAMES, leak["matrix"]))]
    return "\n".join([*lines, "", *(f"* {key}: {value}" for key, value in figures.items() if key != "control")])

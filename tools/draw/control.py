"""``python -m tools.draw.control``: make the tables and drawings of docs/control.md anew from benchmarks/results.

``--measure [NAME …]`` first measures the factory models (all without names) and keeps their figures as
benchmarks/results/bank-NAME.json; ``--check`` changes nothing and fails where the document is behind the figures.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

from neurorack.lab.evaluate import plots
from neurorack.lab.evaluate.figures import TITLES, number
from neurorack.lab.evaluate.page import quality_rows
from neurorack.lab.layout import DESCRIPTORS
from tools.draw.markdown import renew, table

ROOT = Path(__file__).resolve().parents[2]
RESULTS, DOCUMENT = ROOT / "benchmarks" / "results", ROOT / "docs" / "control.md"
BANK = ("impacts", "strings", "voice", "skins", "texture")
METHODS = {"ours": "ours", "c-rave": "C-RAVE", "f-rave": "F-RAVE", "c-rave-quantile": "C-RAVE + quantiles", "convolution": "ours, convolutional"}
PUBLISHED = {"all_five": 0.445, "loudness": 0.917, "centroid": "0.28–0.31"}        # Devis et al. (2023), plain Spearman
_MARKED = re.compile(r"(<!-- table (\S+) -->\n).*?(<!-- /table -->)", re.DOTALL)

_five = lambda name: lambda f: f["control"]["all_five"].get(name)
_mean = lambda key: lambda f: f["control"][key]["spearman"]
_silence = lambda f: f["silence_dbfs"]
#: What was to be reached: title, figure, at least or at most, the limits for impacts and strings (None: none was set).
GOALS = (
    ("all five at once, Spearman", _mean("all_five"), "≥", 0.86, 0.82), ("curves of another clip", _mean("swap"), "≥", 0.99, 0.985),
    ("loudness", _five("loudness"), "≥", 0.98, 0.97), ("centroid", _five("centroid"), "≥", 0.82, 0.82),
    ("bandwidth", _five("bandwidth"), "≥", 0.95, 0.94), ("sharpness", _five("sharpness"), "≥", 0.52, 0.48),
    ("booming", _five("booming"), "≥", 0.95, 0.85), ("unseen shapes", _mean("unseen"), "≥", 0.82, 0.77),
    ("leakage", lambda f: f["control"]["leakage"]["mean"], "≤", 0.20, 0.28),
    ("log-mel error, dB", lambda f: f["log_mel_error_db"], "≤", 1.8, 2.7),
    ("silence, dBFS", _silence, "≤", -80, -75), ("frame-rate line, dB", lambda f: f["buzz_db"], "≤", 10, 10),
    ("attack over the recording's, ms", lambda f: f["rise_over_ms"], "≤", 1, None),
    ("harmonicity error, dB", lambda f: f.get("harmonicity_away_db"), "≤", None, 3),
    ("loudness step to half, ms", lambda f: f["loudness_step_ms"], "≤", 5, 5),
    ("centroid step to half, ms", lambda f: f["centroid_step_ms"], "≤", 5, 5),
    ("cost at block 128, %", lambda f: f["cost_percent"], "≤", 15, 15),
)


def bank() -> dict[str, dict]:
    """Name → figures of the factory models measured so far."""
    paths = {name: RESULTS / f"bank-{name}.json" for name in BANK}
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items() if path.is_file()}


def compared() -> dict[str, dict[str, dict]]:
    """Data set → method → figures of the trainings at equal cost (benchmarks/control.py)."""
    return {path.stem.removeprefix("control-"): json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("control-*.json"))}


def _cell(value, places=3) -> str:
    return "–" if value is None else f"{value:.{places}f}"


def bank_table(models) -> str:
    """Control of the bank: a row for each figure, a column for each model."""
    def mean(row):
        low, high = row["interval"]["spearman"]
        return f"**{number(row['spearman'])}** ({number(low)} … {number(high)})"

    rows = [[title, *(mean(f["control"][key]) for f in models.values())] for key, title in TITLES]
    rows += [[f"all five: {name}", *(number(f["control"]["all_five"].get(name)) for f in models.values())] for name in DESCRIPTORS]
    rows += [["all five, Pearson", *(number(f["control"]["all_five"]["pearson"]) for f in models.values())],
             ["the four that are kept, one at random", *(number(f["control"]["random_one"]["kept"]) for f in models.values())],
             ["leakage", *(number(f["control"]["leakage"]["mean"]) for f in models.values())]]
    rows += [[f"unseen shapes, other code: {name}", *(number(f["control"]["second_opinion"].get(name)) for f in models.values())]
             for name in DESCRIPTORS]
    rows += [[f"recordings, both codes: {name}", *(number(f["control"]["opinions_agree"]["recordings"].get(name)) for f in models.values())]
             for name in DESCRIPTORS[3:]]
    return table(["plain Spearman (95 % by clip)", *models], [*rows, ["held-out clips", *(f["held_out_clips"] for f in models.values())]])


def sound_table(models) -> str:
    """Sound of the bank: a row for each figure, a column for each model."""
    columns = {name: {row[0]: row for row in quality_rows(f)} for name, f in models.items()}
    titles = list(dict.fromkeys(title for column in columns.values() for title in column))
    cell = lambda row: "" if row is None else row[1] + (f" ({row[2]})" if row[2] else "")
    return table(["", *models], [[title, *(cell(column.get(title)) for column in columns.values())] for title in titles])


def goal_table(models) -> str:
    """What was to be reached with impacts and strings, and what was."""
    def cell(figures, value, sense, limit):
        if limit is None or figures is None:
            return "" if limit is None else "not measured"
        got = value(figures)
        if got is None:
            return f"{sense} {limit:g}: " + ("exactly silent ✓" if value is _silence else "–")
        return f"{sense} {limit:g}: {got:g} {'✓' if (got >= limit if sense == '≥' else got <= limit) else '✗'}"

    rows = [[title, *(cell(models.get(name), value, sense, limit) for name, limit in (("impacts", impacts), ("strings", strings)))]
            for title, value, sense, impacts, strings in GOALS]
    return table(["", "impacts", "strings"], rows)


def baseline_table(sets) -> str:
    """Trainings at equal cost, and what F-RAVE's authors published."""
    rows = []
    for name, methods in sets.items():
        reach = {key: f["trainings"]["mean"] for key, f in methods.items()}
        best = max((value for key, value in reach.items() if "rave" in key), default=None)
        for key, f in methods.items():
            control = f["control"]
            margin = f" (+{reach[key] - best:.3f})" if key == "ours" and best is not None else ""
            rows.append([f"{name}: {METHODS.get(key, key)}", f"{reach[key]:.3f}{margin}",
                         *(_cell(control["all_five"].get(d), 2) for d in DESCRIPTORS), _cell(control["unseen"]["spearman"]),
                         _cell(control["swap"]["spearman"]), _cell(control["leakage"]["mean"], 2), _cell(f["log_mel_error_db"], 2)])
    rows.append(["published: F-RAVE (other data)", PUBLISHED["all_five"], PUBLISHED["loudness"], PUBLISHED["centroid"], *[""] * 7])
    return table(["", "all five", *DESCRIPTORS, "unseen", "swap", "leakage", "log-mel, dB"], rows)


def bank_drawing(models) -> str:
    """Protocols and descriptors of all models as bars."""
    value = lambda row: (row["spearman"], *row["interval"]["spearman"])
    groups = [(title, [value(f["control"][key]) for f in models.values()]) for key, title in TITLES]
    groups += [(f"all five: {d}", [(f["control"]["all_five"].get(d), *f["control"]["all_five"]["interval"].get(d, (None, None)))
                                   for f in models.values()]) for d in DESCRIPTORS]
    return plots.bars(groups, list(models), background=True)


def baseline_drawing(methods) -> str:
    """Methods on one data set as bars."""
    value = lambda row: (row["spearman"], *row["interval"]["spearman"])
    groups = [(title, [value(f["control"][key]) for f in methods.values()]) for key, title in TITLES]
    return plots.bars(groups, [METHODS.get(key, key) for key in methods], background=True)


def fresh() -> dict[Path, str]:
    """File → what it should hold."""
    models, sets = bank(), compared()
    known = {"bank": bank_table(models) if models else "", "sound": sound_table(models) if models else "", "goals": goal_table(models),
             "baselines": baseline_table(sets)}
    made = {DOCUMENT: _MARKED.sub(lambda mark: mark[1] + known[mark[2]] + mark[3], DOCUMENT.read_text(encoding="utf-8"))}
    if models:
        made[DOCUMENT.with_name("control-bank.svg")] = bank_drawing(models)
    return made | {DOCUMENT.with_name(f"control-{name}.svg"): baseline_drawing(methods) for name, methods in sets.items()}


def outdated() -> dict[Path, str]:
    """Of ``fresh`` what the files do not hold."""
    return {path: text for path, text in fresh().items() if not path.is_file() or path.read_text(encoding="utf-8") != text}


def measure(names, arguments) -> int:
    """Measure factory models; returns the greatest exit code."""
    codes = [0]
    for name in names or [name for name in BANK if (ROOT / "models" / name / f"{name}.safetensors").is_file()]:
        command = [sys.executable, "-m", "neurorack", "evaluate", ROOT / "models" / name / f"{name}.safetensors",
                   "--json", RESULTS / f"bank-{name}.json", *arguments]
        codes.append(subprocess.run(list(map(str, command)), cwd=ROOT).returncode)
    return max(codes)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.draw.control", description=__doc__.split("\n")[0])
    parser.add_argument("--measure", nargs="*", metavar="NAME", help="measure these factory models first (all without names)")
    parser.add_argument("--check", action="store_true", help="change nothing; fail where the document is behind")
    options, more = parser.parse_known_args()
    if options.measure is not None and (code := measure(options.measure, more)):
        return code
    return renew(outdated(), ROOT, options.check)


if __name__ == "__main__":
    sys.exit(main())

"""``python -m tools.draw.trimming``: make the tables and drawings of docs/trimming.md anew from benchmarks/results.

``--measure`` first measures the light models of the bank (of a folder, with its name) beside their parents, and keeps the figures as
benchmarks/results/trimming-bank.json; ``--check`` changes nothing and fails where the document is behind the figures.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import statistics
import sys
from pathlib import Path

from tools.draw import trimming_plots as plots
from tools.draw.markdown import renew, table

ROOT = Path(__file__).resolve().parents[2]
RESULTS, DOCUMENT = ROOT / "benchmarks" / "results", ROOT / "docs" / "trimming.md"
LEVELS = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99)
ARCHITECTURES = {"rave": "RAVE-like", "ddsp": "DDSP-like", "nsf": "NSF-like"}
CRITERIA = ("taylor", "magnitude", "gradient", "activation", "norm-scale", "synflow", "snip", "grasp", "mutual-information", "random")
MAIN = "taylor"
LIMITS = {0.8: 0.95, 0.95: 1.0, 0.99: 1.15}         # what was to be reached
POWER = 0.7
#: Mean over models in Esling et al. (2020), global selection by mutual information; their masks: 0.893 at 76 %, 1.0 at about 95 %.
PUBLISHED = {0.8: "0.912", 0.95: "1.0", 0.99: "≈ 1.2"}
_MARKED = re.compile(r"(<!-- table (\S+) -->\n).*?(<!-- /table -->)", re.DOTALL)

_plain = lambda method, rate=1.0: (method, "", "", "", rate)
_trim = lambda criterion, scope="auto", start="rewind", rate=1.0: ("trim", criterion, scope, start, rate)
#: Title of a line of the tables → which rows of the results.
LINES = {
    "narrower, from scratch": _plain("scratch"),
    "narrower, from scratch, twice the learning rate": _plain("scratch", 2.0),
    "narrower, from scratch, all rounds' steps": _plain("scratch-long"),
    "full, all rounds' steps": _plain("full-long"),
    "masks (nothing is removed)": _plain("mask"),
    **{f"trim, {name}": _trim(name) for name in CRITERIA},
    f"trim, {MAIN}, fine-tuned": _trim(MAIN, start="fine-tune"),
    f"trim, {MAIN}, reinitialised": _trim(MAIN, start="reinitialise"),
    f"trim, {MAIN}, twice the learning rate": _trim(MAIN, rate=2.0),
    f"trim, {MAIN}, global": _trim(MAIN, scope="global"),
    f"trim, {MAIN}, local": _trim(MAIN, scope="local"),
}
#: Trimmed and from scratch with the same steps: of each training, of all together.
AGAINST = ((f"trim, {MAIN}", "narrower, from scratch"), (f"trim, {MAIN}, fine-tuned", "narrower, from scratch, all rounds' steps"))
#: Drawing → lines in it.
DRAWN = {
    "": ("narrower, from scratch", "narrower, from scratch, all rounds' steps", "masks (nothing is removed)", f"trim, {MAIN}", "trim, magnitude",
         "trim, random", f"trim, {MAIN}, fine-tuned"),
    "-criteria": tuple(f"trim, {name}" for name in CRITERIA),
}


def read(name, empty):
    """A file of benchmarks/results, or `empty` without it."""
    path = RESULTS / name
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else empty


class Figures:
    """The experiment's rows by architecture, line and level."""

    def __init__(self, rows):
        self.rows = rows
        self.full = {(row["architecture"], row["seed"]): row for row in rows if row["method"] == "full"}
        self.by = {}
        for row in rows:
            key = row["architecture"], (row["method"], row["criterion"], row["scope"], row["start"], row.get("rate", 1.0)), row["level"]
            if (row["architecture"], row["seed"]) in self.full:
                self.by.setdefault(key, []).append(row)

    def architectures(self):
        """Those that have been measured, in the document's order."""
        return [name for name in ARCHITECTURES if any(arch == name for arch, _ in self.full)]

    def multipliers(self, arch, line, level):
        """Error over the full net's of the same seed, for each seed."""
        rows = self.by.get((arch, LINES[line], level), [])
        return [row["error"] / self.full[arch, row["seed"]]["error"] for row in sorted(rows, key=lambda row: row["seed"])]

    def removed(self, arch, line, level):
        """The mean share of the parameters that is really gone; of masks and long full nets, the level itself."""
        rows = self.by.get((arch, LINES[line], level), [])
        if LINES[line][0] in ("mask", "full-long"):
            return level
        return statistics.mean(row["removed_parameters"] for row in rows)

    def curve(self, arch, line):
        """[(share removed, mean, least, greatest), …] for a drawing."""
        found = [(level, self.multipliers(arch, line, level)) for level in LEVELS]
        return [(self.removed(arch, line, level), statistics.mean(m), min(m), max(m)) for level, m in found if m]


def cell(values):
    """Mean, with the least, the greatest and the number of seeds where there are several."""
    if not values:
        return ""
    mean = f"{statistics.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.3f} … {max(values):.3f}, {len(values)})"


def setup_table(figures):
    """The three architectures: what they are, what the full one costs and reaches."""
    rows = []
    for arch in figures.architectures():
        full = [row for (name, _), row in sorted(figures.full.items()) if name == arch]
        rows.append([ARCHITECTURES[arch], full[0]["data_set"], full[0]["engine_kind"], f"{full[0]['parameters']:,}".replace(",", " "), full[0]["budget_steps"],
                     f"{statistics.mean(row['seconds'] for row in full):.0f}", cell([row["error"] for row in full]),
                     cell([row["log_mel_db"] for row in full]), f"{full[0]['untrained_error']:.2f}"])
    return table(["", "data", "engine", "parameters", "steps", "seconds", "held-out error", "log-mel, dB", "error before training"], rows)


def arch_table(figures, arch):
    """Multipliers of all lines of an architecture."""
    rows = [[line, *(cell(figures.multipliers(arch, line, level)) for level in LEVELS)] for line in LINES]
    return table([ARCHITECTURES[arch], *(f"{level:.0%}" for level in LEVELS)], [row for row in rows if any(row[1:])])


def mask_table(figures):
    """What masks free in truth."""
    rows = []
    for arch in figures.architectures():
        found = [figures.by.get((arch, LINES["masks (nothing is removed)"], level), []) for level in LEVELS]
        mean = lambda rows, key: f"{statistics.mean(row[key] for row in rows):.1%}" if rows else ""
        for title, key in (("units freed", "freed_units"), ("parameters freed", "freed_parameters")):
            rows.append([f"{ARCHITECTURES[arch]}: {title}", *(mean(part, key) for part in found)])
    return table(["masked", *(f"{level:.0%}" for level in LEVELS)], [row for row in rows if any(row[1:])])


def information_table(figures):
    """What mutual information told of units in each round, and what the estimate itself says about its bias."""
    rows = []
    for arch in figures.architectures():
        for level in LEVELS:
            for row in figures.by.get((arch, LINES["trim, mutual-information"], level), [])[:1]:
                told = row["information"]
                pairs = ", ".join(f"{true:.3f} → {got:.3f}" for true, got in told["gaussian"])
                rows.append([f"{ARCHITECTURES[arch]}, before {level:.0%}", told["samples"], f"{told['told']:.4f}", f"{told['shuffled']:.4f}", pairs])
    return table(["nats", "samples", "told, mean over units", "with other clips' targets, taken off", "Gaussian pairs, true → estimated"], rows)


def size_table(figures):
    """Units and parameters that trimming really removed."""
    rows = []
    for arch in figures.architectures():
        found = [figures.by.get((arch, LINES[f"trim, {MAIN}"], level), []) for level in LEVELS]
        for title, value in (("parameters left", lambda row: f"{row['parameters']:,}".replace(",", " ")),
                             ("parameters removed", lambda row: f"{row['removed_parameters']:.1%}"), ("units removed", lambda row: f"{row['removed_units']:.1%}"),
                             ("seconds of the training", lambda row: f"{row['seconds']:.0f}")):
            rows.append([f"{ARCHITECTURES[arch]}: {title}", *(value(part[0]) if part else "" for part in found)])
    return table([f"trim, {MAIN}, seed 1", *(f"{level:.0%}" for level in LEVELS)], [row for row in rows if any(row[1:])])


def anchor_table(figures):
    """The paper's multipliers beside ours."""
    rows = [["Esling et al., mean over models", *(PUBLISHED.get(level, "") for level in (0.8, 0.95, 0.99))]]
    rows += [[f"{ARCHITECTURES[arch]}: {line}", *(cell(figures.multipliers(arch, line, level)) for level in (0.8, 0.95, 0.99))]
             for arch in figures.architectures() for line in (f"trim, {MAIN}", f"trim, {MAIN}, fine-tuned", "narrower, from scratch")]
    return table(["", "80%", "95%", "99%"], [row for row in rows if any(row[1:])])


def exponents(times):
    """architecture → [(share removed, log of time over log of operations, both against the full net), …]."""
    out = {}
    for arch, rows in times.items():
        whole = rows[0]
        out[arch] = [(row["level"], math.log(row["time"] / whole["time"]) / math.log(row["macs"] / whole["macs"])) for row in rows[1:]]
    return out


def time_table(times):
    """Operations, time, memory and file size of trimmed nets."""
    rows = []
    for arch, found in times.items():
        power = dict(exponents({arch: found})[arch])
        rows += [[f"{ARCHITECTURES[arch]}, {row['level']:.0%}", f"{row['parameters']:,}".replace(",", " "), f"{row['macs'] / 1e6:.1f}",
                  f"{row['file_bytes'] / 1024:.0f}", f"{1000 * row['time']:.2f}", f"{found[0]['time'] / row['time']:.1f}",
                  f"{power[row['level']]:.2f}" if row["level"] in power else ""] for row in found]
    return table(["removed", "parameters", "million multiply-adds a second of sound", "file, kB", "time for a second of sound, ms", "times faster", "exponent"], rows)


def verdict(got, limit):
    return f"≤ {limit:g}: {got:.3f} {'✓' if got <= limit else '✗'}"


def goal_table(figures, times):
    """What was to be reached, and what was."""
    rows = []
    for arch in figures.architectures():
        for line in (f"trim, {MAIN}", f"trim, {MAIN}, fine-tuned"):
            cells = []
            for level, limit in LIMITS.items():
                got = figures.multipliers(arch, line, level)
                cells.append(verdict(statistics.mean(got), limit) if got else "not measured")
            rows.append([f"{ARCHITECTURES[arch]}: {line}", *cells])
    for arch in figures.architectures():
        for ours, theirs in AGAINST:
            rows.append([f"{ARCHITECTURES[arch]}: {ours}, less {theirs}", *(_against(figures, arch, level, ours, theirs) for level in LIMITS)])
    for arch, found in exponents(times).items():
        least = {level: power for level, power in found}
        rows.append([f"{ARCHITECTURES[arch]}: time against operations, exponent",
                     *(f"≥ {POWER}: {least[level]:.2f} {'✓' if least[level] >= POWER else '✗'}" if level in least else "" for level in LIMITS)])
    return table(["", *(f"{level:.0%} removed" for level in LIMITS)], rows)


def _against(figures, arch, level, *lines):
    """Trimmed less from scratch, and whether that is more than the spread between seeds."""
    ours, theirs = (figures.multipliers(arch, line, level) for line in lines)
    if not ours or not theirs:
        return "not measured"
    apart = statistics.mean(ours) - statistics.mean(theirs)
    if min(len(ours), len(theirs)) < 2:
        return f"{apart:+.3f} (one seed)"
    noise = 2 * math.sqrt(statistics.variance(ours) / len(ours) + statistics.variance(theirs) / len(theirs))
    return f"{apart:+.3f} ± {noise:.3f} {'✗' if apart > noise else '✓'}"


def bank_table(models):
    """Light models of the factory bank beside their parents."""
    rows = [[name, m["parent"], m["criterion"], f"{m['removed_parameters']:.0%}", f"{m['removed_units']:.0%}", f"{m['error_multiplier']:.3f}",
             f"{m['full_bytes'] / 1024:.0f} → {m['bytes'] / 1024:.0f}", f"{m['full_percent']:.2f} → {m['percent']:.2f}"] for name, m in models.items()]
    return table(["model", "of", "criterion", "parameters removed", "units removed", "error multiplier", "file, kB", "cost at block 128, % of a core"], rows)


def fresh():
    """File → what it should hold."""
    figures, times, bank = Figures(read("trimming.json", [])), read("trimming-time.json", {}), read("trimming-bank.json", {})
    known = {"setup": setup_table(figures), "masks": mask_table(figures), "information": information_table(figures), "sizes": size_table(figures), "anchors": anchor_table(figures),
             "times": time_table(times), "goals": goal_table(figures, times), "bank": bank_table(bank)}
    known |= {arch: arch_table(figures, arch) for arch in ARCHITECTURES}
    made = {DOCUMENT: _MARKED.sub(lambda mark: mark[1] + known[mark[2]] + mark[3], DOCUMENT.read_text(encoding="utf-8"))}
    for arch in figures.architectures():
        for ending, lines in DRAWN.items():
            curves = {line: curve for line in lines if (curve := figures.curve(arch, line))}
            if curves:
                made[DOCUMENT.with_name(f"trimming-{arch}{ending}.svg")] = plots.multipliers(curves, f"{ARCHITECTURES[arch]}: error multiplier")
    if times:
        series = {ARCHITECTURES[arch]: [(row["macs"] / rows[0]["macs"], row["time"] / rows[0]["time"]) for row in rows] for arch, rows in times.items()}
        made[DOCUMENT.with_name("trimming-time.svg")] = plots.times(series, "Engine time against multiply-adds", POWER)
    return made


def outdated():
    """Of ``fresh`` what the files do not hold."""
    return {path: text for path, text in fresh().items() if not path.is_file() or path.read_text(encoding="utf-8") != text}


def measure(folder):
    """Measure the trimmed models in the folders of a folder, and their parents in the bank."""
    from neurorack.engine import Model
    from neurorack.lab.evaluate.opened import cost

    found = {}
    for path in sorted(folder.glob("*/*.safetensors")):
        model = Model.load(path)
        trim = model.card.get("trim")
        if trim:
            parent = ROOT / "models" / trim["parent"] / f"{trim['parent']}.safetensors"
            found[path.stem] = {key: trim[key] for key in ("parent", "criterion", "removed_parameters", "removed_units", "error_multiplier")} | {
                "bytes": path.stat().st_size, "full_bytes": parent.stat().st_size, "percent": cost(model)["cost_percent"],
                "full_percent": cost(Model.load(parent))["cost_percent"]}
            print(path.stem, found[path.stem])
    (RESULTS / "trimming-bank.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(prog="python -m tools.draw.trimming", description=__doc__.split("\n")[0])
    parser.add_argument("--measure", nargs="?", type=Path, const=ROOT / "models", metavar="FOLDER", help="measure light models first (default models)")
    parser.add_argument("--check", action="store_true", help="change nothing; fail where the document is behind")
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
    return renew(outdated(), ROOT, options.check)


if __name__ == "__main__":
    sys.exit(main())

"""``neurorack jacks``: what each jack is set to, what is patched into it, and keeping either."""

from __future__ import annotations

import dataclasses
import json
import time

from neurorack.errors import BoardError, NeurorackError
from neurorack.inputs import calibration, detective, settings, store
from neurorack.inputs.detective import Finding
from neurorack.inputs.watching import Jacks, open_jacks

ABOUT = "settings of the jacks, over the board file's (docs/calibration.md lists them)"


def watch(jacks: Jacks, seconds: float, names: list[str]) -> list[Finding]:
    """Look at these jacks for so long, all at once."""
    corrections, _ = calibration.load(jacks.board, jacks.name)
    now, _ = settings.load(jacks.board, jacks.name)
    edges, reader = {name: [] for name in jacks.gate_names}, jacks.rack.edge_reader()
    ns, volts = jacks.scans(seconds)
    time.sleep(jacks.rack.header.settle_us / 1e6 + 0.005)      # the last edges wait for their CVs
    while edge := reader.next():
        edges[f"gate{edge.jack + 1}"].append((edge.edge_ns, bool(edge.rising)))
    found = []
    for name in names:
        if name.startswith("cv"):
            i = int(name[2:]) - 1
            try:
                found.append(detective.look_at_cv(name, ns, corrections[i](volts[:, i].astype(float)), jacks.board["cv"]))
            except BoardError as error:
                found.append(Finding(name, "unknown", str(error)))
        elif now[name].role != "gate":
            found.append(Finding(name, now[name].role, "set by hand; its edges go to the clock"))
        else:
            found.append(detective.look_at_gate(name, edges[name], seconds))
    return found


def keep(jacks: Jacks, changes: dict[str, dict]):
    """Put these settings over the person's own; returns the file. Raises ``PatchError`` for one that cannot be."""
    own, _ = store.read("jacks", jacks.name)
    for name, change in changes.items():
        settings.parse(name, change)
        own[name] = {**own.get(name, {}), **change}
    return store.write("jacks", jacks.name, dict(sorted(own.items())), ABOUT)


def named(text: str, names: list[str]) -> list[str]:
    """``all``, a name, or the number of a CV jack."""
    if text == "all":
        return names
    name = f"cv{text}" if text.isdigit() else text
    if name not in names:
        raise NeurorackError(f"there is no jack {text!r}; the board has {', '.join(names)}")
    return [name]


def change(jack: str, texts: list[str]) -> dict:
    """``["range=0..5", "hits=true"]`` as settings. Raises ``NeurorackError``."""
    made = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise NeurorackError(f"--set {text}: it must be NAME=VALUE, range=0..5 say")
        try:
            made[key] = json.loads(value)
        except ValueError:
            made[key] = value
    settings.parse(jack, made)
    return made


def table(jacks: Jacks) -> str:
    """What every jack is set to."""
    found, problems = settings.load(jacks.board, jacks.name)
    lines = [f"warning: {problem}" for problem in problems]
    for name, one in found.items():
        default = dataclasses.asdict(settings.parse(name, {}))
        shown = {key: value for key, value in dataclasses.asdict(one).items() if key == "role" or value != default[key]}
        lines.append(f"{name:6} " + ", ".join(f"{key} {value}" for key, value in shown.items()))
    return "\n".join(lines)


def run(args) -> int:
    """Show, watch or set."""
    if not 0.3 <= args.seconds <= 600:
        raise NeurorackError(f"--seconds is {args.seconds:g}; it must lie from 0.3 to 600")
    with open_jacks(args.board, args.simulated, args.pid) as jacks:
        names = jacks.cv_names + jacks.gate_names
        if args.set:
            which = named(args.jack or "", names)
            where = keep(jacks, {name: change(name, args.set) for name in which})
            print(f"{table(jacks)}\nKept in {where}.")
            return 0
        if args.jack is None:
            print(table(jacks))
            return 0
        which = named(args.jack, names)
        if not args.json:
            print(f"Watching {', '.join(which)} for {args.seconds:g} s, {jacks.where()}.", flush=True)
        found = watch(jacks, args.seconds, which)
        if args.json:
            print(json.dumps([dataclasses.asdict(finding) for finding in found], indent=2))
        else:
            for finding in found:
                print(told(finding))
        if args.write:
            changes = {f.jack: f.settings for f in found if f.settings and f.role != "unpatched" and (f.jack.startswith("cv") or args.jack != "all")}
            if not changes:
                raise NeurorackError("nothing was found that could be kept")
            where = keep(jacks, changes)
            if not args.json:
                print(f"Kept {', '.join(changes)} in {where}.")
    return 0


def told(finding: Finding) -> str:
    """A finding for a person."""
    noise = f", noise {finding.numbers['noise_cents']:g} cents" if "noise_cents" in finding.numbers else ""
    proposal = ", ".join(f"{key} {value}" for key, value in finding.settings.items() if key != "role")
    return f"{finding.jack:6} {finding.role}: {finding.because}{noise}" + (f"\n       proposed: {proposal}" if proposal else "")

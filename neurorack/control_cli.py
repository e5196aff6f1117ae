"""``neurorack ctl``: talk to the running instrument."""

from __future__ import annotations

import argparse
import json

from neurorack import control, takes_cli, upkeep_cli
from neurorack.inputs import sources_cli
from neurorack.library import lighter_cli
from neurorack.panel import cli as panel_cli
from neurorack.patches import cli as patches_cli
from neurorack.remote import cli as midi_cli
from neurorack.web import cli as web_cli

#: Each registers its requests, reads its arguments and shows its answers; ``None`` is for another.
PARTS = (midi_cli, upkeep_cli, web_cli, takes_cli, sources_cli, panel_cli, patches_cli, lighter_cli)


def register(commands) -> None:
    """Add the command to the parser's."""
    ctl = commands.add_parser("ctl", help="talk to the running instrument", description="Talk to the running instrument: models, slots, mix, patch.")
    ctl.add_argument("--pid", type=int, help="of the instrument, where several run")
    does = ctl.add_subparsers(dest="do", required=True, metavar="REQUEST")

    def request(name: str, help: str) -> argparse.ArgumentParser:
        parser = does.add_parser(name, help=help, description=f"{help[0].upper()}{help[1:]}.")
        parser.add_argument("--json", action="store_true", help="print the answer as JSON")
        return parser

    request("status", "what plays, and how it is doing")
    swap = request("swap", "change to another model")
    swap.add_argument("model")
    next_one = request("next", "change to the library's next model")
    for parser in (swap, next_one):
        parser.add_argument("--fade-ms", type=float, default=50, help="length of the crossfade (default 50)")
    load = request("load", "put a model into a slot, beside what plays")
    load.add_argument("slot", choices=("A", "B"))
    load.add_argument("model")
    for parser in (swap, load):
        parser.add_argument("--encoder", metavar="MODEL", help="follow the audio input through this model's encoder")
    request("unload", "empty a slot").add_argument("slot", choices=("A", "B"))
    request("mix", "mix the slots: 0 is A alone, 1 is B").add_argument("value", type=float)
    level = request("level", "output level")
    level.add_argument("db", type=float)
    knob = request("set", "turn a named control, 0..1")
    knob.add_argument("control")
    knob.add_argument("value", type=float)
    knob.add_argument("--drive", type=float, help="0..1: how far it sets the model's input instead of bending the gesture")
    route = request("route", "patch a CV jack or a modulator (mod1 to mod8) to a named control, or to mix")
    route.add_argument("jack")
    route.add_argument("control")
    route.add_argument("--amount", dest="amount_per_volt", type=float, default=0.1, help="control change per volt (default 0.1)")
    route.add_argument("--offset", type=float, default=0.0)
    route.add_argument("--curve", type=float, default=1.0, help="exponent of the volts, 0.25..4 (default 1: straight)")
    route.add_argument("--smooth-ms", type=float, default=5.0)
    route.add_argument("--latched", action="store_true", help="read the jack at each hit only")
    route.add_argument("--low", type=float, default=0.0, help="the control does not go below this by the route (default 0)")
    route.add_argument("--high", type=float, default=1.0, help="nor above this (default 1)")
    route.add_argument("--quantise", default="off", help="a number of values, 2 to 64, or a scale: minor, \"D minor\" ... (default off)")
    request("tap", "a beat by hand: two make a tempo, which a clock jack takes over")
    unroute = request("unroute", "take routes away")
    unroute.add_argument("--jack")
    unroute.add_argument("--control")
    for part in PARTS:
        part.register(request)


def run(args) -> int:
    """Send the request, print the answer."""
    what = next((read for part in PARTS if (read := part.read(args))), None) or {key: value for key, value in vars(args).items() if key not in ("command", "pid", "json") and value is not None}
    answer = control.request(what, args.pid)
    if args.json:
        print(json.dumps(answer, indent=2))
    elif args.do == "status":
        print(page(answer))
    elif text := next((shown for part in PARTS if (shown := part.page(answer))), None):
        print(text)
    elif "text" in answer:
        print(answer["text"])
    elif "job" in answer:
        print(played(answer["job"]))
    return 0


def played(job: dict) -> str:
    """One line about a change of model that went well."""
    ms = job["ms"]
    faded = f"; the crossfade began after {ms['fading']:.0f} ms" if "fading" in ms else ""
    return f"{job['model']} plays in slot {job['slot']}{faded}"


def page(told: dict) -> str:
    """The status for a person."""
    lines = [f"process {told['pid']}, {told['device']}, {told['rate']} Hz in blocks of {told['block']}, mix {told['mix']:.2f}, {told['swaps']['done']} swaps"]
    for name, slot in told["slots"].items():
        if slot is None:
            lines.append(f"{name}  empty")
            continue
        lines.append(f"{name}  {slot['model']}: {'plays' if slot['playing'] else 'not yet playing'}, load {100 * slot['load']:.0f} %, a block of {slot['block_frames']} "
                     f"frames takes {slot['block_us']:.0f} us, look-ahead {slot['lead_frames']} frames")
        lines.append("   " + ", ".join(f"{control} {value:.2f}" for control, value in slot["controls"].items()))
    for what, counts in (("underruns", told["underruns"]), ("held blocks", told["held_blocks"])):
        lines.append(f"{what}: " + (", ".join(f"{count} {cause}" for cause, count in counts.items() if count) or "none"))
    if told["inputs"]["clock"] != "none":
        lines.append(f"clock: {told['inputs']['tempo_bpm']:.1f} BPM ({told['inputs']['clock']})")
    if told["job"]:
        lines.append(f"going on: {told['job']['model']}, {told['job']['phase']}")
    return "\n".join(lines)

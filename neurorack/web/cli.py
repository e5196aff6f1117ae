"""The page's part of ``neurorack ctl``: paired browsers, the log, cables into simulated jacks."""

from __future__ import annotations

import yaml

from neurorack.errors import NeurorackError


def register(request) -> None:
    """Add the requests; ``request(name, help)`` makes a parser for one."""
    request("log", "the last lines that the instrument said")
    request("pairing", "the pairing code that is shown now")
    request("paired", "the browsers that may open the page from the network")
    request("unpair", "take a browser's permission back").add_argument("id", help="as ctl paired shows it, or all")
    request("cables", "what is patched into the simulated jacks")
    cable = request("cable", "patch a virtual source into a simulated jack")
    cable.add_argument("jack")
    cable.add_argument("kind", help="lfo, clock, keyboard, sequencer, random, voltage; none takes the cable out")
    cable.add_argument("field", nargs="*", metavar="NAME=VALUE", help="rate_hz=0.5, volts=[0,1,2] ...")
    volts = request("volts", "turn a simulated jack's voltage; takes its cable out")
    volts.add_argument("jack")
    volts.add_argument("volts", type=float)
    for name, what in (("gate", "set a simulated gate"), ("key", "press or let go a key of the virtual keyboard")):
        parser = request(name, what)
        parser.add_argument(*(("jack",) if name == "gate" else ("note",)), **({} if name == "gate" else {"type": int}))
        parser.add_argument("state", choices=("high", "low") if name == "gate" else ("down", "up"))


def read(args) -> dict | None:
    """The request that these arguments of ours are; None for others'. Raises ``NeurorackError``."""
    if args.do == "cable":
        source = {"kind": args.kind}
        for field in args.field:
            name, equals, value = field.partition("=")
            if not equals or name == "kind":
                raise NeurorackError(f"{field!r} is no field; write NAME=VALUE, as rate_hz=0.5")
            source[name] = value if value in ("on", "off") else yaml.safe_load(value)
        return {"do": "cable", "jack": args.jack, "from": None if args.kind == "none" else source}
    if args.do == "gate":
        return {"do": "gate", "jack": args.jack, "high": args.state == "high"}
    if args.do == "key":
        return {"do": "key", "note": args.note, "high": args.state == "down"}
    return None


def page(told: dict) -> str | None:
    """An answer of ours for a person; None for others'."""
    if "lines" in told:
        return "\n".join(told["lines"])
    if "pause_s" in told:
        return f"{told['code']}, for {told['until_s']:.0f} s more; {told['asked_by']} asks for it" if told["code"] else "no code is shown"
    if "paired" in told:
        return "\n".join(f"{one['id']}  {one['at']}  {one['address']}  {one['name']}" for one in told["paired"]) or "no browser is paired"
    if "simulated" in told:
        return "\n".join(f"{jack:6} {_source(one)}" for jack, one in told["jacks"].items()) if told["simulated"] else told["why"]
    return None


def _source(one: dict) -> str:
    source = one["from"]
    return f"{one['volts']:+.2f} V by hand" if source is None else " ".join([source["kind"], *(f"{key}={value}" for key, value in source.items() if key != "kind")])

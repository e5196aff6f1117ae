"""The MIDI part of ``neurorack ctl``: learn, unlearn, midi."""

from __future__ import annotations

import yaml

from neurorack.errors import NeurorackError


def register(request) -> None:
    """Add the requests; ``request(name, help)`` makes a parser for one."""
    learn = request("learn", "teach a named control the MIDI controller that is moved next")
    learn.add_argument("control", help="a control of the model, mix, or next (a button for the next model)")
    learn.add_argument("--low", type=float, default=0.0, help="where the controller's low end puts it (default 0)")
    learn.add_argument("--high", type=float, default=1.0, help="and its high end (default 1; below --low it is inverted)")
    learn.add_argument("--inverted", action="store_true", help="the ends swapped")
    learn.add_argument("--seconds", type=float, default=15.0, help="wait so long for a controller (default 15)")
    request("unlearn", "forget a control's MIDI controller").add_argument("control")
    midi = request("midi", "show MIDI ports, settings and learned controllers, or change settings")
    midi.add_argument("change", nargs="*", metavar="NAME=VALUE", help="mode=legato, channel=3, bend_semitones=12, pitch=cv5, takeover=scale ...")


def read(args) -> dict | None:
    """The request that these arguments of ours are; None for others'. Raises ``NeurorackError``."""
    if args.do == "learn":
        low, high = (args.high, args.low) if args.inverted else (args.low, args.high)
        return {"do": "learn", "control": args.control, "low": low, "high": high, "seconds": args.seconds}
    if args.do != "midi":
        return None
    voice = {}
    for change in args.change:
        name, equals, value = change.partition("=")
        if not equals:
            raise NeurorackError(f"{change!r} is no change; write NAME=VALUE, as mode=legato")
        voice[name] = value if value in ("off", "all") else yaml.safe_load(value)
    return {"do": "midi", "voice": voice}


def page(answer: dict) -> str | None:
    """The MIDI settings for a person; None for other answers."""
    if "midi" not in answer:
        return None
    told = answer["midi"]
    lines = ["ports: " + (", ".join(told["ports"]) or "none"), "voice: " + ", ".join(f"{key} {value}" for key, value in told["voice"].items())]
    if told["zones"]:
        lines.append("MPE: " + ", ".join(f"manager channel {manager}, {members} members" for manager, members in told["zones"].items()))
    for name, one in told["learned"].items():
        waits = f"; it stands at {one['waits']['at']:.2f}, the control at {one['waits']['for']:.2f}" if "waits" in one else ""
        lines.append(f"{name}: {one['source']}, {one['low']:g} to {one['high']:g}{waits}")
    return "\n".join(lines)

"""The part of ``neurorack ctl`` about lighter models: lighter, lighter_make, lighter_keep, lighter_discard."""

from __future__ import annotations


def register(request) -> None:
    """Add the requests; ``request(name, help)`` makes a parser for one."""
    request("lighter", "lighter models that are being made, or wait to be kept")
    make = request("lighter_make", "have a lighter one made of a model, beside the sound")
    keep = request("lighter_keep", "take the lighter one into the library")
    discard = request("lighter_discard", "cancel what is being made, or throw away what was made")
    for one in (make, keep, discard):
        one.add_argument("model")
    aim = make.add_mutually_exclusive_group()
    aim.add_argument("--quality", type=float, metavar="DB", help="the lightest whose sound is so near (default 1 dB)")
    aim.add_argument("--keep", type=float, metavar="SHARE", help="of the multiplications")


def read(args) -> dict | None:
    """The defaults of the command line serve; None."""
    return None


def page(told: dict) -> str | None:
    """An answer of ours for a person; None for others'."""
    if set(told) == {"lighter"}:
        lines = [f"{name}: {one['line']}" if "line" in one else f"{name}: {one['stage']}, {one['share']:.0%}" for name, one in told["lighter"].items()]
        return "\n".join(lines) or "nothing is being made lighter"
    return f"{told['name']}: {told['line']}" if set(told) == {"name", "line"} else None

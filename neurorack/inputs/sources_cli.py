"""The modulators' part of ``neurorack ctl``: sources, source."""

from __future__ import annotations

import yaml

from neurorack.errors import NeurorackError
from neurorack.inputs.sources import KINDS, MODULATORS, Volts


def register(request) -> None:
    """Add the requests; ``request(name, help)`` makes a parser for one."""
    request("sources", "what the modulators mod1 to mod8 are set to, and where they stand")
    one = request("source", "set a modulator: its kind and its fields (docs/modulation.md)")
    one.add_argument("source", choices=MODULATORS, metavar="mod1..mod8")
    one.add_argument("change", nargs="+", metavar="NAME=VALUE", help=f"kind={'|'.join(KINDS)}, rate_hz=2, steps=0,1.5,-2 ...")


def read(args) -> dict | None:
    """The request that these arguments of ours are; None for others'. Raises ``NeurorackError``."""
    if args.do != "source":
        return None
    changes = {}
    for change in args.change:
        name, equals, value = change.partition("=")
        if not equals or name in ("do", "source"):
            raise NeurorackError(f"{change!r} is no setting; write NAME=VALUE, as rate_hz=2")
        listed = any(isinstance(kind.fields.get(name), Volts) for kind in KINDS.values())
        changes[name] = value if value == "off" else yaml.safe_load(f"[{value.strip('[]')}]" if listed else value)
    return {"do": "source", "source": args.source, **changes}


def page(told: dict) -> str | None:
    """The modulators for a person."""
    if "sources" not in told or "kinds" not in told:
        return None
    lines = []
    for one in told["sources"]:
        fields = [f"{name} {_shown(value)}" for name, value in one.items() if name not in ("name", "kind", "now_volts")]
        lines.append(f"{one['name']}  {one['now_volts']:+6.2f} V  {one['kind']}" + (": " + ", ".join(fields) if fields else ""))
    return "\n".join(lines)


def _shown(value) -> str:
    return " ".join(map(_shown, value)) if isinstance(value, list) else f"{value:g}" if isinstance(value, float) else str(value)

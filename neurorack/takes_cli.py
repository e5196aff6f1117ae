"""The part of ``neurorack ctl`` about takes and gates: record, takes, take_delete, gate_action."""

from __future__ import annotations

from neurorack.voice.patch import GATE_ACTIONS, GATES

MEGABYTE = 1e6


def register(request) -> None:
    """Add the requests; ``request(name, help)`` makes a parser for one."""
    record = request("record", "begin or end a take: what the jack plays, without loss")
    record.add_argument("on", nargs="?", choices=("on", "off"), help="left out: the other of the two")
    request("takes", "what was recorded, and how much room is left")
    request("take_delete", "delete a take").add_argument("take", help="its name, as `takes` shows it")
    gate = request("gate_action", "say what a gate does")
    gate.add_argument("gate", choices=tuple(GATES))
    gate.add_argument("action", choices=GATE_ACTIONS)


def read(args) -> dict | None:
    """The request that these arguments of ours are; None for others'."""
    if args.do == "record":
        return {"do": "record"} if args.on is None else {"do": "record", "on": args.on == "on"}
    return None


def page(told: dict) -> str | None:
    """An answer of ours for a person; None for others'."""
    if "takes" in told:
        return "\n".join(_listed(told))
    if "recording" in told and "take" in told:
        if told["recording"]:
            return f"recording into {told['take']}"
        return f"recorded {told['seconds']:.1f} s into {told['take']}" if told["take"] else "nothing was being recorded"
    if set(told) == {"gates"}:
        return ", ".join(f"{gate}: {action}" for gate, action in told["gates"].items())
    return None


def length(seconds: float) -> str:
    """0:07, 3:25 or 1:03:25."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _listed(told: dict) -> list[str]:
    lines = [f"{take['name']}  {length(take['seconds'])}  {take['bytes'] / MEGABYTE:.1f} MB  {take['at'].replace('T', ' ')}  {take['about']}".rstrip()
             for take in told["takes"]] or ["no takes yet; `neurorack ctl record on` begins one"]
    if told["recording"]:
        lines.append(f"recording into {told['take']}, {length(told['seconds'])} so far")
    if told["stopped"]:
        lines.append(f"the last recording stopped: {told['stopped']}")
    lines.append(f"room for {length(told['free_seconds'])} ({told['free_bytes'] / MEGABYTE:.0f} MB free) in {told['folder']}")
    return lines

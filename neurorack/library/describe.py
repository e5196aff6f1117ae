"""What is told of a model: the rows of ``neurorack models list`` and the whole of ``neurorack models info``, for people and as JSON."""

from __future__ import annotations

from pathlib import Path

from neurorack.errors import ModelError
from neurorack.library import cards, check, entries

NATIVE, LIFTED, LIST, TORCHSCRIPT, UNCHECKED, REFUSED = "native", "lifted", "list", "torchscript", "unchecked", "refused"


def kind(entry: entries.Entry, record: dict) -> str:
    """native (a file of the engine), lifted, list or torchscript (how a foreign one plays), unchecked, refused."""
    verdict = record.get("verdict", {})
    if verdict and verdict.get("verdict") != "plays" and entry.where != entries.FACTORY:
        return REFUSED
    if entry.native:
        return NATIVE
    return verdict.get("path") or UNCHECKED


def _description(entry: entries.Entry) -> dict:
    """Card and methods of the file that plays; empty where there is none yet."""
    path = entry.file if entry.native else check.playable(entry)
    try:
        return cards.description_of(path) if path else {}
    except ModelError:
        return {}


def row(entry: entries.Entry) -> dict:
    """One model in the list. Keys are always there; what is not known is None."""
    record, card = entry.record(), _description(entry).get("card", {})
    verdict = record.get("verdict", {})
    return {
        "name": entry.name, "where": entry.where, "kind": kind(entry, record), "file": str(entry.file), "bytes": entry.file.stat().st_size,
        "sample_rate_hz": card.get("sample_rate_hz"), "hop_frames": card.get("hop_frames"), "lufs": verdict.get("lufs"),
        "verdict": verdict.get("verdict"), "line": verdict.get("line"), "licence": licence(entry, card),
    }


def licence(entry: entries.Entry, card: dict) -> str | None:
    try:
        beside = cards.read_beside(entry.file)
    except ModelError:
        beside = {}
    return beside.get("licence") or card.get("licence") or None


def rows() -> list[dict]:
    found = []
    for entry in sorted(entries.entries().values(), key=lambda entry: (entry.where != entries.OWN, entry.name.lower())):
        try:
            found.append(row(entry))
        except OSError:         # removed in this moment
            continue
    return found


def info(entry: entries.Entry) -> dict:
    """Everything known of one model. Raises ``ModelError`` where its card beside it cannot be read."""
    record, description = entry.record(), _description(entry)
    card, verdict = description.get("card", {}), record.get("verdict", {})
    said = cards.read_beside(entry.file)
    source = card.get("source") if isinstance(card.get("source"), dict) else {}
    methods = {name: {key: method.get(key) for key in ("in_channels", "in_ratio", "out_channels", "out_ratio")}
               | {"blocks": sorted(int(block) for block in method.get("programs", {}))} for name, method in description.get("methods", {}).items()}
    return {
        **row(entry), "aliases": sorted(old for old, new in entries.aliases().items() if new == entry.name),
        "author": said.get("author") or card.get("author") or None, "notes": said.get("notes") or card.get("description") or None,
        "version": card.get("version"),
        "source_file": source.get("file") or entry.file.name, "format": source.get("format"), "sha256": entry.sha256(),
        "weights": card.get("weights"), "channels": card.get("channels"), "delay_frames": card.get("delay_frames"), "methods": methods,
        "inputs": [put["name"] for put in card.get("inputs", [])],
        "controls": [{key: control.get(key) for key in ("name", "label", "unit", "default", "doc", "kind", "measured")} for control in card.get("controls", [])],
        "gestures": [gesture.get("name", "?") for gesture in card.get("gestures", [])] + _recorded(entry, card),
        "attributes": card.get("attributes") or {}, "options": entry.options,
        "check": verdict or None, "checked_at": record.get("checked_at"), "board": record.get("board"),
    }


def _recorded(entry: entries.Entry, card: dict) -> list[str]:
    """Names of gestures that were recorded from sound."""
    from neurorack.gesture import load_gestures

    path = entry.file if entry.native else check.playable(entry)
    return list(load_gestures(path, len(card.get("inputs", [])))[0]) if path else []


# -- for people

def size(count: int) -> str:
    return f"{count / 1e3:.0f} kB" if count < 1e5 else f"{count / 1e6:.1f} MB" if count < 1e8 else f"{count / 1e6:.0f} MB"


def table(found: list[dict]) -> str:
    """The list as text."""
    head = ("name", "from", "kind", "rate", "hop", "size", "loudness", "verdict")
    lines = [[r["name"], r["where"], r["kind"], f"{r['sample_rate_hz']} Hz" if r["sample_rate_hz"] else "-", str(r["hop_frames"] or "-"),
              size(r["bytes"]), f"{r['lufs']:.0f} LUFS".replace("-", "−") if r["lufs"] is not None else "-", r["line"] or "not checked on this board"] for r in found]
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in [head, *lines])


def _measured(measured: dict | None) -> str:
    """What the whole way of a control does to the sound, in words."""
    if not measured:
        return ""
    parts = [f"{name.rpartition('_')[0]} {value:+.1f} {name.rpartition('_')[2].replace('db', 'dB')}" for name, value in measured.items()
             if name != "change_db" and f"{abs(value):.1f}" != "0.0"]
    if "change_db" in measured:
        parts.insert(0, f"changes the sound by {measured['change_db']:.1f} dB")
    return ": " + ", ".join(parts)


def _proven(verdict: dict | None, method: str) -> str:
    """How a method plays, and how near it is to its file."""
    found = (verdict or {}).get("methods", {}).get(method, {})
    parts = [found["path"]] if found.get("path") not in (None, "native") else []
    return ", " + ", ".join(parts + ([f"{found['snr_db']:.0f} dB"] if found.get("snr_db") is not None else [])) if parts else ""


def _weights(told: dict) -> str:
    """As what they are kept, and what that cost."""
    parts = [str(told.get("kind"))] + ([f"of {told['parent']}"] if told.get("parent") else [])
    return ", ".join(parts + ([f"{told['distance_db']:.2f} dB from its sound"] if isinstance(told.get("distance_db"), (int, float)) else []))


def _values(value) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def page(told: dict) -> str:
    """``info`` as text."""
    def say(value) -> str:
        return "not stated" if value is None else str(value)

    lines = [f"{told['name']}: {told['kind']} model, {'of the factory bank' if told['where'] == 'factory' else 'of your own'}"]
    if told["aliases"]:
        lines.append(f"  also found as {', '.join(told['aliases'])}")
    lines += [f"  author    {say(told['author'])}", f"  licence   {told['licence'] or cards.NOT_STATED}"]
    if told["notes"]:
        lines.append(f"  notes     {told['notes']}")
    lines += [f"  file      {told['file']} ({size(told['bytes'])}{', from ' + told['source_file'] if Path(told['file']).name != told['source_file'] else ''})",
              f"  sha256    {told['sha256']}"]
    if isinstance(told["weights"], dict):
        lines.append(f"  weights   {_weights(told['weights'])}")
    if told["sample_rate_hz"]:
        lines.append(f"  sound     {told['sample_rate_hz']} Hz, hop {told['hop_frames']} frames, {say(told['channels'])} channel(s), delay {say(told['delay_frames'])} frames")
    for name, method in told["methods"].items():
        lines.append(f"  {name:9s} {method['in_channels']} in at 1/{method['in_ratio']}, {method['out_channels']} out at 1/{method['out_ratio']}, "
                     f"blocks {', '.join(map(str, method['blocks']))}{_proven(told['check'], name)}")
    for control in told["controls"]:
        lines.append(f"  control   {control['name']}{': ' + control['doc'] if control['doc'] else _measured(control['measured'])}")
    for name, attribute in told["attributes"].items():
        lines.append(f"  attribute {name} = {_values(attribute.get('value'))} ({', '.join(attribute.get('types', []))})")
    for name, value in told["options"].get("attributes", {}).items():
        lines.append(f"  set here  {name} = {_values(value)}")
    if told["gestures"]:
        lines.append(f"  gestures  {', '.join(told['gestures'])}")
    lines.append(f"  verdict   {told['line']} ({told['checked_at'][:10]}, {told['board']})" if told["line"]
                 else f"  verdict   not checked on this board; neurorack models check {told['name']!r}")
    lines += [f"  note      {note}" for note in (told["check"] or {}).get("notes", [])]
    return "\n".join(lines)

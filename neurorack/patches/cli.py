"""``neurorack patch …``, for files and the bank, and the part of ``neurorack ctl`` about scenes."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from neurorack.errors import PatchError

NOW = "now"


def register_command(commands) -> None:
    """Add ``neurorack patch`` to the parser's commands."""
    patch = commands.add_parser("patch", help="patch files: check, show, export, import", description="Patches and scenes as files (docs/patches.md).")
    actions = patch.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")

    action("check", "tell what is wrong with patch files").add_argument("files", nargs="+", type=Path, metavar="FILE")
    what = "a file, a scene's number, or now: what plays, or played last (default)"
    action("show", "print a patch as it is understood here").add_argument("what", nargs="?", default=NOW, help=what)
    export = action("export", "write a scene into a file")
    export.add_argument("what", help=what, metavar="NUMBER|now")
    export.add_argument("file", type=Path)
    import_ = action("import", "take a file into the bank of scenes")
    import_.add_argument("file", type=Path)
    import_.add_argument("number", nargs="?", type=int, help="its place, 1 to 64 (default: the next free one)")
    import_.add_argument("--name", help="how to call the scene (default: as in the file)")
    import_.add_argument("--replace", action="store_true", help="in place of the scene that is there")


def run(args) -> int:
    """0, or 1 when a checked file has faults. Raises ``NeurorackError``."""
    from neurorack.patches import text

    if args.action == "check":
        return max(_check(file) for file in args.files)
    if args.action == "show":
        print(text.dumps(_read(args.what)), end="")
        return 0
    if args.action == "export":
        from neurorack.render import write_atomically

        content = text.dumps(_read(args.what))
        write_atomically(args.file, lambda path: Path(path).write_text(content))
        return 0
    return _import(args)


def _check(file: Path) -> int:
    from neurorack.patches import text

    problems: list[str] = []
    document = text.read(file, problems)
    for problem in problems:
        print(f"{file}: {problem}")
    if not problems:
        print(f"{file}: good; {_told(document)}")
    return int(bool(problems))


def _told(document: dict) -> str:
    from neurorack.patches import models

    names = [model["name"] + ("" if models.found(model, make=False) else " (missing here)") for model in models.of(document).values()]
    counts = [f"{len(document[key])} {key if len(document[key]) != 1 else key[:-1]}" for key in ("knobs", "routes")]
    return f"{' and '.join(names) or 'no model'}, {', '.join(counts)}"


def _read(what: str) -> dict:
    """A file's, a scene's or the present patch, with a line about each of its faults."""
    from neurorack.patches import schema, text
    from neurorack.patches.bank import Bank

    problems: list[str] = []
    if what == NOW:
        document = schema.cleaned(_now(), problems)
    elif what.isdecimal() and not os.path.exists(what):
        document = Bank().get(int(what))
    else:
        document = text.read(Path(what), problems)
    for problem in problems:
        print(f"neurorack: warning: {what}: {problem}", file=sys.stderr)
    return document


def _now() -> dict:
    """What plays, or played last, as the journal tells."""
    from neurorack.inputs import store
    from neurorack.patches.history import History
    from neurorack.patches.journal import NAME, replay

    history = History()
    try:
        replay((store.folder() / NAME).read_bytes(), history)
    except OSError:
        pass
    if not history.now:
        raise PatchError(f"nothing has been played with this state folder ({store.folder()}) yet")
    return history.now


def _import(args) -> int:
    from neurorack.patches import schema
    from neurorack.patches.asked import now_text, scene_name
    from neurorack.patches.bank import Bank
    from neurorack.patches.waking import load_document

    document = load_document(args.file)
    bank = Bank()
    number = bank.free() if args.number is None else args.number
    if not 1 <= number <= schema.SCENES:
        raise PatchError(f"number is {number}; it must lie from 1 to {schema.SCENES}")
    if number in bank.numbers() and not args.replace:
        raise PatchError(f"there is a scene {number} already; say --replace, or leave the number out")
    name = scene_name(args.name or document.get("name") or args.file.stem[: schema.NAME_LETTERS])
    bank.put(number, schema.cleaned({"saved_at": now_text(), **document, "name": name}))
    print(f"scene {number}, {name}: {_told(document)}")
    return 0


# -- of ``neurorack ctl``

def register(request) -> None:
    """Add the requests; ``request(name, help)`` makes a parser for one."""
    request("scenes", "the scenes that are saved, and what can be undone")
    save = request("scene_save", "save what plays as a scene")
    save.add_argument("number", type=int, nargs="?", help="its place, 1 to 64 (default: the next free one)")
    save.add_argument("--name")
    request("scene_recall", "play a scene").add_argument("number", type=int)
    request("scene_next", "play the next scene")
    rename = request("scene_rename", "give a scene another name")
    rename.add_argument("number", type=int)
    rename.add_argument("name")
    copy = request("scene_copy", "copy a scene")
    copy.add_argument("number", type=int)
    copy.add_argument("to", type=int, nargs="?", help="default: the next free place")
    request("scene_delete", "delete a scene").add_argument("number", type=int)
    request("undo", "take back the last edit")
    request("redo", "and do it again")
    morph = request("morph", "go over from one scene to another")
    morph.add_argument("value", type=float, nargs="?", help="0 is the first scene, 1 the other")
    morph.add_argument("--from", type=int, metavar="NUMBER", help="the first scene (default: what plays)")
    morph.add_argument("--to", type=int, metavar="NUMBER", help="the other one")
    morph.add_argument("--beats", type=float, help="by the clock, in so many beats")
    morph.add_argument("--end", action="store_true", help="stay where it is; the morph is over")


def read(args) -> dict | None:
    """The request that these arguments of ours are; None for others'."""
    if args.do != "morph":
        return None
    if args.end:
        return {"do": "morph", "to": None}
    given = {key: getattr(args, key) for key in ("from", "to", "value", "beats")}
    return {"do": "morph"} | {key: value for key, value in given.items() if value is not None}


def page(told: dict) -> str | None:
    """An answer of ours for a person; None for others'."""
    if "scenes" in told and "undo" in told:
        return "\n".join(_listed(told))
    if "undone" in told or "redone" in told:
        return f"undone: {told['undone']}" if "undone" in told else f"done again: {told['redone']}"
    if set(told) == {"morph"}:
        morph = told["morph"]
        return "no morph" if morph is None else f"morph from {morph['from'] or 'here'} to {morph['to']}: {morph['value']:.2f}"
    if {"number", "name"} <= set(told):
        missing = f"; missing, and waited for: {', '.join(told['missing'])}" if told.get("missing") else ""
        return f"scene {told['number']}, {told['name']}{missing}"
    return None


def _listed(told: dict) -> list[str]:
    lines = []
    for scene in told["scenes"]:
        mark = "*" if scene["number"] == told["current"] else " "
        missing = f"  (missing: {', '.join(scene['missing'])})" if scene["missing"] else ""
        wrong = f"  ({scene['wrong']})" if scene.get("wrong") else ""
        lines.append(f"{mark}{scene['number']:3d}  {scene['name']}  {' + '.join(scene['models'].values())}{missing}{wrong}")
    lines = lines or ["no scenes yet; `neurorack ctl scene_save` saves what plays"]
    if told["current"] and told["changed"]:
        lines.append("* has been edited since")
    lines += [f"{word}: {told[key]}" for word, key in (("undo", "undo"), ("redo", "redo")) if told[key]]
    return lines + ([page({"morph": told["morph"]})] if told["morph"] else [])

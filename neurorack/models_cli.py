"""``neurorack models …``: the library at the command line. ``--json`` everywhere; keys are told in docs/models.md.

Exit codes: 0, or 1 when a model was refused, or 2 when the command could not be carried out (one line says why).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from neurorack.errors import NeurorackError


def register(commands) -> None:
    """Add the commands to the command line's."""
    models = commands.add_parser("models", help="the library of models", description="The library of models: your own and the factory bank.")
    actions = models.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, text: str):
        parser = actions.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        parser.add_argument("--json", action="store_true", help="print JSON")
        return parser

    def options(parser):
        parser.add_argument("--set", action="append", default=[], metavar="ATTRIBUTE=VALUE", help="an attribute of an nn~ file")
        parser.add_argument("--sample-rate", type=int, metavar="HZ", help="the model's own sample rate, where its file does not say")

    action("list", "list the models, with their verdicts")
    action("info", "tell everything about one model").add_argument("name")
    check = action("check", "prove a model or a file on this board")
    check.add_argument("model", metavar="FILE|NAME")
    check.add_argument("--block", type=int, metavar="N", help="frames a block (default: what suits the model)")
    check.add_argument("--rate", type=int, metavar="HZ", help="the sound card's rate (default 48000)")
    options(check)
    add = action("add", "check a file and take it into the library")
    add.add_argument("file", type=Path)
    add.add_argument("--name", help="how to call it (default: as the file)")
    add.add_argument("--author")
    add.add_argument("--licence", help="such as CC-BY-4.0")
    add.add_argument("--replace", action="store_true", help="in place of the model of this name, which goes to the trash")
    options(add)
    action("remove", "move a model to the library's trash, which keeps the last five").add_argument("name")
    action("restore", "have a removed model back").add_argument("name")
    rename = action("rename", "give a model another name; the old one still leads to it")
    rename.add_argument("old")
    rename.add_argument("new")
    set_ = action("set", "set attributes of an nn~ model for good; an empty value goes back to the file's own")
    set_.add_argument("name")
    set_.add_argument("attributes", nargs="+", metavar="ATTRIBUTE=VALUE")
    lighter = action("lighter", "make a lighter model out of one, with nothing but its file; the original stays (docs/lighter.md)")
    lighter.add_argument("model", metavar="NAME")
    how = lighter.add_mutually_exclusive_group()
    how.add_argument("--quality", type=float, metavar="DB", help="the lightest whose sound is so near at most (default 1 dB)")
    how.add_argument("--keep", type=float, metavar="SHARE", help="the share of multiplications to keep, such as 0.5")
    how.add_argument("--target", metavar="TARGET", help="fast enough for board:NAME, such as board:pi4, or rtf:X, a share of a core here")
    lighter.add_argument("--name", help="how to call it (default: NAME-light)")
    lighter.add_argument("--replace", action="store_true", help="in place of the model of this name, which goes to the trash")
    weights = action("weights", "make a copy of a model with its weights kept as bfloat16 or int8: smaller, and faster where memory is slow")
    weights.add_argument("name")
    weights.add_argument("kind", choices=("bf16", "int8", "float32"))
    weights.add_argument("--name", dest="new_name", metavar="NEW", help="how to call the copy (default: NAME bf16, …)")
    weights.add_argument("--replace", action="store_true", help="in place of the model of this name, which goes to the trash")
    play = action("play", "have the running instrument change to a model")
    play.add_argument("model", metavar="FILE|NAME")
    play.add_argument("--fade-ms", type=float, default=50.0, help="length of the crossfade (default 50)")
    gesture = action("gesture", "record a gesture from a sound, or have the model's generator make new ones")
    gesture.add_argument("model", metavar="NAME")
    gesture.add_argument("sound", type=Path, nargs="?", metavar="FILE.wav", help="a sound, which the model's encoder listens to")
    gesture.add_argument("--name", help="how to call the recorded gesture (default: as the sound)")
    gesture.add_argument("--generate", type=int, metavar="N", help="make N new gestures, of models trained by neurorack train")
    gesture.add_argument("--seed", type=int, help="the same seed makes the same gestures (default: other ones each time)")
    gesture.add_argument("--like", metavar="GESTURE", help="new ones that resemble this gesture")
    gesture.add_argument("--distance", type=float, default=0.5, help="how far from it: 0 the same, 1 as if by itself (default 0.5)")
    gesture.add_argument("--remove", metavar="GESTURE", help="take a recorded or generated gesture away, or all")
    gesture.add_argument("--no-reload", action="store_true", help="a running instrument has them only when it next loads the model")


def attributes(pairs: list[str]) -> dict:
    """``name=value`` with a value of true, false, a number, a text, or several with commas between; nothing means None.

    Raises ``NeurorackError`` for anything else.
    """
    found = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise NeurorackError(f"{pair!r} is no attribute; write attribute=value")
        values = [_scalar(part.strip()) for part in text.split(",")]
        found[name.strip()] = None if not text.strip() else values if len(values) > 1 else values[0]
    return found


def _scalar(text: str):
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _options(args) -> dict:
    if args.sample_rate is not None and not 8000 <= args.sample_rate <= 192000:
        raise NeurorackError(f"--sample-rate is {args.sample_rate}; it must lie from 8000 to 192000 Hz")
    options = {"attributes": attributes(args.set), "sample_rate_hz": args.sample_rate}
    return {name: value for name, value in options.items() if value}


def run(args: argparse.Namespace) -> int:
    told, line, code = globals()[f"_{args.action}"](args)
    print(json.dumps(told, indent=2, ensure_ascii=False) if args.json else line)
    return code


def _list(args):
    from neurorack.library import describe, entries, files

    found = describe.rows()
    hidden = [{"file": str(path), "name": name} for path, name in entries.hidden() if path.is_relative_to(files.own())]
    text = describe.table(found)
    for file in hidden:
        text += f"\n{file['file']} is not listed: another file is called {file['name']!r} too; rename one of them"
    return {"library": str(files.own()), "models": found, "hidden": hidden}, text, 0


def _info(args):
    from neurorack.library import describe, entries

    told = describe.info(entries.entry(args.name))
    return told, describe.page(told), 0


def _check(args):
    from neurorack.library import check

    verdict = check.check_model(args.model, _options(args), block_frames=args.block, rate_hz=args.rate)
    return verdict, verdict["line"], _code(verdict)


def _code(verdict: dict) -> int:
    return 0 if verdict["verdict"] == "plays" else 1


def _add(args):
    from neurorack.library import changes

    done = changes.add(args.file, name=args.name, author=args.author, licence=args.licence, options=_options(args), replace=args.replace)
    verdict = done["verdict"]
    if done["name"] is None:
        return done, f"{args.file.name} was not added; {verdict['line']}", 1
    line = f"added {done['name']}; {verdict['line']}"
    if done["same_as"]:
        line += f"\nthe same file is in the library as {', '.join(done['same_as'])} too"
    if done["hides_factory"]:
        line += f"\nit hides the factory model {done['name']}"
    return done, line, 0


def _weights(args):
    from neurorack.library import describe, weights

    done = weights.keep(args.name, args.kind, args.new_name, args.replace)
    if done["name"] is None:
        return done, f"{args.name} with {args.kind} weights was not added; {done['verdict']['line']}", 1
    sizes = " instead of ".join(describe.size(done[f"bytes_{when}"]) for when in ("after", "before"))
    return done, (f"added {done['name']}: {sizes}; it sounds {done['quality']['distance_db']:.2f} dB from {args.name} "
                  f"({done['quality']['snr_db']:.0f} dB signal to noise); {done['verdict']['line']}"), 0


def _remove(args):
    from neurorack.library import changes

    done = changes.remove(args.name)
    line = f"removed {done['name']}; to have it back: neurorack models restore {done['name']!r}"
    if not done["kept"]:
        line = f"removed {done['name']} for good, and emptied the trash: the disk is full"
    if done["uncovers"]:
        line += f"\nthe {done['uncovers']} model {done['name']} is in its place now"
    return done, line, 0


def _restore(args):
    from neurorack.library import changes

    done = changes.restore(args.name)
    return done, f"{done['name']} is back", 0


def _rename(args):
    from neurorack.library import changes

    done = changes.rename(args.old, args.new)
    return done, f"{done['was']} is called {done['name']} now; patches that say {done['was']} still find it", 0


def _set(args):
    from neurorack.library import changes

    done = changes.set_attributes(args.name, attributes(args.attributes))
    verdict = done["verdict"]
    if verdict["verdict"] != "plays":
        return done, f"{done['name']} stays as it was; with these attributes it is {verdict['line']}", 1
    shown = ", ".join(f"{name}={json.dumps(value)}" for name, value in done["attributes"].items()) or "all as in its file"
    return done, f"{done['name']}: {shown}; {verdict['line']}", 0


def _gesture(args):
    from neurorack import gesture_generator, library
    from neurorack.gesture import record_gesture

    if (args.sound is not None) + (args.generate is not None) + (args.remove is not None) != 1:
        raise NeurorackError("give a sound to record, --generate N or --remove GESTURE, one of the three")
    path, told = library.find(args.model), {"model": args.model}
    if args.generate is not None:
        told["gestures"] = gesture_generator.generate_gestures(path, args.generate, args.seed, args.like, args.distance)
        line = f"{args.model} has {len(told['gestures'])} new gestures: {', '.join(told['gestures'])}"
    elif args.remove is not None:
        told["removed"] = gesture_generator.remove_gesture(path, args.remove)
        line = f"{args.model} has {told['removed']} gesture{'s' * (told['removed'] != 1)} less"
    else:
        told["gesture"] = args.name or args.sound.stem
        told["file"] = str(record_gesture(path, args.sound, told["gesture"]))
        line = f"{args.model} has the gesture {told['gesture']!r} now"
    if not args.no_reload:
        from neurorack.gesture_hand import pick_up

        told["picked_up"] = pick_up(path)
        line += "; the running instrument has it" * told["picked_up"]
    return told, line, 0


def _lighter(args):
    from neurorack.library import lighter

    told = lighter.make(args.model, keep=args.keep, target=args.target, quality_db=args.quality, say=_progress(args.json))
    done = lighter.keep(args.model, args.name, args.replace)
    both = {"made": told, **done}
    if done["name"] is None:
        return both, f"{args.model}: {told['line']}, but it was not added; {done['verdict']['line']}", 1
    return both, f"{done['name']}: {told['line']} from {told['model']}, {told['times_faster']:.1f}x as fast here; {done['verdict']['line']}", 0


def _progress(quiet: bool):
    """Says on a terminal how far the work is."""
    def say(stage: str, share: float) -> None:
        if not quiet and sys.stderr.isatty():
            print(f"\r\033[K{stage}: {share:.0%}" if share < 1 else "\r\033[K", end="", file=sys.stderr, flush=True)

    return say


def _play(args):
    from neurorack import control, control_cli

    wanted = str(Path(args.model).absolute()) if Path(args.model).is_file() else args.model
    answer = control.request({"do": "swap", "model": wanted, "fade_ms": args.fade_ms})
    return answer, control_cli.played(answer["job"]), 0

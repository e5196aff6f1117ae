"""The lab's commands: `neurorack train` and those of its other parts. Nothing of the lab is loaded before it is asked for."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from pathlib import Path

from ..errors import NeurorackError

TRAINING = ("torch", "scipy")
#: Commands whose module declares its options (`arguments(parser)`) and does the work (`run(options)`) itself: name → (module, help, what it needs).
ELSEWHERE = {
    "evaluate": ("neurorack.lab.evaluate.command", "measure how well a model follows its controls", TRAINING),
    "export": ("neurorack.lab.export.command", "write a model as TorchScript, for nn~ and other hosts", TRAINING),
    "gestures": ("neurorack.lab.gestures.command", "take a model's gestures, their generator and its map anew", TRAINING),
    "trim": ("neurorack.lab.trim.command", "make a model smaller: a family of lighter ones, and the right one of them", TRAINING),
    "transfer": ("neurorack.lab.transfer", "play one sound's descriptors with the timbre of another", ()),
}


def register(commands) -> None:
    """Add the commands to the command line's."""
    train = commands.add_parser("train", help="make a model from a folder of sounds", description=(
        "Make a model from a folder of sounds, or from a recipe, and put it into the library. Ctrl-C stops; the same command goes on."))
    train.add_argument("source", type=Path, metavar="FOLDER|RECIPE", help="a folder of audio files, or a recipe (YAML, docs/training.md)")
    train.add_argument("--engine", choices=("auto", "noise-band", "harmonic", "convolution", "source-filter"), default="auto",
                       help="for a folder: how its sound is made (default auto: harmonic where most of it has a pitch, else noise-band)")
    length = train.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, help="how long to train (default 10, or what the recipe says)")
    length.add_argument("--steps", type=int, help="train for so many steps instead")
    train.add_argument("--name", help="of the model (default: the folder's, or the recipe's)")
    train.add_argument("--seed", type=int, help="of weights, crops and random curves (default 1, or what the recipe says)")
    train.add_argument("--threads", type=int, help="threads of each process (default: all cores)")
    train.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to train (default auto: cuda where there is one)")
    train.add_argument("--work", type=Path, default=Path(".out"), metavar="DIR", help="folder of checkpoints, logs and previews (default .out)")
    train.add_argument("--cache", type=Path, default=Path(".data"), metavar="DIR", help="folder of prepared recordings (default .data)")
    train.add_argument("--out", type=Path, metavar="FILE", help="the model (default: NAME.safetensors beside the recipe, or in the work folder)")
    train.add_argument("--curves", type=int, help="curves a protocol when the result is measured (default 512, of a folder 96)")
    train.add_argument("--fresh", action="store_true", help="begin again; the checkpoint there is kept aside")
    train.add_argument("--no-add", action="store_true", help="leave the library as it is")
    for name, (module, text, needs) in ELSEWHERE.items():
        later = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        later.later = lambda parser, module=module, needs=needs: _module(module, needs).arguments(parser)


def _module(name: str, needs: tuple[str, ...] = TRAINING):
    """A module of the lab, loaded now. NeurorackError where what it needs is not installed."""
    missing = [needed for needed in needs if find_spec(needed) is None]
    if missing:
        raise NeurorackError(f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not installed, and the lab needs "
                             f"{'it' if len(missing) == 1 else 'them'}: make lab")
    return importlib.import_module(name)


def run(args) -> int:
    """Carry out one of the commands; returns the exit code."""
    module, _, needs = ELSEWHERE.get(args.command, ("neurorack.lab.train.command", "", TRAINING))
    return _module(module, needs).run(args)


COMMANDS = ("train", *ELSEWHERE)

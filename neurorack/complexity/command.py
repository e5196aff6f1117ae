"""``neurorack complexity``: what models cost, counted, measured here and predicted for boards."""

from __future__ import annotations

import json
from pathlib import Path

from ..errors import NeurorackError
from . import boards, calibrate, energy, picture, report, text, timing
from .counting import count
from .models import opened

USUAL = ("pi4", "pi5", "jetson")
LIMITS_SECONDS = (0.05, 60)


def arguments(parser) -> None:
    """The command's options."""
    parser.add_argument("models", nargs="*", metavar="MODEL", help="names of the library or files; several are compared with the first")
    parser.add_argument("--board", action="append", metavar="NAME", help="predict for this board (repeatable; all for all known; default: this machine where it "
                                                                         f"is calibrated, {', '.join(USUAL)})")
    parser.add_argument("--block", type=int, metavar="N", help="frames a block (default: all that the model has; of several models their shortest)")
    parser.add_argument("--method", default="decode", help="the method that is counted (default decode)")
    parser.add_argument("--bounds", action="store_true", help="can it be embedded: real time, disk and memory of boards from an ATmega up")
    parser.add_argument("--energy", action="store_true", help="energy for a second of audio, where the board reports what it draws (10 s)")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the layers, as .svg or .png")
    parser.add_argument("--seconds", type=float, default=0.5, help="how long each block length is measured (default 0.5)")
    parser.add_argument("--no-measure", action="store_true", help="count and predict only")
    parser.add_argument("--calibrate", action="store_true", help="measure this machine's kernels and keep the prices in hardware/speed/ (seconds)")
    parser.add_argument("--name", help="what a calibration is called (default: the board's)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the calibration (default hardware/speed)")
    parser.add_argument("--json", action="store_true")


def run(args) -> int:
    """Carry it out; returns the exit code. Raises ``NeurorackError``."""
    if not LIMITS_SECONDS[0] <= args.seconds <= LIMITS_SECONDS[1]:
        raise NeurorackError(f"--seconds is {args.seconds:g}; it must lie from {LIMITS_SECONDS[0]:g} to {LIMITS_SECONDS[1]:g}")
    if not args.models and not args.calibrate:
        raise NeurorackError("give a model, or --calibrate to measure this machine")
    told, lines = {}, []
    if args.calibrate:
        told["calibration"] = done = calibrate.calibrate(_named(args.name))
        path = calibrate.write(done, args.out or boards.FOLDER)
        lines.append(f"{path}: {done['description']}, {done['seconds']:.0f} s; half of the {done['cases']} cases lie within "
                     f"{100 * done['spread']['fit_median_error']:.0f} % of the fitted prices")
    if args.models:
        here, shown = _boards(args.board)
        many = len(args.models) > 1
        told |= _many(args, shown) if many else _one(args, here, shown)
        lines.append(text.compared(told["compared"]) if many else text.of_model(told))
    print(json.dumps(told, indent=2) if args.json else "\n\n".join(lines))
    return 0


def _named(name: str | None) -> str | None:
    if name is not None and not all(c.isalnum() or c in "-_." for c in name):
        raise NeurorackError(f"--name is {name!r}; letters, digits, - and _ belong there")
    return name


def _boards(wanted: list[str] | None):
    """This machine, or None where it was never calibrated; the boards to predict for. Raises ``BoardError``."""
    own = calibrate.board_name()
    here = boards.load(own) if own in boards.names() else None
    if wanted is None:
        return here, [board for board in [here, *(boards.load(name) for name in USUAL if name != own and name in boards.names())] if board]
    names = [name for given in wanted for name in (boards.names() if given == "all" else given.split(","))]
    return here, [boards.load(name) for name in dict.fromkeys(names)]


def _one(args, here, shown) -> dict:
    model = opened(args.models[0])
    first = count(model, args.method, args.block)           # refuses a method or block that is not there
    blocks = [args.block] if args.block else model.methods[args.method].blocks
    counts = [first if block == first.block_frames else count(model, args.method, block) for block in blocks]
    measured = [] if args.no_measure else timing.measure(model, args.method, args.block, args.seconds)
    told = report.of_model(counts, shown, here, measured, args.bounds)
    if args.picture:
        picture.write(first, here or next((board for board in shown if board.middle), None), args.picture)
    if args.energy:
        told["energy"] = _energy(model, args.method, blocks[-1])
    return told


def _energy(model, method: str, block: int) -> dict:
    try:
        meter = energy.meter()
    except energy.Refused as refused:
        return {"meter": None, "line": f"energy     {refused}"}
    if meter is None:
        return {"meter": None, "line": f"energy     {energy.NOTHING}"}
    program = timing.excited(model.program(method, block))
    try:
        told = energy.measure(meter, timing.player(program), block / int(model.card.get("sample_rate_hz") or 48000))
    except (OSError, ValueError) as error:
        return {"meter": meter.name, "line": f"energy     {meter.name} cannot be read: {error}"}
    return {**told, "line": f"energy     {1000 * told['joules_per_second']:.3g} mJ for a second of audio ({told['meter']}; idle {told['idle_watts']:.2f} W, "
                            f"playing flat out {told['playing_watts']:.2f} W, idle differs by {told['idle_spread_watts']:.2f} W)"}


def _many(args, shown) -> dict:
    found = [opened(name) for name in args.models]
    counts = [count(model, args.method, args.block) for model in found]
    programs = [timing.excited(model.program(args.method, each.block_frames)) for model, each in zip(found, counts)]
    if args.picture:
        picture.write(counts[-1], next((board for board in shown if board.middle), None), args.picture)
    return {"compared": report.compared(counts, timing.least_us(programs), shown)}

"""The command line. Bad input ends with one line and exit code 2; nothing heavy is imported before it is needed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import NoReturn

from neurorack import __version__, control_cli, models_cli
from neurorack.errors import NeurorackError
from neurorack.inputs import cli as inputs_cli
from neurorack.lab import cli as lab_cli
from neurorack.panel import cli as panel_cli
from neurorack.patches import cli as patches_cli


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as every other error is said."""

    later = None         # declares this command's options once it is the one that was asked for

    def parse_known_args(self, args=None, namespace=None):
        declare, self.later = self.later, None
        if declare:
            declare(self)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="neurorack", description="A Eurorack instrument whose sound is made by neural networks.")
    parser.add_argument("--version", action="version", version=f"neurorack {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    play = commands.add_parser("play", help="start the instrument", description="Start the instrument and play until Ctrl-C.")
    play.add_argument("--seconds", type=float, help="stop after so long")
    play.add_argument("--model", help="a model's name or file (default: impacts)")
    play.add_argument("--device", help="output device: number, name or part of a name; null for none (default: the system's)")
    play.add_argument("--rate", type=int, default=48000, help="sample rate in Hz: 44100, 48000 or 96000 (default 48000)")
    play.add_argument("--block", type=int, default=128, help="frames a callback, 32..1024 (default 128)")
    play.add_argument("--lead", type=int, help="frames kept ready beyond the callback's need (default: 10 ms; costs no latency)")
    play.add_argument("--settle-us", type=int, help="time from an edge to the reading of its CVs (default: the board's, 1000 where it says nothing)")
    play.add_argument("--input", action="store_true", help="open the stereo audio input too")
    play.add_argument("--monitor-db", type=float, help="mix the audio input into the output at this gain")
    play.add_argument("--board", help="a board of hardware/ (default: what is found, else desk: all simulated)")
    play.add_argument("--simulated", action="store_true", help="simulate the board's chips and play its jacks from here, as on the desk")
    play.add_argument("--midi", action="append", metavar="NAME", help="MIDI ports whose name holds this (default: all; none for no MIDI)")
    play.add_argument("--midi-virtual", nargs="?", const="neurorack", metavar="NAME", help="open a MIDI port of our own for other programs to connect to")
    play.add_argument("--osc", nargs="?", const="7400", metavar="[ADDRESS:]PORT", help="listen to OSC (default 127.0.0.1:7400; 0.0.0.0 for all networks)")
    play.add_argument("--display", choices=("128", "240", "none"), help="the panel's display where the board has none: 128x64 (default) or 240x240 in colour; none for no panel")
    play.add_argument("--web", metavar="HOST:PORT", help="the page in a browser (default 127.0.0.1:8042; 0.0.0.0:8042 for the network, with pairing; none for no page)")
    play.add_argument("--patch", type=Path, metavar="FILE", help="begin with this patch (default: as it was when it was switched off)")
    play.add_argument("--fresh", action="store_true", help="begin with the model's own patch")
    play.add_argument("--score", type=Path, help="play the simulated jacks from this score")
    play.add_argument("--record", type=Path, metavar="FILE.wav", help="record what the jack plays, without loss")
    play.add_argument("--report", type=Path, metavar="FILE.json", help="write what the run was like")
    play.add_argument("--seed", type=int, default=0, help="of the model's noise and the built-in patch (default 0)")
    play.add_argument("--quiet", action="store_true", help="say nothing but warnings of the processes")

    render = commands.add_parser("render", help="play a score into a file", description="Play a score into a file, faster than real time.")
    render.add_argument("score", type=Path)
    render.add_argument("out", type=Path, help="a .wav or .flac file")
    render.add_argument("--model", help="a model's name or file (default: the score's, else impacts)")
    render.add_argument("--patch", type=Path, metavar="FILE", help="play this patch (default: the model's own)")
    render.add_argument("--block", type=int, default=64, help="frames a block, 32..1024 (default 64)")
    render.add_argument("--rate", type=int, default=48000, help="sample rate in Hz: 44100, 48000 or 96000 (default 48000)")
    render.add_argument("--seed", type=int, help="of the model's noise (default: the score's, else 0)")
    render.add_argument("--input", type=Path, metavar="FILE.wav", help="a sound at the audio input, for a model that can follow it")
    render.add_argument("--encoder", metavar="MODEL", help="the model that encodes the audio input (default: the playing one)")
    render.add_argument("--report", type=Path, metavar="FILE.json", help="write load, levels and onsets")

    bench = commands.add_parser("bench", help="measure this machine", description="Measure the model, the engine and the shared memory on this machine.")
    bench.add_argument("--model", help="a model's name or file (default: impacts)")
    bench.add_argument("--seconds", type=float, help="how long each block size is measured (default 1)")
    bench.add_argument("--json", action="store_true")

    models_cli.register(commands)
    control_cli.register(commands)
    inputs_cli.register(commands)
    panel_cli.register_command(commands)
    patches_cli.register_command(commands)
    lab_cli.register(commands)

    complexity = commands.add_parser("complexity", help="count, measure and predict what models cost", description=(
        "Parameters, arithmetic, memory and time of a model, layer by layer: counted, measured here, predicted for boards."))
    complexity.later = _complexity_options

    doctor = commands.add_parser("doctor", help="look for what could go wrong", description="Look at audio, scheduling, buses, board and models; every finding names its remedy.")
    doctor.add_argument("--json", action="store_true")
    return parser


def _play(args) -> int:
    from neurorack import score as scores
    from neurorack.instrument import Instrument, Settings
    from neurorack.remote.osc import parse_address
    from neurorack.web.hand import parse_address as web_address
    from neurorack.render import check_target

    if args.seconds is not None and not 0 < args.seconds <= 1e7:
        raise NeurorackError(f"--seconds is {args.seconds:g}; it must lie above 0 and below 10000000")
    if args.settle_us is not None and not 0 <= args.settle_us <= 20000:
        raise NeurorackError(f"--settle-us is {args.settle_us}; it must lie from 0 to 20000")
    if args.monitor_db is not None and not -90 <= args.monitor_db <= 12:
        raise NeurorackError(f"--monitor-db is {args.monitor_db:g}; it must lie from -90 to 12")
    if args.report:
        check_target(args.report)
    osc = parse_address(args.osc) if args.osc else None
    web_address(args.web)
    score = scores.load(args.score) if args.score else None
    seconds = args.seconds if args.seconds is not None else (score.seconds if score else None)
    Instrument(Settings(
        model=args.model, device=args.device, board=args.board, simulated=args.simulated, rate_hz=args.rate, block_frames=args.block, lead_frames=args.lead,
        settle_us=args.settle_us, input_channels=2 if args.input or args.monitor_db is not None else 0, monitor_db=args.monitor_db,
        seconds=seconds, score=score, patch=args.patch, fresh=args.fresh, record=args.record, report=args.report, seed=args.seed, quiet=args.quiet,
        midi=args.midi, midi_virtual=args.midi_virtual, osc=osc, web=args.web, display=args.display)).play()
    return 0


def _render(args) -> int:
    from neurorack import score as scores
    from neurorack.render import render_to_file

    report = render_to_file(scores.load(args.score), args.out, args.report, model=args.model, patch=args.patch, block_frames=args.block,
                            rate_hz=args.rate, seed=args.seed, input_path=args.input, encoder=args.encoder)
    loudness = "silent" if report["lufs"] is None else f"{report['lufs']:.1f} LUFS"
    print(f"{args.out}: {report['seconds']:.2f} s, {len(report['onsets_seconds'])} onsets, peak {report['peak']:.2f}, {loudness}, "
          f"{report['rtf']:.0f}x real time")
    return 0


def _bench(args) -> int:
    from neurorack.bench import measure, table

    if args.seconds is not None and not 0 < args.seconds <= 60:
        raise NeurorackError(f"--seconds is {args.seconds:g}; it must lie above 0 and not above 60")
    figures = measure(args.model, args.seconds)
    print(json.dumps(figures, indent=2) if args.json else table(figures))
    return 0


def _complexity_options(parser) -> None:
    from neurorack.complexity.command import arguments

    arguments(parser)


def _complexity(args) -> int:
    from neurorack.complexity.command import run

    return run(args)


def _doctor(args) -> int:
    from neurorack.doctor import examine, table

    findings = examine()
    print(json.dumps(findings, indent=2) if args.json else table(findings))
    return 0 if all(f["status"] != "fail" for f in findings) else 1


def main(argv: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    try:
        args = _parser().parse_args(argv)
        return {"play": _play, "render": _render, "bench": _bench, "complexity": _complexity, "doctor": _doctor, "models": models_cli.run, "ctl": control_cli.run, "calibrate": inputs_cli.run,
                "jacks": inputs_cli.run, "panel": panel_cli.run, "patch": patches_cli.run, **dict.fromkeys(lab_cli.COMMANDS, lab_cli.run)}[args.command](args)
    except NeurorackError as error:
        if str(error):
            print(f"neurorack: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:      # the reader of our output has seen enough
        sys.stdout = None
        return 141


if __name__ == "__main__":
    sys.exit(main())

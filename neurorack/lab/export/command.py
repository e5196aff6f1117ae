"""`neurorack export`: a model of the lab as TorchScript, for nn~ and other hosts."""

from pathlib import Path

from ...errors import NeurorackError


def arguments(parser) -> None:
    """The options of `neurorack export`."""
    parser.add_argument("model", metavar="MODEL", help="a model of the library, or a .safetensors file")
    parser.add_argument("out", type=Path, metavar="OUT", help="the file to write, OUT.ts")
    parser.add_argument("--decode-only", action="store_true", help="leave encode and forward out: a script that importers lift quickly")


def run(options) -> int:
    """Carry out `neurorack export`; returns the exit code."""
    from ... import library
    from ...engine import Model
    from ...render import check_target
    from .torchscript import export_torchscript

    if options.out.suffix.lower() != ".ts":
        raise NeurorackError(f"{options.out}: the output must end in .ts")
    check_target(options.out)
    model = Model.load(library.find(options.model))
    methods = export_torchscript(model, options.out, not options.decode_only)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB, {', '.join(methods)}; {model.card['sample_rate_hz']} Hz, "
          f"{len(model.card['inputs'])} inputs, a row every {model.card['hop_frames']} samples")
    return 0

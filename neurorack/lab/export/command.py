"""`neurorack export`: a model of the lab as TorchScript, for nn~ and other hosts."""

from pathlib import Path

from ...errors import NeurorackError


def arguments(parser) -> None:
    """The options of `neurorack export`."""
    parser.add_argument("model", metavar="MODEL", help="a model of the library, or a .safetensors file")
    parser.add_argument("out", type=Path, metavar="OUT", help="the file to write, OUT.ts")


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
    path = export_torchscript(model, options.out)
    methods = ", ".join(f"{name} {method.in_channels} to {method.out_channels}" for name, method in model.methods.items())
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {methods}, forward 1 to 1, {model.card['sample_rate_hz']} Hz, rows of {model.card['hop_frames']} samples")
    return 0

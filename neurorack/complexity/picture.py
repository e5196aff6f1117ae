"""A count as a picture: a line for each layer, with bars for its parameters, arithmetic, memory and time. SVG or PNG."""

from __future__ import annotations

import html
from pathlib import Path
from typing import NamedTuple

from ..errors import NeurorackError
from .boards import Board
from .counting import Count
from .layers import Layer, of

INK, FAINT, PAPER, BAR, LIGHT = "#1f2430", "#6b7280", "#ffffff", "#3b6ea5", "#b8cce2"
LINE, TOP, NAME_WIDE, BAR_WIDE, GAP, MARGIN = 22, 74, 250, 150, 62, 20
MOST_LAYERS = 60


class Box(NamedTuple):
    x: float
    y: float
    width: float
    height: float
    colour: str


class Text(NamedTuple):
    x: float
    y: float
    text: str
    colour: str = INK
    size: int = 13


def shapes(count: Count, board: Board | None) -> tuple[list, int, int]:
    """Boxes and texts, width and height. Beyond ``MOST_LAYERS`` the lightest layers are put together in the last line."""
    layers = _most(of(count, board))
    columns = [("parameters", [layer.params for layer in layers], None, _short),
               ("MAC/s (done: light)", [layer.macs for layer in layers], [layer.macs_done for layer in layers], _short),
               ("bytes read and written/s", [layer.read_bytes + layer.written_bytes for layer in layers], None, _short)]
    if board and board.middle:
        columns.append((f"time on {board.name}", [layer.seconds or 0.0 for layer in layers], None, lambda x: f"{100 * x:.2g} %"))
    width, height = MARGIN * 2 + NAME_WIDE + len(columns) * (BAR_WIDE + GAP), TOP + LINE * len(layers) + MARGIN
    kind = "" if board is None else " (measured prices)" if board.measured else " (estimated)"
    found: list = [Box(0, 0, width, height, PAPER),
                   Text(MARGIN, 26, f"{count.model}, {count.method} in blocks of {count.block_frames} frames", size=17),
                   Text(MARGIN, 46, f"{_short(count.params)} parameters, {_short(count.macs)} MAC, {_short(count.flops)} FLOP and "
                                    f"{_short(count.read_bytes + count.written_bytes)}B moved for a second of audio; {_short(count.memory_bytes)}B of memory{kind}", FAINT)]
    for i, layer in enumerate(layers):
        found.append(Text(MARGIN, TOP + LINE * i + 15, layer.name if len(layer.name) < 36 else f"...{layer.name[-32:]}"))
    for c, (title, numbers, behind, told) in enumerate(columns):
        x, most = MARGIN + NAME_WIDE + c * (BAR_WIDE + GAP), max([*numbers, *(behind or []), 1e-30])
        found.append(Text(x, TOP - 8, title, FAINT, 12))
        for i, number in enumerate(numbers):
            y = TOP + LINE * i
            for value, colour in ((behind[i] if behind else 0, LIGHT), (number, BAR)):
                if value:
                    found.append(Box(x, y + 4, max(1.0, BAR_WIDE * value / most), LINE - 9, colour))
            longest = max(number, behind[i] if behind else 0)
            found.append(Text(x + max(1.0, BAR_WIDE * longest / most) + 5, y + 15, told(number) if number else "0", FAINT, 11))
    return found, width, height


def _most(layers: list[Layer]) -> list[Layer]:
    if len(layers) <= MOST_LAYERS:
        return layers
    heaviest = sorted(layers, key=lambda layer: layer.flops + layer.read_bytes, reverse=True)[:MOST_LAYERS - 1]
    rest = [layer for layer in layers if not any(layer is other for other in heaviest)]
    last = Layer(f"{len(rest)} lighter layers", [])
    for key in ("params", "macs", "macs_done", "flops", "read_bytes", "written_bytes"):
        setattr(last, key, sum(getattr(layer, key) for layer in rest))
    last.seconds = sum(layer.seconds or 0.0 for layer in rest)
    return [layer for layer in layers if any(layer is other for other in heaviest)] + [last]


def _short(x: float) -> str:
    """1234567 -> 1.23 M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(x) >= size:
            return f"{x / size:.3g} {unit}"
    return f"{x:.3g} "


def svg(count: Count, board: Board | None) -> str:
    found, width, height = shapes(count, board)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
             'font-family="system-ui, sans-serif">']
    for shape in found:
        if isinstance(shape, Box):
            lines.append(f'<rect x="{shape.x:g}" y="{shape.y:g}" width="{shape.width:.1f}" height="{shape.height:g}" fill="{shape.colour}"/>')
        else:
            lines.append(f'<text x="{shape.x:.1f}" y="{shape.y:g}" font-size="{shape.size}" fill="{shape.colour}">{html.escape(shape.text.strip())}</text>')
    return "\n".join([*lines, "</svg>"]) + "\n"


def png(count: Count, board: Board | None, path) -> None:
    from PIL import Image, ImageDraw, ImageFont

    found, width, height = shapes(count, board)
    image = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(image)
    for shape in found:
        if isinstance(shape, Box):
            draw.rectangle((shape.x, shape.y, shape.x + shape.width, shape.y + shape.height), fill=shape.colour)
        else:
            draw.text((shape.x, shape.y), shape.text.strip(), fill=shape.colour, font=ImageFont.load_default(shape.size), anchor="ls")
    image.save(path)


def write(count: Count, board: Board | None, path: Path) -> None:
    """Raises ``NeurorackError`` for another kind of file, or a place where none can be written."""
    if path.suffix not in (".svg", ".png"):
        raise NeurorackError(f"--picture is {path}; it must end with .svg or .png")
    try:
        if path.suffix == ".svg":
            path.write_text(svg(count, board))
        else:
            png(count, board, path)
    except OSError as error:
        raise NeurorackError(f"{path} cannot be written: {error.strerror or error}") from None

"""Drawings of docs/trimming.md: error multipliers against what is left, and time against operations."""

from __future__ import annotations

import math

from neurorack.lab.evaluate.plots import INK, QUIET, polyline, svg, words

COLOURS = ("#1f6fb4", "#c8641e", "#4f8a3c", "#8a5aa8", "#7a7f87", "#b8336a", "#2a9d8f", "#a67c00", "#5b6ee1", "#d1495b", "#3d5a45", "#946846")
LEFT, TOP, WIDTH, HEIGHT = 56, 26, 430, 270


def _grid(xs, ys, x_at, y_at, x_text, y_text, bottom):
    """Lines and labels of both axes, and their names."""
    shapes = []
    for value, label in xs:
        shapes += [polyline((x_at(value),) * 2, (TOP, TOP + HEIGHT), QUIET, 0.35), words(x_at(value), TOP + HEIGHT + 14, label, "middle", QUIET)]
    for value, label in ys:
        shapes += [polyline((LEFT, LEFT + WIDTH), (y_at(value),) * 2, QUIET, 0.35), words(LEFT - 6, y_at(value) + 4, label, "end", QUIET)]
    return shapes + [words(LEFT + WIDTH / 2, bottom, x_text, "middle"), words(LEFT, TOP - 10, y_text)]


def _legend(names, x, width):
    return [shape for k, name in enumerate(names) for shape in (
        polyline((x, x + 18), (TOP + 8 + 17 * k,) * 2, COLOURS[k % len(COLOURS)], 2.2), words(x + 24, TOP + 12 + 17 * k, name))]


def multipliers(series, title, top=1.3, ticks=(0.5, 0.2, 0.1, 0.05, 0.02, 0.01)):
    """series: name → [(share removed, mean, lowest, highest), …]. The share that is left goes down to the right, on a logarithmic scale;
    what lies above `top` is drawn at its edge."""
    points = [p for line in series.values() for p in line]
    low = min([0.9, *(p[2] for p in points)])
    high = min(top, max([1.2, *(p[3] for p in points)]))
    least = min([0.009, *(1 - p[0] for p in points if p[0] < 1)])
    x_at = lambda left: LEFT + WIDTH * math.log(1 / max(left, least)) / math.log(1 / least)
    y_at = lambda value: TOP + HEIGHT * (high - min(value, high)) / (high - low)
    step = 0.05 if high - low < 0.45 else 0.1 if high - low < 0.9 else 0.2
    ys = [(k * step, f"{k * step:.2f}") for k in range(math.ceil(low / step), math.floor(high / step) + 1)]
    shapes = _grid([(1, "0"), *((t, f"{1 - t:.0%}") for t in ticks)], ys, x_at, y_at,
                   "share of the parameters removed", "held-out error over the full net's", TOP + HEIGHT + 32)
    shapes.append(polyline((LEFT, LEFT + WIDTH), (y_at(1.0),) * 2, INK, 1, 'stroke-dasharray="4 3"'))
    for k, line in enumerate(series.values()):
        colour = COLOURS[k % len(COLOURS)]
        line = sorted(line)
        shapes.append(polyline([x_at(1 - p[0]) for p in line], [y_at(p[1]) for p in line], colour, 1.8))
        for share, mean, lowest, highest in line:
            x = x_at(1 - share)
            shapes.append(f'<circle cx="{x:.1f}" cy="{y_at(mean):.1f}" r="2.6" fill="{colour}"/>')
            if highest > lowest:
                shapes.append(polyline((x, x), (y_at(lowest), y_at(highest)), colour, 1))
    shapes += _legend(series, LEFT + WIDTH + 16, 18)
    return svg(LEFT + WIDTH + 290, TOP + HEIGHT + 42, title, shapes, background=True)


def times(series, title, slope=0.7):
    """series: name → [(operations over the full net's, time over the full net's), …], both logarithmic; dashed: time = operations ** slope."""
    points = [p for line in series.values() for p in line]
    least_x, least_y = min(0.5, *(p[0] for p in points)) * 0.9, min(0.5, *(p[1] for p in points)) * 0.9
    x_at = lambda value: LEFT + WIDTH * math.log(1 / value) / math.log(1 / least_x)
    y_at = lambda value: TOP + HEIGHT * math.log(1 / value) / math.log(1 / least_y)
    marks = lambda least: [(v, f"{v:g}") for v in (1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005) if v >= least]
    shapes = _grid(marks(least_x), marks(least_y), x_at, y_at, "multiply-adds over the full net's", "engine time over the full net's",
                   TOP + HEIGHT + 32)
    end = max(least_x, least_y ** (1 / slope))
    shapes.append(polyline((x_at(1), x_at(end)), (y_at(1), y_at(end ** slope)), INK, 1, 'stroke-dasharray="4 3"'))
    for k, line in enumerate(series.values()):
        line = sorted(line, reverse=True)
        shapes.append(polyline([x_at(p[0]) for p in line], [y_at(p[1]) for p in line], COLOURS[k % len(COLOURS)], 1.8))
        shapes += [f'<circle cx="{x_at(p[0]):.1f}" cy="{y_at(p[1]):.1f}" r="2.6" fill="{COLOURS[k % len(COLOURS)]}"/>' for p in line]
    shapes += _legend(series, LEFT + WIDTH + 16, 18)
    return svg(LEFT + WIDTH + 290, TOP + HEIGHT + 42, title, shapes, background=True)

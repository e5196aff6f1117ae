"""Drawings of figures, as SVG text: density of asked against measured, curves over time, leakage, bars with intervals.

Colours are CSS variables of the page around them with fixed ones to fall back on, so that a drawing also stands alone.
"""

from html import escape

import numpy as np

INK, QUIET, PAPER = "var(--ink, #20242a)", "var(--quiet, #6a717a)", "var(--paper, #ffffff)"
LINE, WARM = "var(--line, #1f6fb4)", "var(--warm, #c8641e)"
FONT = "system-ui, Helvetica, Arial, sans-serif"
SERIES = ("#1f6fb4", "#c8641e", "#4f8a3c", "#8a5aa8", "#7a7f87")


def svg(width, height, title, shapes, background=False):
    """A drawing of these shapes (SVG elements as text)."""
    paper = [f'<rect width="{width}" height="{height}" fill="{PAPER}"/>'] if background else []
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
            f'font-family="{FONT}" font-size="11"><title>{escape(title)}</title>' + "\n".join([*paper, *shapes]) + "</svg>\n")


def words(x, y, text, anchor="start", colour=INK, more=""):
    """A line of text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" {more}>{escape(str(text))}</text>'


def polyline(xs, ys, colour, width=1.4, more=""):
    """Straight lines through points."""
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys))
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}" {more}/>'


def density(asked, got, title, note="", size=132, cells=22, reach=1.2):
    """How often what is asked (right) is heard as what (up), as a map of squares with the line of perfect control."""
    counts, *_ = np.histogram2d(np.clip(asked, -reach, reach - 1e-6), np.clip(got, -reach, reach - 1e-6), cells, [[-reach, reach]] * 2)
    share = counts / np.maximum(counts.max(1, keepdims=True), 1)      # each column by itself: asked values are not equally frequent
    left, top, cell = 26, 22, size / cells
    shapes = [words(left, 14, title, more='font-weight="600"'), words(left + size, 14, note, "end", QUIET)]
    shapes += [f'<rect x="{left + i * cell:.1f}" y="{top + size - (k + 1) * cell:.1f}" width="{cell + 0.3:.1f}" height="{cell + 0.3:.1f}" '
               f'fill="{LINE}" fill-opacity="{share[i, k]:.2f}"/>' for i in range(cells) for k in range(cells) if share[i, k] > 0.02]
    shapes += [f'<rect x="{left}" y="{top}" width="{size}" height="{size}" fill="none" stroke="{QUIET}" stroke-width="0.7"/>',
               polyline((left, left + size), (top + size, top), WARM, 1, 'stroke-dasharray="4 3"')]
    at = lambda value: (value + reach) / (2 * reach) * size
    for value in (-1, 0, 1):
        shapes += [words(left + at(value), top + size + 13, value, "middle", QUIET), words(left - 4, top + size - at(value) + 4, value, "end", QUIET)]
    return svg(left + size + 10, top + size + 18, f"{title}: asked (right) and measured (up)", shapes)


def over_time(asked, got, names, seconds, width=300, height=44):
    """Curves of each descriptor over time: what is asked, dashed, and what is measured. asked, got: [frames, d]."""
    left, gap, shapes = 62, 8, []
    xs = left + np.linspace(0, width, len(asked))
    for d, name in enumerate(names):
        top = 6 + d * (height + gap)
        y = lambda values: top + height * (1 - (np.clip(values, -1.25, 1.25) + 1.25) / 2.5)
        heard = np.where(asked[:, 0] > -0.8, got[:, d], np.nan) if d else got[:, d]
        shapes += [f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="{QUIET}" stroke-width="0.5"/>',
                   words(left - 5, top + height / 2 + 4, name, "end"), polyline(xs, y(asked[:, d]), WARM, 1.3, 'stroke-dasharray="5 3"')]
        for part in _runs(np.isfinite(heard)):
            shapes.append(polyline(xs[part], y(heard[part]), LINE, 1.5))
    bottom = 6 + len(names) * (height + gap)
    shapes += [words(left, bottom + 8, "0 s", "start", QUIET), words(left + width, bottom + 8, f"{seconds:.2g} s", "end", QUIET)]
    return svg(left + width + 6, bottom + 12, "asked (dashed) and measured curves", shapes)


def _runs(flags):
    """Slices in which flags are true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(int), [0]))))
    return [slice(a, b) for a, b in zip(edges[::2], edges[1::2])]


def leakage(matrix, names, cell=58):
    """Asked (rows) against the error of each descriptor (columns): warm where both rise, blue where one falls; the diagonal is left out."""
    left, top, shapes = 70, 20, []
    for k, name in enumerate(names):
        shapes += [words(left + (k + 0.5) * cell, 13, name, "middle", QUIET, 'font-size="10"'),
                   words(left - 6, top + (k + 0.5) * cell + 4, name, "end")]
    for row, values in enumerate(matrix):
        for column, value in enumerate(values):
            place = f'x="{left + column * cell}" y="{top + row * cell}" width="{cell}" height="{cell}" stroke="{PAPER}"'
            if row == column or value is None:
                shapes.append(f'<rect {place} fill="{QUIET}" fill-opacity="0.12"/>')
                continue
            shapes += [f'<rect {place} fill="{WARM if value > 0 else LINE}" fill-opacity="{min(1.0, 1.4 * abs(value)):.2f}"/>',
                       words(left + (column + 0.5) * cell, top + (row + 0.5) * cell + 4, f"{value:.2f}", "middle")]
    return svg(left + len(names) * cell + 6, top + len(names) * cell + 6, "leakage: asked (rows) and errors (columns)", shapes)


def bars(groups, series, low=0.0, high=1.0, width=640, thick=9, background=False):
    """Horizontal bars with intervals. groups: [(title, [(value, low, high) or None for each of series])]; series: names."""
    left, top = 170, 12 + 16 * -(-len(series) // 4)
    at = lambda value: left + (min(max(value, low), high) - low) / (high - low) * (width - left - 60)
    block = len(series) * (thick + 2) + 12
    height, shapes = top + len(groups) * block + 18, []
    for k, name in enumerate(series):
        x, y = left + (k % 4) * 118, 4 + 16 * (k // 4)
        shapes += [f'<rect x="{x}" y="{y}" width="10" height="10" fill="{SERIES[k % len(SERIES)]}"/>', words(x + 14, y + 9, name)]
    for value in np.linspace(low, high, 6):
        shapes += [polyline((at(value),) * 2, (top, height - 18), QUIET, 0.4), words(at(value), height - 5, f"{value:.1f}", "middle", QUIET)]
    for g, (title, values) in enumerate(groups):
        y = top + 6 + g * block
        shapes.append(words(left - 8, y + block / 2 - 4, title, "end"))
        for k, value in enumerate(values):
            if value is None or value[0] is None:
                continue
            line, length = y + k * (thick + 2), at(value[0]) - at(low)
            shapes.append(f'<rect x="{at(low):.1f}" y="{line}" width="{length:.1f}" height="{thick}" fill="{SERIES[k % len(SERIES)]}"/>')
            if value[1] is not None:
                shapes.append(polyline((at(value[1]), at(value[2])), (line + thick / 2,) * 2, INK, 1.2))
            end = max(v for v in (value[0], value[2]) if v is not None)
            shapes.append(words(at(end) + 4, line + thick - 0.5, f"{value[0]:.3f}", more='font-size="9"'))
    return svg(width, height, "Spearman correlation of asked and measured curves", shapes, background)

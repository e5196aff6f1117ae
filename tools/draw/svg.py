"""A sheet of SVG: the few shapes our drawings are made of. Coordinates are user units (pixels, or millimetres for the panel)."""

from __future__ import annotations

from html import escape

INK, QUIET, PAPER = "#20242a", "#6a717a", "#ffffff"
FONT = "Helvetica, Arial, 'DejaVu Sans', sans-serif"


def number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _style(style: dict) -> str:
    return " ".join(f'{key.replace("_", "-")}="{number(value) if isinstance(value, (int, float)) else value}"' for key, value in style.items())


class Sheet:
    """Shapes are drawn in the order of the calls. ``text`` returns the whole drawing."""

    def __init__(self, width: float, height: float, title: str, scale: float = 1.0, background: str = PAPER, unit: str = ""):
        self.width, self.height = width, height
        size = f'width="{number(width * scale)}{unit}" height="{number(height * scale)}{unit}"'
        self._out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {number(width)} {number(height)}" {size} font-family="{FONT}">',
                     f"<title>{escape(title)}</title>"]
        if background:
            self.rect(0, 0, width, height, fill=background, stroke="none")

    def _shape(self, name: str, style: dict, **at: float) -> None:
        places = " ".join(f'{key}="{number(value)}"' for key, value in at.items())
        self._out.append(f"<{name} {places} {_style(style)}/>")

    def rect(self, x: float, y: float, width: float, height: float, **style) -> None:
        self._shape("rect", {"fill": "none", "stroke": INK, **style}, x=x, y=y, width=width, height=height)

    def circle(self, x: float, y: float, radius: float, **style) -> None:
        self._shape("circle", {"fill": "none", "stroke": INK, **style}, cx=x, cy=y, r=radius)

    def path(self, *points: tuple[float, float], close: bool = False, **style) -> None:
        """Straight lines through the points."""
        d = "M" + " L".join(f"{number(x)} {number(y)}" for x, y in points) + (" Z" if close else "")
        styles = {"fill": "none", "stroke": INK, "stroke_width": 1.4, "stroke_linejoin": "round", **style}
        self._out.append(f'<path d="{d}" {_style(styles)}/>')

    def words(self, x: float, y: float, text: str, size: float = 12, anchor: str = "start", colour: str = INK, bold: bool = False) -> None:
        weight = ' font-weight="bold"' if bold else ""
        look = f'font-size="{number(size)}" text-anchor="{anchor}" fill="{colour}"{weight}'
        self._out.append(f'<text x="{number(x)}" y="{number(y)}" {look}>{escape(text)}</text>')

    def text(self) -> str:
        return "\n".join([*self._out, "</svg>"]) + "\n"

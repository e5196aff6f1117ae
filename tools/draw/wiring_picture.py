"""A board's wiring as a picture: the 40-pin header, the parts beside it, a coloured line for each signal, flags for supplies."""

from __future__ import annotations

from tools.draw import headers
from tools.draw.svg import INK, QUIET, Sheet
from tools.draw.wiring import Wire, wires

_ROW, _TOP = 19, 128                    # pixels between pins of a part; where the first part begins
_HEADER_ROW, _HEADER_X, _PINS_X = 34, 96, 40
_PARTS_X, _PARTS_WIDTH = 560, 246
_COLOURS = ("#0b6fb8", "#c2410c", "#15803d", "#7c3aed", "#b91c7c", "#0f766e", "#a16207", "#4338ca", "#be123c", "#4d7c0f", "#334155", "#a21caf",
            "#0891b2", "#92400e", "#65a30d", "#1d4ed8", "#e11d48", "#047857")
_SUPPLY = {"3.3 V": "#e07b00", "3V3A": "#b8860b", "5 V": "#d11a2a", "ground": "#3a3f45"}


def _header_place(pin: int) -> tuple[float, float]:
    """Centre of a header pin: odd ones left, even ones right, as seen from above with pin 1 at the top left."""
    return _HEADER_X + (pin % 2 == 0) * _PINS_X, _TOP + 16 + (pin - 1) // 2 * _HEADER_ROW


def _draw_header(sheet: Sheet, name: str) -> None:
    sheet.words(_HEADER_X + _PINS_X / 2, _TOP - 28, name, 15, "middle", bold=True)
    sheet.words(_HEADER_X + _PINS_X / 2, _TOP - 11, "40-pin header, from above", 11, "middle", QUIET)
    sheet.rect(_HEADER_X - 22, _TOP - 4, _PINS_X + 44, 20 * _HEADER_ROW + 6, rx=5, fill="#f3f4f6", stroke="#9aa1a9")


def _draw_pins(sheet: Sheet, used: dict[int, str], gpio_at: dict[int, str]) -> None:
    for pin in range(1, 41):
        x, y = _header_place(pin)
        supply = headers.supply(pin)
        colour = used.get(pin) or (_SUPPLY[supply] if supply else "")
        sheet.circle(x, y, 11, fill=colour or "#ffffff", stroke=colour or "#b6bcc3")
        sheet.words(x, y + 3.8, str(pin), 10.5, "middle", "#ffffff" if colour else "#8d949c", bold=bool(colour))
        label = {"ground": "GND"}.get(supply, supply) or gpio_at.get(pin, "")
        sheet.words(*((x - 26, y + 4) if pin % 2 else (x + 26, y - 5)), label, 9.5, "end" if pin % 2 else "start", QUIET if supply else INK)


def _draw_part(sheet: Sheet, name: str, rows: list[Wire], top: float) -> None:
    height = len(rows) * _ROW + 26
    sheet.rect(_PARTS_X, top, _PARTS_WIDTH, height, rx=4, fill="#f8f9fb", stroke=INK)
    sheet.words(_PARTS_X + 10, top + 17, name, 12.5, bold=True)
    for i, wire in enumerate(rows):
        y = top + 34 + i * _ROW
        numbered = wire.pin.isdigit()
        sheet.words(_PARTS_X + 10, y + 4, wire.pin, 10.5, colour=INK, bold=True)
        sheet.words(_PARTS_X + (34 if numbered else 54), y + 4, wire.signal, 10.5, colour=QUIET)


def picture(settings: dict) -> str:
    """The SVG of a board file that ``neurorack.drivers.board.load`` has read."""
    rows = wires(settings)
    places = layout(rows)
    height = max(max(places.values()) + 56, _TOP + 20 * _HEADER_ROW + 60)
    sheet = Sheet(1080, height, f"Wiring of board {settings['name']}: {settings['description']}")
    sheet.words(24, 34, f"Board {settings['name']}: wiring", 20, bold=True)
    sheet.words(24, 54, settings["description"], 12.5, colour=QUIET)
    signals = [w for w in rows if w.line is not None]
    colour_of = {pin: _COLOURS[i % len(_COLOURS)] for i, pin in enumerate(sorted({w.header for w in signals}))}
    bcm = settings["driver"] == "classic"
    gpio_at = {w.header: f"BCM {w.line}" if w.bcm and bcm else f"GPIO {w.line}" for w in signals}
    lanes = _lanes(places)
    _draw_header(sheet, headers.COMPUTERS[settings["driver"]][0])
    for part in dict.fromkeys(w.part for w in rows):
        group = [w for w in rows if w.part == part]
        _draw_part(sheet, part, group, places[group[0]] - 34)
    for wire in rows:
        _draw_end(sheet, wire, places[wire], colour_of, lanes)
    _draw_pins(sheet, colour_of, gpio_at)
    _legend(sheet, height - 20)
    return sheet.text()


def layout(rows: list[Wire]) -> dict[Wire, float]:
    """y of each wire's end at its part, the parts below each other; a little lower where that keeps wires from lying on one another."""
    for shift in range(40):
        places, y, last = {}, _TOP - 4 + shift, None
        for wire in rows:
            y += 0 if last is None else _ROW if wire.part == last else _ROW + 38
            places[wire] = y + 34
            last = wire.part
        if not collisions(places):
            break
    return places


def collisions(places: dict[Wire, float]) -> list[tuple[int, int]]:
    """Header pins whose wires would share a stretch: one on its way out, the other on its way to its part."""
    lanes = _lanes(places)
    ends = [(wire.header, y) for wire, y in places.items() if wire.header in lanes and wire.line is not None]
    return [(pin, other) for pin in lanes for other, y in ends if pin != other and abs(_out(pin) - y) < 4 and lanes[other] < lanes[pin]]


def _out(pin: int) -> float:
    """Where a wire leaves the header: beside an even pin, between two rows for an odd one."""
    return _header_place(pin)[1] + (pin % 2) * _HEADER_ROW / 2


def _lanes(places: dict[Wire, float]) -> dict[int, float]:
    """x of each signal's vertical stretch: the further a wire must go, the further left, which keeps crossings few."""
    ends: dict[int, list[float]] = {}
    for wire, y in places.items():
        if wire.line is not None:
            ends.setdefault(wire.header, []).append(y)
    down = sorted((pin for pin in ends if min(ends[pin]) >= _header_place(pin)[1]), key=lambda pin: _header_place(pin)[1])
    up = sorted((pin for pin in ends if pin not in down), key=lambda pin: -_header_place(pin)[1])
    return {pin: 232 + min(15, 300 / len(ends)) * i for i, pin in enumerate([*up, *down])}


def _draw_end(sheet: Sheet, wire: Wire, y: float, colour_of: dict, lanes: dict) -> None:
    if wire.line is not None:
        x0, y0 = _header_place(wire.header)
        out = _out(wire.header)
        lane, colour = lanes[wire.header], colour_of[wire.header]
        start = [(x0, y0)] if wire.header % 2 == 0 else [(x0, y0), (x0 + 14, out)]
        sheet.path(*start, (lane, out), (lane, y), (_PARTS_X, y), stroke=colour, stroke_width=1.8)
        sheet.circle(_PARTS_X, y, 3, fill=colour, stroke=colour)
        sheet.circle(lane, y, 2.6, fill=colour, stroke=colour)
        sheet.words(_PARTS_X - 8, y - 3, f"pin {wire.header}", 9, "end", colour)
    elif supply := headers.supply(wire.header) or wire.net:
        colour = _SUPPLY.get(supply, QUIET)
        if not wire.jack:
            sheet.path((_PARTS_X + _PARTS_WIDTH, y), (_PARTS_X + _PARTS_WIDTH + 14, y), stroke=colour, stroke_width=1.8)
            place = f" (header pin {wire.header})" if wire.header else ""
            sheet.words(_PARTS_X + _PARTS_WIDTH + 19, y + 4, supply + place, 10.5, colour=colour)
    if wire.jack:
        right = _PARTS_X + _PARTS_WIDTH
        sheet.path((right, y), (right + 14, y), stroke=QUIET)
        sheet.circle(right + 20, y, 5.2, fill="#ffffff", stroke=INK)
        sheet.circle(right + 20, y, 2, fill=INK)
        sheet.words(right + 31, y + 4, f"{wire.jack}{': ' if wire.net else ''}{wire.net}", 10.5)


def _legend(sheet: Sheet, y: float) -> None:
    x = 24.0
    for name, colour in _SUPPLY.items():
        text = {"3.3 V": "3.3 V of the computer", "3V3A": "3.3 V of the analog regulator"}.get(name, name)
        sheet.circle(x, y - 4, 5, fill=colour, stroke=colour)
        sheet.words(x + 10, y, text, 10.5, colour=QUIET)
        x += 60 + 6.2 * len(text)
    sheet.words(1056, y, "made from the board file by tools/draw", 10.5, "end", QUIET)

"""The panel's machine: a stack of screens, what a press means, notices, dimming. It knows no hardware, no socket and no clock.

Times are nanoseconds of CLOCK_MONOTONIC that come with the events and with ``draw``, so that tests play hours in a moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from neurorack.panel.canvas import Canvas, Layout
from neurorack.panel.screen import HOLD_SECONDS, Screen
from neurorack.panel.view import View

SECOND = 1_000_000_000
#: Detents closer than so many milliseconds count so much in a value.
ACCELERATION = ((8, 6), (16, 4), (30, 2))
RING_SECONDS = 0.15           # a press that lasts longer shows where it leads
TOAST_SECONDS, NOTICE_SECONDS = 2.0, 12.0
BLANK, DIM, FULL = 0, 1, 2
DEEPEST = 24                  # screens on top of each other


@dataclass(frozen=True)
class Notice:
    """Something to read. ``remedy``: what to do about it."""

    text: str
    remedy: str = ""
    level: str = "warning"    # or "info"


class Machine:
    """One panel.

    Args:
        layout: the display's.
        home: the screen at the bottom of the stack.
        asker: ``ask(request, then, failed, key)`` as ``asking.Asker`` has it; ``then`` and ``failed`` are called in this thread.
    """

    def __init__(self, layout: Layout, home: Screen, asker, *, now_ns: int = 0):
        self.layout, self.asker = layout, asker
        self.view = View()
        self.stack: list[Screen] = []
        self.now_ns = self.touched_ns = now_ns
        self.event_ns = 0                    # of the last event that was taken
        self.dim_minutes, self.blank_minutes = 5.0, 20.0
        self.notices: list[Notice] = []
        self.notice_ns = 0                   # since when the first one is shown
        self._toast, self._toast_until_ns = "", 0
        self._pressed_ns: int | None = None
        self._spent = False                  # this press has had its effect, or is to have none
        self._turned_ns = 0
        self.push(home)

    # -- what screens may call

    @property
    def screen(self) -> Screen:
        return self.stack[-1]

    def push(self, screen: Screen) -> None:
        """On top of what is shown."""
        if self.stack:
            self.screen.left()
        screen.panel = self
        self.stack = self.stack[:DEEPEST - 1] + [screen]
        screen.shown()

    def replace(self, screen: Screen) -> None:
        """In the place of what is shown."""
        if len(self.stack) > 1:
            self.screen.left()
            self.stack.pop()
        self.push(screen)

    def back(self) -> None:
        """To the screen below; on the lowest, nothing."""
        if len(self.stack) > 1:
            self.screen.left()
            self.stack.pop()
            self.screen.shown()

    def home(self) -> None:
        if len(self.stack) > 1:
            self.screen.left()
            self.stack = self.stack[:1]
            self.screen.shown()

    def ask(self, request: dict, then: Callable[[dict], None] | None = None, key: str | None = None, failed: Callable[[str], None] | None = None) -> None:
        """Ask the supervisor. What fails becomes a notice, or goes to ``failed``."""
        self.asker.ask(request, then, failed or self.notice, key)

    def notice(self, text: str, remedy: str = "", level: str = "warning") -> None:
        """Show this until it was read, or for 12 s."""
        notice = Notice(text, remedy, level)
        if notice not in self.notices:
            self.notices.append(notice)
            if len(self.notices) == 1:
                self.notice_ns = self.now_ns
        self.notices = self.notices[:4]

    def toast(self, text: str) -> None:
        """Show this line for two seconds."""
        self._toast, self._toast_until_ns = text, self.now_ns + round(TOAST_SECONDS * SECOND)

    # -- events

    def turn(self, steps: int, ns: int) -> None:
        """The encoder moved by so many detents."""
        if not self._touch(ns):
            return
        screen, held = self.screen, self._pressed_ns is not None
        if held:
            self._spent = True
        if self.notices and not held:
            self._read()
        if screen.accelerates and not held:
            ms = (ns - self._turned_ns) / 1e6 / max(1, abs(steps))
            steps *= next((factor for limit, factor in ACCELERATION if ms < limit), 1)
        self._turned_ns = ns
        screen.turn(steps, True) if held and screen.accelerates else screen.turn(steps)

    def press(self, ns: int) -> None:
        """The button went down."""
        awake = self._touch(ns)
        self._pressed_ns, self._spent = ns, not awake

    def release(self, ns: int) -> None:
        """The button came up: what the press means is known."""
        self._touch(ns)
        if self._pressed_ns is None:
            return
        seconds, spent = (ns - self._pressed_ns) / SECOND, self._spent
        self._pressed_ns = None
        if spent:
            return
        stage = sum(seconds >= limit for limit in HOLD_SECONDS)
        if stage == 0 and self.notices:
            self._read()
        elif stage == 0:
            self.screen.press()
        else:
            self.screen.hold(stage)

    def tick(self, ns: int) -> None:
        """Time went on."""
        self.now_ns = max(self.now_ns, ns)
        if self._pressed_ns is not None and not self._spent and (ns - self._pressed_ns) / SECOND >= HOLD_SECONDS[2]:
            self._spent = True
            self.screen.hold(3)
        if self.notices and self.now_ns - self.notice_ns > NOTICE_SECONDS * SECOND:
            self._read()

    def _touch(self, ns: int) -> bool:
        """Somebody is here. False when that only woke the display."""
        awake = self.light > BLANK
        self.now_ns = max(self.now_ns, ns)
        self.event_ns = ns
        self.touched_ns = max(self.touched_ns, ns)
        return awake

    def _read(self) -> None:
        self.notices, self.notice_ns = self.notices[1:], self.now_ns

    # -- what is shown

    @property
    def light(self) -> int:
        """BLANK, DIM or FULL, by how long nobody touched anything."""
        idle = (self.now_ns - self.touched_ns) / (60 * SECOND)
        return BLANK if self.blank_minutes and idle >= self.blank_minutes else DIM if self.dim_minutes and idle >= self.dim_minutes else FULL

    @property
    def held(self) -> bool:
        return self._pressed_ns is not None

    @property
    def needs(self) -> tuple:
        """Of the screen that is shown."""
        return self.screen.needs

    def draw(self, view: View, ns: int) -> Canvas:
        """The picture of this moment."""
        self.tick(ns)
        self.view = view
        canvas = Canvas(self.layout, view.now)
        self.screen.draw(canvas, view)
        if self.notices:
            self._draw_notice(canvas, self.notices[0])
        elif ns < self._toast_until_ns:
            self._draw_toast(canvas)
        if self._pressed_ns is not None and not self._spent and (seconds := (ns - self._pressed_ns) / SECOND) > RING_SECONDS:
            self._draw_ring(canvas, seconds)
        return canvas

    def _draw_notice(self, canvas: Canvas, notice: Notice) -> None:
        lay = self.layout
        line = canvas.font("regular").height + (2 if lay.colour else 1)
        most = (canvas.height - 6 * lay.margin) // line
        width = canvas.width - 4 * lay.margin - 2 * lay.line
        text = canvas.font("regular").wrap(notice.text, width - 2 * lay.margin)
        remedy = canvas.font("regular").wrap(f"→ {notice.remedy}", width - 2 * lay.margin) if notice.remedy else []
        text = text[:most - min(len(remedy), most // 2)]
        remedy = remedy[:most - len(text)]
        height = line * (len(text) + len(remedy)) + 2 * (lay.margin + lay.line)
        x, y, width, _ = canvas.box(canvas.width - 2 * lay.margin, height, "bad" if notice.level == "warning" else "accent")
        for each, colour in [(each, "fg") for each in text] + [(each, "accent") for each in remedy]:
            canvas.text(x, y, each, colour=colour, width=width)
            y += line

    def _draw_toast(self, canvas: Canvas) -> None:
        height = self.layout.row
        canvas.fill(0, canvas.height - height - 1, canvas.width, height + 1, "bg")
        canvas.fill(0, canvas.height - height, canvas.width, height, "accent")
        canvas.text(self.layout.margin, canvas.middle(canvas.height - height, height), self._toast, colour="bg", width=canvas.width - 2 * self.layout.margin, align="centre")

    def _draw_ring(self, canvas: Canvas, seconds: float) -> None:
        """How far a long press is, and what letting go now would do."""
        lay, names = self.layout, self.screen.holds
        stage = sum(seconds >= limit for limit in HOLD_SECONDS)
        name = names[stage - 1] if stage else ""
        follows = next((each for each in names[stage:] if each), "")
        start, end = (0.0, *HOLD_SECONDS)[stage:stage + 2]
        radius = 9 if not lay.colour else 34
        label = name or "·"
        width = max(canvas.text_width(label), canvas.text_width(f"→ {follows}", "tiny") if follows else 0) + 2 * radius + 6 * lay.margin
        x, y, width, height = canvas.box(min(width, canvas.width), 2 * radius + 4 * lay.margin, "accent")
        middle = y + height // 2
        canvas.ring(x + radius, middle, radius, (seconds - start) / (end - start), "accent")
        at = x + 2 * radius + 2 * lay.margin
        space = canvas.font("tiny").cap + lay.margin + canvas.font("regular").cap if follows else canvas.font("regular").cap
        canvas.text(at, middle - space // 2, label, width=x + width - at)
        if follows:
            canvas.text(at, middle - space // 2 + canvas.font("regular").cap + 2 * lay.margin, f"→ {follows}", "tiny", "dim", width=x + width - at)

"""``Screen``: what every screen of the panel is, and how it asks for things."""

from __future__ import annotations

from neurorack.panel.canvas import Canvas
from neurorack.panel.view import View

HOLD_SECONDS = (0.3, 1.0, 2.0)      # the stages of a long press


class Screen:
    """One screen. It belongs to the panel's one thread; drawing is pure: the same state and view give the same pixels.

    A subclass sets ``name`` (for tests and the web, without spaces) and overrides what it needs. ``self.panel`` is the
    ``Machine``, there from the moment the screen is shown:

    * ``self.panel.push(screen)``, ``back()``, ``home()`` go from screen to screen.
    * ``self.panel.ask(request, then, key)`` asks the supervisor; ``then(answer)`` comes later in this thread, an error becomes a
      notice. Requests with the same ``key`` that were not sent yet are replaced by the latest: turn as quickly as you like.
    * ``self.panel.toast(text)`` says something for two seconds, ``notice(text, remedy)`` until it was read.
    * ``self.panel.view`` is the latest view.
    """

    name = "screen"
    #: Answers to keep fresh while this screen is on top: names of requests without arguments ("scenes"), or ("name", request).
    needs: tuple = ()
    #: What the stages of a long press are called: 0.3 s, 1 s, 2 s; "" is left out. See ``hold``.
    holds: tuple[str, str, str] = ("back", "", "home")
    #: Turning changes a value: quick turning goes faster, and turning while the button is down is fine.
    accelerates = False

    panel = None

    def draw(self, canvas: Canvas, view: View) -> None:
        """Paint all of it on a black canvas."""
        raise NotImplementedError

    def turn(self, steps: int, fine: bool = False) -> None:
        """The encoder was turned; right is positive. ``fine``: while the button was down (only where ``accelerates``)."""

    def press(self) -> None:
        """The button was pressed and let go within 0.3 s."""

    def hold(self, stage: int) -> None:
        """A long press of stage 1 (0.3 s) or 2 (1 s) was let go, or one reached stage 3 (2 s)."""
        if stage == 1:
            self.panel.back()
        elif stage == 3:
            self.panel.home()

    def shown(self) -> None:
        """It is on top now, for the first time or again."""

    def left(self) -> None:
        """It is not on top any more."""

    @property
    def moving(self) -> bool:
        """It shows something live: draw it anew for each view, even where no control was touched."""
        return True

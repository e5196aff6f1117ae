"""The panel: one encoder with a button, one display, and the same picture in a terminal and on the page.

A process of its own (``process.py``, role "panel") takes turns and presses, draws with Pillow, and shows the picture on the
board's display (``chips.py``: only what changed) and in the shared block (``frame.py``). It reads the instrument's state from the shared block
(``looking.py``) and asks the supervisor in threads (``asking.py``); drawing and events never wait for an answer.

**How a screen is made.** Screens are in ``screens/``; ``screens.MENU`` is the list of those in the main menu. A screen is a ``Screen``
(``screen.py``) or one of the made ones in ``widgets.py``: ``ListScreen`` (rows to choose from), ``Menu`` (rows that call something),
``Choice`` (one of several), ``Value`` (a number to turn), ``Confirm``, ``Text``. For example::

    class Takes(ListScreen):
        name, title = "takes", "Takes"
        needs = ("takes",)                              # kept fresh while this is on top

        def items(self, view):
            return [Item(take["take"], f"{take['seconds']:.0f} s", what=take["take"]) for take in view.answer("takes").get("takes", [])]

        def chosen(self, item):
            self.panel.push(Confirm("Delete?", lambda: self.panel.ask({"do": "take_delete", "take": item.what}), item.what))

* **Drawing is pure**: ``draw(canvas, view)`` paints one moment. ``view`` (``view.py``) is immutable and holds all there is to show;
  ``view.answer("scenes")`` is the latest answer to a request named in ``needs`` ({} before the first; "error" when it failed).
  ``view.now`` moves what moves; random numbers and clocks are not used.
* **Sizes come from** ``canvas.layout``: a screen is written once for 128x64 and 240x240. Fonts: tiny, regular, title, big. Colours are names:
  fg, dim, faint, accent (what is selected, what can be turned), good, warn, bad, a and b (slots), cv1 to cv4. On an OLED all but bg and
  faint are simply on. Text that is too long is shortened, or scrolls where ``scroll=True``.
* **Actions**: ``self.panel.ask(request, then=…, key=…)``; errors become notices by themselves. While a value is turned use one ``key`` (say the
  request's own control): only the latest waits to be sent. ``Value`` begins at the present value, so nothing jumps.
* **A press** shorter than 0.3 s is ``press()``; longer ones show a ring and are ``hold(1)`` at 0.3 s (back), ``hold(2)`` at 1 s (save, or the
  default of a value), ``hold(3)`` at 2 s (home); ``holds`` names them. Turning while the button is down makes a value's steps a tenth.
  Encoder acceleration is there where ``accelerates`` is set, never in lists.
* **Where to go**: ``self.panel.push(screen)``, ``replace``, ``back()``, ``home()``, ``toast(text)``, ``notice(text, remedy)``.

Tests play a ``Machine`` (``machine.py``) with scripts of turns and presses on a fixed view and compare pictures
(``tests/panel``); ``python -m tools.draw.screens`` makes the pictures of ``docs/panel.md``.
"""

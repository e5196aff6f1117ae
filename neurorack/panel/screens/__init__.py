"""The panel's screens, and the main menu that leads to them.

``MENU`` is the one list to add a screen to: its label and "module:Class" below this package. A class is imported when it is chosen
and made without arguments; one whose module is not there is not listed.
"""

from __future__ import annotations

import importlib
import importlib.util

from neurorack.panel.screen import Screen
from neurorack.panel.widgets import Item, Menu

MENU = (
    ("Map", "map:Map"),
    ("Models", "models:Models"),
    ("Controls", "controls:Controls"),
    ("Assign", "assign:Assign"),
    ("Scenes", "scenes:Scenes"),
    ("Record", "record:Record"),
    ("Settings", "settings:Settings"),
)


def make(place: str) -> Screen:
    """A screen by its "module:Class"."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)()


def made(place: str) -> Screen | None:
    """The same, or None where its module is not there."""
    return make(place) if there(place) else None


def there(place: str) -> bool:
    return importlib.util.find_spec(f"{__name__}.{place.partition(':')[0]}") is not None


def home() -> Screen:
    """The screen at the bottom of everything."""
    return make("home:Home")


def first(now: float) -> Screen:
    """What is shown at the start; ``now``: in seconds, as in a ``View``."""
    from neurorack.panel.screens.start import Start

    return Start(now)


class MainMenu(Menu):
    """What a press on Home opens."""

    def __init__(self):
        super().__init__("Neurorack", [Item(label, what=lambda place=place: self.panel.push(make(place)))
                                       for label, place in MENU if there(place)], "main")

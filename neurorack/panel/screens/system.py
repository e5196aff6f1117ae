"""How this module is doing: notices, log, statistics, releases, power, about."""

from __future__ import annotations

import re

from functools import partial

from neurorack import __version__
from neurorack.panel.canvas import Canvas
from neurorack.panel.screen import Screen
from neurorack.panel.view import View
from neurorack.panel.widgets import Confirm, Item, ListScreen, Text

ABOUT = """# Neurorack {version}
A Eurorack instrument whose sound is made by neural networks.
# With the encoder
press: open, choose
0.3 s: back
1 s: what the ring says
2 s: home
turn while pressed: fine
# Light
docs/panel.md says what its colours mean."""

HOW_TO_UPDATE = """Updates come from your computer, not over the air:
# ./deploy.sh user@module
The new release proves itself beside the old one; if it does not hold, the old one is back by itself. docs/deployment.md tells more."""
END = 1 << 20
HEAVY = 0.8                   # a load above it is shown in red


def about() -> Text:
    return Text("About", ABOUT.format(version=__version__), "about")


class Notices(ListScreen):
    """What the instrument wants to tell; a press opens one, and it is seen."""

    name, title, empty = "notices", "Notices", "nothing to tell: all is well"
    needs = ("notices",)

    def items(self, view: View) -> list[Item]:
        found = view.answer("notices").get("notices", [])
        items = [Item(one["text"], f"×{one['count']}" if one["count"] > 1 else "", what=partial(self._open, one), mark="!" if one["level"] == "warning" else "·",
                      colour="warn" if one["level"] == "warning" else "fg") for one in found]
        return items + ([Item("all seen", what=partial(self._seen, found))] if len(found) > 1 else [])

    def _open(self, one: dict) -> None:
        self.panel.push(Text("Notice", one["text"] + (f"\n# {one['remedy']}" if one["remedy"] else ""), "notice"))
        self._seen([one])

    def _seen(self, found: list[dict]) -> None:
        for one in found:
            self.panel.ask({"do": "notice_seen", "id": one["id"]})


class Log(Text):
    """The last lines that were said; it stays at the newest, at its end, until it is turned."""

    name = "log"
    needs = ("log",)

    def __init__(self):
        super().__init__("Log", self._lines, "log")
        self.follows = True

    def turn(self, steps: int, fine: bool = False) -> None:
        self.follows = False
        super().turn(steps)

    def draw(self, canvas: Canvas, view: View) -> None:
        self.top = END if self.follows else self.top
        super().draw(canvas, view)

    @staticmethod
    def _lines(view: View) -> str:
        told = view.answer("log")
        return "\n".join(line if isinstance(line, str) else line.get("text", "") for line in told.get("lines", [])) or told.get("error", "…")


def megabytes(count: int) -> str:
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{count >> 20} MB"


def since(seconds: float) -> str:
    """A length of time in its two largest units."""
    days, hours, minutes = int(seconds) // 86400, int(seconds) // 3600 % 24, int(seconds) // 60 % 60
    return f"{days} d {hours} h" if days else f"{hours} h {minutes} min" if hours else f"{minutes} min {int(seconds) % 60} s"


class Statistics(ListScreen):
    """Loads as bars, and numbers below."""

    name, title = "statistics", "Statistics"
    needs = ("statistics",)

    def items(self, view: View) -> list[Item]:
        told = view.answer("statistics")
        if "cores" not in told:
            return [Item(told.get("error", "…"))]
        memory, disk, audio = told["memory"], told["disk"], told["audio"]
        items = [Item(f"core {number}", f"{100 * load:.0f} %", what=load) for number, load in enumerate(told["cores"])]
        items.append(Item("audio", f"{100 * view.audio_load:.0f} %", what=view.audio_load))
        items += [Item(f"model {slot.name}", f"{100 * slot.load:.0f} %", what=slot.load) for slot in view.slots if slot.model]
        if told["temperature_c"] is not None:
            items.append(Item("temperature", f"{told['temperature_c']:.0f} °C"))
        items += [Item("underruns", str(view.underruns)), Item("our memory", megabytes(memory["ours_bytes"])), Item("free memory", megabytes(memory["free_bytes"])),
                  Item("free disk", megabytes(disk["free_bytes"])), Item("playing for", since(told["uptime_seconds"]["instrument"])),
                  Item("on for", since(told["uptime_seconds"]["machine"])), Item("card", audio["device"]), Item("board", told["board"]), Item("name", told["host"])]
        items += [Item(name, address) for name, address in told["addresses"].items()]
        return items + [Item(name, version) for name, version in told["versions"].items() if version]

    def chosen(self, item: Item) -> None:
        """Nothing can be chosen here."""

    def draw(self, canvas: Canvas, view: View) -> None:
        super().draw(canvas, view)
        lay = canvas.layout
        items = self.items(view)
        for number, item in enumerate(items[self.top: self.top + lay.rows]):
            if isinstance(item.what, float):
                y, selected = lay.title + number * lay.row, self.top + number == self.index
                left, right = canvas.width * 2 // 5, canvas.width - lay.margin - lay.line - 1 - canvas.text_width("100 %") - 2 * lay.margin
                middle = y + lay.row // 2 - 1
                ink = "bg" if selected else "fg"
                canvas.fill(left, middle, right - left, 1, ink)
                colour = ink if selected or not lay.colour else "bad" if item.what > HEAVY else "good"
                canvas.fill(left, middle - lay.bar // 2, round((right - left) * min(1.0, item.what)), lay.bar, colour)


def release(name: str) -> str:
    """A release's name for people: 20261120-141927-0.2.0-1773 is version 0.2.0 of 11-20 14:19."""
    found = re.fullmatch(r"\d{4}(\d\d)(\d\d)-(\d\d)(\d\d)\d\d-([^-]+).*", name)
    return "{4}, {0}-{1} {2}:{3}".format(*found.groups()) if found else name


class Updates(ListScreen):
    """What is installed, and going back to it."""

    name, title = "updates", "Updates"
    needs = ("statistics",)

    def items(self, view: View) -> list[Item]:
        told = view.answer("statistics")
        items = [Item("version", __version__)]
        releases = told.get("releases", [])
        for one in releases:
            items.append(Item(release(one["name"]), "plays", mark="●") if one["runs"] else Item(release(one["name"]), what=partial(self._change, one["name"]), mark="○"))
        return items + [Item("how to update", "→", what=self._how)]

    def _change(self, name: str) -> None:
        def change() -> None:
            self.panel.ask({"do": "release", "name": name}, lambda answer: self.panel.toast(answer.get("text", "it starts now")))
        self.panel.push(Confirm(f"play {release(name)}?", change, "A second of silence; if it does not start, this one is back."))

    def _how(self) -> None:
        self.panel.push(Text("Updates", HOW_TO_UPDATE, "how"))


class Power(ListScreen):
    """Shutdown and reboot."""

    name, title = "power", "Power"
    needs = ("statistics",)

    def items(self, view: View) -> list[Item]:
        told = view.answer("statistics")
        if "power" not in told:
            return [Item(told.get("error", "…"))]
        why = told["power"]
        return [Item("shut down", "—" if why else "", what=partial(self._ask, "shutdown", why)), Item("reboot", "—" if why else "", what=partial(self._ask, "reboot", why))]

    def _ask(self, what: str, why: str) -> None:
        if why:
            self.panel.notice(why, level="info")
            return
        words = {"shutdown": ("shut down?", "It fades out and saves. Then wait for the last picture."), "reboot": ("reboot?", "It fades out, saves, and comes back.")}[what]
        self.panel.push(Confirm(words[0], lambda: self.panel.ask({"do": "power", "what": what}, lambda answer: self.panel.push(Goodbye(what))), words[1]))


class Goodbye(Screen):
    """The last picture; it stays on the display when this process ends."""

    name = "goodbye"

    def __init__(self, what: str):
        self.what = what

    def draw(self, canvas: Canvas, view: View) -> None:
        lay = canvas.layout
        text = "Saved. Switch off in ten seconds." if self.what == "shutdown" else "Saved. Back in a moment."
        lines = canvas.font("regular").wrap(text, canvas.width - 4 * lay.margin)
        y = (canvas.height - len(lines) * (canvas.font("regular").height + lay.gap)) // 2
        for line in lines:
            canvas.text(0, y, line, width=canvas.width, align="centre")
            y += canvas.font("regular").height + lay.gap

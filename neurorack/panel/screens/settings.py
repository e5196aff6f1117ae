"""Settings: sound, MIDI, clock, jacks, display, network, and how this module is doing. What is not a patch and not a scene."""

from __future__ import annotations

from functools import partial

from neurorack.panel.screens.calibrate import Calibrate, Detective
from neurorack.panel.screens.controls import Level
from neurorack.panel.screens.fields import row, shown, words
from neurorack.panel.screens.jacks import JackScreen
from neurorack.panel.screens.system import Log, Notices, Power, Statistics, Updates, about
from neurorack.panel.view import View
from neurorack.panel.widgets import Item, ListScreen, Text, Value

LOWEST_MONITOR_DB = -60.0     # below it is off


class Settings(ListScreen):
    """The list of what can be set."""

    name, title = "settings", "Settings"
    needs = ("notices",)

    def items(self, view: View) -> list[Item]:
        count = len(view.answer("notices").get("notices", []))
        display = partial(Preferred, "display", "Display", ("display.", "scope.", "encoder."))
        places = (("sound", Sound), ("MIDI and OSC", Midi), ("clock", Clock), ("jacks", Jacks), ("display", display), ("network", Network), ("notices", Notices),
                  ("statistics", Statistics), ("log", Log), ("updates", Updates), ("power", Power), ("about", about))
        return [Item(label, str(count) if label == "notices" and count else "", what=partial(self._open, make)) for label, make in places]

    def _open(self, make) -> None:
        self.panel.push(make())


class Preferred(ListScreen):
    """Preferences of some groups."""

    needs = ("preferences",)
    #: Labels where a preference's own name says too little.
    LABELS = {"encoder.direction": "turn up", "scope.style": "scope", "display.dim_minutes": "dim after", "display.blank_minutes": "dark after",
              "web.network": "page for", "web.port": "page's port", "osc.network": "OSC from", "osc.port": "OSC port", "midi.ports": "MIDI ports"}

    def __init__(self, name: str, title: str, groups: tuple[str, ...]):
        super().__init__()
        self.name, self.title, self.groups = name, title, groups

    def items(self, view: View) -> list[Item]:
        told = view.answer("preferences").get("preferences", {})
        return [row(self, name, spec, spec["value"], partial(self._set, name), self.LABELS.get(name, "")) for name, spec in told.items() if name.startswith(self.groups)]

    def _set(self, name: str, value) -> None:
        self.panel.ask({"do": "preference", "name": name, "value": value}, key=f"preference {name}")


class Sound(ListScreen):
    """Level and monitor; what is played on is shown."""

    name, title = "sound", "Sound"
    needs = ("monitor",)

    def items(self, view: View) -> list[Item]:
        told = view.answer("monitor")
        items = [Item("level", f"{view.level_db:+.1f} dB", what=lambda: self.panel.push(Level()))]
        if told.get("input_channels"):
            db = told["monitor_db"]
            items.append(Item("monitor", "off" if db is None else f"{db:+.1f} dB", what=partial(self._monitor, db)))
        return items + [Item("card", view.device or "none"), Item("rate", f"{view.rate_hz} Hz"), Item("block", f"{view.block_frames} frames"),
                        Item("load", f"{100 * view.audio_load:.0f} %"), Item("underruns", str(view.underruns))]

    def _monitor(self, db: float | None) -> None:
        def tell(value: float) -> None:
            self.panel.ask({"do": "monitor", "db": None if value <= LOWEST_MONITOR_DB else value}, key="monitor")

        def show(value: float) -> str:
            return "off" if value <= LOWEST_MONITOR_DB else f"{value:+.1f} dB"
        self.panel.push(Value("monitor", lambda view: LOWEST_MONITOR_DB if db is None else db, tell, low=LOWEST_MONITOR_DB, high=12.0, step=0.5, show=show,
                              default=LOWEST_MONITOR_DB, doc="the audio input in the output", name="monitor", origin=LOWEST_MONITOR_DB))


class Midi(Preferred):
    """Ports, how notes are played, and OSC."""

    needs = ("preferences", "midi")
    CHOICES = {"channel": ["all", *range(1, 17)], "mode": ["retrigger", "legato"], "pedal": ["gate1", "gate2", "off"]}
    NUMBERS = {"bend_semitones": (0, 96, "semitones"), "mpe_members": (0, 15, "channels")}

    def __init__(self):
        super().__init__("midi", "MIDI and OSC", ("midi.", "osc."))

    def items(self, view: View) -> list[Item]:
        told = view.answer("midi")
        items = super().items(view)
        if "midi" not in told:
            return [*items, Item("no MIDI", what=lambda: self.panel.notice(told.get("error", "MIDI has not answered yet"), level="info"))]
        voice, jacks = told["midi"]["voice"], [*(f"cv{i + 1}" for i in range(8)), "off"]
        for key, value in voice.items():
            if key in self.NUMBERS:
                low, high, unit = self.NUMBERS[key]
                spec = {"low": low, "high": high, "default": 2 if key == "bend_semitones" else 0, "unit": unit, "whole": True}
            else:
                spec = {"choices": self.CHOICES.get(key, jacks), "default": value}
            items.append(row(self, key, spec, value, partial(self._voice, key), {"bend_semitones": "bend", "mpe_members": "MPE"}.get(key, "")))
        items += [Item("port", name) for name in told["midi"]["ports"]]
        return items + [Item(name, one["source"]) for name, one in told["midi"]["learned"].items()]

    def _voice(self, key: str, value) -> None:
        self.panel.ask({"do": "midi", "voice": {key: value}}, key=f"midi {key}")


class Clock(ListScreen):
    """Where the tempo comes from."""

    name, title = "clock", "Clock"
    needs = ("jacks",)

    def items(self, view: View) -> list[Item]:
        jacks = view.answer("jacks").get("jacks", {})
        items = [Item("tempo", f"{view.bpm:.1f} BPM" if view.clock != "none" else "no clock"), Item("from", words(view.clock)), Item("tap", "press", what=self._tap)]
        for name, one in jacks.items():
            if name.startswith("gate"):
                items.append(Item(name, shown(one["role"]) + (f", {one['pulses_per_beat']}/beat" if one["role"] == "clock" else ""), what=partial(self._jack, name)))
        return items

    def _tap(self) -> None:
        self.panel.ask({"do": "tap"})

    def _jack(self, name: str) -> None:
        self.panel.push(JackScreen(name))


class Jacks(ListScreen):
    """Calibration, the detective, and each jack's settings."""

    name, title = "jacks", "Jacks"
    needs = ("jacks",)

    def items(self, view: View) -> list[Item]:
        items = [Item("calibrate", "→", what=lambda: self.panel.push(Calibrate())), Item("detective", "→", what=lambda: self.panel.push(Detective()))]
        return items + [Item(name, shown(one["role"]), what=partial(self._jack, name)) for name, one in view.answer("jacks").get("jacks", {}).items()]

    def _jack(self, name: str) -> None:
        self.panel.push(JackScreen(name))


class Network(Preferred):
    """Addresses, the page, and pairing."""

    needs = ("preferences", "statistics", "pairing", "status")

    def __init__(self):
        super().__init__("network", "Network", ("web.",))

    def items(self, view: View) -> list[Item]:
        told, pairing = view.answer("statistics"), view.answer("pairing")
        items = super().items(view)
        web = view.answer("status").get("web") or {}
        if web.get("listening"):
            address = str(web.get("address") or "")
            items.append(Item("page", address.removeprefix("http://"), what=lambda: self.panel.push(Text("Page", address, "address"))))
        else:
            items.append(Item("page", "closed"))
        if "code" in pairing:
            items.append(Item("pairing code", pairing["code"] or "—", what=lambda: self.panel.push(Pairing())))
        items.append(Item("name", told.get("host", "…")))
        return items + [Item(name, address) for name, address in told.get("addresses", {}).items()]


class Pairing(ListScreen):
    """The code that another device is asked for, as large as it goes."""

    name, title = "pairing", "Pairing"
    needs = ("pairing", "status")

    def items(self, view: View) -> list[Item]:
        return []

    def draw(self, canvas, view: View) -> None:
        lay, told = canvas.layout, view.answer("pairing")
        y = canvas.title(self.title)
        code = str(told.get("code") or "")
        web = view.answer("status").get("web") or {}
        if not code:
            canvas.lines(lay.margin, y + lay.gap, "No code is asked for now: open the page on the other device.")
            return
        middle = y + (canvas.height - y) // 2 - canvas.font("big").cap
        spaced = " ".join(code)
        canvas.text(0, middle, spaced if canvas.text_width(spaced, "big") < canvas.width else code, "big", "accent", width=canvas.width, align="centre")
        canvas.text(lay.margin, canvas.height - canvas.font("tiny").height - 1, str(web.get("address") or ""), "tiny", "dim", canvas.width - 2 * lay.margin, scroll=True)

    def press(self) -> None:
        self.panel.back()

"""The supervisor's end of what keeps an instrument well: preferences, notices, statistics, jacks and their settings, power."""

from __future__ import annotations

import dataclasses
import math
import threading
import time

from neurorack import power, preferences, statistics
from neurorack.errors import NeurorackError, PatchError
from neurorack.inputs import jacks, settings
from neurorack.inputs.guide import Guide
from neurorack.inputs.watching import Jacks
from neurorack.notices import Notices
from neurorack.voice.patch import GATES as GATE_JACKS
from neurorack.wishes import number, text

GATES, HIT_NS = tuple(GATE_JACKS), 10_000_000


class Upkeep:
    """Of one run. ``requests``: what the control socket can ask for, name -> handler, called in the asker's thread."""

    def __init__(self, run):
        self.run = run
        self.notices = Notices(run)
        self.values, self.problems = preferences.load()
        self._following = threading.Lock()
        self.held: dict[str, bool] = {}       # gates that a hand holds
        self.requests = {
            "preferences": lambda request: {"preferences": preferences.told()}, "preference": self._preference,
            "statistics": lambda request: statistics.told(self.run),
            "jacks": self._jacks, "jack": self._jack,
            "monitor": self._monitor, "hit": self._hit,
            "power": self._power, "release": self._release,
            **self.notices.requests, **Guide(self._of_jacks).requests}

    def start(self) -> None:
        """Sound flows."""
        for problem in self.problems:
            self.run.say(f"warning: Preferences: {problem}")
        self.notices.start(self.follow)

    # -- preferences

    def osc(self) -> tuple[str, int] | None:
        """Where OSC is listened to: as the command line says, else by preference."""
        return self.run.settings.osc or {"off": None, "local": ("127.0.0.1", self.values["osc.port"]),
                                         "network": ("0.0.0.0", self.values["osc.port"])}[self.values["osc.network"]]

    def midi(self) -> list[str] | None:
        """Parts of MIDI port names: as the command line says, else by preference."""
        return self.run.settings.midi if self.run.settings.midi is not None or self.values["midi.ports"] == "all" else ["none"]

    def _preference(self, request: dict) -> dict:
        name = text(request, "name")
        with self._following:
            self._follow(preferences.keep(name, request.get("value")))
        return {"preferences": preferences.told()}

    def follow(self) -> None:
        """Take what was edited in the file. Called now and then in a thread."""
        with self._following:
            self._follow(preferences.load()[0])

    def _follow(self, values: dict) -> None:
        """Those who hear of a preference only at their start are started anew."""
        changed = {name.partition(".")[0] for name, value in values.items() if value != self.values[name]}
        self.values = values
        if changed & {"osc", "midi"}:
            self.run.remote.restart()
        if "web" in changed:
            self.run.web.restart()

    # -- jacks

    def _of_jacks(self) -> Jacks:
        name = self.run.rack.inputs.board_name
        if not name:
            raise NeurorackError("the board's inputs have not been read yet; try again in a second")
        return Jacks(self.run.rack, self.run.board, name, plays=True)

    def _jacks(self, request: dict) -> dict:
        """Every jack's settings, and what each may be."""
        found, problems = settings.load(self.run.board, self._of_jacks().name)
        return {"jacks": {name: dataclasses.asdict(one) for name, one in found.items()}, "fields": settings.fields(), "problems": problems}

    def _jack(self, request: dict) -> dict:
        """Settings of one jack, kept; the inputs process takes them within a second."""
        here, name = self._of_jacks(), text(request, "jack")
        if name not in here.cv_names + here.gate_names:
            raise PatchError(f"there is no jack {name!r}; the board has {', '.join(here.cv_names + here.gate_names)}")
        changes = {key: value for key, value in request.items() if key not in ("do", "jack")}
        jacks.keep(here, {name: changes})
        return self._jacks(request)

    # -- by hand

    def _monitor(self, request: dict) -> dict:
        """The audio input in the output: ``db``, or null for off; without it, how it stands."""
        rack = self.run.rack
        if "db" in request:
            gain = 0.0 if request["db"] is None else 10 ** (number(request, "db", -90, 12) / 20)
            self.run.call(setattr, rack.run, "monitor_gain", gain)
        gain = float(rack.run.monitor_gain)
        return {"monitor_db": round(20 * math.log10(gain), 2) if gain > 0 else None, "input_channels": rack.header.input_channels}

    def _hit(self, request: dict) -> dict:
        """A gate by hand, on any board: a trigger, or with ``hold`` up until it is taken down again."""
        gate = request.get("gate", GATES[0])
        if gate not in GATES:
            raise PatchError(f"there is no gate {gate!r}; there are {', '.join(GATES)}")
        index, now, hands = GATES.index(gate), time.monotonic_ns(), self.run.remote.sender()
        if request.get("hold"):
            self.held[gate] = not self.held.get(gate, False)
            hands.send(now, index, self.held[gate])
        else:
            hands.send(now, index, True)
            hands.send(now + HIT_NS, index, False)
            self.held[gate] = False
        return {"high": self.held[gate]}

    # -- power

    def _power(self, request: dict) -> dict:
        power.ask(text(request, "what"))
        return {"text": f"the module will {'switch itself off' if request['what'] == 'shutdown' else 'start anew'}"}

    def _release(self, request: dict) -> dict:
        power.change(text(request, "name"))
        return {"text": f"release {request['name']} starts now"}

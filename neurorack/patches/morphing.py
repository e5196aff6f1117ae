"""The morph that is going on: from one scene to another, by hand, by the clock or by a voltage.

Where both scenes' models fit into the two slots, both play and the mix goes from one scene's to the other's; where they
do not, the models change over at half the way. What is turned by hand meanwhile stays as it was turned.
"""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field

from neurorack.errors import NeurorackError, PatchError
from neurorack.patches import schema
from neurorack.patches.asked import number as place
from neurorack.patches.morph import between
from neurorack.patches.present import OF_A_FILE, mirrored
from neurorack.patches.recall import Wanted
from neurorack.patches.turned import Turned
from neurorack.patches.waking import found_models
from neurorack.slot import MORPH
from neurorack.voice.patch import followed

PLAY_SECONDS = 0.008         # between two steps of it
SMOOTH_SECONDS = 0.015       # time constant of its way
MOST_SECONDS = 1.0           # that the clock goes on while the machine stands still
FINE = 1e-4
HALF_WIDTH = 0.03            # models change over so far beyond the half, so that a voltage that rests there does not change them for ever


@dataclass
class Morph:
    """From ``one`` to ``other``, documents with the same models in the same slots, unless it ``flips``."""

    one: dict
    other: dict
    numbers: tuple[int | None, int]
    names: tuple[str, str]
    knob: float                              # by hand
    value: float                             # where it is
    flips: bool = False
    found: tuple[dict[str, Wanted], dict[str, Wanted]] = ({}, {})     # models of the two
    second: bool = False                     # the second one's models play
    aim: tuple[float, float] | None = None   # by the clock: where to, and change of the knob a beat
    playing: list = field(default_factory=list)


def together(one: dict, other: dict) -> tuple[dict, dict] | None:
    """Both documents with all their models in the same slots; None where there are more than two."""
    best = None
    for turned in (other, mirrored(other)):
        layout = dict(one["models"])
        if any(_key(layout.setdefault(slot, model)) != _key(model) for slot, model in turned["models"].items()):
            continue
        if best is None or len(layout) < len(best[0]):
            best = layout, turned
    if best is None:
        return None
    layout, turned = best
    return tuple({**document, "models": layout, "mix": _mix(document)} for document in (one, turned))


def _key(model) -> tuple:
    return model["name"], model.get("encoder"), model.get("sha256")


def _mix(document: dict) -> float:
    """A scene with one model hears it alone."""
    held = [slot for slot in schema.SLOTS if slot in document["models"]]
    return document["mix"] if len(held) != 1 else float(schema.SLOTS.index(held[0]))


class Morphing:
    """Of the ``Scenes`` of a run."""

    def __init__(self, scenes):
        self.scenes, self.run = scenes, scenes.run
        self.morph: Morph | None = None
        self._played = 0.0
        self._turned = Turned(scenes, morphs=True)
        #: what the control socket can ask for
        self.requests = {"morph": self._morph}

    @property
    def busy(self) -> bool:
        return self.morph is not None and (self.morph.aim is not None or bool(self._routes()) or self.morph.value != self.morph.knob)

    def told(self) -> dict | None:
        morph = self.morph
        return morph and {"from": morph.numbers[0], "to": morph.numbers[1], "value": round(morph.value, 4)}

    @property
    def label(self) -> str:
        return f"morph {self.morph.names[0]} to {self.morph.names[1]}"

    def end(self) -> None:
        """It stays where it is."""
        self.morph = None
        self.scenes.history.note(morph=None)

    def _routes(self) -> list:
        return [route for route in self.run.patch.routes if route.control == MORPH]

    # -- in the supervisor's loop

    def tick(self, now: float) -> None:
        """Follow the knob, the clock and the jacks; play what that gives."""
        morph, slots = self.morph, self.run.slots
        if morph is None or self.scenes.way or slots.job or slots.emptying is not None or now - self._played < PLAY_SECONDS:
            return
        since, self._played = min(now - self._played, MOST_SECONDS), now
        if self.scenes.playing() != morph.playing:
            self.run.say("the morph ends: another model was chosen")
            self.end()
            return
        if morph.aim:
            self._by_clock(morph, since)
        target = followed(morph.knob, self._routes(), self.run.rack)
        value = morph.value + (target - morph.value) * (1 - math.exp(-min(since, PLAY_SECONDS) / SMOOTH_SECONDS))      # late, it is late
        value = target if abs(target - value) < FINE else value
        if value != morph.value:
            morph.value = value
            self._play(morph)

    def _by_clock(self, morph: Morph, since: float) -> None:
        inputs, (aim, a_beat) = self.run.rack.inputs, morph.aim
        if inputs.clock_running:
            step = a_beat * since * inputs.tempo_bpm / 60
            morph.knob = min(aim, morph.knob + step) if a_beat > 0 else max(aim, morph.knob + step)
            morph.aim = None if morph.knob == aim else morph.aim

    def _play(self, morph: Morph) -> None:
        self._turned.look()
        second = morph.value > 0.5 + (-HALF_WIDTH if morph.second else HALF_WIDTH)
        document = self._turned.on(between(morph.one, morph.other, morph.value, self.scenes.defaults()))
        if morph.flips and second != morph.second:
            morph.second = second
            end = morph.other if second else morph.one
            self.scenes.go({**document, "models": end["models"], "mix": end["mix"]}, morph.found[second], arrival=self._flipped)
            return
        self.scenes.play(document)
        if all(slot.holds for slot in self.run.slots.slots) and not morph.flips:
            self.run.slots.knob = document["mix"]
        self._turned.remember(document)

    def _flipped(self, way) -> None:
        """The other models play; the morph goes on."""
        if self.morph:
            self.morph.playing = self.scenes.playing()
            self._turned.remember(self.scenes.now())

    # -- the request, in the asker's thread

    def _morph(self, request: dict) -> dict:
        from neurorack.wishes import number

        if "to" in request and request["to"] is None:
            self.run.call(self.end)
        elif "to" in request:
            self._begin(request, number(request, "value", 0, 1, 0.0))
        if request.get("to", 0) is not None and ("value" in request or "beats" in request):
            self._move(request)
        return {"morph": self.run.call(self.told)}

    def _move(self, request: dict) -> None:
        from neurorack.wishes import number

        beats = number(request, "beats", 0.25, 1024) if request.get("beats") is not None else None
        value = number(request, "value", 0, 1) if request.get("value") is not None and not ("to" in request and beats) else None
        if beats and not self.run.rack.inputs.tempo_bpm:
            raise PatchError("there is no tempo yet: patch a clock, or tap twice (`neurorack ctl tap`)")

        def work() -> None:
            morph = self.morph
            if morph is None:
                raise PatchError("no morph is going on: say from which scene to which, as {\"do\": \"morph\", \"from\": 1, \"to\": 2}")
            aim = value if value is not None else 0.0 if morph.knob >= 1 else 1.0
            if beats:
                morph.aim = (aim, (aim - morph.knob) / beats) if aim != morph.knob else None
            else:
                morph.knob, morph.aim = aim, None
        self.run.call(work)

    def _begin(self, request: dict, value: float) -> None:
        to = place(request, "to")
        first = place(request, "from") if request.get("from") is not None else None
        if first == to:
            raise PatchError(f"scene {to} cannot be morphed into itself")
        ends = [self.scenes.bank.get(first) if first else self.run.call(self.scenes.now), self.scenes.bank.get(to)]
        names = tuple(end.get("name", "here") for end in ends)
        ends = [{key: value for key, value in end.items() if key not in OF_A_FILE} for end in ends]
        pair = together(*ends)
        one, other = pair or ends
        found = found_models(one), found_models(other)
        second = value > 0.5
        defaults = self.run.call(self.scenes.defaults)
        document = between(one, other, value, defaults)
        if not pair:
            document = {**document, "mix": ends[second]["mix"]}

        def arrival(way) -> None:
            turned = [mirrored(end) for end in (one, other)] if way.turned and pair else [one, other]
            self.morph = Morph(*turned, (first, to), names, value, value, not pair, found, second, playing=self.scenes.playing())
            self._played = time.monotonic()
            self._turned = Turned(self.scenes, morphs=True)
            self._turned.remember(self.scenes.now())
            self.scenes.history.note(morph={"from": first, "to": to, "value": value} if first else None)
        self.scenes.travel(document, {**request, "wait": True}, arrival=arrival, found=found[second])

    def again(self, noted: dict) -> None:
        """As it was when the instrument was switched off; from a thread of its own."""
        def work() -> None:
            try:
                self._morph({key: noted.get(key) for key in ("from", "to", "value")})
            except (NeurorackError, TimeoutError) as error:
                self.run.say(f"the morph is not taken up again: {error}")
        threading.Thread(target=work, name="morph", daemon=True).start()

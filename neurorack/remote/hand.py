"""The supervisor's end of the remote process: starts it, does what it wishes, and asks it for what the control socket wants."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import threading
from concurrent.futures import Future

from neurorack.errors import NeurorackError
from neurorack.remote import wire
from neurorack.remote.midi import NEXT
from neurorack.remote.ports import unavailable
from neurorack.remote.settings import parse_voice
from neurorack.remote.takeover import Takeover
from neurorack.slot import MIX, MORPH
from neurorack.watched import Watched

INDEX = 4                      # in run.restarts
ANSWER_SECONDS, LEARN_SECONDS, MOST_LEARN_SECONDS, LEAVE_SECONDS = 5.0, 15.0, 60.0, 2.0


class Remote:
    """Of one run. The sockets outlive the process, so that one started again finds them."""

    def __init__(self, run):
        self.run = run
        self._edges, self._edges_far = wire.pair()
        self._talk, self._talk_far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.child: Watched | None = None
        self._asked: dict[int, Future] = {}
        self._numbers = 0
        self._listens = False
        self._lock = threading.Lock()
        self._takeover = Takeover(self._stands)
        #: what the control socket can ask for: name -> handler of ``Wishes``
        self.requests = {"learn": self._learn, "unlearn": self._unlearn, "midi": self._midi}

    @property
    def edges_fd(self) -> int:
        """For the inputs process."""
        return self._edges_far.fileno()

    def sender(self) -> wire.Sender:
        """For others who play a gate by hand: the same way into the inputs process."""
        return wire.Sender(self._edges)

    def why_no_midi(self) -> str | None:
        """None where MIDI is played."""
        settings = self.run.settings
        if self.run.upkeep.midi() == ["none"]:
            return "it is switched off (--midi none)" if settings.midi else "it is switched off (preference midi.ports)"
        if settings.score and settings.midi is None and settings.midi_virtual is None:
            return "a score is played; --midi NAME takes MIDI in beside it"
        found = unavailable()
        return found[0] if found else None

    def start(self) -> None:
        """Where there is MIDI, or OSC is asked for: the process, and a thread that listens to it."""
        settings, why, osc = self.run.settings, self.why_no_midi(), self.run.upkeep.osc()
        if why and (settings.midi not in (None, ["none"]) or settings.midi_virtual):
            self.run.say(f"warning: MidiPort: there is no MIDI: {why}")
        if why and not osc:
            return
        config = {"edges_fd": self._edges.fileno(), "talk_fd": self._talk_far.fileno(), "midi": None if why else settings.midi or [],
                  "virtual": settings.midi_virtual, "osc": osc}
        self.child = Watched("remote", INDEX, self.run.rack.remote, config, (config["edges_fd"], config["talk_fd"]))
        self.child.start(self.run.rack)
        self.run.others.append(self.child)
        self.run.note_children()
        if not self._listens:
            threading.Thread(target=self._listen, name="remote", daemon=True).start()
            self._listens = True

    def restart(self) -> None:
        """What it was told at its start has changed. In an asker's thread; nothing happens before the instrument sounds."""
        if self.run.sounding_at is None:
            return
        if (process := self.run.call(self._release)) is not None:
            process.terminate()
            try:
                process.wait(LEAVE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.run.call(self.start)

    def _release(self):
        """Watched no more; its process, if it has one."""
        child, self.child = self.child, None
        if child is None:
            return None
        self.run.others.remove(child)
        return child.process

    # -- what it wishes

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._talk.recv(1 << 16):
                said = json.loads(data)
                if "answer" in said:
                    if future := self._asked.pop(said.pop("answer"), None):
                        future.set_result(said)
                else:
                    self._wish(said["wish"])

    def _wish(self, request: dict) -> None:
        if request["do"] == "hold":
            self._let_go(request["jack"])
        elif request["do"] == "set":
            self._set(request["control"], request["value"])
        elif request["do"] == "move":
            value = self._takeover.moved(request["control"], request["value"], request["low"], request["high"], request["takeover"])
            if value is not None:
                self._set(request["control"], value)
        elif request["do"] == "learned":
            self._takeover.take(request["control"])
        else:
            threading.Thread(target=self.run.wishes.from_a_hand, args=(request,), daemon=True).start()   # finding a model may take a while

    def _set(self, name: str, value: float) -> None:
        with contextlib.suppress(NeurorackError, TimeoutError):      # a fader would say it a hundred times a second
            self.run.wishes.handle({"do": "set", "control": name, "value": value})

    def _stands(self, name: str) -> float | None:
        """Where a control's knob stands: as set, else as the card of what is heard says; None for one it does not have."""
        run = self.run
        if name == MIX:
            return run.slots.knob
        if name == MORPH:
            morph = run.scenes.morphing.morph
            return morph and morph.knob
        if name in run.patch.knobs:
            return run.patch.knobs[name]
        card = run.slots.slots[run.slots.heard].card or {}
        own = (card.get("patch") or {}).get("knobs") or {}
        return next((own.get(name, one.get("default", 0.5)) for one in card.get("controls", []) if one["name"] == name), None)

    def _let_go(self, jack: int) -> None:
        """The built-in patch leaves a jack that is played from afar."""
        if self.run.cables:
            self.run.cables.let_go(f"cv{jack + 1}")

    # -- what it is asked

    def _ask(self, request: dict, seconds: float) -> dict:
        if self.child is None:
            raise NeurorackError(f"there is no MIDI: {self.why_no_midi() or 'the instrument is still starting'}")
        with self._lock:
            self._numbers += 1
            number, future = self._numbers, Future()
            self._asked[number] = future
        try:
            self._talk.send(json.dumps({"number": number, "request": request}).encode(), socket.MSG_DONTWAIT)
            answer = future.result(seconds)
        except (OSError, TimeoutError):
            raise NeurorackError("the remote process does not answer; try again") from None
        finally:
            self._asked.pop(number, None)
        if "error" in answer:
            raise NeurorackError(answer["error"])
        return answer

    def _control(self, request: dict) -> str:
        from neurorack.wishes import text

        name = text(request, "control")
        known = [c["name"] for slot in self.run.slots.slots if slot.holds for c in slot.card.get("controls", [])] + [MIX, MORPH, NEXT]
        if name not in known:
            raise NeurorackError(f"there is no control {name!r}; there are {', '.join(dict.fromkeys(known))}")
        return name

    def _learn(self, request: dict) -> dict:
        from neurorack.wishes import number

        seconds = number(request, "seconds", 0.1, MOST_LEARN_SECONDS, LEARN_SECONDS)
        return self._ask({"do": "learn", "control": self._control(request), "low": number(request, "low", 0, 1, 0.0),
                          "high": number(request, "high", 0, 1, 1.0), "seconds": seconds}, seconds + ANSWER_SECONDS)

    def _unlearn(self, request: dict) -> dict:
        from neurorack.wishes import text

        answer = self._ask({"do": "unlearn", "control": text(request, "control")}, ANSWER_SECONDS)
        self._takeover.forget(request["control"])
        return answer

    def _midi(self, request: dict) -> dict:
        voice = request.get("voice") or {}
        if not isinstance(voice, dict):
            raise NeurorackError(f"voice is {voice!r}; it must be settings by their names")
        parse_voice(voice)
        answer = self._ask({"do": "midi", "voice": voice}, ANSWER_SECONDS)
        for name, one in answer.get("midi", {}).get("learned", {}).items():
            if waits := self._takeover.waits(name):
                one["waits"] = {"at": round(waits[0], 4), "for": round(waits[1], 4)}
        return answer

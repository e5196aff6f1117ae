"""The supervisor's end of the modulators: what they are set to, published for the inputs process, and asked for over the socket."""

from __future__ import annotations

import ctypes

from neurorack.core import declare
from neurorack.errors import PatchError
from neurorack.inputs.sources import MODULATORS, OFF, kinds, parse, to_struct

FIELDS = ("do", "source", "wait")      # of the request ``source`` itself; the others are the modulator's


class Sources:
    """Of one run. ``settings``: name -> kind and fields, of those that are not off; change it by ``set`` and ``restore``."""

    def __init__(self, run):
        self.run = run
        self.settings: dict[str, dict] = {}
        score = run.settings.score
        self.seed = run.settings.seed or (score.seed if score else 0)
        self.revision = 0
        self._write = declare("nr_sources_write", None, ctypes.c_void_p, ctypes.c_void_p)
        #: what the control socket can ask for: name -> handler of ``Wishes``
        self.requests = {"sources": self._sources, "source": self._source}
        self.publish()

    def set(self, name: str, entry: dict) -> None:
        """Change a modulator: fields that are not named keep their value, or take their default where the kind is new.

        In the supervisor's loop. Raises ``PatchError``, and changes nothing then."""
        made = parse(name, entry, self.settings.get(name))
        if made == self.settings.get(name, OFF):
            return
        self.settings = {key: made if key == name else self.settings[key] for key in MODULATORS if key in (*self.settings, name)}
        if made == OFF:
            del self.settings[name]
        self.publish()

    def restore(self, settings: dict[str, dict]) -> None:
        """All of them at once; those that are missing are switched off. Raises ``PatchError``, and changes nothing then."""
        made = {name: parse(name, settings[name]) for name in MODULATORS if name in settings}
        self.settings = {name: entry for name, entry in made.items() if entry != OFF}
        self.publish()

    def publish(self) -> None:
        """Write the shared section (writer: the supervisor)."""
        self.revision += 1
        struct = to_struct(self.settings, self.seed, self.revision)
        self._write(self.run.rack.sources.address("seq"), ctypes.byref(struct))

    # -- requests

    def _sources(self, request: dict) -> dict:
        volts = self.run.rack.controls.source_volts
        told = [{"name": name, "now_volts": round(float(volts[i]), 4), **self.settings.get(name, OFF)} for i, name in enumerate(MODULATORS)]
        return {"sources": told, "kinds": kinds()}

    def _source(self, request: dict) -> dict:
        name = request.get("source")
        if not isinstance(name, str):
            raise PatchError(f"source is {name!r}; it must be one of {', '.join(MODULATORS)}")
        self.run.call(self.set, name, {key: value for key, value in request.items() if key not in FIELDS})
        return {}

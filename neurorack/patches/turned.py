"""What is turned by hand while the patch moves by itself, in a glide or a morph: it stays as it was turned."""

from __future__ import annotations

from neurorack.patches import schema
from neurorack.patches.history import change
from neurorack.patches.present import route_document
from neurorack.slot import MORPH

NAMED = ("knobs", "drives")              # each entry is turned for itself; all else as a whole
NOT_TURNED = ("models", "mix", "kind", "format")


class Turned:
    """Of the ``Scenes`` of a run, since a movement began: ``remember`` what was played, ``look`` before the next, play it ``on`` that.

    ``morphs``: a morph moves, which leaves the routes that move the morph as they are.
    """

    def __init__(self, scenes, morphs: bool = False):
        self.scenes, self.run, self.morphs = scenes, scenes.run, morphs
        self.by_hand: dict[tuple, object] = {}       # path in the document -> as it was turned
        self._signed: tuple = ()
        self._document: dict = {}

    def remember(self, document: dict) -> None:
        """This is what plays now."""
        self._signed, self._document = self._sign(), document

    def look(self) -> None:
        """Has anybody else turned something since?"""
        if not self._signed or self._sign() == self._signed:
            return
        before, now = schema.cleaned(self._document), self.scenes.now()
        own = [self._moved(document["routes"]) for document in (before, now)]
        for path, *_ in change({**before, "routes": own[0]}, {**now, "routes": own[1]}):
            if path[0] in NAMED:
                if path[-1] in now[path[0]]:
                    self.by_hand[tuple(path[:2])] = now[path[0]][path[-1]]
            elif path[0] in schema.fields(schema.SCHEMA) and path[0] not in NOT_TURNED:
                self.by_hand[path[0],] = own[1] if path[0] == "routes" else now[path[0]]

    def on(self, document: dict) -> dict:
        """The document with what was turned by hand."""
        moving = [route_document(route) for route in self.run.patch.routes if route.control == MORPH] if self.morphs else []
        made = {**document, **{name: dict(document[name]) for name in NAMED}}
        for path, value in self.by_hand.items():
            if len(path) == 1:
                made[path[0]] = value
            else:
                made[path[0]][path[1]] = value
        return {**made, "routes": self._moved(made["routes"]) + moving}

    def _moved(self, routes: list[dict]) -> list[dict]:
        return [route for route in routes if not self.morphs or route["control"] != MORPH]

    def _sign(self) -> tuple:
        """Quick to compare: tells whether the patch was changed."""
        patch = self.run.patch
        return (dict(patch.knobs), dict(patch.drives), tuple(patch.routes), patch.level_db, dict(patch.gates), set(patch.left_free), self.run.sources.settings,
                self.run.rack.run.monitor_gain)

"""What a page may ask for: the list of requests, and the check of one message before it goes to the instrument."""

from __future__ import annotations

import json

from neurorack.errors import NeurorackError
from neurorack.web.limits import MOST_MESSAGE_BYTES

ALLOWED = frozenset((
    "status", "swap", "next", "load", "unload", "gestures", "mix", "set", "route", "unroute", "level", "tap", "learn", "unlearn", "midi", "program",
    "scenes", "scene_save", "scene_recall", "scene_next", "scene_rename", "scene_copy", "scene_delete", "undo", "redo", "morph",
    "sources", "source", "record", "takes", "take_delete", "gate_action", "panel", "card", "preferences", "preference", "notices",
    "notice_seen", "statistics", "cables", "cable", "volts", "gate", "key", "log", "hit", "monitor",
    "jacks", "jack", "calibrate", "detect", "lighter", "lighter_make", "lighter_keep", "lighter_discard"))
#: These wait for a model or a person; others are not kept waiting by them.
SLOW = frozenset(("swap", "next", "load", "gestures", "learn", "program", "scene_recall", "scene_next", "undo", "redo", "lighter_keep"))
#: These wait for the disk or another process; they are done one after the other, beside those that are quick.
PATIENT = frozenset(("record", "take_delete", "scene_save", "scene_rename", "scene_copy", "scene_delete", "preference", "midi", "unlearn", "jack", "calibrate", "detect"))
#: Fields that name a file of the library or of the takes' folder: names only, never paths.
NAMES = ("model", "encoder", "take")
MOST_FIELDS, MOST_ID = 64, 1 << 53


class Refused(NeurorackError):
    """A message that is none; ``id`` is its number as far as it could be read."""

    def __init__(self, text: str, id=None):
        super().__init__(text)
        self.id = id


def plain_name(name) -> bool:
    """Whether this can be the name of a file in a folder of ours, and nothing else."""
    return (isinstance(name, str) and 0 < len(name.encode("utf-8", "replace")) <= 255 and not name.startswith(".")
            and not any(letter in "/\\" or not letter.isprintable() for letter in name))


def parse(text: str | bytes) -> tuple[int | str | None, dict]:
    """The number and the request of a message (``{"id": …, "do": …}``). Raises ``Refused``."""
    if len(text) > MOST_MESSAGE_BYTES:
        raise Refused(f"the message is {len(text)} long; at most {MOST_MESSAGE_BYTES} bytes are taken")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused("a message is one JSON object with \"do\"") from None
    if not isinstance(message, dict):
        raise Refused("a message is one JSON object with \"do\"")
    number = message.pop("id", None)
    if not (number is None or (isinstance(number, int) and not isinstance(number, bool) and abs(number) <= MOST_ID)
            or (isinstance(number, str) and len(number) <= 64)):
        raise Refused("id must be a whole number or a short text")
    return number, check(message, number)


def check(request: dict, number=None) -> dict:
    """A request that a page may make. Raises ``Refused``."""
    do = request.get("do")
    if not isinstance(do, str) or do not in ALLOWED:
        raise Refused(f"a page cannot ask for {str(do)[:40]!r}; it can ask for {', '.join(sorted(ALLOWED))}", number)
    if len(request) > MOST_FIELDS:
        raise Refused(f"the request has {len(request)} fields; at most {MOST_FIELDS} are taken", number)
    for key in NAMES:
        if key in request and request[key] is not None and not plain_name(request[key]):
            raise Refused(f"{key} is {str(request[key])[:40]!r}; it must be a name, not a path", number)
    return request

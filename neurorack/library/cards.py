"""What a model says of itself: its own card, and the card beside it, NAME.yaml (``author``, ``licence``, ``notes``).

The file beside wins: a musician can note a licence that the exporter forgot. It is theirs to edit.
"""

from __future__ import annotations

import json
from pathlib import Path

from neurorack.errors import ModelError

NOT_STATED = "licence not stated"
SAID = ("author", "licence", "notes")
MOST_BYTES = 64 << 10


def beside(model: Path) -> Path:
    return model.with_suffix(".yaml")


def read_beside(model: Path) -> dict[str, str]:
    """What NAME.yaml says; empty where there is none. Raises ``ModelError`` for one that cannot be read."""
    path = beside(model)
    try:
        with open(path, "rb") as file:
            text = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from None
    return parse(text, path)


def parse(text: bytes, path: Path) -> dict[str, str]:
    """Raises ``ModelError``."""
    import yaml

    if len(text) > MOST_BYTES:
        raise ModelError(f"{path}: more than {MOST_BYTES >> 10} kB; a model's card holds author, licence and notes")
    try:
        data = yaml.safe_load(text) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise ModelError(f"{path}: is not YAML{f' (line {mark.line + 1})' if mark else ''}; write lines such as 'licence: CC-BY-4.0'") from None
    if not isinstance(data, dict):
        raise ModelError(f"{path}: holds no lines such as 'licence: CC-BY-4.0'")
    if "license" in data:
        data.setdefault("licence", data["license"])
    return {name: " ".join(str(data[name]).split()) for name in SAID if data.get(name) is not None}


def text_of(said: dict[str, str]) -> bytes:
    """What NAME.yaml holds."""
    import yaml

    return yaml.safe_dump(said, allow_unicode=True, sort_keys=False).encode()


def card_of(path: Path) -> dict:
    """The card in a file of the engine, without loading its programs. Raises ``ModelError``."""
    return description_of(path).get("card") or {}


def description_of(path: Path) -> dict:
    """Card and methods in a file that plays, not checked further. Raises ``ModelError``."""
    from neurorack.engine.store import Store
    from neurorack.importer import players

    if path.name.endswith(players.SUFFIX):
        told = players.read_player(path)
        return {"card": told["card"], "methods": {name: {**vars(method), "programs": {str(block): {} for block in method.blocks}}
                                                  for name, method in told["methods"].items()}}
    try:
        data = json.loads(Store(path).metadata["neurorack"])
    except (KeyError, ValueError, RecursionError):
        raise ModelError(f"{path}: a safetensors file, but not of a model of this instrument") from None
    if not isinstance(data, dict) or not isinstance(data.get("card", {}), dict) or not isinstance(data.get("methods"), dict):
        raise ModelError(f"{path}: its description has no card or no methods")
    return data

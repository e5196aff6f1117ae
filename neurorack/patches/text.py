"""A patch as text: YAML with its keys in a fixed order, one line for each knob, route and source, so that a diff tells what changed."""

from __future__ import annotations

from pathlib import Path

import yaml

from neurorack.errors import PatchError
from neurorack.patches import schema

MOST_BYTES, MOST_VALUES = 1 << 18, 20000


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):     # the one in C, where there is one, is twenty times faster
    """Dates stay text."""


_Loader.yaml_implicit_resolvers = {first: [(tag, pattern) for tag, pattern in found if not tag.endswith(":timestamp")]
                                   for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()}


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):
    """Text with line breaks or worse stays in its line."""

    def ignore_aliases(self, data) -> bool:
        return True


_Dumper.add_representer(str, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if value.isprintable() else '"'))


def _plain(value, room: list[int]):
    """Only what JSON has, too. Raises ``ValueError`` for too much of it: a few lines of aliases can stand for billions of values."""
    room[0] -= 1
    if room[0] < 0:
        raise ValueError(f"more than {MOST_VALUES} values")
    if isinstance(value, dict):
        return {str(key): _plain(entry, room) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry, room) for entry in value]
    return value if value is None or isinstance(value, (str, bool, int, float)) else str(value)


def dumps(document: dict) -> str:
    """The text of a document. ``loads`` gives the same document back."""
    lines = ["# Neurorack patch: see docs/patches.md"]
    for key, value in document.items():
        if isinstance(value, dict) and value:
            lines.append(f"{_flow(key)}:")
            lines += [f"  {_flow(name)}: {_flow(entry)}" for name, entry in value.items()]
        elif isinstance(value, list) and value:
            lines.append(f"{_flow(key)}:")
            lines += [f"  - {_flow(entry)}" for entry in value]
        else:
            lines.append(f"{_flow(key)}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _flow(value) -> str:
    return yaml.dump(value, Dumper=_Dumper, default_flow_style=True, width=1 << 30, allow_unicode=True, sort_keys=False).removesuffix("\n").removesuffix("\n...")


def loads(data: bytes | str, where: str = "the patch", problems: list[str] | None = None) -> dict:
    """The document of a text; what is wrong in it goes to ``problems``. Raises ``PatchError`` where it is no patch at all."""
    try:
        data = data.encode() if isinstance(data, str) else data
        if len(data) > MOST_BYTES:
            raise PatchError(f"more than {MOST_BYTES >> 10} kB")
        return schema.cleaned(_plain(yaml.load(data.decode(), Loader=_Loader), [MOST_VALUES]), problems)      # noqa: S506 - a safe one
    except (UnicodeDecodeError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise PatchError(f"{where} is no patch: {' '.join(str(error).split())}") from None


def read(path: Path, problems: list[str] | None = None) -> dict:
    """A file's document. Raises ``PatchError``."""
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise PatchError(f"{path} cannot be read ({error.strerror})") from None
    return loads(data, str(path), problems)

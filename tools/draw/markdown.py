"""Markdown tables, and the files that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path


def table(headings: Iterable[str], rows: Iterable[Iterable]) -> str:
    headings = list(headings)
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def renew(stale: Mapping[Path, str], root: Path, check: bool) -> int:
    """Name the files that are behind and write them, or with `check` only name them; the exit code."""
    for path, text in stale.items():
        print(("stale: " if check else "made: ") + str(path.relative_to(root)))
        if not check:
            path.write_text(text, encoding="utf-8")
    return int(check and bool(stale))

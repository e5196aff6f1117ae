"""The library as the page sees it: the list with its verdicts, and uploads into the watched folder.

The folder itself is watched by the instrument (``library/watch.py``), which checks what appears there; here a file is only brought in
whole, and its verdict read when it is there. What a client calls a file becomes a name of the library's rule, never a path.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
from pathlib import Path

from aiohttp import web

from neurorack import library
from neurorack.errors import NeurorackError
from neurorack.library import changes, describe, entries, files, names
from neurorack.web import limits
from neurorack.web.guard import refuse

PIECE_BYTES = 1 << 20
PART = ".upload"                   # hidden until it is whole


def sanitised(given: str) -> tuple[str, str]:
    """Name and suffix of a file that a client wants to bring. Raises ``NeurorackError``."""
    last = re.split(r"[/\\]", given)[-1]
    stem, suffix = os.path.splitext(last)
    if suffix.lower() not in names.SUFFIXES:
        raise NeurorackError(f"{last[:60]!r} is no model: a file's name ends in {' or '.join(names.SUFFIXES)}")
    return names.tidy(stem), suffix.lower()


def told(row: dict) -> dict:
    """A row of the list, without where the file lies."""
    return {key: value for key, value in row.items() if key != "file"}


class Library:
    """``tell(event)`` gets what every page is told about an upload. What touches the disk runs in another thread."""

    def __init__(self, tell):
        self.tell = tell
        self.uploading: set[str] = set()
        self.pending: set[str] = set()
        self._stamp = None
        for left in files.own().glob(f".*{PART}"):        # of a server that was killed
            left.unlink(missing_ok=True)

    async def has(self, name: str) -> bool:
        """Whether this is a model's name, or was one."""
        return await asyncio.to_thread(lambda: name in entries.entries() or name in entries.aliases())

    def rows(self) -> list[dict]:
        return [told(row) for row in describe.rows()]

    async def changed(self) -> list[dict] | None:
        """The list, if its folders have changed since the last call; and the verdicts of what was uploaded."""
        stamp = await asyncio.to_thread(self._look)
        if stamp == self._stamp:
            return None
        try:
            rows = await asyncio.to_thread(self.rows)
        except (OSError, NeurorackError):        # it is being changed, or cannot be read: at the next look
            return None
        self._stamp = stamp
        for row in rows:
            if row["name"] in self.pending and row["verdict"]:
                self.pending.discard(row["name"])
                self.tell({"type": "upload", "name": row["name"], "phase": "plays" if row["verdict"] == "plays" else "refused", "line": row["line"]})
        return rows

    @staticmethod
    def _look() -> list:
        found = []
        for folder in (*library.folders(), files.own() / files.NAMES, files.own() / files.LIFTED):
            with contextlib.suppress(OSError):
                found.append((str(folder), folder.stat().st_mtime_ns))
        return found

    # -- HTTP

    async def list(self, request: web.Request) -> web.Response:
        return web.json_response({"ok": True, "models": await asyncio.to_thread(self.rows)})

    async def info(self, request: web.Request) -> web.Response:
        known = await asyncio.to_thread(lambda: told(describe.info(entries.entry(request.match_info["name"]))))
        return web.json_response({"ok": True, "model": known})

    async def remove(self, request: web.Request) -> web.Response:
        done = await asyncio.to_thread(changes.remove, request.match_info["name"])
        return web.json_response({"ok": True, **done})

    async def upload(self, request: web.Request) -> web.Response:
        """The body is the file. Answers when it is in the folder; its verdict follows on the live socket, and in the list."""
        name, suffix = sanitised(request.query.get("name", ""))
        size = request.content_length
        if size is None:
            return refuse(411, "say how long the file is (Content-Length)")
        if not 0 < size <= limits.MOST_MODEL_BYTES:
            return refuse(413 if size else 400, f"the file has {size} bytes; from 1 to {limits.MOST_MODEL_BYTES} are taken")
        if len(self.uploading) >= limits.MOST_UPLOADS:
            return refuse(503, f"{limits.MOST_UPLOADS} uploads are going on; try again when they are done")
        if name in self.uploading:
            return refuse(409, f"{name!r} is being uploaded already")
        self.uploading.add(name)
        try:
            if await self.has(name):
                return refuse(409, f"there is a model {name!r} already: remove it first, or give the file another name")
            try:
                await asyncio.to_thread(changes.make_room, 2 * size)       # the file, and what it is lifted to
            except NeurorackError as error:
                return refuse(507, str(error))
            async with asyncio.timeout(limits.BODY_SECONDS + size / limits.LEAST_BYTES_A_SECOND):
                await self._take(request, size, files.own() / f"{name}{suffix}")
        finally:
            self.uploading.discard(name)
        self.pending.add(name)
        self.tell({"type": "upload", "name": name, "phase": "received", "line": "it is being checked"})
        return web.json_response({"ok": True, "name": name, "bytes": size, "line": "it is being checked"}, status=202)

    async def _take(self, request: web.Request, size: int, target: Path) -> None:
        part = target.with_name(f".{secrets.token_hex(8)}{PART}")
        loop, file = asyncio.get_running_loop(), None
        try:
            file = await loop.run_in_executor(None, lambda: open(part, "wb"))
            left, pieces, waiting = size, [], 0
            while left:
                async with asyncio.timeout(limits.BODY_SECONDS):
                    piece = await request.content.readany()
                left -= len(piece)
                if not piece or left < 0:
                    raise NeurorackError(f"the file is {'shorter' if left > 0 else 'longer'} than was said; nothing was kept")
                pieces.append(piece)
                waiting += len(piece)
                if waiting >= PIECE_BYTES or not left:
                    await loop.run_in_executor(None, file.writelines, pieces)
                    pieces, waiting = [], 0
            await loop.run_in_executor(None, self._finish, file, part, target)
        except OSError as error:
            if isinstance(error, (TimeoutError, ConnectionError)):
                raise
            raise files.failed(target, error) from None
        finally:
            if file:
                file.close()
            part.unlink(missing_ok=True)

    @staticmethod
    def _finish(file, part: Path, target: Path) -> None:
        """All of it is on the disk, and then in its place."""
        file.flush()
        os.fsync(file.fileno())
        with files.lock():
            if target.exists():
                raise NeurorackError(f"there is a model {target.stem!r} already: remove it first, or give the file another name")
            os.replace(part, target)
            files.sync_folder(target.parent)

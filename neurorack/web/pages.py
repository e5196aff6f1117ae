"""The page's own files: read once, known by their content. A request names one of them or nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

from aiohttp import web

FOLDER = Path(__file__).resolve().parent / "page"
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
         ".png": "image/png", ".ico": "image/x-icon", ".json": "application/json", ".webmanifest": "application/manifest+json", ".woff2": "font/woff2"}
#: What a browser gets before it is paired.
OPEN = frozenset(("pair.html", "pair.js", "pair.css", "icon.svg"))


class Files:
    """Every file below the page's folder by its name there; read again when it has changed."""

    def __init__(self, folder: Path = FOLDER):
        self.folder, self.known = folder, {}

    def _look(self) -> None:
        self.known = {path.relative_to(self.folder).as_posix(): path for path in self.folder.rglob("*")
                      if path.suffix in TYPES and path.is_file() and not path.name.startswith(".")}

    def answer(self, name: str, request: web.Request) -> web.Response:
        """The file, or 304 where the browser has this very content; 404 for what is no file of the page."""
        path = self.known.get(name)
        if path is None or not path.is_file():
            self._look()
            path = self.known.get(name)
        if path is None:
            raise web.HTTPNotFound(text="the page has no file of this name\n")
        data = path.read_bytes()
        tag = f'"{hashlib.sha256(data).hexdigest()[:24]}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if tag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        return web.Response(body=data, headers={**headers, "Content-Type": TYPES[path.suffix]})

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
    """Every file below the page's folder by its name there, kept with its content's tag; read again when it has changed."""

    def __init__(self, folder: Path = FOLDER):
        self.folder = folder
        self.paths: dict[str, Path] = {}
        self.kept: dict[str, tuple[tuple, bytes, str]] = {}        # name -> stamp, content, tag

    def _path(self, name: str) -> Path | None:
        if name not in self.paths or not self.paths[name].is_file():
            self.paths = {path.relative_to(self.folder).as_posix(): path for path in self.folder.rglob("*")
                          if path.suffix in TYPES and path.is_file() and not path.name.startswith(".")}
        return self.paths.get(name)

    def _content(self, name: str, path: Path) -> tuple[bytes, str]:
        stat = path.stat()
        stamp = stat.st_mtime_ns, stat.st_ino, stat.st_size
        if name not in self.kept or self.kept[name][0] != stamp:
            data = path.read_bytes()
            self.kept[name] = stamp, data, f'"{hashlib.sha256(data).hexdigest()[:24]}"'
        return self.kept[name][1:]

    def answer(self, name: str, request: web.Request) -> web.Response:
        """The file, or 304 where the browser has this very content; 404 for what is no file of the page."""
        path = self._path(name)
        if path is None:
            raise web.HTTPNotFound(text="the page has no file of this name\n")
        data, tag = self._content(name, path)
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if tag in request.headers.get("If-None-Match", ""):
            return web.Response(status=304, headers=headers)
        return web.Response(body=data, headers={**headers, "Content-Type": TYPES[path.suffix]})

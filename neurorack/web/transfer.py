"""Takes to download, scenes to bring in and out. Names come from the instrument's own lists, never from the client."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from neurorack.errors import NeurorackError
from neurorack.patches import schema, text
from neurorack.patches.bank import Bank
from neurorack.web.guard import body, refuse


class Takes:
    def __init__(self, control):
        self.control = control

    async def list(self, request: web.Request) -> web.Response:
        answer = await self.control.look({"do": "takes"})
        answer.pop("folder", None)
        return web.json_response(answer, status=200 if answer.get("ok") else 400)

    async def download(self, request: web.Request) -> web.StreamResponse:
        """A take's file, or the part of it that a Range header names (RFC 9110, 14)."""
        answer, name = await self.control.look({"do": "takes"}), request.match_info["name"]
        if not answer.get("ok") or name not in {take["name"] for take in answer["takes"]}:
            return refuse(404, f"there is no take {name[:60]!r}")
        headers = {"Content-Type": "audio/wav", "Content-Disposition": f'attachment; filename="{name}"' if name.isascii() and '"' not in name else "attachment",
                   "Cache-Control": "no-cache"}
        return web.FileResponse(Path(answer["folder"]) / name, headers=headers, chunk_size=1 << 18)

    async def delete(self, request: web.Request) -> web.Response:
        answer = await self.control.ask({"do": "take_delete", "take": request.match_info["name"]})
        return web.json_response(answer, status=200 if answer.get("ok") else 400)


class Scenes:
    """Scenes as text, the very files of the bank (docs/patches.md)."""

    def __init__(self, control, soon):
        self.control, self.soon, self.bank = control, soon, Bank()

    @staticmethod
    def _number(request: web.Request) -> int:
        given = request.match_info["number"]
        if not given.isascii() or not given.isdigit() or len(given) > 3 or not 1 <= int(given) <= schema.SCENES:
            raise NeurorackError(f"there is no scene {given[:20]!r}; scenes are numbered from 1 to {schema.SCENES}")
        return int(given)

    async def list(self, request: web.Request) -> web.Response:
        answer = await self.control.look({"do": "scenes"})
        return web.json_response(answer, status=200 if answer.get("ok") else 400)

    async def bring_out(self, request: web.Request) -> web.Response:
        number = self._number(request)
        content = await asyncio.to_thread(self.bank.text, number)
        if content is None:
            return refuse(404, f"there is no scene {number}")
        return web.Response(text=content, content_type="application/yaml", charset="utf-8",
                            headers={"Content-Disposition": f'attachment; filename="scene-{number:02d}.yaml"'})

    async def bring_in(self, request: web.Request) -> web.Response:
        """Into a place (PUT), or the next free one (POST). What cannot be read of it is told."""
        number = self._number(request) if "number" in request.match_info else None
        data, problems = await body(request, text.MOST_BYTES), []
        document = await asyncio.to_thread(text.loads, data, "the scene", problems)

        def put() -> int:
            with self.bank.lock:
                place = number or self.bank.free()
                self.bank.put(place, document)
                return place
        place = await asyncio.to_thread(put)
        self.soon()
        return web.json_response({"ok": True, "number": place, "name": document.get("name"), "problems": problems})

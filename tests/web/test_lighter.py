"""Lighter models on the page: begun, followed, kept with the figure before one's eyes, or refused in one line."""

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")

import aiohttp  # noqa: E402
from aiohttp import web  # noqa: E402

from neurorack import web as web_package  # noqa: E402
from neurorack.errors import NeurorackError  # noqa: E402
from neurorack.library import entries, files, lighter  # noqa: E402
from neurorack.library.lighter_hand import Lightening  # noqa: E402
from neurorack.web.guard import refuse  # noqa: E402
from neurorack.web.lighter import Lighter  # noqa: E402
from tests.library.test_lighter import Said, answered  # noqa: E402
from tests import models  # noqa: E402
from tests.trim.test_lighten import quick, write  # noqa: E402, F401
from tests.web import browser as browsers  # noqa: E402

PATIENCE = 120.0
PAGE = Path(web_package.__file__).parent / "page"


@pytest.fixture
def library(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    files.own().mkdir(parents=True)
    write(files.own() / "twice.safetensors")
    models.tone(files.own() / "single.safetensors")


@web.middleware
async def in_one_line(request, handler):
    try:
        return await handler(request)
    except NeurorackError as error:
        return refuse(400, str(error))


async def serving(hand):
    """The addresses of the page's server that make models lighter, and the page's files, before a supervisor's end alone."""
    own = Lighter(lambda request: asyncio.to_thread(answered, hand, request))
    application = web.Application(middlewares=[in_one_line])
    application.router.add_post("/api/models/{name}/lighter", own.start)
    application.router.add_delete("/api/models/{name}/lighter", own.discard)
    application.router.add_post("/api/models/{name}/lighter/keep", own.keep)
    application.router.add_static("/", PAGE)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    return runner, f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"


def test_what_was_made_waits_is_kept_and_what_cannot_be_is_said(library, quick):  # noqa: F811
    lighter.make("twice", keep=0.8)
    hand = Lightening(Said())

    async def run():
        runner, base = await serving(hand)
        try:
            async with aiohttp.ClientSession(base) as session:
                async def ask(method, path, body=None):
                    async with session.request(method, f"/api/models/{path}", data=body) as answer:
                        return answer.status, await answer.json()

                assert hand.told()["twice"]["phase"] == "made" and "x lighter, " in hand.told()["twice"]["line"]
                for body in ('{"size": 2}', "[]", "{", '{"quality": 1, "keep": 0.5}'):
                    assert (await ask("POST", "single/lighter", body))[1]["error"].startswith(("send", "the body"))
                assert (await ask("POST", "nobody/lighter"))[0] == 400 and (await ask("POST", "single/lighter/keep"))[0] == 400
                assert (await ask("POST", "single/lighter", '{"keep": 0.5}'))[0] == 202
                assert "is being made lighter" in (await ask("POST", "twice/lighter"))[1]["error"]
                for _ in range(int(PATIENCE / 0.1)):
                    if hand.told().get("single", {}).get("phase") == "failed":
                        break
                    await asyncio.sleep(0.1)
                assert "stays as it is" in hand.told()["single"]["line"]
                assert (await ask("DELETE", "single/lighter"))[0] == 200 and "single" not in hand.told()
                status, kept = await ask("POST", "twice/lighter/keep")
                assert (status, kept["name"]) == (200, "twice-light") and "plays" in kept["line"] and hand.told() == {}
        finally:
            await runner.cleanup()

    asyncio.run(run())
    assert "twice-light" in entries.entries() and "twice" in entries.entries()


def test_the_button_follows_what_is_told(library, tmp_path):
    if why := browsers.unavailable():
        pytest.skip(why)
    steps = [{"phase": "working", "stage": "listening to its layers", "share": 0.5}, {"phase": "made", "line": "2.1x lighter, 0.8 dB"},
             {"phase": "failed", "line": "no unit can go: it stays as it is"}]

    async def run():
        runner, base = await serving(None)
        browser = await asyncio.to_thread(browsers.Browser, tmp_path)
        try:
            return await asyncio.to_thread(browser.driver.get, f"{base}/icon.svg") or await asyncio.to_thread(browser.driver.execute_async_script, """
                const [base, steps, done] = arguments;
                Promise.all([import(`${base}/lighter.js`), import(`${base}/live.js`)]).then(async ([own, live]) => {
                    const model = { name: "birds", kind: "lifted", verdict: "plays" }, part = own.lighter(model), list = { querySelectorAll: () => [part] };
                    own.followed(list);
                    const texts = [part.textContent];
                    for (const step of steps) { live.announce("lighter", { birds: step }); texts.push([part.textContent, part.querySelector("progress")?.value ?? null]); }
                    live.announce("lighter", {});
                    done([...texts, part.textContent, own.lighter({ ...model, kind: "torchscript" }), own.lighter({ ...model, verdict: "refused" })]);
                }).catch((error) => done(String(error)));""", base, steps)
        finally:
            await asyncio.to_thread(browser.close)
            await runner.cleanup()

    assert asyncio.run(run()) == ["Lighter", ["listening to its layersCancel", 0.5], ["2.1x lighter, 0.8 dBKeepDiscard", None],
                                  ["Lighterno unit can go: it stays as it is", None], "Lighter", None, None]

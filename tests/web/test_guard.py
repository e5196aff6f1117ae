"""The door's rules on a server of their own: rates of an address, names of a host, slow bodies."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from neurorack.web import limits
from neurorack.web.guard import Guard, body, loopback, split_host
from neurorack.web.limits import Buckets
from tests.web.face import free_port


async def serving(work, handler, **settings):
    """``work(url, session)`` against a server with a guard and this handler."""
    port = free_port()
    guard = Guard("127.0.0.1", port)
    vars(guard).update(settings)
    application = web.Application(middlewares=[guard.middleware])
    application.on_response_prepare.append(guard.headers)
    application.router.add_route("*", "/", handler)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        async with aiohttp.ClientSession() as session:
            return await work(f"http://127.0.0.1:{port}/", session)
    finally:
        await runner.cleanup()


async def hello(request):
    return web.Response(text="hello")


def test_an_address_gets_so_many_answers_and_no_more():
    async def work(url, session):
        found = []
        for _ in range(5):
            async with session.get(url) as answer:
                found.append(answer.status)
                assert "Content-Security-Policy" in answer.headers
        return found
    assert asyncio.run(serving(work, hello, rates=Buckets(0.0, 3))) == [200, 200, 200, 429, 429]


def test_a_body_that_is_too_large_or_never_ends(monkeypatch):
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.2)

    async def echo(request):
        return web.Response(body=await body(request, 100))

    async def slow():
        yield b"x"
        await asyncio.sleep(5)

    async def large():
        for _ in range(200):
            yield b"x"

    async def work(url, session):
        found = []
        for data in (b"x" * 100, b"x" * 101, large(), slow()):
            async with session.post(url, data=data) as answer:
                found.append(answer.status)
        return found
    assert asyncio.run(serving(work, echo)) == [200, 413, 413, 408]


def test_a_bug_in_a_handler_is_an_error_and_no_more():
    async def broken(request):
        raise RuntimeError("a bug")

    async def work(url, session):
        async with session.get(url) as answer:
            return answer.status, await answer.text()
    status, text = asyncio.run(serving(work, broken))
    assert status == 500 and "a bug" not in text


@pytest.mark.parametrize("host, wanted", [("a.b", ("a.b", 80)), ("A.b.:8042", ("a.b", 8042)), ("[::1]:9", ("::1", 9)), ("[::1]", ("::1", 80)),
                                          ("127.0.0.1:8042", ("127.0.0.1", 8042))])
def test_hosts(host, wanted):
    assert split_host(host) == wanted


@pytest.mark.parametrize("host", ["a:b", "a:1:2", "[::1]x", "a:-1", "[::1]:"])
def test_what_is_no_host(host):
    with pytest.raises(ValueError):
        split_host(host)


def test_which_addresses_are_this_machine():
    assert loopback("127.0.0.1") and loopback("::1") and not loopback("0.0.0.0") and not loopback("192.0.2.1") and not loopback("::") and not loopback("name")

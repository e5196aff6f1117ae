"""Pairing: codes and their limits by a clock of their own; then a real instrument that serves the network."""

import asyncio

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurorack.errors import NeurorackError
from neurorack.web import pairing
from neurorack.web.pairing import Codes, Paired, digest
from tests.web.face import asks, live, playing, told


class Clock:
    seconds = 1000.0

    def __call__(self):
        return self.seconds


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10 ** 6:06d}"


def test_the_right_code_pairs_once():
    codes = Codes(Clock())
    code = codes.begin("a")
    assert len(code) == 6 and code.isdigit() and codes.begin("b") == code, "a second browser is shown the same"
    codes.attempt(code, "a")
    with pytest.raises(NeurorackError, match="no code is shown"):
        codes.attempt(code, "a")


def test_a_code_ends_after_two_minutes():
    codes = Codes(clock := Clock())
    code = codes.begin("a")
    clock.seconds += pairing.VALID_SECONDS - 0.1
    assert codes.now() == code
    clock.seconds += 0.1
    with pytest.raises(NeurorackError, match="no code is shown"):
        codes.attempt(code, "a")


def test_an_address_that_guesses_has_to_wait():
    codes = Codes(clock := Clock())
    for _ in range(pairing.TRIES_OF_AN_ADDRESS):
        with pytest.raises(NeurorackError, match="not the code"):
            codes.attempt(wrong(codes.begin("a")), "a")
    with pytest.raises(NeurorackError, match="too many wrong codes"):
        codes.begin("a")
    code = codes.begin("b")
    with pytest.raises(NeurorackError, match="too many wrong codes"):
        codes.attempt(code, "a")
    codes.attempt(code, "b")
    clock.seconds += pairing.WINDOW_SECONDS
    codes.attempt(codes.begin("a"), "a")


def test_many_addresses_that_guess_make_a_pause_for_all():
    codes = Codes(clock := Clock())
    for number in range(pairing.TRIES_IN_ALL):
        with pytest.raises(NeurorackError, match="not the code"):
            codes.attempt(wrong(codes.begin(str(number))), str(number))
    with pytest.raises(NeurorackError, match="too many wrong codes"):
        codes.begin("somebody else")
    clock.seconds += codes.pause("x") + 0.1
    codes.begin("somebody else")


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.text(max_size=8) | st.none() | st.integers(), st.floats(0, 60)), max_size=60))
@settings(max_examples=100, deadline=None)
def test_no_sequence_of_guesses_goes_beyond_the_limits(guesses):
    codes, taken = Codes(clock := Clock()), []
    for address, given_code, seconds in guesses:
        clock.seconds += seconds
        try:
            code = codes.begin(address)
        except NeurorackError:
            continue
        if given_code == code:
            continue
        try:
            codes.attempt(given_code, address)
        except NeurorackError as error:
            if "not the code" in str(error):
                taken.append((clock.seconds, address))
    for at, _ in taken:
        within = [who for time, who in taken if at - pairing.WINDOW_SECONDS < time <= at]
        assert len(within) <= pairing.TRIES_IN_ALL and all(within.count(who) <= pairing.TRIES_OF_AN_ADDRESS for who in "abcd")


def test_only_the_hash_of_a_token_is_kept(tmp_path):
    paired = Paired(tmp_path / "paired.yaml")
    token = paired.add("Firefox", "192.0.2.7")
    assert len(token) >= 43 and token not in paired.path.read_text() and paired.known(token) == digest(token)
    assert Paired(paired.path).known(token) and paired.known(token[:-1]) is None and paired.known("") is None
    paired.write([])
    assert paired.known(token) is None


@pytest.mark.parametrize("content", ["", "7", "[]", "kind: paired", "kind: paired\nformat: 1\nbrowsers: 7",
                                     "kind: paired\nformat: 1\nbrowsers: [{id: x}]", "\x00\xff", "a: &a [*a]"])
def test_nobody_is_paired_by_a_damaged_file(tmp_path, content):
    (tmp_path / "paired.yaml").write_bytes(content.encode("latin-1"))
    assert Paired(tmp_path / "paired.yaml").all() == []


# ---- a real instrument


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    with playing(tmp_path_factory.mktemp("network"), address="0.0.0.0") as face:
        yield face


def test_without_a_token_there_is_the_door_and_nothing_else(network):
    for method, path in (("GET", "/api/status"), ("GET", "/live"), ("GET", "/api/log"), ("POST", "/api/do"), ("GET", "/app.js"), ("GET", "/api/takes/x"),
                         ("POST", "/api/models?name=x.ts"),
                         ("GET", "/api/scenes/1"), ("GET", "/nothing.js"), ("DELETE", "/api/models/impacts")):
        assert asks(network, method, path)[0] == 401, path
    status, headers, page = asks(network, "GET", "/")
    assert status == 200 and b"pair.js" in page and "script-src 'self'" in headers["Content-Security-Policy"]
    assert asks(network, "GET", "/pair.js")[0] == 200
    assert told(network, "GET", "/api/pair")[1] == {"ok": True, "needed": True, "paired": False}
    assert asks(network, "GET", "/api/status", headers={"Cookie": f"neurorack-{network.port}=guess"})[0] == 401


def test_pairing_by_the_code_on_the_display_and_its_end(network):
    status, answer = told(network, "POST", "/api/pair", json={})
    assert status == 200 and 100 < answer["until_s"] <= 120 and "code" not in answer
    code = network.ask({"do": "pairing"})["code"]
    assert code in network.run.said and code in network.ask({"do": "notices"})["notices"][0]["text"]
    assert code not in str(network.ask({"do": "log"})), "the log is read by pages"
    assert told(network, "POST", "/api/pair", json={"code": wrong(code)})[0] == 403
    assert told(network, "POST", "/api/pair", json={"code": code}, headers={"Origin": "http://evil.example"})[0] == 403

    async def paired():
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            async with session.post(network.url("/api/pair"), json={"code": code}) as answer:
                assert answer.status == 200 and await answer.json() == {"ok": True}
                cookie = answer.headers["Set-Cookie"]
                assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
            async with session.get(network.url("/api/status")) as answer:
                assert answer.status == 200
            async with session.get(network.url("/")) as answer:
                assert b"app.js" in await answer.read()
            async with live(network, session) as page:
                assert (await page.ask(do="tap"))["ok"]
                one, = (await asyncio.to_thread(network.ask, {"do": "paired"}))["paired"]
                assert (await asyncio.to_thread(network.ask, {"do": "unpair", "id": one["id"]}))["ok"]
                await page.until(lambda m: isinstance(m, dict) and m["type"] == "bye", what="the end of an unpaired page")
            async with session.get(network.url("/api/status")) as answer:
                assert answer.status == 401
    asyncio.run(paired())
    assert network.ask({"do": "unpair", "id": "abc"})["error"].startswith("no paired browser")


def test_whoever_guesses_is_shut_out(network):
    told(network, "POST", "/api/pair", json={})
    answers = []
    for _ in range(8):
        told(network, "POST", "/api/pair", json={})
        answers.append(told(network, "POST", "/api/pair", json={"code": wrong(network.ask({"do": "pairing"})["code"] or "000000")})[1]["error"])
    assert "too many wrong codes" in answers[-1]
    code = network.ask({"do": "pairing"})["code"]
    if code:
        assert told(network, "POST", "/api/pair", json={"code": code})[0] == 403, "not even the right one"
    assert asks(network, "POST", "/api/pair", data=b"[" * 2000)[0] in (400, 413)
    assert asks(network, "POST", "/api/pair", data=b"[1]")[0] == 400

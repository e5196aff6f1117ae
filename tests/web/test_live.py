"""The live socket of a real instrument: what comes, wishes and their answers, and clients that behave badly."""

import asyncio
import json
import os
import random
import signal
import socket
import struct
import time
import zlib
from pathlib import Path

import aiohttp
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurorack.web import limits
from neurorack.web.now import picture
from tests.play.runs import until
from tests.web.face import live


def is_(kind: str, **fields):
    return lambda m: isinstance(m, dict) and m["type"] == kind and all(m.get(key) == value for key, value in fields.items())


def test_a_page_is_told_everything_and_then_what_changes(face):
    async def work():
        async with live(face) as page:
            hello = await page.next()
            assert hello["type"] == "hello" and hello["jacks"] == {"cv": 4, "gate": 2} and hello["rate"] == 48000
            await page.until(lambda m: {"status", "scenes", "sources", "takes", "cables", "notices", "preferences", "statistics", "models"} <= page.parts.keys(), what="every part")
            await page.until(lambda m: {"peak", "rms", "cv", "gates", "hits", "A", "B", "clock", "mix"} <= page.now.keys(), what="everything that moves")
            status = page.parts["status"]
            assert status["pid"] == face.run.pid and status["slots"]["A"]["controls"] and "blocks" not in status
            assert len(page.now["A"]["controls"]) == len(status["slots"]["A"]["controls"])
            assert not any("file" in row for row in page.parts["models"]) and "folder" not in page.parts["takes"]
            began, count = time.monotonic(), len(page.messages)
            while time.monotonic() < began + 2:
                await page.next()
            nows = [m for m in page.messages[count:] if m["type"] == "now"]
            assert 10 < len(nows) <= 66, "thirty a second at most"
            assert not any("mix" in m for m in nows), "what does not change is not sent again"
            return [m["part"] for m in page.messages[count:] if m["type"] == "state"]
    assert asyncio.run(work()).count("scenes") == 0


def test_wishes_are_answered_in_their_order_and_everybody_sees_the_change(face):
    async def work():
        async with live(face) as one, live(face) as other:
            await other.until(lambda m: "status" in other.parts, what="the status")
            for value in range(20):
                await one.socket.send_str(json.dumps({"id": value, "do": "set", "control": "brightness" if value < 0 else "gesture", "value": value / 20}))
            answers = []
            await one.until(lambda m: is_("answer")(m) and answers.append(m) is None and len(answers) == 20, what="twenty answers")
            assert [m["id"] for m in answers] == list(range(20)) and all(m["ok"] for m in answers)
            await other.until(lambda m: other.parts["status"]["patch"]["knobs"].get("gesture") == 0.95, what="the change at the other page")
    asyncio.run(work())


def test_a_gate_click_reaches_the_light_and_is_let_go_with_its_page(face):
    async def work():
        async with live(face) as watching:
            await watching.until(lambda m: "hits" in watching.now, what="the counts")
            hits, seconds = watching.now["hits"][0], []
            async with live(face) as page:
                for _ in range(5):
                    began = time.monotonic()
                    await page.socket.send_str('{"id": "g", "do": "gate", "jack": "gate1", "high": true}')
                    await page.until(lambda m: page.now.get("hits", [0])[0] > hits and page.now["gates"][0], what="the light")
                    seconds.append(time.monotonic() - began)
                    hits += 1
                    await page.ask(do="gate", jack="gate1", high=False)
                    await page.until(lambda m: not page.now["gates"][0], what="its end")
                await page.ask(do="gate", jack="gate1", high=True)
                await watching.until(lambda m: watching.now["gates"][0], what="the gate")
            await watching.until(lambda m: not watching.now["gates"][0], what="the end of a gate whose page is gone")
            hits = watching.now["hits"][0]
            async with live(face) as page:
                await page.next()
                await page.socket.send_str('{"do": "gate", "jack": "gate1", "high": true}')
            await watching.until(lambda m: watching.now["hits"][0] > hits and not watching.now["gates"][0], what="the end of a gate whose page left at once")
            assert sorted(seconds)[2] < 0.5
    asyncio.run(work())


def test_the_picture_is_the_shared_blocks(face):
    """While the panel's process is held, so that its frame stays."""
    async def work():
        async with live(face) as page:
            return await page.until(lambda m: m if isinstance(m, bytes) and m[0] == 1 else None, what="a picture")
    panel = face.rack.panel
    until(lambda: panel.number and panel.pid, 20, "a frame")
    held(panel)
    try:
        asyncio.run(work())
        data = asyncio.run(work())         # a page that comes later gets it, too
        pixels = np.array(panel.pixels).view(np.uint8)[:panel.width * panel.height * panel.channels].reshape(panel.height, panel.width, panel.channels)
    finally:
        os.kill(panel.pid, signal.SIGCONT)
    assert pixels.any() and np.array_equal(unpacked(data) > 127, pixels > 127)


def held(panel) -> None:
    """Stop the panel's process between two frames."""
    stopped = lambda: Path(f"/proc/{panel.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    while True:
        os.kill(panel.pid, signal.SIGSTOP)
        until(stopped, 5, "the panel to stand still")
        if panel.seq % 2 == 0:
            return
        os.kill(panel.pid, signal.SIGCONT)
        time.sleep(0.003)


def unpacked(data: bytes) -> np.ndarray:
    """The pixels of a picture's message, u8 [height, width, 1 or 3]."""
    kind, mode, packed, _, width, height = struct.unpack("<BBBBHH", data[:8])
    body = zlib.decompress(data[8:]) if packed else data[8:]
    assert kind == 1
    if mode == 1:
        return np.unpackbits(np.frombuffer(body, np.uint8).reshape(height, -1), axis=1)[:, :width, None] * 255
    return np.frombuffer(body, np.uint8).reshape(height, width, 3)


def test_pictures_come_back_whole():
    pixels = np.random.default_rng(2).integers(0, 256, (240, 240, 3)).astype(np.uint8)
    assert np.array_equal(unpacked(picture(pixels)), pixels)
    odd = (np.random.default_rng(3).random((5, 13, 1)) > 0.5).astype(np.uint8) * 255
    assert np.array_equal(unpacked(picture(odd)), odd)


def test_the_scope_shows_what_sounds(face):
    async def work():
        async with live(face) as page:
            for high in (True, False):
                await page.ask(do="gate", jack="gate1", high=high)
            return await page.until(lambda m: m if isinstance(m, bytes) and m[0] == 2 and np.abs(np.frombuffer(m[4:], "<i2").astype(int)).max() > 300 else None,
                                    what="a loud scope")
    found = np.frombuffer(asyncio.run(work())[4:], "<i2")
    assert found.size == 1024


# ---- clients that behave badly


@given(st.lists(st.text(max_size=60) | st.binary(max_size=40) | st.dictionaries(st.sampled_from(("id", "do", "jack", "high", "value", "from")),
                st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from(("tap", "gate", "cable", "volts", "status")), max_size=5).map(json.dumps), min_size=1, max_size=10))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nonsense_is_answered_and_the_page_lives_on(face, messages):
    async def work():
        async with live(face) as page:
            for message in messages:
                if isinstance(message, bytes):
                    continue
                await page.socket.send_str(message)
            assert (await page.ask(do="tap"))["ok"]
            assert all("\n" not in m.get("error", "") for m in page.messages if m["type"] == "answer")
    asyncio.run(work())


def test_too_long_and_binary_messages_end_the_connection(face):
    async def ends(send):
        async with live(face) as page:
            await send(page.socket)
            while await page.next() is not None:
                pass
    asyncio.run(ends(lambda socket: socket.send_str("x" * (limits.MOST_MESSAGE_BYTES + 1))))
    asyncio.run(ends(lambda socket: socket.send_bytes(b"\x00")))


def test_a_flood_is_refused_then_dropped_and_others_see_nothing_of_it(face):
    async def work():
        async with live(face) as calm, live(face) as flood:
            async def read():
                while await flood.next() is not None:
                    pass
            reading = asyncio.create_task(read())
            try:
                for _ in range(4000):
                    await flood.socket.send_str('{"do": "tap"}')
            except (ConnectionError, aiohttp.ClientError):
                pass
            await asyncio.wait_for(reading, 60)
            errors = [m["error"] for m in flood.messages if m["type"] == "answer" and not m["ok"]]
            assert any("too many requests" in error or "waiting" in error for error in errors)
            assert {"type": "bye", "reason": "it asks for too much"} in flood.messages or flood.socket.closed
            assert (await calm.ask(do="tap"))["ok"]
    before = face.rack.web.dropped
    asyncio.run(work())
    until(lambda: face.rack.web.dropped > before, 10, "the count")


def test_a_page_that_reads_nothing_is_dropped_and_others_go_on(face):
    """It asks for long answers and takes none: its socket's buffers fill, then it has five seconds."""
    async def work():
        with socket.create_connection(("127.0.0.1", face.port)) as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.sendall(f"GET /live HTTP/1.1\r\nHost: 127.0.0.1:{face.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode())
            async with live(face) as page:
                text = json.dumps({"id": 1, "do": "sources"}).encode()
                mask = random.Random(1).randbytes(4)
                frame = bytes((0x81, 0x80 | len(text))) + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(text))
                end, gone, late = time.monotonic() + 60, False, []
                while time.monotonic() < end and not gone:
                    try:
                        stuck.settimeout(0.05)
                        stuck.sendall(frame * 3)
                    except TimeoutError:
                        pass
                    except OSError:
                        gone = True
                    began = time.monotonic()
                    assert (await page.ask(do="tap"))["ok"]
                    late.append(time.monotonic() - began)
                    await asyncio.sleep(0.03)
                assert gone, "it was never dropped"
                assert sorted(late)[len(late) // 2] < 0.5
    asyncio.run(work())


def test_only_so_many_pages_are_open_at_once(face):
    async def work():
        async with aiohttp.ClientSession() as session:
            sockets = []
            until(lambda: face.rack.web.clients == 0, 10, "the end of other tests' pages")
            for _ in range(limits.MOST_CLIENTS):
                sockets.append(await session.ws_connect(face.url("/live")))
            async with session.get(face.url("/live"), headers={"Connection": "Upgrade", "Upgrade": "websocket"}) as answer:
                assert answer.status == 503
            assert face.rack.web.clients == limits.MOST_CLIENTS
            for one in sockets:
                await one.close()
        until(lambda: face.rack.web.clients == 0, 10, "the end of them")
    asyncio.run(work())

"""The HTTP addresses of a real instrument: who is answered, downloads, scenes, the library and its uploads."""

import asyncio
import json
import socket
import struct
import time

import pytest
import yaml

from neurorack import library
from neurorack.web import limits
from tests.play.runs import until
from tests.web.face import asks, live, told


# ---- who is answered


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1",
                                  "localhost.evil.example:{port}", "127.0.0.1:{port}x", "", "[::1", "127.0.0.1.:99999999999999999999"])
def test_a_name_that_is_not_ours_is_refused(face, host):
    for path in ("/", "/api/status", "/live"):
        assert asks(face, "GET", path, headers={"Host": host.format(port=face.port)})[0] in (400, 421)


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "https://127.0.0.1:{port}"}, {"Origin": "http://127.0.0.1:1"},
                                     {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}])
def test_another_sites_page_is_refused(face, headers):
    headers = {name: value.format(port=face.port) for name, value in headers.items()}
    assert asks(face, "POST", "/api/do", headers=headers, json={"do": "tap"})[0] == 403
    assert asks(face, "GET", "/live", headers={**headers, "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                                                         "Sec-WebSocket-Key": "x" * 22 + "=="})[0] == 403


def test_our_own_page_and_programs_are_answered(face):
    own = {"Origin": face.base, "Sec-Fetch-Site": "same-origin"}
    assert told(face, "POST", "/api/do", headers=own, json={"do": "tap"}) == (200, {"ok": True})
    assert told(face, "POST", "/api/do", headers={"Host": f"localhost:{face.port}"}, json={"do": "tap"})[0] == 200
    assert asks(face, "GET", "/", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})[0] == 200, "a link leads to the page"


def test_what_a_page_may_load_is_said_with_every_answer(face):
    for path in ("/", "/api/status", "/nothing"):
        headers = asks(face, "GET", path)[1]
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy and "*" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff" and "Access-Control-Allow-Origin" not in headers


def test_files_of_the_page_by_their_content(face):
    status, headers, page = asks(face, "GET", "/")
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8" and b"<!doctype html>" in page[:20].lower()
    assert asks(face, "GET", "/", headers={"If-None-Match": headers["ETag"]})[0] == 304
    assert asks(face, "GET", "/pair.js")[1]["Content-Type"] == "text/javascript; charset=utf-8"
    for path in ("/../process.py", "/%2e%2e/process.py", "/page/index.html", "/.git/config", "/etc/passwd", "/%2fetc/passwd", "/index.html%00", "/pair.js/", "//pair.js"):
        assert asks(face, "GET", path)[0] in (400, 404), path


# ---- asking


def test_status_log_and_statistics(face):
    status, answer = told(face, "GET", "/api/status")
    assert status == 200 and answer["pid"] == face.run.pid
    assert answer["web"] == {"address": f"http://127.0.0.1:{face.port}/", "listening": True, "network": False, "pages": answer["web"]["pages"]}
    lines = told(face, "GET", "/api/log")[1]["lines"]
    assert any("plays on" in line for line in lines)
    assert told(face, "GET", "/api/statistics")[1]["cores"]


def test_wishes_and_what_is_none(face):
    assert told(face, "POST", "/api/do", json={"do": "mix", "value": 2})[0] == 400
    assert told(face, "POST", "/api/do", json={"do": "power", "what": "shutdown"})[0] == 400
    assert told(face, "POST", "/api/do", data=b"nonsense")[0] == 400
    assert told(face, "POST", "/api/do", data=b"{" + b" " * limits.MOST_MESSAGE_BYTES + b"}")[0] == 413
    assert "no model" in told(face, "POST", "/api/do", json={"do": "swap", "model": "run.sh"})[1]["error"]
    assert asks(face, "GET", "/api/do")[0] in (404, 405)
    assert asks(face, "GET", "/api/scenes/0")[0] == 400 and asks(face, "GET", "/api/scenes/64x")[0] == 400 and asks(face, "GET", "/api/scenes/63")[0] == 404


def test_cables_and_gates(face):
    cable = {"kind": "voltage", "volts": 2.0}
    assert told(face, "POST", "/api/do", json={"do": "cable", "jack": "cv3", "from": cable}) == (200, {"ok": True})
    until(lambda: abs(face.rack.read_controls()[0][2] - 2.0) < 0.05, 5, "the voltage")
    assert told(face, "POST", "/api/do", json={"do": "cables"})[1]["jacks"]["cv3"]["from"] == cable
    before = face.rack.synth[0].triggers
    for high in (True, False):
        told(face, "POST", "/api/do", json={"do": "gate", "jack": "gate1", "high": high})
    until(lambda: face.rack.synth[0].triggers == before + 1, 5, "the hit")
    assert "there is no jack" in told(face, "POST", "/api/do", json={"do": "volts", "jack": "cv9", "volts": 1})[1]["error"]


# ---- takes and scenes


def test_a_take_is_recorded_and_downloaded_in_parts(face):
    take = told(face, "POST", "/api/do", json={"do": "record", "on": True})[1]["take"]
    time.sleep(0.5)
    assert told(face, "POST", "/api/do", json={"do": "record", "on": False})[0] == 200
    listed = told(face, "GET", "/api/takes")[1]
    assert [one["name"] for one in listed["takes"]] == [take] and "folder" not in listed
    status, headers, whole = asks(face, "GET", f"/api/takes/{take}")
    assert status == 200 and whole[:4] == b"RIFF" and len(whole) == listed["takes"][0]["bytes"] and take in headers["Content-Disposition"]
    status, headers, part = asks(face, "GET", f"/api/takes/{take}", headers={"Range": "bytes=100-299"})
    assert status == 206 and part == whole[100:300] and headers["Content-Range"] == f"bytes 100-299/{len(whole)}"
    assert asks(face, "GET", f"/api/takes/{take}", headers={"Range": f"bytes={len(whole)}-"})[0] == 416
    for name in ("..%2f..%2fstate%2fneurorack%2fpreferences.yaml", "%2fetc%2fpasswd", "..", "x.wav", take + "%00", take.upper()):
        assert asks(face, "GET", f"/api/takes/{name}")[0] in (404, 400), name
    assert told(face, "DELETE", f"/api/takes/{take}")[0] == 200 and asks(face, "GET", f"/api/takes/{take}")[0] == 404


def test_scenes_go_out_and_come_in(face):
    assert told(face, "POST", "/api/do", json={"do": "scene_save", "number": 3, "name": "Dawn"})[0] == 200
    status, headers, text = asks(face, "GET", "/api/scenes/3")
    assert status == 200 and yaml.safe_load(text)["name"] == "Dawn" and "scene-03.yaml" in headers["Content-Disposition"]
    answer = told(face, "PUT", "/api/scenes/9", data=text)[1]
    assert (answer["number"], answer["name"]) == (9, "Dawn")
    assert told(face, "POST", "/api/scenes", data=text)[1]["number"] == 1, "the first free place"
    assert {1, 3, 9} <= {scene["number"] for scene in told(face, "GET", "/api/scenes")[1]["scenes"]}
    for bad in (b"", b"\xff\x00", b"a: [", b"- 1", b"x" * 400_000, b"a: &a [*a]"):
        status, answer = told(face, "PUT", "/api/scenes/9", data=bad)
        assert status in (400, 413) and not answer["ok"]
    assert asks(face, "GET", "/api/scenes/9")[2] == asks(face, "GET", "/api/scenes/3")[2], "what was there stays"


# ---- the library


async def _verdict(face, name: str, data: bytes) -> tuple[dict, dict]:
    import aiohttp

    async with aiohttp.ClientSession() as session, live(face, session) as page:
        async with session.post(face.url("/api/models"), params={"name": name}, data=data) as answer:
            assert answer.status == 202
            taken = await answer.json()
        ended = await page.until(lambda m: isinstance(m, dict) and m["type"] == "upload" and m["name"] == taken["name"] and m["phase"] != "received", 60, "the verdict")
        await page.until(lambda m: isinstance(m, dict) and m.get("part") == "models" and any(row["name"] == taken["name"] for row in m["value"]) or taken["name"] in
                         {row["name"] for row in page.parts.get("models", [])}, what="the new list")
        return ended, next(row for row in page.parts["models"] if row["name"] == taken["name"])


def test_a_good_model_is_uploaded_and_plays(face, tone):
    ended, row = asyncio.run(_verdict(face, "../../Grüße aus <Köln>.safetensors", tone.read_bytes()))
    assert ended["phase"] == "plays" and row["verdict"] == "plays" and row["name"] == "Grüße aus Köln" and "file" not in row
    assert (face.models / "Grüße aus Köln.safetensors").read_bytes() == tone.read_bytes()
    assert told(face, "POST", "/api/do", json={"do": "swap", "model": row["name"]})[1]["job"]["slot"] in "AB"
    assert told(face, "POST", "/api/models?name=Grüße aus Köln.ts", data=b"other")[0] == 409
    assert told(face, "GET", f"/api/models/{row['name']}")[1]["model"]["sha256"]
    told(face, "POST", "/api/do", json={"do": "swap", "model": library.DEFAULT_MODEL})
    assert told(face, "DELETE", f"/api/models/{row['name']}")[0] == 200


def test_a_bad_model_is_refused_and_the_sound_goes_on(face):
    blocks = face.rack.audio.blocks
    ended, row = asyncio.run(_verdict(face, "bad.ts", b"this is no model" * 100))
    assert ended["phase"] == "refused" and row["line"].startswith("refused") and face.rack.audio.blocks > blocks
    assert told(face, "DELETE", "/api/models/bad")[0] == 200


@pytest.mark.parametrize("name", ["", "x", "x.exe", ".ts/..", "x.ts.sh", "x.TS;rm"])
def test_what_is_not_called_a_model_is_not_taken(face, name):
    before = sorted(face.models.rglob("*"))
    assert told(face, "POST", "/api/models", params={"name": name}, data=b"data")[0] == 400
    assert sorted(face.models.rglob("*")) == before


def test_too_large_unknown_length_and_no_room(face):
    post = f"POST /api/models?name=huge.ts HTTP/1.1\r\nHost: 127.0.0.1:{face.port}\r\n".encode()
    for length, wanted in ((limits.MOST_MODEL_BYTES + 1, b"413"), (0, b"400")):
        assert _raw(face, post + b"Content-Length: %d\r\n\r\n" % length).split(b" ")[1] == wanted
    assert _raw(face, post + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n").split(b" ")[1] == b"411"
    assert not list(face.models.glob("huge*"))


def _raw(face, data: bytes, reset: bool = False) -> bytes:
    with socket.create_connection(("127.0.0.1", face.port), timeout=20) as client:
        client.sendall(data)
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return b""
        return client.recv(65536)


@pytest.mark.parametrize("reset", [False, True])
def test_an_upload_that_is_cut_leaves_nothing(face, reset):
    head = f"POST /api/models?name=cut.ts HTTP/1.1\r\nHost: 127.0.0.1:{face.port}\r\nContent-Length: 3000000\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", face.port), timeout=20) as client:
        client.sendall(head + b"x" * 2_000_000)
        until(lambda: list(face.models.glob(".*.upload")), 10, "the beginning of the upload")
        if reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    until(lambda: not list(face.models.glob(".*.upload")), 10, "the end of the rest of it")
    assert not list(face.models.glob("cut*"))
    assert told(face, "POST", "/api/models?name=x.exe", data=b"x")[0] == 400, "the server goes on"


def test_broken_requests_harm_nobody(face):
    for data in (b"\x00" * 100, b"GET / HTTP/9.9\r\n\r\n", b"GET " + b"x" * 20000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5000 + b"\r\n",
                 b"POST /api/do HTTP/1.1\r\nContent-Length: -1\r\n\r\n"):
        assert not _raw(face, data).startswith(b"HTTP/1.1 2")
    assert json.loads(asks(face, "GET", "/api/status")[2])["ok"]

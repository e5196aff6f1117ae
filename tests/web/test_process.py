"""The web process beside the sound: ports, its end, and that nothing of it stops the music."""

import os
import signal
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from neurorack.errors import NeurorackError
from neurorack.web import PORT
from neurorack.web.hand import LOG_LINES, Web, parse_address
from neurorack.web.process import open_door
from tests.play.runs import Playing, until
from tests.web.face import Face, asks, free_port, playing


@pytest.mark.parametrize("text, wanted", [(None, ("127.0.0.1", PORT, True)), ("none", None), ("9000", ("127.0.0.1", 9000, False)), ("0.0.0.0:80", ("0.0.0.0", 80, False)),
                                          ("localhost:9000", ("127.0.0.1", 9000, False)), ("127.0.0.1", ("127.0.0.1", PORT, True))])
def test_addresses(text, wanted):
    assert parse_address(text) == wanted


@pytest.mark.parametrize("text", ["", ":", "x y", "127.0.0.1:0", "127.0.0.1:99999", "127.0.0.1:x", "no.such.host.invalid:80"])
def test_what_is_no_address_is_refused_in_one_line(text):
    with pytest.raises(NeurorackError, match="--web is"):
        parse_address(text)


def test_the_next_free_port_is_taken_where_none_was_asked_for():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError):
            open_door("127.0.0.1", port)
        with open_door("127.0.0.1", port, any_port=True) as door:
            assert port < door.getsockname()[1] < port + 20


def test_the_log_keeps_the_last_lines():
    web = Web(SimpleNamespace())
    for number in range(LOG_LINES + 50):
        web.note(f"line {number}")
    log = web.requests["log"]
    told = log({})
    assert told["count"] == LOG_LINES + 50 and len(told["lines"]) == LOG_LINES and told["lines"][-1].endswith(f"line {LOG_LINES + 49}")
    assert [line.split()[-1] for line in log({"after": LOG_LINES + 47})["lines"]] == ["247", "248", "249"] and log({"after": LOG_LINES + 50})["lines"] == []
    assert all(len(log({"after": after})["lines"]) == LOG_LINES for after in (0, -1, 10**6, "x", None))


def test_a_killed_web_process_comes_back_and_the_sound_goes_on(tmp_path):
    with playing(tmp_path) as face:
        pid, blocks = face.rack.web.pid, face.rack.audio.blocks
        assert os.getpriority(os.PRIO_PROCESS, pid) == 10
        os.kill(pid, signal.SIGKILL)
        until(lambda: face.rack.web.pid != pid and face.rack.web.port == face.port, 30, "another web process")
        assert asks(face, "GET", "/api/status")[0] == 200
        assert face.rack.audio.blocks > blocks and list(face.rack.run.restarts)[:6] == [0] * 6 and face.rack.run.restarts[6] == 1
        assert face.run.said.count("the web process was killed") == 1 and "the sound goes on" in face.run.said
        web = face.rack.web.pid
        face.run.stop()
        until(lambda: not Path(f"/proc/{web}").exists(), 5, "the web process's end")


def test_a_taken_port_is_said_once_and_taken_when_it_is_free(tmp_path):
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with Playing(tmp_path, "--midi", "none", "--web", f"127.0.0.1:{port}") as run:
            run.sounding()
            until(lambda: "cannot be listened at" in run.said, 30, "the warning")
            blocks = run.rack.audio.blocks
            assert "--web HOST:PORT" in run.said and run.rack.web.port == 0
            taken.close()
            until(lambda: run.rack.web.port == port, 30, "the page")
            assert run.said.count("cannot be listened at") == 1 and run.rack.audio.blocks > blocks


@pytest.mark.soak
def test_without_aiohttp_it_is_said_and_the_music_plays(tmp_path):
    hidden = tmp_path / "hidden" / "aiohttp"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'aiohttp'\", name='aiohttp')\n")
    path = os.pathsep.join(filter(None, (str(hidden.parent), str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH"))))
    with Playing(tmp_path, "--midi", "none", "--web", str(free_port()), env={"PYTHONPATH": path}) as run:
        run.sounding()
        until(lambda: "pip install aiohttp" in run.said, 30, "what to do")
        blocks = run.rack.audio.blocks
        until(lambda: run.rack.run.restarts[6] >= 2, 30, "another try")
        assert run.said.count("pip install aiohttp") == 1 and run.said.count("the sound goes on") == 1
        assert run.rack.audio.blocks > blocks and run.process.poll() is None


def test_the_page_follows_the_preferences(tmp_path):
    port, state = free_port(), tmp_path / "state"
    (state / "neurorack").mkdir(parents=True)
    (state / "neurorack" / "preferences.yaml").write_text(f"kind: preferences\nformat: 1\nvalues: {{web.network: 'off', web.port: {port}}}\n")
    own = {"XDG_STATE_HOME": str(state), "XDG_RUNTIME_DIR": str(tmp_path / "run"), "XDG_DATA_HOME": str(tmp_path / "data")}
    (tmp_path / "run").mkdir(mode=0o700)
    with Playing(tmp_path, "--midi", "none", env=own, page=True) as run:
        run.sounding()
        face = Face(run, port, tmp_path)
        assert face.ask({"do": "status"})["web"] == {"address": None, "listening": False, "network": False, "pages": 0}
        for network, status in (("local", 200), ("network", 401)):
            assert face.ask({"do": "preference", "name": "web.network", "value": network})["ok"]
            until(lambda: (web := face.ask({"do": "status"})["web"])["listening"] and web["network"] == (network == "network"), 30, f"the page, {network}")
            assert asks(face, "GET", "/api/status")[0] == status
        assert face.ask({"do": "preference", "name": "web.network", "value": "off"})["ok"]
        until(lambda: not face.ask({"do": "status"})["web"]["listening"], 10, "the end of the page")
        assert "the web process" not in run.said, "it was asked to leave"

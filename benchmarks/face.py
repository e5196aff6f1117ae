"""What panel and page cost: processor time and memory with a page open, underruns with and without them, gate click to light.

``python benchmarks/face.py [--seconds 60] [--rounds 4] [--block 128]`` as root or with real-time rights.

* The instrument plays on the paced fake card while a full load keeps the other core busy; rounds with panel and page, and rounds without
  both (``--web none --display none``), take turns in one run.
* In the rounds with them a **page-like client** reads everything that ``/live`` sends, turns the encoder by a few detents ten times a
  second and clicks gate 1 every half second, through the page's own socket.
* **Click to light**: from the click's message to the message that says the gate is high (``now``: ``hits``), at the client.
* **Processor time** is the process's own, of one core; **memory** is private.
* **Underruns** of the ring, by cause, and the machine's own stalls longer than a block, beside each other.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks.realtime import playing, private_megabytes  # noqa: E402
from benchmarks.swap import spread  # noqa: E402
from tests.rig.burn import core_load  # noqa: E402
from tests.rig.card import FakeCard  # noqa: E402
from tests.rig.stalls import StallLog  # noqa: E402
from tests.web.face import cpu_seconds, free_port  # noqa: E402

SETTLE_SECONDS = 4.0
CLICK_SECONDS, TURN_SECONDS, DETENTS = 0.5, 0.1, 3
TARGETS = {"panel_and_page_cores": 0.20, "click_to_light_ms": 100}


async def page(port: int, seconds: float) -> dict:
    """A page for so long: milliseconds from click to light, and what came."""
    import aiohttp

    clicked, lights, bytes_in, messages = None, [], 0, {}
    async with aiohttp.ClientSession() as session, session.ws_connect(f"http://127.0.0.1:{port}/live") as socket:
        end = time.monotonic() + seconds
        click_at, fall_at, turn_at, turn, hits = time.monotonic() + 2, None, time.monotonic() + 1, 1, None
        await socket.send_str('{"do": "cable", "jack": "gate1", "from": null}')
        while (now := time.monotonic()) < end:
            if now >= turn_at:
                turn_at, turn = now + TURN_SECONDS, -turn if int(now) % 5 == 0 else turn
                await socket.send_str(json.dumps({"do": "panel", "turn": turn * DETENTS}))
            if now >= click_at and clicked is None:
                click_at, fall_at, clicked = now + CLICK_SECONDS * 1.07, now + 0.1, now
                await socket.send_str('{"do": "gate", "jack": "gate1", "high": true}')
            if fall_at and now >= fall_at:
                fall_at = None
                await socket.send_str('{"do": "gate", "jack": "gate1", "high": false}')
            with contextlib.suppress(TimeoutError):
                message = await socket.receive(timeout=0.01)
                if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                    raise RuntimeError(f"the page's connection ended: {message}")
                bytes_in += len(message.data)
                if message.type is aiohttp.WSMsgType.BINARY:
                    kind = {1: "picture", 2: "scope"}[message.data[0]]
                else:
                    told = json.loads(message.data)
                    kind = told["type"]
                    if kind == "now" and "hits" in told:
                        if clicked and hits is not None and told["hits"][0] > hits:
                            lights.append(1000 * (time.monotonic() - clicked))
                            clicked = None
                        hits = told["hits"][0]
                messages[kind] = messages.get(kind, 0) + 1
    return {"lights_ms": lights, "kilobytes_a_second": round(bytes_in / 1000 / seconds, 1),
            "messages_a_second": {kind: round(count / seconds, 1) for kind, count in messages.items()}}


def a_round(face: bool, seconds: float, block: int) -> dict:
    """One instrument, with panel and page or without."""
    with tempfile.TemporaryDirectory() as name, StallLog(500) as log:
        folder, port = Path(name), free_port()
        own = {variable: str(folder / variable) for variable in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_DATA_HOME")}
        for path in own.values():
            Path(path).mkdir()
        options = ["--block", block, "--midi", "none", *(["--web", port] if face else ["--web", "none", "--display", "none"])]
        with FakeCard(folder) as card, playing(folder, card, *options, env=own) as (_, rack), core_load([max(os.sched_getaffinity(0))]):
            while face and not rack.web.port:
                time.sleep(0.05)
            time.sleep(SETTLE_SECONDS)
            pids = {"panel": rack.panel.pid, "web": rack.web.pid} if face else {}
            before, began = {role: cpu_seconds(pid) for role, pid in pids.items() if pid}, time.monotonic()
            late = [list(map(int, slot.late)) for slot in rack.underruns]
            seen = asyncio.run(page(port, seconds)) if face else time.sleep(seconds)
            took = time.monotonic() - began
            cores = {role: round((cpu_seconds(pids[role]) - at) / took, 4) for role, at in before.items()}
            underruns = sum(int(now) - was for slot, old in zip(rack.underruns, late) for now, was in zip(slot.late, old))
            memory = {role: private_megabytes(pids[role]) for role in before}
        return {"face": face, "seconds": round(took, 1), "underruns": underruns, "stalls_longer_than_a_block": sum(stall.us > 1e6 * block / 48000 for stall in log.stalls()),
                "cores": cores, "private_megabytes": memory, "page": seen}


def measure(seconds: float, rounds: int, block: int) -> dict:
    """With and without, in turns."""
    done = [a_round(number % 2 == 0, seconds, block) for number in range(2 * rounds)]
    on = [one for one in done if one["face"]]
    lights = [ms for one in on for ms in one["page"].pop("lights_ms")]
    cores = {role: spread([100 * one["cores"][role] for one in on if role in one["cores"]]) for role in ("panel", "web")}
    return {"block": block, "seconds": seconds, "rounds": rounds, "percent_of_a_core": cores,
            "together_percent": spread([100 * sum(one["cores"].values()) for one in on]), "click_to_light_ms": spread(lights), "clicks": len(lights),
            "underruns": {"with": [one["underruns"] for one in on], "without": [one["underruns"] for one in done if not one["face"]]},
            "stalls": {"with": [one["stalls_longer_than_a_block"] for one in on], "without": [one["stalls_longer_than_a_block"] for one in done if not one["face"]]},
            "private_megabytes": on[-1]["private_megabytes"], "page": on[-1]["page"], "targets": TARGETS}


def main() -> None:
    """Run, print, write results/face.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="of each round (default 60)")
    parser.add_argument("--rounds", type=int, default=4, help="with, and as many without (default 4)")
    parser.add_argument("--block", type=int, default=128)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "face.json")
    options = parser.parse_args()
    figures = measure(options.seconds, options.rounds, options.block)
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()

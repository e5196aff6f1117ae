"""``python -m tools.draw.page``: the pictures of the page, ``docs/page.png`` and ``docs/page-phone.png``.

Starts an instrument on a null device, opens its page in a headless Chromium (Debian's chromium and chromium-driver; selenium), patches
a few cables, waits for a moment with sound in it, and takes the pictures. Nothing of the machine's own instrument is touched.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from tests.web import browser
from tests.web.face import playing

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
DESKTOP, PHONE = (1440, 880), (390, 844)
LOUD = 0.25                        # of full scale: what the scope should show
TRIES = 40
CABLES = {"gate1": {"kind": "clock", "bpm": 104, "hits": 7, "gate_ms": 130}, "cv1": {"kind": "random", "rate_hz": 3.5}, "cv2": {"kind": "lfo", "rate_hz": 0.3, "volts": 2.0},
          "cv3": {"kind": "sequencer", "volts": [0.0, 2.0, 4.0, 1.0, 5.0, 3.0, -1.0, 2.5]}, "cv4": {"kind": "lfo", "rate_hz": 0.11}, "gate2": {"kind": "keyboard"}}
SCENES = ("Dawn", "Rust", "Small bells")


def prepare(face) -> None:
    """Something to look at."""
    for jack, source in CABLES.items():
        face.ask({"do": "cable", "jack": jack, "from": source})
    face.ask({"do": "set", "control": "decay", "value": 0.3})
    for i, name in enumerate(SCENES):
        face.ask({"do": "set", "control": "bandwidth", "value": 0.3 + 0.2 * i})
        face.ask({"do": "scene_save", "name": name})
    for notice in face.ask({"do": "notices"}).get("notices", []):
        face.ask({"do": "notice_seen", "id": notice["id"]})


def picture(page, path: Path) -> None:
    """At a moment when the jack sounds and gate 1 is lit, as the picture itself shows."""
    sounds = f"document.querySelector('.socket[data-jack=gate1]').classList.contains('high') && Math.max(...(live.now.peak ?? [0])) > {LOUD}"
    for _ in range(TRIES):
        page.live(f"const end = performance.now() + 4000; while (!({sounds}) && performance.now() < end) await new Promise(requestAnimationFrame);")
        shot = Image.open(io.BytesIO(page.driver.get_screenshot_as_png())).convert("RGB")
        if lively(page, np.asarray(shot).astype(int)):
            break
    shot.point(lambda part: part & ~1).save(path, optimize=True)      # the last bit is nothing but the ditherings of gradients
    print(f"{path.name}: {shot.width} x {shot.height}, {os.path.getsize(path) / 1000:.0f} kB")


def lively(page, pixels: np.ndarray) -> bool:
    """Whether the ring of gate 1 is amber, and the display's wave more than a line."""
    def place(selector: str) -> list[int]:
        """Left, top, width, height in the picture's pixels."""
        return [round(part) for part in page.js("const box = document.querySelector(arguments[0]).getBoundingClientRect(); "
                                                "return [box.x, box.y, box.width, box.height].map((part) => part * devicePixelRatio)", selector)]
    x, y, side, _ = place(".jack[data-jack=gate1]")
    ring = pixels[y + side // 2, x:x + side // 2]
    left, top, width, height = place(".screen")
    wave = pixels[top + height // 4:top + height * 5 // 8, left:left + width * 3 // 4].sum(axis=2) > 500
    return bool(np.any((ring[:, 0] > 220) & (ring[:, 2] < 120))) and np.count_nonzero(wave.any(axis=1)) > height // 6


def main() -> int:
    if why := browser.unavailable():
        print(f"no picture: {why}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder, playing(Path(folder) / "home") as face, browser.browser(Path(folder), face) as page:
        prepare(face)
        page.window(DESKTOP)
        page.open()
        page.js("document.documentElement.dataset.theme = 'dark'")
        page.js("document.querySelector('.jack[data-jack=cv3]').click(); document.activeElement.blur()")
        time.sleep(3)
        picture(page, DOCS / "page.png")
        page.window(PHONE, phone=True)
        page.tab("module")
        page.js("document.querySelector('.inspector .icon')?.click(); document.activeElement.blur(); scrollTo(0, 0)")
        time.sleep(1.5)
        picture(page, DOCS / "page-phone.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())

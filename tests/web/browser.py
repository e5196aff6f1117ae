"""A headless Chromium on the page, driven as a person would: keys, pointer, touch. Debian's chromium and chromium-driver."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import time
from pathlib import Path

import numpy as np
import soundfile

from tests.play.runs import until
from tests.web.face import Face

PATIENCE_SECONDS = 15.0
DESKTOP, PHONE = (1440, 900), (390, 844)


def unavailable() -> str | None:
    """Why no browser can be driven here; None where one can."""
    if importlib.util.find_spec("selenium") is None:
        return "selenium is not installed"
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(missing)} missing: apt-get install chromium chromium-driver" if missing else None


class Browser:
    """One window. ``face``: the instrument whose page it shows, or None."""

    def __init__(self, folder: Path, face: Face | None = None):
        from selenium import webdriver

        self.folder, self.face = folder, face
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio", "--hide-scrollbars",
                         f"--window-size={DESKTOP[0]},{DESKTOP[1]}", f"--user-data-dir={folder / 'profile'}"):
            options.add_argument(argument)
        options.add_experimental_option("prefs", {"download.default_directory": str(folder), "download.prompt_for_download": False})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        self.driver.set_script_timeout(30)
        self.said: list[dict] = []

    def close(self) -> None:
        self.driver.quit()

    # -- looking

    def open(self, url: str | None = None, page: str = "") -> Browser:
        """Load the page and wait until it is live."""
        self.driver.get(url or self.face.url(f"/#{page}" if page else "/"))
        if url is None:
            until(lambda: self.js("return document.body.className === '' && !!document.querySelector('[data-jack=cv1].jack')"), PATIENCE_SECONDS, "the live page", 0.05)
        return self

    def js(self, script: str, *arguments):
        return self.driver.execute_script(script, *arguments)

    def live(self, script: str, *arguments):
        """A script that may await; ``live`` is the page's own module of that name. Returns what it resolves to."""
        return self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1], given = [...arguments].slice(0, -1);"
            f"import('/live.js').then(async (live) => {{ {script} }}).then(done, (error) => done('failed: ' + error));", *arguments)

    def find(self, selector: str):
        """The first visible element."""
        return until(lambda: self.js("return [...document.querySelectorAll(arguments[0])].find((one) => one.checkVisibility()) ?? null", selector),
                     PATIENCE_SECONDS, selector, 0.05)

    def named(self, name: str):
        """The visible control of this name: what a screen reader would say, in its simple cases (``test_page_access`` asks the browser itself)."""
        return until(lambda: self.js("""
            return [...document.querySelectorAll("button, a, [role], input, select, summary")].find((one) => one.checkVisibility() &&
                (one.getAttribute("aria-label") ?? one.labels?.[0]?.textContent ?? one.textContent).trim() === arguments[0]) ?? null;""", name),
                     PATIENCE_SECONDS, f"a control called {name}", 0.1)

    def text(self, selector: str) -> str:
        return self.js("return [...document.querySelectorAll(arguments[0])].map((one) => one.textContent).join('\\n')", selector)

    def picture(self) -> list[int]:
        """The display's pixels: red of each."""
        return self.js("""
            const canvas = document.querySelector('.screen'), pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            return Array.from(pixels).filter((_, i) => i % 4 === 0);""")

    def errors(self) -> list[dict]:
        """What the console was told of as an error, since the page was opened."""
        self.said += self.driver.get_log("browser")
        return [line for line in self.said if line["level"] == "SEVERE"]

    # -- doing

    def tab(self, name: str) -> None:
        """Open a page of the workbench."""
        self.js("document.getElementById('tab-' + arguments[0]).click()", name)

    def keys(self, *keys) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver, duration=0).send_keys(*keys).perform()

    def drag(self, source, target) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver, duration=20).click_and_hold(source).move_by_offset(-20, 10).move_to_element(target).release().perform()

    def wheel(self, element, pixels: int) -> None:
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

        ActionChains(self.driver, duration=0).scroll_from_origin(ScrollOrigin.from_element(element), 0, pixels).perform()

    def window(self, size: tuple[int, int], phone: bool = False) -> None:
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": size[0], "height": size[1], "deviceScaleFactor": 2 if phone else 1, "mobile": phone})
        self.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": phone})

    def hear(self, seconds: float, play=None) -> np.ndarray:
        """Record a take by the page's own button while ``play()`` does something; float [frames, 2]."""
        folder = self.face.home / "data" / "neurorack" / "takes"
        before = set(folder.glob("*.wav")) if folder.is_dir() else set()
        button = self.find("#quick-record")
        button.click()
        until(lambda: button.get_attribute("aria-pressed") == "true", PATIENCE_SECONDS, "the recording", 0.02)
        end = time.monotonic() + seconds
        if play:
            play()
        time.sleep(max(0.0, end - time.monotonic()))
        button.click()
        until(lambda: button.get_attribute("aria-pressed") == "false", PATIENCE_SECONDS, "the end of the recording", 0.02)
        return soundfile.read(next(iter(set(folder.glob("*.wav")) - before)), always_2d=True)[0]


@contextlib.contextmanager
def browser(folder: Path, face: Face | None = None):
    one = Browser(Path(folder), face)
    try:
        yield one
    finally:
        one.close()


def centroid_hz(sound: np.ndarray, rate_hz: int = 48000) -> float:
    """The spectrum's middle, by magnitude."""
    spectrum = np.abs(np.fft.rfft(sound.mean(axis=1)))
    return float(np.sum(spectrum * np.fft.rfftfreq(len(sound), 1 / rate_hz)) / np.sum(spectrum))

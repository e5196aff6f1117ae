"""Who may open the page and who can use it: pairing, keyboard, screen reader, contrast, a phone's width, and a lost instrument.

The instrument of these tests listens to the whole network, so its page asks for pairing, as it would on a module.
"""

import pytest

pytest.importorskip("aiohttp")

from neurorack import statistics  # noqa: E402
from tests.play.runs import until  # noqa: E402
from tests.web import browser as browsers  # noqa: E402
from tests.web.contrast import POOR  # noqa: E402
from tests.web.face import playing  # noqa: E402

if why := browsers.unavailable():
    pytest.skip(why, allow_module_level=True)

PATIENCE = browsers.PATIENCE_SECONDS
PAGES = ("play", "patch", "modulators", "models", "scenes", "record", "midi", "settings", "health")
NAMED_ROLES = {"button", "slider", "textbox", "combobox", "tab", "link", "checkbox", "spinbutton", "img", "meter", "radio", "switch", "tabpanel", "application"}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A browser at an address of this machine that is not the loopback, where it has one."""
    address = next(iter(statistics.addresses().values()), "127.0.0.1")
    with playing(tmp_path_factory.mktemp("access"), address="0.0.0.0") as face:
        face.base = f"http://{address}:{face.port}"
        with browsers.browser(tmp_path_factory.mktemp("browser"), face) as one:
            one.open(face.url("/"))
            yield one


@pytest.fixture
def paired(page):
    """The page behind the pairing, on a desktop."""
    page.window(browsers.DESKTOP)
    if page.js("return !document.querySelector('#tabs')"):
        pair(page)
    page.tab("play")
    return page


def pair(page):
    from selenium.webdriver.common.keys import Keys

    page.open(page.face.url("/"))
    page.find("#ask").click()
    code = until(lambda: page.face.ask({"do": "pairing"})["code"], PATIENCE, "the code", 0.05)
    page.find("#code").send_keys(code, Keys.ENTER)
    until(lambda: page.js("return document.body.className === '' && !!document.querySelector('[data-jack=cv1].jack')"), PATIENCE, "the live page", 0.05)


def test_nobody_comes_in_without_the_code(page):
    from selenium.webdriver.common.keys import Keys

    assert "does not know" in page.text("main")
    answers = page.driver.execute_async_script("""
        const done = arguments[0], of = (path) => fetch(path).then((one) => one.status);
        const closed = new Promise((end) => { const live = new WebSocket(`ws://${location.host}/live`); live.onopen = () => end('opened'); live.onerror = () => end('refused'); });
        Promise.all([of('/api/status'), of('/app.js'), of('/api/takes'), closed]).then(done);""")
    assert answers == [401, 401, 401, "refused"]
    page.find("#ask").click()
    code = until(lambda: page.face.ask({"do": "pairing"})["code"], PATIENCE, "the code", 0.05)
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    page.find("#code").send_keys(wrong, Keys.ENTER)
    until(lambda: "not the code" in page.text("#said"), PATIENCE, "the refusal", 0.05)
    pair(page)
    assert page.js("return document.cookie") == "", "no script can read the token"
    page.errors()
    page.said.clear()       # the refusals above are on the console, too


def test_every_control_has_a_name(paired):
    for name in PAGES:
        paired.tab(name)
        tree = paired.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        nameless = [node["role"]["value"] for node in tree if not node.get("ignored") and node.get("role", {}).get("value") in NAMED_ROLES
                    and not node.get("name", {}).get("value", "").strip()]
        assert nameless == [], name
    assert paired.js("return document.querySelectorAll('h1').length") == 1 and paired.js("return document.documentElement.lang") == "en"


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_text_stands_out_from_its_ground(paired, theme):
    paired.js("document.documentElement.dataset.theme = arguments[0]", theme)
    for name in PAGES:
        paired.tab(name)
        assert paired.js(POOR) == [], f"{name}, {theme}: contrast below WCAG 2's AA"


def test_the_keyboard_reaches_everything_in_order(paired):
    from selenium.webdriver.common.keys import Keys

    paired.js("document.activeElement.blur(); window.scrollTo(0, 0)")
    seen = []
    for _ in range(60):
        paired.keys(Keys.TAB)
        seen.append(paired.js("const one = document.activeElement; return one.dataset.jack ?? one.dataset.kind ?? one.id ?? one.className"))
        outline = paired.js("return getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", f"{seen[-1]} does not show that it has the focus"
        if seen[-1] == "tab-play":
            break
    order = [seen.index(name) for name in ("quick-record", "gate1", "gate2", "cv1", "cv4", "lfo", "clock", "voltage", "tab-play")]
    assert order == sorted(order)
    paired.keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert paired.js("return document.activeElement.id") == "tab-modulators" and paired.js("return document.body.dataset.page") == "modulators"
    paired.keys(Keys.HOME)


def test_a_cable_by_keys_alone(paired):
    from selenium.webdriver.common.keys import Keys

    paired.js("document.querySelector('.source[data-kind=random]').focus()")
    paired.keys(Keys.ENTER)
    assert "choose a jack" in paired.text("#patch-hint")
    paired.js("document.querySelector('.jack[data-jack=gate2]').focus()")
    paired.keys(Keys.ENTER)
    until(lambda: (paired.face.ask({"do": "cables"})["jacks"]["gate2"]["from"] or {}).get("kind") == "random", PATIENCE, "the cable", 0.05)
    knob = paired.find(".inspector [role=slider][aria-label=chance]")
    knob.send_keys(Keys.END)
    until(lambda: paired.face.ask({"do": "cables"})["jacks"]["gate2"]["from"]["chance"] == 1.0, PATIENCE, "the knob's end", 0.05)
    knob.send_keys(Keys.ARROW_DOWN)
    until(lambda: paired.face.ask({"do": "cables"})["jacks"]["gate2"]["from"]["chance"] == pytest.approx(0.99), PATIENCE, "a step down", 0.05)
    assert knob.get_attribute("aria-valuetext") == "0.99"
    paired.js("document.querySelector('.jack[data-jack=gate2]').focus()")
    paired.keys(Keys.DELETE)
    until(lambda: paired.face.ask({"do": "cables"})["jacks"]["gate2"]["from"] is None, PATIENCE, "an empty jack", 0.05)


@pytest.mark.parametrize("width", [320, 390])
def test_nothing_is_wider_than_a_phone(paired, width):
    paired.window((width, 844), phone=True)
    for name in ("module", *PAGES):
        paired.tab(name)
        assert paired.js("return document.documentElement.scrollWidth") <= width, name
        small = paired.js("""
            return [...document.querySelectorAll('#tabs button, .bar button:not([disabled])')]
                .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 32).map((one) => one.textContent);""")
        assert small == [], f"{name}: too small for a finger"
    paired.tab("module")
    ratio = paired.js("const c = document.querySelector('.screen'); return c.getBoundingClientRect().width * devicePixelRatio / c.width")
    assert ratio == pytest.approx(round(ratio), abs=0.01)


def test_who_wants_calm_gets_it(paired):
    paired.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]})
    try:
        assert paired.js("return getComputedStyle(document.querySelector('.turning')).transitionDuration") in ("1e-05s", "0.00001s")
    finally:
        paired.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_an_instrument_that_stops_is_missed_and_found_again(paired):
    """Last of all, because it ends the instrument of this file."""
    assert paired.errors() == []
    face = paired.face
    face.run.stop()
    until(lambda: paired.js("return document.getElementById('lost').checkVisibility()"), PATIENCE, "the notice", 0.1)
    assert "comes back by itself" in paired.text("#lost")
    with playing(face.home, address="0.0.0.0", port=face.port):
        until(lambda: paired.js("return document.body.className === '' && document.getElementById('lost').hidden"), PATIENCE, "the page again", 0.1)

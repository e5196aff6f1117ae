"""The page in a headless browser, used as a musician uses it: one browser and one instrument for all of these."""

import time

import numpy as np
import pytest
import soundfile

pytest.importorskip("aiohttp")

from tests import models  # noqa: E402
from tests.play.runs import onsets, until  # noqa: E402
from tests.web import browser as browsers  # noqa: E402
from tests.web.face import playing  # noqa: E402

if why := browsers.unavailable():
    pytest.skip(why, allow_module_level=True)

PATIENCE = browsers.PATIENCE_SECONDS


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of an instrument whose jacks are empty: nothing plays unless a test does."""
    with playing(tmp_path_factory.mktemp("page")) as face:
        for jack in ("gate1", "cv1", "cv2", "cv3", "cv4"):
            face.ask({"do": "cable", "jack": jack, "from": None})
        with browsers.browser(tmp_path_factory.mktemp("browser"), face) as one:
            yield one.open()


@pytest.fixture(autouse=True)
def on_the_desktop(page):
    page.window(browsers.DESKTOP)
    page.tab("play")
    yield


def hit(page, times=3, every=0.35):
    from selenium.webdriver.common.keys import Keys

    pad = page.find(".pad")
    for _ in range(times):
        pad.send_keys(Keys.ENTER)
        time.sleep(every)


def test_the_display_shows_what_the_instrument_shows(page):
    told = page.face.ask({"do": "panel"})
    canvas = page.find(".screen")
    until(lambda: len(set(page.picture())) > 1, PATIENCE, "a lit pixel", 0.1)
    assert [int(canvas.get_attribute(side)) for side in ("width", "height")] == told["size"]
    until(lambda: told["screen"].lower() in canvas.get_attribute("aria-label").lower(), PATIENCE, "the screen's name", 0.1)
    shown = page.js("const c = document.querySelector('.screen'); return c.getBoundingClientRect().width * devicePixelRatio / c.width")
    assert shown == int(shown) and shown >= 2, "each pixel is shown as a whole number of the screen's own"


def test_the_encoder_is_turned_and_pressed(page):
    from selenium.webdriver.common.keys import Keys

    encoder, before = page.named("Encoder: arrow keys turn, Enter presses"), page.face.rack.panel.detents
    encoder.send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    until(lambda: page.face.rack.panel.detents == before + 2, PATIENCE, "two detents")
    page.wheel(encoder, 180)
    until(lambda: page.face.rack.panel.detents == before + 5, PATIENCE, "three more by the wheel")
    screen, seen = page.face.ask({"do": "panel"})["screen"], page.picture()
    events = page.face.rack.panel.events
    encoder.send_keys(Keys.ENTER)
    until(lambda: page.face.rack.panel.events >= events + 2, PATIENCE, "press and release")
    encoder.send_keys(Keys.ARROW_DOWN)
    until(lambda: page.picture() != seen, PATIENCE, "another picture", 0.1)
    until(lambda: page.face.ask({"do": "panel"})["screen"].lower() in page.find(".screen").get_attribute("aria-label").lower(), PATIENCE, "its name", 0.1)
    assert page.face.ask({"do": "panel"})["screen"] or screen


def test_a_cable_is_drawn_heard_and_taken_out(page):
    assert np.abs(page.hear(0.6)[-4800:]).max() < 1e-3
    page.drag(page.find(".source[data-kind=clock]"), page.find(".jack[data-jack=gate1]"))
    until(lambda: page.face.ask({"do": "cables"})["jacks"]["gate1"]["from"], PATIENCE, "the cable", 0.05)
    until(lambda: page.js("return document.querySelectorAll('.cables > g.wire-clock').length") == 1, PATIENCE, "the drawn cable", 0.05)
    ends = page.js("""
        const middle = (one) => { const box = one.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; };
        const jacks = '.source[data-kind=clock] .out-jack, .jack[data-jack=gate1]';
        return [...document.querySelectorAll('.cables > g > .plug'), ...document.querySelectorAll(jacks)].map(middle);""")
    assert np.abs(np.sort(ends[:2], 0) - np.sort(ends[2:], 0)).max() < 2, "a cable ends in its jacks"
    heard = page.hear(1.6)
    assert np.abs(heard).max() > 0.01 and len(onsets(heard, threshold=0.02, quiet_frames=200)) >= 1
    jack = page.find(".jack[data-jack=gate1]")
    assert "clock plugged in" in jack.accessible_name
    from selenium.webdriver.common.keys import Keys
    jack.send_keys(Keys.DELETE)
    until(lambda: page.face.ask({"do": "cables"})["jacks"]["gate1"]["from"] is None, PATIENCE, "an empty jack", 0.05)
    until(lambda: page.js("return document.querySelectorAll('.cables > g').length") == 0, PATIENCE, "no drawn cable", 0.05)


def test_a_slider_changes_the_sound(page):
    from selenium.webdriver.common.keys import Keys

    page.face.ask({"do": "set", "control": "gesture", "value": 0.6, "drive": None})
    bright, heard = page.named("Bright"), {}
    for end, value in ((Keys.HOME, 0.0), (Keys.END, 1.0)):
        bright.send_keys(end)
        until(lambda: page.face.ask({"do": "status"})["patch"]["knobs"].get("centroid") == value, PATIENCE, "the knob", 0.05)
        heard[value] = browsers.centroid_hz(page.hear(1.2, lambda: hit(page)))
    assert heard[1.0] > 1.3 * heard[0.0], heard
    bright.send_keys(Keys.HOME, *[Keys.ARROW_RIGHT] * 4)
    until(lambda: page.face.ask({"do": "status"})["patch"]["knobs"]["centroid"] == pytest.approx(0.02), PATIENCE, "four steps", 0.05)


def test_a_gate_lights_within_a_tenth_of_a_second(page):
    times = page.live("""
        const times = [], pad = document.querySelector('.pad'), ring = document.querySelector('.socket[data-jack=gate1]');
        let arrived; live.watch('now', (changed) => { if (changed.hits && arrived) arrived(); });
        for (let i = 0; i < 9; i += 1) {
            const began = performance.now(), came = new Promise((done) => { arrived = done; });
            pad.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }));
            if (!ring.classList.contains('high')) return 'the light did not go on at once';
            await came;
            times.push(performance.now() - began);
            pad.dispatchEvent(new KeyboardEvent('keyup', { key: 'Enter', bubbles: true }));
            await new Promise((done) => setTimeout(done, 120));
        }
        return times;""")
    assert isinstance(times, list), times
    assert np.median(times) < 100, f"the instrument's own word of the hit came after {times} ms"


def test_the_meters_move_thirty_times_a_second(page):
    came = page.live("""
        let came = 0; live.watch('now', (changed) => { if (changed.peak || changed.cv) came += 1; });
        await live.ask({ do: 'cable', jack: 'cv1', from: { kind: 'lfo', rate_hz: 3 } });
        await new Promise((done) => setTimeout(done, 300));
        const before = came; await new Promise((done) => setTimeout(done, 1000));
        const count = came - before; await live.ask({ do: 'cable', jack: 'cv1', from: null }); return count;""")
    assert 15 < came <= 33


def test_scenes_are_saved_and_recalled(page):
    from selenium.webdriver.common.keys import Keys

    page.named("Boom").send_keys(Keys.END)
    until(lambda: page.face.ask({"do": "status"})["patch"]["knobs"].get("booming") == 1, PATIENCE, "the knob", 0.05)
    page.tab("scenes")
    name = page.named("Name of the new scene")
    name.send_keys("Dawn", Keys.ENTER)
    until(lambda: "Dawn" in page.text(".scenes"), PATIENCE, "the scene in the list", 0.1)
    page.tab("play")
    page.named("Boom").send_keys(Keys.HOME)
    until(lambda: page.face.ask({"do": "status"})["patch"]["knobs"].get("booming") == 0, PATIENCE, "the knob", 0.05)
    page.tab("scenes")
    until(lambda: "changed" in page.text(".scenes"), PATIENCE, "that it was changed", 0.1)
    page.named("Recall Dawn now").click()
    until(lambda: page.face.ask({"do": "status"})["patch"]["knobs"].get("booming") == 1, PATIENCE, "the scene's sound", 0.1)
    page.named("Rename Dawn").click()
    box = page.named("New name of scene 1")
    box.send_keys("Dusk", Keys.ENTER)
    until(lambda: "Dusk" in page.text(".scenes"), PATIENCE, "the new name", 0.1)
    page.named("Delete Dusk").click()
    page.named("Really delete Dusk").click()
    until(lambda: page.face.ask({"do": "scenes"})["scenes"] == [], PATIENCE, "no scene", 0.1)


def test_two_scenes_are_morphed(page):
    from selenium.webdriver.common.keys import Keys

    for number, value in ((1, 0.0), (2, 1.0)):
        page.face.ask({"do": "set", "control": "sharpness", "value": value})
        page.face.ask({"do": "scene_save", "number": number, "name": f"end {number}"})
    way = page.named("Morph")
    way.send_keys(Keys.END)
    until(lambda: (page.face.ask({"do": "scenes"})["morph"] or {}).get("value") == 1, PATIENCE, "the morph's end", 0.1)
    way.send_keys(Keys.HOME)
    until(lambda: (page.face.ask({"do": "scenes"})["morph"] or {}).get("value") == 0, PATIENCE, "its beginning", 0.1)
    page.named("End").click()
    until(lambda: page.face.ask({"do": "scenes"})["morph"] is None, PATIENCE, "no morph", 0.1)
    for number in (1, 2):
        page.face.ask({"do": "scene_delete", "number": number})


def test_a_take_is_recorded_and_downloaded(page):
    page.hear(1.0, lambda: hit(page, 2))
    page.tab("record")
    name = until(lambda: page.text(".takes li strong").splitlines()[:1], PATIENCE, "the take", 0.1)[0]
    page.named(f"Download {name}").click()
    file = page.folder / name
    until(lambda: file.exists() and not list(page.folder.glob("*.crdownload")), PATIENCE, "the file", 0.1)
    sound, rate = soundfile.read(file, always_2d=True)
    assert rate == 48000 and 0.5 < len(sound) / rate < 30 and np.abs(sound).max() > 0.01


def test_models_are_uploaded_judged_swapped_and_mixed(page, tmp_path):
    from selenium.webdriver.common.keys import Keys

    models.tone(tmp_path / "bell.safetensors")
    page.tab("models")
    page.js("document.getElementById('model-file').classList.remove('unseen')")
    page.find("#model-file").send_keys(str(tmp_path / "bell.safetensors"))
    page.js("document.getElementById('model-file').classList.add('unseen')")
    page.js("""
        const data = new DataTransfer();
        data.items.add(new File(['<!doctype html><title>404</title>'.repeat(40)], 'lost.ts'));
        document.querySelector('.drop').dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: data }));
        const text = new DataTransfer();
        text.items.add(new File(['hello'], 'notes.txt'));
        document.querySelector('.drop').dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: text }));""")
    until(lambda: "notes.txt" in page.text(".uploads .bad") and "is no model" in page.text(".uploads .bad"), PATIENCE, "a refusal by name", 0.1)
    until(lambda: "plays:" in page.text(".models [data-model=bell] .verdict"), 60, "the good one's verdict", 0.2)
    until(lambda: "web page" in page.text(".models [data-model=lost] .verdict.bad"), 60, "the bad one's verdict", 0.2)
    page.named("Crossfade to bell").click()
    until(lambda: any(slot and slot["model"] == "bell" for slot in page.face.ask({"do": "status"})["slots"].values()), PATIENCE, "the new model", 0.1)
    until(lambda: page.text("#playing").startswith("bell"), PATIENCE, "its name at the top", 0.1)
    page.named("Crossfade to impacts").click()
    until(lambda: "impacts" in page.text("#playing"), PATIENCE, "the old one again", 0.1)
    empty = until(lambda: next((name for name, slot in page.face.ask({"do": "status"})["slots"].items() if slot is None), None), PATIENCE, "an empty slot", 0.2)
    page.named(f"Load into slot {empty}: bell").click()
    until(lambda: all(page.face.ask({"do": "status"})["slots"].values()), PATIENCE, "both slots", 0.1)
    page.tab("play")
    mix = page.named("Mix A – B")
    for key, end in (("END", 1), ("HOME", 0)):
        mix.send_keys(getattr(Keys, key))
        until(lambda: page.face.ask({"do": "status"})["mix"] == end, PATIENCE, f"the mix at {end}", 0.1)


def test_modulators_and_routes_are_made_from_what_is_declared(page):
    from selenium.webdriver.support.select import Select

    page.tab("modulators")
    Select(page.named("MOD 2")).select_by_value("lfo")
    until(lambda: page.face.ask({"do": "sources"})["sources"][1]["kind"] == "lfo", PATIENCE, "the LFO", 0.05)
    fields = page.face.ask({"do": "sources"})["kinds"]["lfo"]["fields"]
    parts = "[aria-label='MOD 2'] .form :is([role=slider], select)"
    until(lambda: page.js("return document.querySelectorAll(arguments[0]).length", parts) == len(fields), PATIENCE, "a control for each field", 0.1)
    page.tab("patch")
    Select(page.named("Jack or modulator")).select_by_value("mod2")
    Select(page.named("Control")).select_by_value("bandwidth")
    page.named("Add").click()
    route = until(lambda: next((one for one in page.face.ask({"do": "status"})["patch"]["routes"] if one["jack"] == "mod2"), None), PATIENCE, "the route", 0.05)
    assert route["control"] == "bandwidth" and route["amount_per_volt"] == pytest.approx(0.1)
    Select(page.named("quantise")).select_by_value("5")
    until(lambda: next(one for one in page.face.ask({"do": "status"})["patch"]["routes"] if one["jack"] == "mod2")["quantise"] == 5, PATIENCE, "the quantiser", 0.05)
    page.named("Take this route away").click()
    until(lambda: not any(one["jack"] == "mod2" for one in page.face.ask({"do": "status"})["patch"]["routes"]), PATIENCE, "no route", 0.05)


def test_nothing_was_wrong_and_nothing_was_asked_elsewhere(page):
    """Last of all: the console's errors, and where every request of this file's tests went."""
    elsewhere = page.js("return performance.getEntriesByType('resource').map((one) => one.name).filter((name) => !name.startsWith(location.origin) && !name.startsWith('blob:'))")
    assert elsewhere == []
    wrong = [line["message"] for line in page.errors() if "status of 400" not in line["message"]]      # the refused upload is one of those
    assert wrong == [], "\n".join(wrong)

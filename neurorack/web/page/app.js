// The page: makes its parts, gives each its place, and joins what concerns several of them.

import { h, $, put, say, clamp } from "./dom.js";
import { connect, watch, wish, onRefusal, state, now } from "./live.js";
import { toast } from "./toasts.js";
import { Panel } from "./panel.js";
import { Cables } from "./cables.js";
import { Sources } from "./sources.js";
import { Scope } from "./scope.js";
import { Controls } from "./controls.js";
import { Slots } from "./slots.js";
import { Assign } from "./assign.js";
import { Modulators } from "./modulators.js";
import { Models } from "./models.js";
import { Scenes } from "./scenes.js";
import { Takes } from "./takes.js";
import { Midi, learn } from "./midi.js";
import { Settings } from "./settings.js";
import { Health } from "./health.js";
import { First } from "./first.js";
import { Notices } from "./notices.js";
import { theme } from "./theme.js";
import { tabs } from "./tabs.js";

onRefusal((line) => toast(line, true));

const first = new First($("#hint"));
const rack = $("#rack"), cables = new Cables(rack), assign = new Assign();
const toRoutes = (jack) => { pages.open("patch"); assign.choose(jack); };
const sources = new Sources(cables, toRoutes);
const panel = new Panel({
  turn: (detents) => wish({ do: "panel", turn: detents }),
  press: (down) => wish({ do: "panel", press: down }),
  button: (down) => wish({ do: "panel", press: down }),
  gate: (jack, high) => { if (high) first.done("hit"); return wish({ do: "gate", jack, high }); },
  jack: (name, button) => sources.jack(name, button),
});
rack.prepend(panel.element, sources.element);

const scope = new Scope(), models = new Models(), play = h("div", { class: "play" }, scope.element, new Controls("A", learn).element,
  new Controls("B", learn).element, new Slots().element);
play.addEventListener("input", () => first.done("change"));
rack.addEventListener("input", () => first.done("change"));
const pages = tabs([
  { id: "module", name: "Module", element: h("p", { class: "soft", text: "The module is above." }) },
  { id: "play", name: "Play", title: "The sound and its controls", element: play },
  { id: "patch", name: "Patch", title: "Which jack moves what", element: assign.element },
  { id: "modulators", name: "Modulators", title: "LFOs, envelopes and sequencers inside", element: new Modulators(toRoutes).element },
  { id: "models", name: "Models", title: "The library; bring a model of your own", element: models.element },
  { id: "scenes", name: "Scenes", title: "Save and recall", element: new Scenes().element },
  { id: "record", name: "Record", title: "Takes to download", element: new Takes($("#quick-record")).element },
  { id: "midi", name: "MIDI", title: "Ports and learning", element: new Midi().element },
  { id: "settings", name: "Settings", title: "Preferences", element: new Settings().element },
  { id: "health", name: "Status", title: "Load, versions, log", element: new Health().element },
]);
models.opened = () => pages.open("models");
const start = location.hash.slice(1);
pages.open(start || (matchMedia("(max-width: 760px)").matches ? "module" : "play"));
new Notices($("#notices"));
theme($("#theme"));
new MutationObserver(() => scope.restyle()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => scope.restyle());

// -- the panel follows the instrument

function build() {
  const { hello, panel: shown, cables: told } = state;
  if (!hello || !told) return;
  const [width, height] = shown?.size ?? [128, 64];
  if (panel.build(hello.jacks.cv, width === height, told.simulated)) { sources.placed(); move(now); }
  panel.named(state.status?.patch.gates);
}
watch("hello", (hello) => { scope.rate = hello.rate; build(); });
watch("panel", (shown) => { build(); panel.display.name(shown.screen, shown.text); });
watch("cables", build);
watch("status", () => panel.named(state.status.patch.gates));
watch("picture", (...picture) => panel.display.draw(...picture));
watch("scope", (pairs) => scope.show(pairs));

const hits = [0, 0], until = [0, 0], GLOW_MS = 70, FLOOR_DB = -60;
let levels = [0, 0];
const meter = $("#meter");
watch("now", (changed) => move(changed));
function move(changed) {
  changed.cv?.forEach((volts, i) => panel.volts(`cv${i + 1}`, volts));
  if (changed.gates || changed.hits) {
    (now.gates ?? []).forEach((high, i) => {
      if (changed.hits && changed.hits[i] !== hits[i]) { hits[i] = changed.hits[i]; until[i] = performance.now() + GLOW_MS; setTimeout(() => light(i), GLOW_MS + 5); }
      light(i);
    });
  }
  if (changed.peak) {
    levels = changed.peak.map((peak) => clamp(1 - 20 * Math.log10(Math.max(peak, 1e-5)) / FLOOR_DB, 0, 1));
    levels.forEach((level, i) => { meter.children[i].style.setProperty("--level", level.toFixed(3)); panel.level(i ? "out_r" : "out_l", level); });
  }
  if (changed.input) changed.input.forEach((peak, i) => panel.level(i ? "in_r" : "in_l", clamp(1 - 20 * Math.log10(Math.max(peak, 1e-5)) / FLOOR_DB, 0, 1)));
  if (changed.led) panel.led(changed.led);
  if (changed.light !== undefined) panel.display.canvas.dataset.light = changed.light;
}
setInterval(() => put(meter, "aria-valuenow", Math.round((1 - Math.max(...levels)) * FLOOR_DB)), 1000);
function light(i) { panel.light(`gate${i + 1}`, now.gates?.[i] || performance.now() < until[i]); }

// -- the line at the top

const CLOCKS = ["", "clock", "tapped", "MIDI"];
watch("status", ({ slots }) => say($("#playing"), Object.values(slots).filter(Boolean).map((slot) => slot.model).join(" + ") || "no model"));
setInterval(() => {
  const parts = [now.load !== undefined && `${Math.round(100 * now.load)} % load`,
    now.clock?.[0] && `${now.clock[1].toFixed(1)} BPM ${CLOCKS[now.clock[0]]}`, now.underruns > 0 && `${now.underruns} underrun${now.underruns > 1 ? "s" : ""}`];
  say($("#figures"), parts.filter(Boolean).join("  ·  "));
}, 500);
const undo = $("#undo");
undo.addEventListener("click", () => wish({ do: "undo" }));
watch("scenes", ({ undo: what }) => { undo.disabled = !what; put(undo, "title", what ? `Undo: ${what}` : "Nothing to undo"); });

// -- gone and back

watch("connection", (is) => {
  const lost = $("#lost");
  document.body.classList.toggle("gone", is !== "live");
  if (is === "pair") { location.replace("/"); return; }
  lost.hidden = is === "live";
  if (is === "lost") { lost.textContent = "The instrument does not answer. This page comes back by itself when it does."; say($("#playing"), "not connected"); }
});
addEventListener("keydown", (event) => {
  if (event.key !== " " || event.target !== document.body || !state.cables?.simulated) return;
  event.preventDefault();
  if (event.repeat) return;
  first.done("hit");
  wish({ do: "gate", jack: "gate1", high: true }).then(() => wish({ do: "gate", jack: "gate1", high: false }));
});
connect();

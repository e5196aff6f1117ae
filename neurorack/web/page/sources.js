// The sources beside the module: a row for each kind of cable with its out jack, and below them what is in the chosen jack.
// A cable is drawn by dragging from a row to a jack (or back), by choosing one and then the other, or from the jack's own choice of sources.

import { h, s, $, put, say, plain, figures, narrow } from "./dom.js";
import { wish, watch, state, now } from "./live.js";
import { form } from "./fields.js";
import { select } from "./form.js";
import { knob } from "./knobs.js";
import { movers } from "./routes.js";
import { Keys } from "./keys.js";

const WAVES = { lfo: "M2 12 C6 0 10 0 14 12 S22 24 26 12", clock: "M2 19 V5 H8 V19 H14 V5 H20 V19 H26",
  keyboard: "M3 5 H25 V19 H3 Z M10.3 5 V19 M17.6 5 V19", sequencer: "M2 19 H8 V13 H14 V7 H20 V15 H26",
  random: "M2 15 H6 V6 H10 V18 H14 V10 H18 V4 H22 V16 H26", voltage: "M2 19 H26 M14 19 V5 M10 9 L14 5 L18 9", trigger: "M2 19 H12 V5 H15 V19 H26" };
const SHORT = { lfo: "a slow wave", clock: "a rhythm of triggers", keyboard: "your keys", sequencer: "steps in a row", random: "chance", voltage: "stands still" };
const known = (kind) => (WAVES[kind] ? kind : "other");
const isGate = (jack) => jack.startsWith("gate");
const FAR = 8;      // pixels after which a press is a drag

export class Sources {
  /**
   * @param {import("./cables.js").Cables} cables
   * @param {(jack: string) => void} assign  opens the routes of a jack
   */
  constructor(cables, assign) {
    this.cables = cables;
    this.assign = assign;
    this.rows = new Map();
    this.jacks = new Map();
    this.held = null;            // kind that waits for a jack
    this.chosen = null;          // jack that is looked at
    this.title = h("h2", { text: "SOURCES" });
    this.hint = h("p", { id: "patch-hint", "aria-live": "polite" });
    this.list = h("div", { role: "group", "aria-label": "Sources to patch from", "aria-describedby": "patch-hint" });
    this.looked = h("div", { class: "inspector", role: "region", "aria-label": "The chosen jack", hidden: true });
    this.keys = new Keys();
    this.element = h("section", { class: "sources", "aria-label": "Sources" }, this.title, this.hint, this.list, this.looked, this.keys.element);
    addEventListener("keydown", (event) => { if (event.key === "Escape") { this.#hold(null); if (narrow.matches) this.choose(null); } });
    watch("cables", (told) => this.#show(told));
    for (const part of ["status", "labels"]) watch(part, () => this.#moves());
    watch("now", (changed) => { if (changed.cv && this.chosen) this.#volts(); });
    this.#say();
  }

  // -- jacks of the module

  /** A jack's button appeared. */
  jack(name, button) {
    this.jacks.set(name, button);
    put(button, "aria-haspopup", "true");
    button.addEventListener("click", () => { if (!this.dragged) this.#clicked(name); });
    button.addEventListener("keydown", (event) => {
      if (event.key === "Delete" || event.key === "Backspace") { event.preventDefault(); this.unplug(name); }
    });
    this.#drag(button, () => (this.simulated ? { jack: name } : null));
  }

  /** The panel was laid out anew: all its jacks are in their places. */
  placed() {
    this.#show(state.cables);
    this.choose(this.chosen);
  }

  #clicked(name) {
    if (this.held) this.plug(name, this.held);
    else this.choose(this.chosen === name && narrow.matches ? null : name);
  }

  // -- what happens

  async plug(jack, kind) {
    this.#hold(null);
    const before = state.cables?.jacks[jack]?.from;
    if (before?.kind !== kind) await wish({ do: "cable", jack, from: { kind } });
    this.choose(jack);
  }

  unplug(jack) {
    if (state.cables?.jacks[jack]?.from) wish({ do: "cable", jack, from: null });
  }

  #hold(kind) {
    this.held = kind;
    for (const [name, { button }] of this.rows) put(button, "aria-pressed", name === kind);
    for (const [jack, button] of this.jacks) button.classList.toggle("offered", Boolean(kind));
    this.#say();
  }

  #say() {
    say(this.hint, !this.simulated ? (state.cables?.why ?? "")
      : this.held ? `Now choose a jack for the ${this.held}. Esc: not now.` : "Drag a source to a jack, or click one, then the other.");
  }

  choose(jack) {
    this.chosen = jack;
    for (const [name, button] of this.jacks) button.toggleAttribute("data-chosen", name === jack);
    this.looked.hidden = !jack;
    this.key = null;
    if (jack) this.#inspect();
  }

  // -- drawing a cable by hand

  #drag(element, what) {
    let start = null, follow = null;
    const over = (event) => document.elementsFromPoint(event.clientX, event.clientY).map((one) => one.closest?.("[data-jack], [data-kind]"))
      .find((one) => one && one !== element && !one.closest("svg"));
    element.addEventListener("pointerdown", (event) => {
      this.dragged = false;
      const begun = what();
      if (!begun || event.button) return;
      start = { ...begun, x: event.clientX, y: event.clientY };
      element.setPointerCapture(event.pointerId);
    });
    element.addEventListener("pointermove", (event) => {
      if (!start) return;
      if (!follow && Math.hypot(event.clientX - start.x, event.clientY - start.y) > FAR) {
        this.dragged = true;
        const from = start.jack && state.cables?.jacks[start.jack]?.from;
        if (from) { start = { kind: from.kind, taken: start.jack }; put(this.cables.drawn.get(start.taken) ?? element, "opacity", 0.2); }
        follow = this.cables.follow(known(start.kind ?? "other"), start.kind ? this.rows.get(start.kind).out : element);
        if (start.kind) for (const button of this.jacks.values()) button.classList.add("offered");
      }
      follow?.(event.clientX, event.clientY);
    });
    const end = (event) => {
      const begun = start, drew = follow;
      start = follow = null;
      if (!drew) return;
      this.cables.stop();
      for (const button of this.jacks.values()) button.classList.remove("offered");
      const group = begun.taken && this.cables.drawn.get(begun.taken);
      group?.removeAttribute("opacity");
      const onto = event.type === "pointerup" ? over(event)?.dataset : null;
      if (onto?.jack && begun.kind) {
        if (begun.taken && begun.taken !== onto.jack) this.#move(begun.taken, onto.jack);
        else this.plug(onto.jack, begun.kind);
      } else if (begun.taken && event.type === "pointerup") this.unplug(begun.taken);
      else if (onto?.kind && begun.jack) this.plug(begun.jack, onto.kind);
    };
    element.addEventListener("pointerup", end);
    element.addEventListener("pointercancel", end);
  }

  async #move(from, to) {
    const what = state.cables.jacks[from].from;
    await wish({ do: "cable", jack: to, from: what });
    await wish({ do: "cable", jack: from, from: null });
    this.choose(to);
  }

  // -- what there is

  #show(told) {
    this.simulated = told.simulated;
    this.kinds = told.kinds ?? {};
    this.list.hidden = !told.simulated;
    say(this.title, told.simulated ? "SOURCES" : "JACKS");
    if (told.simulated) for (const kind of Object.keys(this.kinds)) if (!this.rows.has(kind)) this.#row(kind);
    const wanted = [];
    for (const [jack, { from } = {}] of Object.entries(told.jacks).map(([name, value]) => [name, value ?? {}])) {
      const button = this.jacks.get(jack);
      if (from && button && this.rows.has(from.kind)) wanted.push({ jack, kind: known(from.kind), from: this.rows.get(from.kind).out, to: button });
    }
    this.cables.show(wanted);
    this.keys.show(Object.values(told.jacks).some((value) => value?.from?.kind === "keyboard"));
    this.#moves();
    this.#say();
    if (!this.seen) { this.seen = true; if (!narrow.matches) this.choose("cv3"); }
    if (this.chosen) this.#inspect();
  }

  #row(kind) {
    const about = this.kinds[kind];
    const out = s("svg", { class: "out-jack", viewBox: "-5 -5 10 10" }, s("circle", { r: 4, class: "ring", "stroke-width": 0.9 }),
      s("circle", { r: 2.4, class: "bush" }), s("circle", { r: 1.6, class: "hole" }));
    const button = h("button", { type: "button", class: `source wire-${known(kind)}`, data: { kind }, "aria-pressed": "false", title: about.doc,
      on: { click: () => { if (!this.dragged) this.#hold(this.held === kind ? null : kind); } } },
      out, h("span", {}, h("b", { text: kind === "lfo" ? "LFO" : kind }), h("small", { text: SHORT[kind] ?? about.doc.split(/[;:]/)[0] })),
      s("svg", { viewBox: "0 0 28 24", "aria-hidden": "true" }, s("path", { class: "wave", d: WAVES[kind] ?? WAVES.voltage })));
    this.rows.set(kind, { button, out });
    this.list.append(button);
    this.#drag(button, () => ({ kind }));
  }

  /** Say of each jack what is in it and what it moves. */
  #moves() {
    const { patch } = state.status ?? {}, cables = state.cables?.jacks ?? {};
    if (this.to && this.chosen) say(this.to, `→ ${(isGate(this.chosen) ? patch?.gates?.[this.chosen] : movers(patch?.routes, this.chosen)) || "nothing yet"}`);
    for (const [name, button] of this.jacks) {
      const kind = cables[name]?.from?.kind, does = isGate(name) ? patch?.gates?.[name] : movers(patch?.routes, name);
      put(button, "aria-label", `${plain(name)}${kind ? `, ${kind} plugged in` : ""}${does ? `, ${isGate(name) ? "does" : "moves"} ${does}` : ""}`);
      put(button, "title", `${plain(name)}${does ? `: ${does}` : ""}${kind ? ` (${kind})` : ""}`);
    }
  }

  // -- the chosen jack

  #inspect() {
    const jack = this.chosen, told = state.cables?.jacks[jack], from = told?.from ?? null, key = `${jack} ${from?.kind} ${this.simulated}`;
    if (key !== this.key) {
      this.key = key;
      this.#open(jack, from, told);
    }
    if (from) this.made?.set(from);
    this.source?.set(from?.kind ?? "");
    this.#volts();
  }

  #open(jack, from, told) {
    this.volt = h("output", { class: "figure soft" });
    const close = h("button", { type: "button", class: "icon", "aria-label": "Close", text: "×",
      on: { click: () => { const button = this.jacks.get(jack); this.choose(null); button?.focus(); } } });
    this.to = h("button", { type: "button", class: "quiet", title: "What it moves: see Patch", on: { click: () => this.assign(jack) } });
    this.made = this.source = null;
    const parts = [h("div", { class: "head" }, h("h3", { text: plain(jack) }), this.to, this.volt, close)];
    if (this.simulated) {
      this.source = select({ name: "from", label: "Plugged in", choices: [["", "nothing"], ...Object.keys(this.kinds).map((kind) => [kind, kind])],
        value: from?.kind ?? "" }, (kind) => (kind ? this.plug(jack, kind) : this.unplug(jack)));
      parts.push(this.source.element);
      if (from) {
        this.made = form(this.kinds[from.kind].fields, (field, value) => wish({ do: "cable", jack, from: { ...state.cables.jacks[jack].from, [field]: value } }));
        parts.push(this.made.element);
      } else if (!isGate(jack)) {
        this.made = null;
        parts.push(knob({ name: "volts", label: "volts by hand", low: -10, high: 10, value: told.volts ?? 0, fallback: 0, unit: "V" },
          (volts) => wish({ do: "volts", jack, volts })).element);
      }
    }
    this.looked.replaceChildren(...parts);
    this.#moves();
  }

  #volts() {
    if (!this.volt) return;
    const at = Number(this.chosen.slice(-1)) - 1;
    say(this.volt, isGate(this.chosen) ? (now.gates?.[at] ? "high" : "low") : `${figures(now.cv?.[at] ?? 0)} V`);
  }
}

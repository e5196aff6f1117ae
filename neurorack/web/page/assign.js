// The patch: which jack moves which control, by how much; what the gates do. One row a route, each opened for its details.

import { h, put, say, plain, figures } from "./dom.js";
import { wish, watch, state } from "./live.js";
import { label } from "./routes.js";
import { slider, select, toggle } from "./form.js";

const SCALES = ["chromatic", "major", "minor", "harmonic-minor", "dorian", "phrygian", "lydian", "mixolydian", "major-pentatonic", "minor-pentatonic",
  "blues", "whole-tone", "fifths", "octaves"];
const NUMBERS = [
  { name: "amount_per_volt", label: "amount", low: -1, high: 1, step: 0.005, unit: "/ V", doc: "change of the control for each volt; negative turns it over" },
  { name: "offset", low: -1, high: 1, step: 0.01, doc: "added to the control" },
  { name: "low", label: "from", low: 0, high: 1, step: 0.01, doc: "the control goes no lower by this route" },
  { name: "high", label: "to", low: 0, high: 1, step: 0.01, doc: "and no higher" },
  { name: "curve", low: 0.25, high: 4, step: 0.05, doc: "1 is straight; above, small voltages do less; below, more" },
  { name: "smooth_ms", label: "smoothing", low: 0, high: 5000, log: true, unit: "ms", doc: "time constant" },
];
const ACTIONS = [["trigger", "a hit"], ["freeze", "freezes while high"], ["next", "next gesture"], ["scene", "next scene"],
  ["record", "starts and stops recording"], ["tap", "taps the tempo"], ["none", "nothing"]];

class Row {
  constructor(route) {
    const { jack, control } = route;
    this.value = route;
    this.changed = (field, value) => {
      this.value = { ...this.value, [field]: value };
      const { more, ...fields } = this.value;
      return wish({ do: "route", ...fields });
    };
    this.parts = Object.fromEntries(NUMBERS.map((field) => [field.name, slider({ ...field, value: route[field.name] }, (value) => this.changed(field.name, value))]));
    this.parts.quantise = select({ name: "quantise", choices: this.#quantises(route.quantise), value: route.quantise }, (value) => this.changed("quantise", value));
    this.parts.latched = toggle({ name: "latched", label: "read at each hit only", doc: "as a sample and hold", value: route.latched },
      (value) => this.changed("latched", value));
    this.control = h("b", { text: label(control) });
    this.amount = h("span", { class: "figure soft" });
    const details = h("details", {}, h("summary", { "aria-label": `${plain(jack)} to ${control}: details` },
      h("b", { class: `chip ${jack.slice(0, 2)}`, text: plain(jack) }), h("span", { "aria-hidden": "true", class: "arrow", text: "→" }), this.control, this.amount),
      h("div", { class: "fields" }, Object.values(this.parts).map((part) => part.element),
        h("button", { type: "button", class: "danger", text: "Take this route away", on: { click: () => wish({ do: "unroute", jack, control }) } })));
    this.details = details;
    this.element = h("li", {}, details);
    this.show(route);
  }

  #quantises(now) {
    const choices = [["off", "off"], ...SCALES.map((name) => [name, name]), ...[2, 3, 4, 5, 8, 12, 16, 32].map((count) => [count, `${count} steps`])];
    return choices.some(([value]) => value === now) ? choices : [...choices, [now, String(now)]];
  }

  show(route) {
    this.value = route;
    for (const [name, part] of Object.entries(this.parts)) if (route[name] !== undefined) part.set(route[name]);
    this.amount.textContent = `${figures(route.amount_per_volt)} / V${route.latched ? ", at hits" : ""}${route.quantise && route.quantise !== "off" ? `, ${route.quantise}` : ""}`;
  }
}

export class Assign {
  constructor() {
    this.rows = new Map();
    this.list = h("ol", { class: "list routes", "aria-label": "Routes" });
    this.empty = h("p", { class: "soft", text: "Nothing is routed: add a route below." });
    this.jack = h("select", { "aria-label": "Jack or modulator" });
    this.control = h("select", { "aria-label": "Control" });
    const add = async (event) => {
      event.preventDefault();
      const key = `${this.jack.value} ${this.control.value}`;
      if (await wish({ do: "route", jack: this.jack.value, control: this.control.value, amount_per_volt: 0.1 })) this.opening = key;
      this.#show(state.status);
    };
    this.gates = Object.fromEntries(["gate1", "gate2"].map((gate) => [gate,
      select({ name: gate, label: plain(gate), choices: ACTIONS, value: "none" }, (action) => wish({ do: "gate_action", gate, action }))]));
    this.element = h("div", {}, h("p", { class: "intro" }, "A jack moves a control by an amount for each volt, around where its slider stands. ",
      "Open a row for its range, curve, smoothing and quantiser."),
      this.empty, this.list,
      h("section", { class: "card" }, h("h2", { text: "New route" }),
        h("form", { class: "inline", on: { submit: add } }, this.jack, h("span", { "aria-hidden": "true", text: "→" }), this.control,
        h("button", { type: "submit", class: "strong", text: "Add" }))),
      h("section", { class: "card" }, h("h2", { text: "Gates" }), h("div", { class: "two" }, this.gates.gate1.element, this.gates.gate2.element)));
    watch("hello", ({ jacks }) => this.#jacks(jacks.cv));
    watch("status", (status) => this.#show(status));
    watch("labels", () => { this.key = null; for (const row of this.rows.values()) say(row.control, label(row.value.control));
      if (state.status) this.#show(state.status); });
  }

  /** Choose a jack for a new route, and show its first one. */
  choose(jack) {
    this.jack.value = jack;
    const row = [...this.rows.values()].find((one) => one.value.jack === jack);
    if (row) { row.details.open = true; row.details.querySelector("summary").focus(); } else this.control.focus();
  }

  #jacks(count) {
    const jacks = [...Array.from({ length: count }, (_, i) => `cv${i + 1}`), ...Array.from({ length: 8 }, (_, i) => `mod${i + 1}`)];
    this.jack.replaceChildren(...jacks.map((jack) => h("option", { value: jack, text: plain(jack) })));
  }

  #show({ patch, slots }) {
    const names = [...new Set([...Object.values(slots).flatMap((slot) => slot?.controls ?? []), "mix", "morph"])], key = names.join();
    if (key !== this.key) {
      this.key = key;
      const before = this.control.value;
      this.control.replaceChildren(...names.map((name) => h("option",
        { value: name, text: label(name).toLowerCase() === name ? label(name) : `${label(name)} (${name})` })));
      if (names.includes(before)) this.control.value = before;
    }
    const seen = new Set();
    for (const route of patch.routes) {
      const id = `${route.jack} ${route.control}`;
      seen.add(id);
      if (!this.rows.has(id)) this.rows.set(id, new Row(route));
      const row = this.rows.get(id);
      row.show(route);
      put(row.element, "class", names.includes(route.control) ? "" : "waits");
      if (this.opening === id) { row.details.open = true; this.opening = null; }
    }
    for (const [id, row] of this.rows) if (!seen.has(id)) { row.element.remove(); this.rows.delete(id); }
    const order = [...this.rows.values()].sort((a, b) => a.value.jack.localeCompare(b.value.jack) || a.value.control.localeCompare(b.value.control));
    order.forEach((row, i) => { if (this.list.children[i] !== row.element) this.list.insertBefore(row.element, this.list.children[i] ?? null); });
    this.empty.hidden = order.length > 0;
    for (const [gate, box] of Object.entries(this.gates)) if (patch.gates?.[gate]) box.set(patch.gates[gate]);
  }
}

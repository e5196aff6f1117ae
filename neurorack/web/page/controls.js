// The controls of the models that play: a slider for each knob, under it what the control is at this moment with its CVs added.

import { h, put, clamp } from "./dom.js";
import { announce, ask, wish, watch, state, now } from "./live.js";
import { slider } from "./form.js";
import { moved } from "./routes.js";
import { Plane } from "./plane.js";
import { Gestures } from "./gestures.js";

export class Controls {
  /** @param {"A"|"B"} slot */
  constructor(slot, learn) {
    this.slot = slot;
    this.learn = learn;
    this.title = h("h2", {});
    this.about = h("p", { class: "soft small" });
    this.rows = h("div", { class: "controls" });
    this.map = h("div", { class: "map-room" });
    this.gestures = new Gestures(slot);
    this.element = h("section", { class: "card", "aria-label": `Controls of slot ${slot}`, hidden: true }, h("div", { class: "head" }, this.title),
      this.about, h("div", { class: "beside" }, this.rows, this.map), this.gestures.element);
    this.made = [];
    watch("status", (status) => this.#status(status));
    watch("now", (changed) => { if (changed[slot]) this.#move(changed[slot].controls); });
  }

  #status(status) {
    const of = status.slots?.[this.slot];
    this.element.hidden = !of;
    if (!of) { this.key = null; return; }
    const key = `${of.pid} ${of.model} ${of.file} ${of.controls.join(" ")}`;
    if (key !== this.key) {
      this.key = key;
      this.title.textContent = of.model;
      this.card = null;
      this.about.textContent = "";
      this.#build(of.controls);
      ask({ do: "card", slot: this.slot }).then((answer) => { if (this.key === key) this.#described(answer.card ?? answer, of.controls); }, () => {});
    }
    this.#knobs(status.patch);
  }

  #described(card, names) {
    this.card = card;
    announce("labels", { ...state.labels, ...Object.fromEntries((card.controls ?? []).map((one) => [one.name, one.label ?? one.name])) });
    this.about.textContent = card.description ?? "";
    this.gestures.show(card);
    this.#build(names);
    this.#knobs(state.status.patch);
  }

  #build(names) {
    const cards = Object.fromEntries((this.card?.controls ?? []).map((one) => [one.name, one]));
    this.made = names.map((name) => {
      const about = cards[name] ?? {}, fallback = about.default ?? 0.5, label = about.label ?? name;
      const row = slider({ name, label, low: 0, high: 1, step: 0.005, fallback, value: fallback, doc: about.doc ?? about.description },
        (value) => wish({ do: "set", control: name, value }));
      row.input.addEventListener("dblclick", () => { row.input.value = fallback; row.input.dispatchEvent(new Event("input")); });
      const live = h("i", { class: "live", "aria-hidden": "true" }), tag = h("span", { class: "tag" });
      const learn = h("button", { type: "button", class: "quiet", "aria-label": `MIDI learn ${label}`, title: "Learn: then move a MIDI controller",
        text: "MIDI", on: { click: () => this.learn(name, label) } });
      row.element.classList.add("control");
      row.element.insertBefore(h("span", { class: "track" }, row.input, live), row.element.querySelector("output"));
      row.element.append(tag, learn);
      return { name, fallback, live, tag, set: row.set, element: row.element };
    });
    this.rows.replaceChildren(...this.made.map((one) => one.element));
    const plane = this.card?.plane;
    this.plane = plane ? new Plane(plane.map((name) => ({ name, label: cards[name]?.label ?? name })),
      (name) => state.status.patch.knobs[name] ?? cards[name]?.default ?? 0.5, this.card.map, () => this.#away(plane)) : null;
    this.places = plane?.map((name) => names.indexOf(name));
    this.map.replaceChildren(...(this.plane ? [this.plane.element] : []));
    if (now[this.slot]) this.#move(now[this.slot].controls);
  }

  /** How far the chosen gesture itself lies from the middle of the map, as far as the controls only bend it. */
  #away(plane) {
    const { knobs, drives } = state.status.patch, { gestures = [], controls = [], map } = this.card;
    const chooser = controls.find((one) => one.kind === "gesture"), knob = knobs[chooser?.name] ?? chooser?.default ?? 0;
    const own = map?.gestures[Math.min(gestures.length - 1, Math.floor(knob * gestures.length))] ?? [0.5, 0.5];
    return plane.map((name, i) => (1 - (drives[name] ?? 0)) * (own[i] - 0.5));
  }

  #knobs(patch) {
    this.plane?.knobs();
    for (const one of this.made) {
      one.set(patch.knobs[one.name] ?? one.fallback);
      const by = moved(patch.routes, one.name);
      if (one.tag.textContent !== by) one.tag.textContent = by;
      put(one.tag, "title", by ? `${by} moves this; see Patch` : "");
    }
  }

  #move(values) {
    if (!values || !this.element.offsetParent) return;
    this.plane?.show(...this.places.map((place) => values[place]));
    this.made.forEach((one, i) => { one.live.style.transform = `scaleX(${clamp(values[i] ?? 0, 0, 1)})`; });
  }
}

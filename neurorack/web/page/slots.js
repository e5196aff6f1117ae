// The two slots with the mix between them, the level, and the morph between two scenes.

import { h, put } from "./dom.js";
import { wish, watch, state } from "./live.js";
import { slider, select } from "./form.js";

function slotBox(name, busy) {
  const box = select({ name: `slot ${name}`, label: `Slot ${name}`, choices: [["", "empty"]], value: "" }, async (model) => {
    put(box.element, "aria-busy", true);
    await wish(model ? { do: "load", slot: name, model } : { do: "unload", slot: name });
    put(box.element, "aria-busy", false);
    busy();
  });
  box.element.classList.add("slot");
  return box;
}

export class Slots {
  constructor() {
    const refresh = () => this.#fill();
    this.boxes = { A: slotBox("A", refresh), B: slotBox("B", refresh) };
    this.mix = slider({ name: "mix", label: "Mix A – B", low: 0, high: 1, step: 0.005, value: 0,
      doc: "0 is slot A alone, 1 is slot B; a CV routed to “mix” moves it too" }, (value) => wish({ do: "mix", value }));
    this.level = slider({ name: "level", low: -60, high: 12, step: 0.5, value: 0, unit: "dB", doc: "output level" }, (db) => wish({ do: "level", db }));
    this.next = h("button", { type: "button", text: "Next model", title: "Crossfade to the library's next model", on: { click: () => wish({ do: "next" }) } });
    this.tap = h("button", { type: "button", text: "Tap tempo", title: "Two taps make a tempo",
      on: { pointerdown: () => wish({ do: "tap" }), keydown: (event) => { if (event.key === "Enter" && !event.repeat) wish({ do: "tap" }); } } });
    this.morph = this.#morph();
    this.element = h("section", { class: "card", "aria-label": "Models and mix" },
      h("div", { class: "two" }, this.boxes.A.element, this.boxes.B.element), this.mix.element, this.level.element, this.morph,
        h("div", { class: "buttons" }, this.next, this.tap));
    watch("models", refresh);
    watch("status", (status) => { this.#fill(); this.level.set(status.patch.level_db); });
    watch("now", (changed) => { if (changed.mix !== undefined) this.mix.set(changed.mix); });
    watch("scenes", () => this.#scenes());
  }

  #fill() {
    const models = (state.models ?? []).filter((model) => model.verdict !== "refused").map((model) => model.name);
    for (const [name, box] of Object.entries(this.boxes)) {
      const playing = state.status?.slots?.[name]?.model ?? "", names = playing && !models.includes(playing) ? [playing, ...models] : models;
      box.fill([["", "empty"], ...names.map((model) => [model, model])]);
      if (box.element.getAttribute("aria-busy") !== "true") box.set(playing);
    }
    put(this.mix.input, "title", state.status?.slots?.B ? "between slot A and slot B" : "load a model into slot B first");
  }

  #morph() {
    this.from = h("select", { "aria-label": "Morph from scene", on: { change: () => this.#start() } });
    this.to = h("select", { "aria-label": "Morph to scene", on: { change: () => this.#start() } });
    this.way = slider({ name: "morph", label: "Morph", low: 0, high: 1, step: 0.005, value: 0,
      doc: "from one scene to the other; a CV routed to “morph” moves it too" }, (value) => {
      if (state.scenes?.morph) wish({ do: "morph", value }); else this.#start(value);
    });
    this.end = h("button", { type: "button", class: "quiet", text: "End", title: "End the morph and keep the sound as it is",
      on: { click: () => wish({ do: "morph", to: null }) } });
    this.way.element.append(this.end);
    return h("div", { class: "morph", hidden: true }, this.way.element, h("div", { class: "two" }, this.from, this.to));
  }

  #start(value = Number(this.way.input.value)) {
    const from = Number(this.from.value), to = Number(this.to.value);
    if (from && to && from !== to) wish({ do: "morph", from, to, value });
  }

  #scenes() {
    const { scenes, morph } = state.scenes, key = JSON.stringify(scenes.map((scene) => [scene.number, scene.name]));
    this.morph.hidden = scenes.length < 2;
    if (key !== this.sceneKey) {
      this.sceneKey = key;
      [this.from, this.to].forEach((box, i) => {
        const before = box.value;
        box.replaceChildren(...scenes.map((scene) => h("option", { value: scene.number, text: `${scene.number} ${scene.name}` })));
        box.value = scenes.some((scene) => String(scene.number) === before) ? before : String(scenes[Math.min(i, scenes.length - 1)]?.number ?? "");
      });
    }
    if (!morph && this.from.value === this.to.value) this.to.value = String(scenes.find((scene) => String(scene.number) !== this.from.value)?.number ?? "");
    this.end.hidden = !morph;
    if (morph) {
      this.from.value = String(morph.from);
      this.to.value = String(morph.to);
      this.way.set(morph.value);
    }
  }
}

// Preferences, built from what the instrument declares: numbers and choices, each with its explanation.

import { h, words } from "./dom.js";
import { wish, watch } from "./live.js";
import { slider, select } from "./form.js";

export class Settings {
  constructor() {
    this.made = {};
    this.rooms = h("div", { class: "cards" });
    this.element = h("div", {}, h("p", { class: "intro" }, "These belong to this instrument, not to a scene. ",
      "Shutdown, calibration and updates are on the module's own display: Settings."), this.rooms);
    watch("preferences", ({ preferences }) => {
      for (const [name, one] of Object.entries(preferences)) {
        this.made[name] ??= this.#make(name, one);
        this.made[name].set(one.value);
      }
    });
  }

  #make(name, one) {
    const [group, ...rest] = name.split("."), label = words(rest.join(" ").replace(/_minutes$/, " after").replaceAll("_", " "));
    const field = { ...one, name, label, fallback: one.default, doc: one.doc }, change = (value) => wish({ do: "preference", name, value });
    const made = one.choices ? select(field, change) : name.endsWith("port") ? this.#number(field, change) : slider(field, change);
    let room = this.rooms.querySelector(`[data-group="${group}"]`);
    if (!room) {
      room = h("section", { class: "card", data: { group } },
        h("h2", { text: { web: "This page", osc: "OSC", midi: "MIDI" }[group] ?? group[0].toUpperCase() + group.slice(1) }));
      this.rooms.append(room);
    }
    room.append(h("div", { class: "setting" }, made.element, h("p", { class: "soft small", text: one.doc })));
    return made;
  }

  #number(field, changed) {
    const box = h("input", { type: "number", min: field.low, max: field.high, value: field.value, "aria-label": `${field.name.replace(".", " ")}`,
      on: { change: () => { if (box.checkValidity()) changed(Number(box.value)); else box.reportValidity(); } } });
    return { element: h("label", { class: "field" }, h("span", { text: field.label }), box), set(value) { if (document.activeElement !== box) box.value = value; } };
  }
}

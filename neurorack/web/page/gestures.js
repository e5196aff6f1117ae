// The gestures of a slot's model: new ones from its generator, like one of them or unlike any; those kept beside the model can go.

import { h, put } from "./dom.js";
import { wish } from "./live.js";
import { toast } from "./toasts.js";

const AT_ONCE = 4, NEAR = 0.3, FAR = 0.7;

export class Gestures {
  /** @param {"A"|"B"} slot */
  constructor(slot) {
    this.slot = slot;
    this.element = h("details", { class: "gestures", hidden: true });
  }

  async #ask(what, button) {
    put(button, "aria-busy", true);
    button.disabled = true;
    const answer = await wish({ do: "gestures", slot: this.slot, ...what });
    button.disabled = false;
    put(button, "aria-busy", false);
    if (answer?.gestures) toast(`new gestures: ${answer.gestures.join(", ")}`);
    if (answer?.removed) toast(`${answer.removed} gesture${answer.removed === 1 ? "" : "s"} less`);
  }

  #button(text, title, what) {
    return h("button", { type: "button", text, title, on: { click: ({ target }) => this.#ask(what(), target) } });
  }

  /** Of this card, as the instrument tells it. */
  show({ gestures = [], kept = 0, generates = false }) {
    this.element.hidden = !generates && !kept;
    const like = h("select", { "aria-label": "Gesture to be like" }, ...gestures.map((name) => h("option", { value: name, text: name })));
    const make = (distance) => () => ({ generate: AT_ONCE, like: like.value, distance });
    const rows = gestures.slice(gestures.length - kept).map((name) => h("li", {}, h("span", { text: name }),
      h("button", { type: "button", class: "icon", "aria-label": `Remove gesture ${name}`, title: "Remove it", text: "×",
        on: { click: ({ target }) => this.#ask({ remove: name }, target) } })));
    this.element.replaceChildren(h("summary", { text: `${gestures.length} gestures` }),
      ...(generates ? [h("div", { class: "buttons" }, this.#button(`${AT_ONCE} new gestures`, "Unlike any that it has", () => ({ generate: AT_ONCE }))),
        h("div", { class: "buttons" }, like, this.#button("near it", "New gestures that resemble it", make(NEAR)),
          this.#button("far from it", "New gestures that remind of it", make(FAR)))] : []),
      h("ul", { class: "list", "aria-label": "Kept gestures" }, ...rows));
  }
}

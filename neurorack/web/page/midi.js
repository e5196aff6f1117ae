// MIDI: the ports, what notes do, and controllers learned by moving them.

import { h } from "./dom.js";
import { ask, wish, watch, state } from "./live.js";
import { label } from "./routes.js";
import { toast } from "./toasts.js";

const SECONDS = 15;

/** Learn the controller that moves next. */
export async function learn(control, label = control) {
  toast(`Move a MIDI controller now: it will drive ${label} (${SECONDS} s)`);
  try {
    const answer = await ask({ do: "learn", control, seconds: SECONDS });
    const source = answer.learned?.source ?? answer.source;
    toast(`${label} is driven by ${source ?? "that controller"} from now on`);
  } catch (error) { toast(error.message, true); }
}

export class Midi {
  constructor() {
    this.ports = h("p", {});
    this.learned = h("ol", { class: "list", "aria-label": "Learned controllers" });
    this.which = h("select", { "aria-label": "Control to learn" });
    this.voice = h("dl", { class: "pairs" });
    this.element = h("div", {}, h("p", { class: "intro", text: "Notes are hits and 1 V an octave; any controller learns a control by moving it." }),
      h("section", { class: "card" }, h("h2", { text: "Ports" }), this.ports),
      this.more = h("div", { hidden: true, class: "stack" }, h("section", { class: "card" }, h("h2", { text: "Learned" }),
        h("div", { class: "inline" }, this.which, h("button",
          { type: "button", class: "strong", text: "Learn", title: "Then move a controller", on: { click: () => learn(this.which.value) } })), this.learned),
        h("section", { class: "card" }, h("h2", { text: "Notes" }), this.voice)));
    this.ports.textContent = "There is no MIDI here: connect a keyboard, or see docs/midi.md.";
    watch("midi", ({ midi }) => this.#show(midi));
    watch("status", () => this.#controls());
    watch("labels", () => { this.key = null; if (state.status) this.#controls(); });
  }

  #controls() {
    const names = Object.values(state.status.slots).flatMap((slot) => slot?.controls ?? []).concat("mix", "next"), key = names.join();
    if (key === this.key) return;
    this.key = key;
    this.which.replaceChildren(...[...new Set(names)].map((name) => h("option", { value: name, text: name === "next" ? "next model (a button)" : label(name) })));
  }

  #show(midi) {
    this.more.hidden = false;
    this.ports.textContent = midi.ports.length ? midi.ports.join(", ") : "No MIDI port yet; one that is plugged in is opened by itself.";
    this.learned.replaceChildren(...Object.entries(midi.learned).map(([control, one]) => h("li", {},
      h("div", { class: "what" }, h("strong", { text: label(control) }), h("small", { class: "soft", text: `${one.source}, ${one.low} to ${one.high}` })),
      h("div", { class: "buttons" }, h("button", { type: "button", class: "danger", text: "Forget", "aria-label": `Forget ${control}`,
        on: { click: () => wish({ do: "unlearn", control }) } })))));
    this.voice.replaceChildren(...Object.entries(midi.voice).flatMap(([name, value]) => [h("dt", { text: name.replaceAll("_", " ") }), h("dd", { text: String(value) })]));
  }
}

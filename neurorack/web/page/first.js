// What to do first: one line of steps that tick themselves off, until it is put away.

import { h } from "./dom.js";
import { watch } from "./live.js";

const KEY = "neurorack-first";
const STEPS = [
  ["hit", ["Press ", "HIT", h("span", { class: "wide", text: " or the space bar" })]],
  ["change", ["Move a ", "slider", "; drag a source to a jack"]],
  ["save", ["Keep it in ", "Scenes", "; recall it later"]],
  ["record", ["", "Record", " it, stop, download"]],
];

const kept = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
const keep = (value) => { try { localStorage.setItem(KEY, value); } catch { /* private: it comes again */ } };

export class First {
  constructor(room) {
    this.room = room;
    this.steps = Object.fromEntries(STEPS.map(([name, [before, what, after]]) => [name, h("li", {}, h("span", {}, before, h("b", { text: what }), after))]));
    room.append(h("ol", { "aria-label": "First steps" }, Object.values(this.steps)),
      h("button", { type: "button", class: "quiet", text: "Got it", on: { click: () => { keep("seen"); room.hidden = true; } } }));
    this.#next();
    watch("cables", ({ simulated }) => { room.hidden = kept() === "seen" || !simulated; });
    watch("scenes", ({ scenes }) => { if (scenes.length) this.done("save"); });
    watch("takes", ({ takes }) => { if (takes.length) this.done("record"); });
  }

  done(step) {
    this.steps[step].classList.add("done");
    this.#next();
  }

  /** On a phone only the next one is shown. */
  #next() {
    const all = Object.values(this.steps), next = all.find((one) => !one.classList.contains("done")) ?? all.at(-1);
    for (const one of all) one.classList.toggle("next", one === next);
  }
}

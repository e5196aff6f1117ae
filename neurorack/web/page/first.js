// What to do first: one line of steps that tick themselves off, until it is put away.

import { h } from "./dom.js";
import { watch, state, now } from "./live.js";

const KEY = "neurorack-first";
const STEPS = [
  ["hit", ["Press ", "HIT", " on the panel and listen."]],
  ["change", ["Change it: ", "move a slider", ", or drag a source to a jack."]],
  ["save", ["Keep it: ", "Scenes", ", Save scene. Change more, then Recall."]],
  ["record", ["Press ", "Record", ", play, press Stop, download the take."]],
];

const kept = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
const keep = (value) => { try { localStorage.setItem(KEY, value); } catch { /* private: it comes again */ } };

export class First {
  constructor(room) {
    this.room = room;
    this.steps = Object.fromEntries(STEPS.map(([name, [before, what, after]]) => [name, h("li", {}, h("span", {}, before, h("b", { text: what }), after))]));
    room.append(h("ol", { "aria-label": "First steps" }, Object.values(this.steps)), h("button", { type: "button", class: "quiet", text: "Got it", on: { click: () => { keep("seen"); room.hidden = true; } } }));
    watch("cables", ({ simulated }) => { room.hidden = kept() === "seen" || !simulated; });
    watch("scenes", ({ scenes }) => { if (scenes.length) this.done("save"); });
    watch("takes", ({ takes }) => { if (takes.length) this.done("record"); });
  }

  done(step) { this.steps[step].classList.add("done"); this.steps[step].setAttribute("aria-label", "done"); }
}

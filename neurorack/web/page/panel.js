// The module: the drawing, and above it the parts that are touched, in the order in which a hand finds them.

import { h, $, put, plain } from "./dom.js";
import { WIDTH, HEIGHT, layout } from "./layout.js";
import { draw, arc } from "./look.js";
import { Display } from "./display.js";
import { encoder } from "./encoder.js";

const FULL_VOLTS = 10;

function at(element, { x, y }) {
  element.style.left = `${(100 * x) / WIDTH}%`;
  element.style.top = `${(100 * y) / HEIGHT}%`;
  return element;
}

export class Panel {
  /**
   * @param {{turn(detents), press(down), button(), gate(jack, high), jack(name, element)}} hands what the parts do; `jack` is told of every jack's button
   */
  constructor(hands) {
    this.hands = hands;
    this.display = new Display();
    this.element = h("section", { class: "module", "aria-label": "The module" });
    this.jacks = {};
    this.lit = {};
    new ResizeObserver(() => this.#fit()).observe(this.element);
  }

  /** Lay the panel out; true if it was laid out otherwise before. */
  build(cvs, square, simulated) {
    const key = `${cvs} ${square} ${simulated}`;
    if (key === this.key) return false;
    this.key = key;
    this.places = layout(cvs, square);
    const { window, encoder: knob, button, jacks } = this.places, middle = { x: WIDTH / 2, y: jacks.gate1.y };
    this.art = draw(this.places);
    const turning = $(".turning", this.art), knobArt = $(".encoder-art", this.art), pushArt = $(".push-art", this.art);
    const { element: turner, step } = encoder(this.hands.turn, this.hands.press, (degrees, down) => {
      turning.style.transform = `rotate(${degrees}deg)`;
      knobArt.classList.toggle("pressed", down);
    });
    const stepper = (detents, text, name) => h("button", { class: "step", type: "button", "aria-label": name, title: name, text, on: { click: () => step(detents) } });
    this.jacks = {};
    this.element.replaceChildren(this.art,
      at(this.display.canvas, { x: window.x + window.width / 2, y: window.y + window.height / 2 }),
      at(stepper(-1, "‹", "One step back"), { x: knob.x - 12.4, y: knob.y }), at(turner, knob), at(stepper(1, "›", "One step on"), { x: knob.x + 12.4, y: knob.y }),
      at(this.#push(pushArt), button),
      ...Object.entries(jacks).filter(([name]) => /^(gate|cv)/.test(name)).flatMap(([name, place]) => {
        const jack = at(h("button", { class: "touch jack", type: "button", data: { jack: name }, "aria-label": plain(name) }), place);
        this.jacks[name] = jack;
        this.hands.jack(name, jack);
        return name === "gate1" && simulated ? [jack, ...this.#pads(middle)] : [jack];
      }));
    this.#fit();
    return true;
  }

  #push(art) {
    const press = (down) => (event) => {
      if (event.type.startsWith("key") && event.key !== "Enter" && event.key !== " ") return;
      if (event.repeat) return;
      if (event.type.startsWith("key")) event.preventDefault();
      art.classList.toggle("pressed", down);
      this.hands.button(down);
    };
    const up = press(false);
    return h("button", { class: "touch push", type: "button", "aria-label": "Button", title: "The button beside the encoder: press, or hold it",
      on: { pointerdown: press(true), pointerup: up, pointercancel: up, keydown: press(true), keyup: up } });
  }

  /** Two pads between the gate jacks: what a cable with 5 V would do. */
  #pads({ x, y }) {
    this.pads = {};
    return ["gate1", "gate2"].map((jack, i) => {
      const set = (high) => () => { this.light(jack, high); this.hands.gate(jack, high); };
      const pad = h("button", { class: "pad", type: "button", text: jack });
      pad.addEventListener("pointerdown", (event) => { pad.setPointerCapture(event.pointerId); set(true)(); });
      for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, set(false));
      pad.addEventListener("keydown", (event) => { if ((event.key === "Enter" || event.key === " ") && !event.repeat) { event.preventDefault(); set(true)(); } });
      pad.addEventListener("keyup", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); set(false)(); } });
      this.pads[jack] = pad;
      return at(pad, { x, y: y - 3.4 + 7.2 * i });
    });
  }

  /** Name the pads by what their gates do. */
  named(actions) {
    for (const [jack, pad] of Object.entries(this.pads ?? {})) {
      const action = actions?.[jack] ?? (jack === "gate1" ? "trigger" : "freeze");
      const text = { trigger: "HIT", freeze: "FREEZE", next: "NEXT", scene: "SCENE", record: "REC", tap: "TAP", none: "–" }[action] ?? action.toUpperCase();
      if (pad.textContent !== text) pad.textContent = text;
      put(pad, "aria-label", `${text.toLowerCase()}: ${plain(jack)}`);
      put(pad, "title", `${plain(jack)} high while this is held`);
    }
  }

  #fit() {
    if (!this.places) return;
    const scale = this.element.clientWidth / WIDTH, { width, height } = this.places.window;
    this.display.fit({ width: width * scale, height: height * scale });
  }

  #socket(jack) {
    this.lit[jack] ??= {};
    const known = this.lit[jack];
    if (known.key !== this.key) Object.assign(known, { key: this.key, socket: $(`[data-jack="${jack}"]`, this.art) });
    return known.socket;
  }

  /** A gate's light. */
  light(jack, high) {
    this.#socket(jack)?.classList.toggle("high", high);
  }

  /** A CV jack's voltage, as the arc of its ring. */
  volts(jack, volts) {
    const socket = this.#socket(jack);
    if (socket) put($(".arc", socket), "d", arc(volts / FULL_VOLTS));
  }

  /** A level 0..1 as the arc of an output's ring. */
  level(jack, share) {
    const socket = this.#socket(jack);
    if (socket) put($(".arc", socket), "d", arc(share));
  }

  /** The light of the encoder's ring: [r, g, b]. */
  led(colour) {
    const most = Math.max(...colour), parts = colour.map((part) => Math.round((255 * part) / (most || 1)));
    if (most) this.art?.style.setProperty("--led", `rgb(${parts.join(" ")} / ${(0.35 + 0.65 * (most / 255)).toFixed(2)})`);      // a dim light is still a coloured one
    else this.art?.style.removeProperty("--led");
  }
}

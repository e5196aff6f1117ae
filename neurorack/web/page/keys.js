// A keyboard to play: two octaves to touch, and while it has the focus the letter keys (a w s e d f t g y h u j k) too.

import { h } from "./dom.js";
import { wish } from "./live.js";

const NAMES = ["C", "C sharp", "D", "D sharp", "E", "F", "F sharp", "G", "G sharp", "A", "A sharp", "B"];
const BLACK = new Set([1, 3, 6, 8, 10]);
const LETTERS = "awsedftgyhujkolp";
const LOWEST = 48, KEYS = 25;

export class Keys {
  constructor() {
    this.octave = 0;
    this.held = new Set();
    this.row = h("div", { class: "keys", role: "group", tabindex: 0, "aria-label": "Keyboard: letter keys play, z and x change the octave",
      title: "Play: touch the keys, or click here and use the letter keys; z and x change the octave" });
    this.buttons = new Map();
    for (let i = 0; i < KEYS; i += 1) {
      const name = `${NAMES[i % 12]} ${Math.floor(i / 12) + 1}`;
      const key = h("button", { type: "button", class: BLACK.has(i % 12) ? "key black" : "key", tabindex: -1, "aria-label": name, data: { key: i } });
      this.buttons.set(i, key);
      this.row.append(key);
    }
    this.element = h("div", { class: "keyboard", hidden: true }, this.row);
    this.row.addEventListener("pointerdown", (event) => { const i = this.#under(event);
      if (i !== null) { event.preventDefault(); this.row.focus({ preventScroll: true }); this.row.setPointerCapture(event.pointerId);
      this.touched = i; this.#set(i, true); } });
    this.row.addEventListener("pointermove", (event) => {
      if (this.touched === undefined) return;
      const i = this.#under(event);
      if (i === null || i === this.touched) return;
      this.#set(i, true);
      this.#set(this.touched, false);
      this.touched = i;
    });
    for (const end of ["pointerup", "pointercancel"]) this.row.addEventListener(end,
      () => { if (this.touched !== undefined) this.#set(this.touched, false); this.touched = undefined; });
    this.row.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "z" || event.key === "x") { this.octave = Math.max(-2, Math.min(2, this.octave + (event.key === "x" ? 1 : -1))); return; }
      const at = LETTERS.indexOf(event.key.toLowerCase());
      if (at < 0 || event.key.length > 1) return;
      event.preventDefault();
      if (!event.repeat) this.#set(at, true);
    });
    this.row.addEventListener("keyup", (event) => { const at = event.key.length === 1 ? LETTERS.indexOf(event.key.toLowerCase()) : -1;
      if (at >= 0) this.#set(at, false); });
    this.row.addEventListener("blur", () => { for (const i of [...this.held]) this.#set(i, false); });
  }

  #under(event) {
    const key = document.elementFromPoint(event.clientX, event.clientY)?.dataset?.key;
    return key === undefined ? null : Number(key);
  }

  #set(i, down) {
    if (down === this.held.has(i)) return;
    if (down) this.held.add(i); else this.held.delete(i);
    this.buttons.get(i)?.classList.toggle("down", down);
    wish({ do: "key", note: LOWEST + i + 12 * this.octave, high: down });
  }

  show(on) { this.element.hidden = !on; }
}

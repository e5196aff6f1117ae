// The map: a plane of two of the model's controls, with the point where it stands and the way it came. Drag the point, or use the arrow keys.
// Where the model's card draws them, the clips it was trained on lie on it, and the nearest is named.

import { h, s, put, say, clamp, figures } from "./dom.js";
import { wish } from "./live.js";

const TRAIL = 90, STEP = 0.02, SEND_MS = 40;

export class Plane {
  /**
   * @param {{name, label}[]} axes  the controls to the right and upwards; `knob(name)` gives where a knob stands
   * @param {{points: [number, number, string][]}?} drawn  the card's map; `away()` gives how far its points lie from where they are drawn
   */
  constructor(axes, knob, drawn, away) {
    this.axes = axes;
    this.knob = knob;
    this.points = drawn?.points ?? [];
    this.away = away;
    this.specks = this.points.map(([, , name]) => s("circle", { r: 0.9, class: "map-clip" }, s("title", { text: name })));
    this.trail = [];
    this.path = s("polyline", { class: "map-trail" });
    this.dot = s("circle", { r: 2.4, class: "map-dot" });
    this.aim = s("circle", { r: 3.4, class: "map-aim" });
    const lines = [25, 50, 75].map((at) => s("path", { class: "map-line", d: `M${at} 0 V100 M0 ${at} H100` }));
    this.field = h("div", { class: "map", role: "application", tabindex: 0, "aria-label": `Map of ${axes[0].label} and ${axes[1].label}: arrow keys move the point` },
      s("svg", { viewBox: "0 0 100 100", "aria-hidden": "true", preserveAspectRatio: "none" }, ...lines, ...this.specks, this.path, this.aim, this.dot));
    this.told = h("output", { class: "unseen", "aria-live": "polite" });
    this.element = h("div", { class: "map-box" }, h("span", { class: "map-y soft small", "aria-hidden": "true", text: `${axes[1].label} →` }),
      this.field, h("span", { class: "map-x soft small", "aria-hidden": "true", text: `${axes[0].label} →` }),
      this.near = h("span", { class: "map-x small", hidden: !this.points.length }), this.told);
    const move = (event) => {
      const box = this.field.getBoundingClientRect();
      this.#go(clamp((event.clientX - box.x) / box.width, 0, 1), clamp(1 - (event.clientY - box.y) / box.height, 0, 1));
    };
    this.field.addEventListener("pointerdown", (event) => { this.held = true; this.field.setPointerCapture(event.pointerId); move(event); });
    this.field.addEventListener("pointermove", (event) => { if (this.held) move(event); });
    for (const end of ["pointerup", "pointercancel"]) this.field.addEventListener(end, () => { this.held = false; });
    this.field.addEventListener("keydown", (event) => {
      const step = { ArrowRight: [STEP, 0], ArrowLeft: [-STEP, 0], ArrowUp: [0, STEP], ArrowDown: [0, -STEP] }[event.key];
      if (!step) return;
      event.preventDefault();
      const [x, y] = this.at ?? this.axes.map(({ name }) => this.knob(name));
      this.#go(clamp(x + step[0], 0, 1), clamp(y + step[1], 0, 1));
      this.told.textContent = this.axes.map(({ label }, i) => `${label} ${figures(this.at[i])}`).join(", ");
    });
  }

  #go(x, y) {
    this.at = [x, y];
    this.#aim(x, y);
    this.timer ||= setTimeout(() => { this.timer = 0; this.axes.forEach(({ name }, i) => wish({ do: "set", control: name, value: this.at[i] })); }, SEND_MS);
  }

  #aim(x, y) { put(this.aim, "cx", (100 * x).toFixed(2)); put(this.aim, "cy", (100 - 100 * y).toFixed(2)); }

  /** Where the clips lie; it depends on the chosen gesture. */
  #clips() {
    const [dx, dy] = this.away();
    this.places = this.points.map(([x, y]) => [x - dx, y - dy]);
    this.specks.forEach((speck, i) => {
      put(speck, "cx", (100 * this.places[i][0]).toFixed(1));
      put(speck, "cy", (100 - 100 * this.places[i][1]).toFixed(1));
    });
  }

  #nearest(x, y) {
    if (!this.places) return;
    const apart = this.places.map(([a, b]) => Math.hypot(a - x, b - y)), at = apart.indexOf(Math.min(...apart));
    if (at === this.nearby) return;
    this.specks[this.nearby]?.classList.remove("near");
    this.specks[at].classList.add("near");
    this.nearby = at;
    say(this.near, `near ${this.points[at][2]}`);
  }

  /** Where the knobs stand, as the instrument says. */
  knobs() {
    if (this.points.length) this.#clips();
    if (this.held || this.timer) return;
    this.at = null;
    this.#aim(...this.axes.map(({ name }) => this.knob(name)));
  }

  /** Where the sound is, with its CVs. */
  show(x, y) {
    if (x === null || y === null) return;
    put(this.dot, "cx", (100 * x).toFixed(2));
    put(this.dot, "cy", (100 - 100 * y).toFixed(2));
    this.#nearest(x, y);
    this.trail.push(`${(100 * x).toFixed(1)},${(100 - 100 * y).toFixed(1)}`);
    if (this.trail.length > TRAIL) this.trail.shift();
    this.path.setAttribute("points", this.trail.join(" "));
  }
}

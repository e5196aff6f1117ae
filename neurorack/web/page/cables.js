// Cables over the rack: drawn from the jack of a source to a jack of the module, hanging a little; and one that follows the hand.

import { s, put, calm } from "./dom.js";

const SAG = 0.22, LEAST_SAG = 26;

/** The curve of a cable that hangs between two points. */
export function hang(from, to, slack = 1) {
  const far = Math.hypot(to.x - from.x, to.y - from.y), sag = (LEAST_SAG + far * SAG) * slack;
  const low = Math.max(from.y, to.y) * 0.4 + ((from.y + to.y) / 2) * 0.6 + sag, wide = to.x - from.x, aside = Math.sign(wide || 1) * 26;
  const points = [from.x + wide * 0.3 + aside, from.y + (low - from.y) * 0.92, to.x - wide * 0.2, low + sag * 0.15, to.x, to.y].map((part) => part.toFixed(1));
  return `M${from.x.toFixed(1)} ${from.y.toFixed(1)} C${points.join(" ")}`;
}

export class Cables {
  /** @param {HTMLElement} rack what they hang over */
  constructor(rack) {
    this.rack = rack;
    this.layer = s("svg", { class: "cables", "aria-hidden": "true", focusable: "false" });
    this.drawn = new Map();
    this.loose = null;
    rack.append(this.layer);
    rack.addEventListener("scroll", () => this.draw(), { capture: true, passive: true });
    new ResizeObserver(() => this.draw()).observe(rack);
  }

  middle(element) {
    const outer = this.layer.getBoundingClientRect(), inner = element.getBoundingClientRect();
    return { x: inner.x + inner.width / 2 - outer.x, y: inner.y + inner.height / 2 - outer.y };
  }

  #make(kind) {
    const group = s("g", { class: `wire-${kind}` }, s("path", { class: "cable" }), s("path", { class: "cable-light" }),
      s("circle", { class: "plug", r: 6 }), s("circle", { class: "plug", r: 6 }));
    this.layer.append(group);
    return group;
  }

  #shape(group, from, to) {
    const [cable, light, first, second] = group.children, path = hang(from, to);
    put(cable, "d", path);
    put(light, "d", path);
    light.setAttribute("transform", "translate(-1 -1.2)");
    for (const [plug, place] of [[first, from], [second, to]]) { put(plug, "cx", place.x.toFixed(1)); put(plug, "cy", place.y.toFixed(1)); }
  }

  /** @param {{jack: string, kind: string, from: Element, to: Element}[]} wanted  all the cables there are */
  show(wanted) {
    this.wanted = wanted;
    for (const [jack, group] of this.drawn) {
      if (wanted.some((one) => one.jack === jack && group.classList.contains(`wire-${one.kind}`))) continue;
      group.remove();
      this.drawn.delete(jack);
    }
    for (const one of wanted) {
      if (this.drawn.has(one.jack)) continue;
      this.drawn.set(one.jack, this.#make(one.kind));
      if (!calm.matches) this.drawn.get(one.jack).firstChild.animate([{ opacity: 0 }, { opacity: 0.86 }], 180);
    }
    this.draw();
  }

  draw() {
    for (const { jack, from, to } of this.wanted ?? []) if (from.isConnected && to.isConnected) this.#shape(this.drawn.get(jack), this.middle(from), this.middle(to));
  }

  /** A cable from an element to where the hand is; `stop` takes it away. */
  follow(kind, element) {
    this.stop();
    this.loose = this.#make(kind);
    const from = this.middle(element);
    this.#shape(this.loose, from, from);
    return (x, y) => {
      const outer = this.layer.getBoundingClientRect();
      if (this.loose) this.#shape(this.loose, from, { x: x - outer.x, y: y - outer.y });
    };
  }

  stop() {
    this.loose?.remove();
    this.loose = null;
  }
}

// The modulators mod1..mod8: one card each, its form built from what the instrument declares for its kind.

import { h, say, plain, figures, clamp } from "./dom.js";
import { wish, watch, state, now as live } from "./live.js";
import { select } from "./form.js";
import { movers } from "./routes.js";
import { form } from "./fields.js";

class Card {
  constructor(name, kinds, open) {
    this.name = name;
    this.kinds = kinds;
    this.kind = select({ name: "kind", label: plain(name), choices: Object.keys(kinds).map((kind) => [kind, kind.replaceAll("_", " ")]) },
      (kind) => wish({ do: "source", source: name, kind }));
    this.doc = h("p", { class: "soft small" });
    this.dot = h("i", { class: "needle", "aria-hidden": "true" });
    this.volts = h("span", { class: "figure small soft" });
    this.room = h("div", {});
    this.to = h("button", { type: "button", class: "quiet", text: "Route it …", on: { click: () => open(name) } });
    this.element = h("section", { class: "card modulator", "aria-label": plain(name) },
      h("div", { class: "head" }, this.kind.element, h("span", { class: "swing" }, this.dot), this.volts), this.doc, this.room, this.to);
  }

  show(now, routes) {
    this.kind.set(now.kind);
    if (now.kind !== this.shown) {
      this.shown = now.kind;
      const about = this.kinds[now.kind];
      this.doc.textContent = about.doc;
      this.form = form(about.fields, (field, value) => wish({ do: "source", source: this.name, [field]: value }));
      this.room.replaceChildren(this.form.element);
      this.element.classList.toggle("off", now.kind === "off");
    }
    this.form.set(now);
    this.to.hidden = now.kind === "off";
    this.routed(routes);
    this.swing(live.mods?.[Number(this.name.slice(3)) - 1] ?? 0);
  }

  routed(routes) {
    const to = movers(routes, this.name);
    say(this.to, to ? `→ ${to}` : "Route it …");
  }

  swing(volts) {
    say(this.volts, this.shown === "off" ? "" : `${figures(volts)} V`);
    this.dot.style.transform = `translateX(${clamp(volts / 10, -1, 1) * 50}%)`;
  }
}

export class Modulators {
  /** @param {(jack: string) => void} open  shows the routes of a modulator */
  constructor(open) {
    this.cards = new Map();
    this.list = h("div", { class: "cards" });
    this.element = h("div", {}, h("p", { class: "intro", text: "Eight sources inside the instrument. Choose a kind, then route it to a control like a jack." }), this.list);
    watch("sources", ({ sources, kinds }) => {
      for (const one of sources) {
        if (!this.cards.has(one.name)) {
          this.cards.set(one.name, new Card(one.name, kinds, open));
          this.list.append(this.cards.get(one.name).element);
        }
        this.cards.get(one.name).show(one, state.status?.patch.routes ?? []);
      }
    });
    for (const part of ["status", "labels"]) watch(part, () => { for (const card of this.cards.values()) card.routed(state.status?.patch.routes); });
    watch("now", (changed) => { changed.mods?.forEach((volts, i) => this.cards.get(`mod${i + 1}`)?.swing(volts)); });
  }
}

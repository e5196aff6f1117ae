// What the instrument wants known, each with what to do about it.

import { h } from "./dom.js";
import { wish, watch } from "./live.js";

export class Notices {
  constructor(room) {
    this.rows = new Map();
    watch("notices", ({ notices }) => {
      for (const [id, row] of this.rows) if (!notices.some((one) => one.id === id)) { row.remove(); this.rows.delete(id); }
      for (const one of notices) {
        const text = `${one.text}${one.remedy ? `: ${one.remedy}` : ""}${one.count > 1 ? ` (${one.count} times)` : ""}`;
        if (this.rows.has(one.id)) { const span = this.rows.get(one.id).firstChild; if (span.textContent !== text) span.textContent = text; continue; }
        const row = h("div", { class: `notice ${one.level}` }, h("span", { text }),
          h("button", { type: "button", class: "quiet", text: "Seen", "aria-label": `Seen: ${one.text}`,
          on: { click: () => wish({ do: "notice_seen", id: one.id }) } }));
        this.rows.set(one.id, row);
        room.append(row);
      }
    });
  }
}

// Short messages at the foot of the page, which a screen reader says too.

import { h, $ } from "./dom.js";

const STAY_MS = 4500, STAY_BAD_MS = 9000;

export function toast(text, bad = false) {
  const room = $("#toasts");
  for (const old of [...room.children]) if (old.textContent === text) old.remove();
  const one = h("div", { class: bad ? "toast bad" : "toast", text });
  room.append(one);
  while (room.children.length > 3) room.firstChild.remove();
  setTimeout(() => one.remove(), bad ? STAY_BAD_MS : STAY_MS);
}

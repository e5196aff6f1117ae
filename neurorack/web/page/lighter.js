// A lighter model of one in the library: begun with a button, followed, then kept or discarded with its figure before one's eyes.

import { h, put, say } from "./dom.js";
import { watch, state } from "./live.js";
import { toast } from "./toasts.js";

const KINDS = new Set(["native", "lifted"]);

/** Ask the instrument's HTTP side; its answer, or null after a toast with the one line. */
async function send(method, address) {
  const answer = await fetch(address, { method }).then((one) => one.json(), () => ({ ok: false, error: "no answer came" }));
  if (!answer.ok) toast(answer.error, true);
  return answer.ok ? answer : null;
}

/** The part of a model's row that makes it lighter; null for models that the engine does not play. */
export function lighter(model) {
  if (model.verdict === "refused" || !KINDS.has(model.kind)) return null;
  const { name } = model, at = `/api/models/${encodeURIComponent(name)}/lighter`;
  const act = (text, title, call, more = {}) => h("button", { type: "button", text, title, "aria-label": `${title} ${name}`, ...more,
    on: { click: async ({ target }) => { put(target, "aria-busy", true); await call(); put(target, "aria-busy", false); } } });
  const begin = act("Lighter", "Make a lighter one of", () => send("POST", at));
  const text = h("small", { class: "soft", "aria-live": "polite" }), bar = h("progress", { max: 1, value: 0, "aria-label": `${name} is made lighter` });
  const stop = act("Cancel", "Do not make lighter", () => send("DELETE", at));
  const keep = act("Keep", "Keep the lighter one of", async () => {
    const answer = await send("POST", `${at}/keep`);
    if (answer) toast(`${answer.name}: ${answer.line}`);
  }, { class: "strong" });
  const discard = act("Discard", "Discard the lighter one of", () => send("DELETE", at));
  const shown = { working: [text, bar, stop], made: [text, keep, discard], failed: [begin, text] };
  const element = h("div", { class: "buttons lighter" }, begin);
  element.follow = () => {
    const told = state.lighter?.[name], parts = shown[told?.phase] ?? [begin];
    if (parts.some((one, place) => element.children[place] !== one) || element.children.length !== parts.length) element.replaceChildren(...parts);
    if (!told) return;
    say(text, told.line ?? told.stage);
    if (told.phase === "working") bar.value = told.share;
  };
  element.follow();
  return element;
}

/** Rows of a list follow what is being made. */
export const followed = (list) => watch("lighter", () => { for (const one of list.querySelectorAll(".lighter")) one.follow(); });

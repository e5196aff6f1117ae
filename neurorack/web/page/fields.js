// A form made from declared fields, as the instrument tells them for modulators and cables:
// {name: {default, low, high, unit, whole, doc} | {default, choices, doc} | {default, low, high, unit, most, doc}}.

import { h, words, plain } from "./dom.js";
import { knob } from "./knobs.js";
import { select, steps } from "./form.js";

const named = (value) => (/^(cv|gate|mod)\d$/.test(value) ? plain(value) : String(value).replaceAll("_", " "));

/** Whether its values are best spread by their logarithm. */
const wide = (field) => ["Hz", "ms", "s"].includes(field.unit) && field.high / Math.max(field.low, 0.001) > 100;

function one(name, field, changed) {
  const given = { ...field, name, label: words(name), fallback: field.default, value: field.default };
  if (field.choices) return select({ ...given, choices: field.choices.map((value) => [value, named(value)]) }, changed);
  if (Array.isArray(field.default)) return steps(given, changed);
  return knob({ ...given, step: field.whole ? 1 : undefined, log: wide(field) }, changed);
}

/**
 * @param {object} declared  the fields of a kind
 * @param {(name: string, value) => void} changed
 * @returns {{element, set(values)}} choices stand first, then knobs, then lists
 */
export function form(declared, changed) {
  const made = Object.entries(declared).map(([name, field]) => ({ name,
    kind: field.choices ? "choices" : Array.isArray(field.default) ? "lists" : "knobs", ...one(name, field, (value) => changed(name, value)) }));
  const element = h("div", { class: "form" }, ["choices", "knobs", "lists"].map((kind) => {
    const of = made.filter((part) => part.kind === kind);
    return of.length ? h("div", { class: kind }, of.map((part) => part.element)) : null;
  }));
  return { element, set(values) { for (const part of made) if (values[part.name] !== undefined) part.set(values[part.name]); } };
}

// Controls made from declared fields: a number gives a slider (or a knob), choices a select, a switch a checkbox, a list a row of small sliders.

import { h, words, figures } from "./dom.js";
import { scale } from "./knobs.js";

let count = 0;

/** A labelled range with its value beside it. `log` for rates and times that span decades. */
export function slider(field, changed) {
  const { low, high, unit = "", step } = field, { place, value: at } = scale(low, high, field.log), fine = field.log ? 1000 : null;
  const id = `f${++count}`;
  const range = h("input", { id, type: "range", min: fine ? 0 : low, max: fine ?? high, step: fine ? 1 : step ?? (high - low) / 400, title: field.doc });
  const text = h("output", { for: id });
  let timer = 0, touched = -Infinity;
  const read = () => (fine ? at(range.value / fine) : Number(range.value));
  const show = (value) => {
    const shown = `${figures(value)}${unit ? ` ${unit}` : ""}`;
    text.textContent = shown;
    range.setAttribute("aria-valuetext", shown);
  };
  range.addEventListener("input", () => {
    touched = performance.now();
    show(read());
    timer ||= setTimeout(() => { timer = 0; changed(read()); }, 40);
  });
  const set = (value) => {
    if (timer || performance.now() - touched < 700) return;
    range.value = fine ? place(value) * fine : value;
    show(value);
  };
  set(field.value ?? field.fallback ?? low);
  return { element: h("div", { class: "field" }, h("label", { for: id, text: field.label ?? words(field.name) }), range, text), input: range, set };
}

/** A labelled select. `fill` gives it other choices. @param {{name, label?, choices: (string|[value, text])[], value, doc?}} field */
export function select(field, changed) {
  const id = `f${++count}`;
  const box = h("select", { id, title: field.doc });
  let values = [], key = null;
  const fill = (choices) => {
    const next = JSON.stringify(choices);
    if (next === key) return;
    const before = box.value;
    key = next;
    values = choices.map((one) => (Array.isArray(one) ? one[0] : one));
    box.replaceChildren(...choices.map((one) => h("option", { value: String(Array.isArray(one) ? one[0] : one), text: Array.isArray(one) ? one[1] : words(String(one)) })));
    box.value = before;
  };
  const set = (value) => { if (box.value !== String(value)) box.value = String(value); };
  box.addEventListener("change", () => changed(values[box.selectedIndex]));
  fill(field.choices);
  set(field.value ?? field.fallback ?? values[0]);
  return { element: h("div", { class: "field" }, h("label", { for: id, text: field.label ?? words(field.name) }), box), input: box, set, fill };
}

/** A labelled checkbox. */
export function toggle(field, changed) {
  const id = `f${++count}`;
  const box = h("input", { id, type: "checkbox", title: field.doc, on: { change: () => changed(box.checked) } });
  const set = (value) => { box.checked = Boolean(value); };
  set(field.value ?? field.fallback);
  return { element: h("div", { class: "field check" }, box, h("label", { for: id, text: field.label ?? words(field.name) })), input: box, set };
}

/** A list of numbers, as the steps of a sequencer: small upright sliders side by side, and buttons for one more or less. */
export function steps(field, changed) {
  let values = [...(field.value ?? field.fallback ?? [])];
  const row = h("div", { class: "steps" }), shown = (value) => `${figures(value)} ${field.unit ?? ""}`.trim();
  const longer = h("button", { type: "button", class: "quiet", text: "+", "aria-label": "One step more", on: { click: () => renew([...values, values.at(-1) ?? 0]) } });
  const shorter = h("button", { type: "button", class: "quiet", text: "−", "aria-label": "One step less", on: { click: () => renew(values.slice(0, -1)) } });
  const element = h("fieldset", { class: "field list", title: field.doc }, h("legend", { text: field.label ?? words(field.name) }),
    h("div", { class: "row" }, shorter, row, longer));
  const onOff = field.low === 0 && field.high === 1 && !field.unit;
  const pad = (value, i) => h("input", { type: "checkbox", class: "step-pad", checked: value >= 0.5, "aria-label": `${words(field.name)} ${i + 1}`,
    on: { change: ({ target }) => { values[i] = Number(target.checked); changed([...values]); } } });
  function build() {
    row.replaceChildren(...values.map((value, i) => onOff ? pad(value, i) : h("input",
      { type: "range", class: "upright", orient: "vertical", min: field.low, max: field.high, step: (field.high - field.low) / 240, value,
      "aria-label": `${words(field.name)} ${i + 1}`, "aria-valuetext": shown(value), title: shown(value),
      on: { input: ({ target }) => { values[i] = Number(target.value); target.title = shown(values[i]);
        target.setAttribute("aria-valuetext", target.title); }, change: () => changed([...values]) } })));
    shorter.disabled = values.length < 2;
    longer.disabled = values.length >= (field.most ?? 16);
  }
  function renew(next) { values = next; build(); changed([...values]); }
  build();
  return { element, input: row, set(next) {
    if (row.contains(document.activeElement) || JSON.stringify(next) === JSON.stringify(values)) return;
    values = [...next];
    build();
  } };
}

// Small helpers to make elements. Nothing here knows the instrument.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") for (const [event, call] of Object.entries(value)) node.addEventListener(event, call);
    else if (name === "text") node.textContent = value;
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "value" && "value" in node) node.value = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An HTML element: h("button", {class: "big", on: {click}}, "Hit"). `true` gives a bare attribute, null and false none. */
export const h = (tag, props = {}, ...children) => fill(document.createElement(tag), props, children);

/** An SVG element. */
export const s = (tag, props = {}, ...children) => fill(document.createElementNS(SVG, tag), props, children);

export const $ = (selector, within = document) => within.querySelector(selector);

/** Set an attribute only if it changes: the browser then has nothing to lay out, and a screen reader nothing to repeat. */
export function put(node, name, value) {
  const text = String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

/** Set a text only if it changes. */
export function say(node, text) {
  if (node.textContent !== String(text)) node.textContent = text;
}

export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** Whether the person asked for less movement. */
export const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Whether the page is laid out for a phone; the same width stands in style.css. */
export const narrow = matchMedia("(max-width: 760px)");

/** 0.0123 -> "0.012", 1234 -> "1234": three figures at most, no needless zeros. */
export function figures(value) {
  if (!Number.isFinite(value)) return "–";
  const digits = clamp(2 - Math.floor(Math.log10(Math.abs(value) || 1)), 0, 3);
  return String(Number(value.toFixed(digits)));
}

/** 83 -> "1:23". */
export const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

/** Bytes for a person. */
export function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let at = 0;
  for (; bytes >= 1000 && at < units.length - 1; at += 1) bytes /= 1000;
  return `${at && bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)} ${units[at]}`;
}

/** "cv1" -> "CV 1", "gate2" -> "GATE 2", "mod3" -> "MOD 3". */
export const plain = (jack) => jack.replace(/^([a-z]+)(\d+)$/, (_, word, number) => `${word.toUpperCase()} ${number}`);

/** A name with its unit: "rate_hz" -> "rate". */
export const words = (name) => name.replace(/_(hz|ms|db|v|s|volts|seconds|per_volt)$/, "").replaceAll("_", " ");

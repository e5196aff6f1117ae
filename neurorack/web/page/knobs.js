// A rotary knob: drag up and down, wheel, arrow keys; Home and End for the ends, double click for the default. A "slider" to a screen reader.

import { h, s, clamp, figures, put } from "./dom.js";

const SWEEP = 270, STEPS = 100;

/** The place 0..1 of a value, and back. `log` for rates and times that span decades; from 0 on, which has no logarithm, as a cube. */
export function scale(low, high, log) {
  if (log && low > 0) return { place: (value) => clamp(Math.log(value / low) / Math.log(high / low), 0, 1), value: (place) => low * (high / low) ** place };
  const bend = log ? 3 : 1;
  return { place: (value) => clamp((value - low) / (high - low), 0, 1) ** (1 / bend), value: (place) => low + place ** bend * (high - low) };
}

function dial() {
  const circle = (kind) => s("circle", { r: 15, class: kind, pathLength: 360, transform: "rotate(135)" });
  return s("svg", { viewBox: "-20 -20 40 40", "aria-hidden": "true", focusable: "false" },
    circle("track"), circle("filled"), s("circle", { r: 11, class: "knob-cap" }), s("path", { d: "M0 -9.5 V-4.5", class: "knob-mark" }));
}

/**
 * @param {{name, label?, low, high, value, fallback?, unit?, step?, log?, doc?}} field  `step` 1 gives whole numbers
 * @param {(value: number) => void} changed  called while it is turned, 25 times a second at most
 * @returns {{element, set(value)}} `set` shows a value that came from elsewhere, unless the knob is being turned
 */
export function knob(field, changed) {
  const { low, high, unit = "" } = field;
  const { place, value: at } = scale(low, high, field.log);
  const centre = low < 0 && high > 0 ? place(0) : 0;
  let now = field.value ?? field.fallback ?? low, held = false, timer = 0, touched = 0;

  const art = dial(), text = h("output", {});
  const turner = h("div", { class: "knob-dial", role: "slider", tabindex: 0, "aria-label": field.label ?? field.name, "aria-valuemin": low,
    "aria-valuemax": high, title: field.doc }, art);
  const element = h("div", { class: "knob" }, turner, h("span", { class: "knob-name", "aria-hidden": "true", text: field.label ?? field.name }), text);
  const filled = art.querySelector(".filled"), mark = art.querySelector(".knob-mark");

  function show() {
    const share = place(now), from = Math.min(share, centre), shown = `${figures(now)}${unit ? ` ${unit}` : ""}`;
    put(filled, "stroke-dasharray", `${(Math.abs(share - centre) * SWEEP).toFixed(1)} 360`);
    put(filled, "transform", `rotate(${(135 + from * SWEEP).toFixed(1)})`);
    put(mark, "transform", `rotate(${(share * SWEEP - SWEEP / 2).toFixed(1)})`);
    put(turner, "aria-valuenow", now.toPrecision(4) / 1);
    put(turner, "aria-valuetext", shown);
    text.textContent = shown;
  }

  function turn(value) {
    const whole = field.step === 1 ? Math.round(value) : value;
    now = clamp(whole, low, high);
    touched = performance.now();
    show();
    timer ||= setTimeout(() => { timer = 0; changed(now); }, 40);
  }
  const nudge = (steps) => turn(field.step === 1 ? now + Math.sign(steps) * Math.max(1, Math.abs(steps) >= 10 ? 5 : 1) : at(clamp(place(now) + steps / STEPS, 0, 1)));

  let started = 0, from = 0;
  turner.addEventListener("pointerdown", (event) => {
    held = true; started = event.clientY; from = place(now);
    turner.setPointerCapture(event.pointerId);
    turner.focus({ preventScroll: true });
    event.preventDefault();
  });
  turner.addEventListener("pointermove", (event) => { if (held) turn(at(clamp(from + (started - event.clientY) / (event.shiftKey ? 600 : 150), 0, 1))); });
  for (const end of ["pointerup", "pointercancel"]) turner.addEventListener(end, () => { held = false; });
  turner.addEventListener("wheel", (event) => { event.preventDefault(); nudge(-Math.sign(event.deltaY) * 2); }, { passive: false });
  turner.addEventListener("dblclick", () => { if (field.fallback !== undefined) turn(field.fallback); });
  turner.addEventListener("keydown", (event) => {
    const steps = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (steps) nudge(steps);
    else if (event.key === "Home") turn(low);
    else if (event.key === "End") turn(high);
    else if (event.key === "Delete" && field.fallback !== undefined) turn(field.fallback);
    else return;
    event.preventDefault();
  });
  show();
  return { element, set(value) { if (!held && !timer && performance.now() - touched > 600 && value !== now) { now = value; show(); } } };
}

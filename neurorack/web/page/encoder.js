// The encoder: wheel, drag, arrow keys turn it; a click, Enter or the space bar press it, and as long as they are held it is held.
// Events are gathered for 20 ms, so that a fast hand sends few messages and no detent is lost.

import { h } from "./dom.js";

const PIXELS_A_DETENT = 9, WHEEL_A_DETENT = 60, GATHER_MS = 20, PRESS_AFTER_MS = 140, DEGREES = 15;

/**
 * @param {(detents: number) => void} turn
 * @param {(down: boolean) => void} press
 * @returns {{element, degrees(): number, onMove}} the button to lay over the drawing
 */
export function encoder(turn, press, moved) {
  let gathered = 0, timer = 0, angle = 0, wheel = 0, down = false;

  function step(detents) {
    if (!detents) return;
    gathered += detents;
    angle += detents * DEGREES;
    moved(angle, down);
    timer ||= setTimeout(() => { timer = 0; const sum = gathered; gathered = 0; if (sum) turn(sum); }, GATHER_MS);
  }
  function push(on) {
    if (on === down) return;
    down = on;
    moved(angle, down);
    press(on);
  }

  const element = h("button", { class: "touch encoder", type: "button", "aria-label": "Encoder: arrow keys turn, Enter presses", "aria-roledescription": "encoder",
    title: "Turn: wheel, drag or arrow keys. Press: click or Enter; hold it for more." });
  let pointer = null;
  element.addEventListener("wheel", (event) => {
    event.preventDefault();
    wheel += event.deltaY * (event.deltaMode ? 30 : 1);
    const detents = Math.trunc(wheel / WHEEL_A_DETENT);
    wheel -= detents * WHEEL_A_DETENT;
    step(detents);
  }, { passive: false });
  element.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    element.setPointerCapture(event.pointerId);
    pointer = { x: event.clientX, y: event.clientY, done: 0, turned: false, timer: setTimeout(() => push(true), PRESS_AFTER_MS) };
  });
  element.addEventListener("pointermove", (event) => {
    if (!pointer) return;
    const way = event.clientX - pointer.x - (event.clientY - pointer.y), detents = Math.trunc((way - pointer.done) / PIXELS_A_DETENT);
    if (!detents) return;
    if (!pointer.turned && !down) clearTimeout(pointer.timer);      // a drag that began before the press: it only turns
    pointer.turned = true;
    pointer.done += detents * PIXELS_A_DETENT;
    step(detents);
  });
  const release = (event) => {
    if (!pointer) return;
    clearTimeout(pointer.timer);
    if (!pointer.turned && !down && event.type === "pointerup") push(true);
    pointer = null;
    push(false);
  };
  element.addEventListener("pointerup", release);
  element.addEventListener("pointercancel", release);
  element.addEventListener("keydown", (event) => {
    const detents = { ArrowUp: -1, ArrowLeft: -1, ArrowDown: 1, ArrowRight: 1, PageUp: -5, PageDown: 5 }[event.key];
    if (detents) step(detents);
    else if (event.key === "Enter" || event.key === " ") push(true);
    else return;
    event.preventDefault();
  });
  element.addEventListener("keyup", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    push(false);
  });
  element.addEventListener("blur", () => push(false));
  return { element, step };
}

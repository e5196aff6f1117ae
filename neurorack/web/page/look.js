// What the front panel looks like: one drawing, in millimetres. The parts that are touched lie above it as buttons (panel.js, jacks.js).

import { s } from "./dom.js";
import { WIDTH, HEIGHT } from "./layout.js";

const shade = (id, from, to, kind = "linearGradient", more = { x1: 0, y1: 0, x2: 0, y2: 1 }) =>
  s(kind, { id, ...more }, s("stop", { offset: 0, class: `${from}` }), s("stop", { offset: 1, class: `${to}` }));

function screw(x, y) {
  return s("g", { transform: `translate(${x} ${y})` },
    s("rect", { x: -2.6, y: -1.6, width: 5.2, height: 3.2, rx: 1.6, class: "slot" }),
    s("circle", { r: 1.45, class: "screw" }), s("path", { d: "M-.95 -.4 L.95 .4", class: "screw-slot" }));
}

function label(x, y, text, kind = "label") {
  return s("text", { x, y, class: kind, "text-anchor": "middle" }, text);
}

/** A ring of flats, as of a knurled nut. */
function nut(radius, flats) {
  const points = Array.from({ length: flats }, (_, i) => {
    const angle = (2 * Math.PI * i) / flats;
    return `${(radius * Math.cos(angle)).toFixed(3)},${(radius * Math.sin(angle)).toFixed(3)}`;
  });
  return s("polygon", { points: points.join(" "), class: "nut" });
}

function jack(name, { x, y }, kind) {
  return s("g", { transform: `translate(${x} ${y})`, class: `socket ${kind}`, "data-jack": name },
    s("circle", { r: 4.5, class: "glow" }), s("circle", { r: 4.1, class: "ring" }), s("path", { class: "arc", d: "" }),
    nut(2.95, 6), s("circle", { r: 2.35, class: "bush" }), s("circle", { r: 1.55, class: "hole" }));
}

/** The arc of a jack's ring for a share -1..1, from the top to the right (positive) or to the left. */
export function arc(share, radius = 4.1) {
  const angle = Math.max(-0.999, Math.min(0.999, share)) * Math.PI;
  if (Math.abs(angle) < 0.02) return "";
  const x = radius * Math.sin(angle), y = -radius * Math.cos(angle);
  return `M0 ${-radius} A${radius} ${radius} 0 0 ${angle > 0 ? 1 : 0} ${x.toFixed(2)} ${y.toFixed(2)}`;
}

function knob({ x, y }) {
  const teeth = Array.from({ length: 48 }, (_, i) => s("path", { d: "M0 -6.75 V-6.15", class: "tooth", transform: `rotate(${i * 7.5})` }));
  return s("g", { transform: `translate(${x} ${y})`, class: "encoder-art" },
    s("circle", { r: 8.4, class: "led" }), s("circle", { r: 7.4, class: "well" }),
    s("g", { class: "turning" }, s("circle", { r: 6.8, class: "skirt" }), ...teeth, s("circle", { r: 5.9, class: "cap" }),
      s("circle", { r: 5.2, class: "cap-top" }), s("path", { d: "M0 -4.9 V-2.2", class: "mark" })));
}

/** The panel's drawing for a layout. */
export function draw(places) {
  const { window, encoder, button, jacks, square, dense } = places;
  const above = dense ? 5.6 : 6;
  const art = s("svg", { class: "art", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true", focusable: "false" },
    s("defs", {}, shade("face", "face-a", "face-b"), shade("cap", "cap-a", "cap-b", "radialGradient", { cx: 0.38, cy: 0.3, r: 0.85 }),
      shade("push", "push-a", "push-b", "radialGradient", { cx: 0.4, cy: 0.32, r: 0.8 }),
      shade("metal", "metal-a", "metal-b", "linearGradient", { x1: 0, y1: 0, x2: 1, y2: 1 })),
    s("rect", { width: WIDTH, height: HEIGHT, rx: 0.9, class: "face" }), s("path", { d: `M.9 .25 H${WIDTH - 0.9}`, class: "edge" }),
    ...[[7.5, 3], [53.1, 3], [7.5, 125.5], [53.1, 125.5]].map(([x, y]) => screw(x, y)),
    label(WIDTH / 2, 11.4, "NEURORACK", "title"),
    s("rect", { x: window.x - 1, y: window.y - 1, width: window.width + 2, height: window.height + 2, rx: 1.6, class: "bezel" }),
    s("rect", { ...window, rx: 0.7, class: "glass" }),
    knob(encoder), square ? "" : label(encoder.x, encoder.y + (dense ? 10.9 : 11.8), "TURN · PRESS", "small"),
    s("g", { transform: `translate(${button.x} ${button.y})`, class: "push-art" }, s("circle", { r: 5.1, class: "well" }), s("circle", { r: 4.1, class: "push" })),
    s("rect", { x: 30.4, y: jacks.out_l.y - 9.1, width: 27.8, height: 15.4, rx: 1.6, class: "outputs" }));
  const names = { in_l: "IN L", in_r: "IN R", out_l: "OUT L", out_r: "OUT R" };
  for (const [name, place] of Object.entries(jacks)) {
    const kind = name.startsWith("gate") ? "gate" : name.startsWith("cv") ? "cv" : name.startsWith("out") ? "out" : "in";
    const text = names[name] ?? name.replace(/^(\D+)(\d)$/, (_, word, n) => `${word.toUpperCase()} ${n}`);
    art.append(jack(name, place, kind), label(place.x, place.y - above, text, kind === "out" ? "label on-light" : "label"));
  }
  art.append(label(WIDTH / 2, 122.6, "deep sound under CV", "small"));
  return art;
}

// What is said of routes.

import { plain } from "./dom.js";
import { state } from "./live.js";

/** A control as its model's card calls it: "Bright" for centroid. */
export const label = (control) => state.labels?.[control] ?? control;

/** What a jack moves: "Bright, Decay". */
export const movers = (routes, jack) => (routes ?? []).filter((route) => route.jack === jack).map((route) => label(route.control)).join(", ");

/** What moves a control: "CV 3, MOD 1". */
export const moved = (routes, control) => (routes ?? []).filter((route) => route.control === control).map((route) => plain(route.jack)).join(", ");

// What is said of routes.

import { plain } from "./dom.js";

/** What a jack moves: "brightness, decay". */
export const movers = (routes, jack) => (routes ?? []).filter((route) => route.jack === jack).map((route) => route.control).join(", ");

/** What moves a control: "CV 3, MOD 1". */
export const moved = (routes, control) => (routes ?? []).filter((route) => route.control === control).map((route) => plain(route.jack)).join(", ");

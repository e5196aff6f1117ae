// How the instrument is doing: load, temperature, memory, disk, versions; and its log.

import { h, say, size, clamp, clock } from "./dom.js";
import { watch, state } from "./live.js";

const MOST_LINES = 400;

const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;

function bar(name) {
  const fill = h("i", {}), text = h("span", { class: "figure" });
  return { element: h("div", { class: "gauge" }, h("span", { text: name }), h("span", { class: "gauge-track", "aria-hidden": "true" }, fill), text),
    set(share, told = percent(share)) { fill.style.transform = `scaleX(${clamp(share, 0, 1)})`; fill.classList.toggle("much", share > 0.8); say(text, told); } };
}

export class Health {
  constructor() {
    this.bars = new Map();
    this.gauges = h("div", { class: "gauges" });
    this.facts = h("dl", { class: "pairs" });
    this.log = h("ol", { class: "log", tabindex: 0, "aria-label": "Log" });
    this.underruns = h("span", { class: "figure", text: "0" });
    this.element = h("div", {}, h("section", { class: "card" }, h("h2", { text: "Load" }), this.gauges),
      h("section", { class: "card" }, h("h2", { text: "This instrument" }), this.facts),
      h("section", { class: "card" }, h("h2", { text: "Log" }), this.log));
    watch("statistics", (told) => this.#show(told));
    watch("log", ({ lines }) => this.#say(lines));
    watch("now", (changed) => { if (changed.underruns !== undefined) this.underruns.textContent = changed.underruns; });
  }

  #bar(name) {
    if (!this.bars.has(name)) { this.bars.set(name, bar(name)); this.gauges.append(this.bars.get(name).element); }
    return this.bars.get(name);
  }

  #show(told) {
    told.cores.forEach((load, i) => this.#bar(`core ${i + 1}`).set(load));
    this.#bar("audio").set(told.audio_load);
    for (const slot of ["A", "B"]) this.#bar(`slot ${slot}`).set(told.synth_load[slot] ?? 0, told.synth_load[slot] === null ? "empty" : undefined);
    const { memory, disk, versions, audio, uptime_seconds: up } = told;
    this.#bar("memory").set(1 - memory.free_bytes / memory.total_bytes, `${size(memory.ours_bytes)} ours`);
    this.#bar("disk").set(1 - disk.free_bytes / disk.total_bytes, `${size(disk.free_bytes)} free`);
    const facts = { Underruns: this.underruns, Sound: `${audio.device}, ${audio.rate_hz} Hz, blocks of ${audio.block_frames}`, Board: told.board,
      Temperature: told.temperature_c === null ? "not told by this machine" : `${told.temperature_c} °C`,
      Running: up.instrument < 3600 ? `${clock(up.instrument)} min` : `${Math.floor(up.instrument / 3600)} h ${Math.floor(up.instrument / 60) % 60} min`,
      Addresses: Object.values(told.addresses).join(", ") || "none", Host: told.host,
        Version: [versions.neurorack, versions.release].filter(Boolean).join(", "), Machine: `${versions.machine}, Python ${versions.python}` };
    if (!this.known) {
      this.known = Object.fromEntries(Object.keys(facts).map((name) => [name, h("dd", {})]));
      this.facts.append(...Object.entries(this.known).flatMap(([name, place]) => [h("dt", { text: name }), place]));
      this.known.Underruns.append(this.underruns);
    }
    for (const [name, text] of Object.entries(facts)) if (typeof text === "string") say(this.known[name], text);
  }

  #say(lines) {
    const foot = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 30;
    this.log.append(...lines.map((line) => h("li", { class: /^warning/.test(line.text ?? line) ? "warn" : "", text: line.text ?? line })));
    while (this.log.children.length > MOST_LINES) this.log.firstChild.remove();
    if (foot) this.log.scrollTop = this.log.scrollHeight;
  }
}

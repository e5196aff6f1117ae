// The scope and the spectrum of what the jack plays, on one canvas: a wave above, the spectrum below on a logarithmic axis.

import { h } from "./dom.js";

const LOWEST_HZ = 40, FLOOR_DB = -84, FALL_DB = 1.6;

/** Magnitudes of a real signal of 2^n samples, by a radix-2 transform (Cooley and Tukey, 1965) on Hann-windowed data. */
export function magnitudes(samples) {
  const size = samples.length, re = new Float32Array(size), im = new Float32Array(size);
  for (let i = 0, j = 0; i < size; i += 1) {
    re[j] = samples[i] * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / size));
    let bit = size >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j |= bit;
  }
  for (let half = 1; half < size; half *= 2) {
    const turn = -Math.PI / half;
    for (let start = 0; start < size; start += half * 2) {
      for (let k = 0; k < half; k += 1) {
        const c = Math.cos(turn * k), d = Math.sin(turn * k), a = start + k, b = a + half;
        const x = re[b] * c - im[b] * d, y = re[b] * d + im[b] * c;
        re[b] = re[a] - x; im[b] = im[a] - y;
        re[a] += x; im[a] += y;
      }
    }
  }
  const out = new Float32Array(size / 2);
  for (let i = 0; i < out.length; i += 1) out[i] = (4 / size) * Math.hypot(re[i], im[i]);
  return out;
}

export class Scope {
  constructor() {
    this.canvas = h("canvas", { class: "scope", role: "img", "aria-label": "Scope and spectrum of the output" });
    this.element = h("div", { class: "scope-box" }, this.canvas);
    this.rate = 48000;
    this.levels = null;
    this.samples = null;
    new ResizeObserver(() => { this.sized = false; this.#draw(); }).observe(this.element);
    this.zoom = 1;
  }

  /** @param {Int16Array} pairs left and right in turns */
  show(pairs) {
    this.samples = pairs;
    if (this.canvas.offsetParent) this.#draw();
  }

  restyle() { this.colours = null; this.#draw(); }

  #prepare() {
    if (!this.sized) {
      const ratio = Math.min(2, devicePixelRatio || 1);
      this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
      this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
      this.ratio = ratio;
      this.sized = true;
    }
    if (!this.colours) {
      const probe = h("i", { class: "unseen" });
      this.element.append(probe);
      this.colours = Object.fromEntries(["cyan", "amber", "line", "soft"].map((name) => {
        probe.style.color = `var(--${name})`;
        return [name, getComputedStyle(probe).color];
      }));
      probe.remove();
    }
  }

  #draw() {
    this.#prepare();
    const { width, height } = this.canvas, pen = this.canvas.getContext("2d"), middle = height * 0.3, ratio = this.ratio;
    pen.clearRect(0, 0, width, height);
    pen.lineWidth = ratio;
    pen.strokeStyle = this.colours.line;
    pen.beginPath();
    pen.moveTo(0, middle);
    pen.lineTo(width, middle);
    pen.stroke();
    this.#axis(pen, width, height);
    const pairs = this.samples;
    if (!pairs) return;
    const count = pairs.length / 2, left = new Float32Array(count);
    for (let i = 0; i < count; i += 1) left[i] = (pairs[2 * i] + pairs[2 * i + 1]) / 65536;
    const most = left.reduce((top, sample) => Math.max(top, Math.abs(sample)), 0);
    this.zoom += (1 / Math.max(0.12, most) - this.zoom) * (1 / this.zoom < most ? 1 : 0.03);      // loud is shown at once, soft grows slowly
    pen.strokeStyle = this.colours.cyan;
    pen.lineWidth = 1.6 * ratio;
    pen.lineJoin = "round";
    pen.beginPath();
    for (let i = 0; i < count; i += 1) pen.lineTo((i / (count - 1)) * width, middle - left[i] * this.zoom * middle * 0.96);
    pen.stroke();
    this.#spectrum(pen, magnitudes(left), width, height);
  }

  #x(hz, width) { return (Math.log(hz / LOWEST_HZ) / Math.log(this.rate / 2 / LOWEST_HZ)) * width; }

  #axis(pen, width, height) {
    pen.fillStyle = this.colours.soft;
    pen.font = `${10 * this.ratio}px system-ui, sans-serif`;
    pen.textAlign = "center";
    for (const [hz, name] of [[100, "100 Hz"], [1000, "1 kHz"], [10000, "10 kHz"]]) {
      const x = this.#x(hz, width);
      pen.beginPath();
      pen.moveTo(x, height * 0.62);
      pen.lineTo(x, height - 14 * this.ratio);
      pen.stroke();
      pen.fillText(name, x, height - 3 * this.ratio);
    }
  }

  #spectrum(pen, found, width, height) {
    const bars = Math.max(8, Math.floor(width / (5 * this.ratio))), foot = height - 15 * this.ratio, room = height * 0.4;
    if (this.levels?.length !== bars) this.levels = new Float32Array(bars).fill(FLOOR_DB);
    const step = this.rate / (2 * found.length), wide = width / bars;
    pen.fillStyle = this.colours.amber;
    for (let bar = 0; bar < bars; bar += 1) {
      const from = LOWEST_HZ * (this.rate / 2 / LOWEST_HZ) ** (bar / bars) / step, to = LOWEST_HZ * (this.rate / 2 / LOWEST_HZ) ** ((bar + 1) / bars) / step;
      let most = 0;
      if (to - from < 1.5) {      // between two lines of the transform: the straight line between them
        const low = Math.min(found.length - 2, Math.floor((from + to) / 2)), part = (from + to) / 2 - low;
        most = found[low] * (1 - part) + found[low + 1] * part;
      } else for (let i = Math.floor(from); i <= to && i < found.length; i += 1) most = Math.max(most, found[i]);
      const db = Math.max(FLOOR_DB, 20 * Math.log10(most + 1e-9));
      this.levels[bar] = Math.max(db, this.levels[bar] - FALL_DB);
      const tall = (1 - this.levels[bar] / FLOOR_DB) * room;
      if (tall > 0.5) pen.fillRect(bar * wide, foot - tall, Math.max(1, wide - this.ratio), tall);
    }
  }
}

// The instrument's display, pixel for pixel: a canvas that holds the frame as it came, shown at a whole multiple of the screen's own pixels.

import { h, put } from "./dom.js";

const OLED = [214, 240, 255];      // what a lit pixel of the one-bit display looks like

export class Display {
  constructor() {
    this.canvas = h("canvas", { class: "screen", role: "img", width: 128, height: 64, "aria-label": "Display" });
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.size = [128, 64];
    this.frames = 0;
  }

  /** Name the screen that is shown, for who cannot see it. */
  name(screen, text) {
    put(this.canvas, "aria-label", `Display: ${screen}${text ? `. ${text}` : ""}`);
  }

  /**
   * @param {number} width @param {number} height
   * @param {"1"|"RGB"} mode "1": a bit a pixel, rows of whole bytes, the highest bit left; "RGB": three bytes a pixel
   * @param {Uint8Array} bytes
   */
  draw(width, height, mode, bytes) {
    if (width !== this.size[0] || height !== this.size[1] || !this.image) {
      this.size = [width, height];
      this.canvas.width = width;
      this.canvas.height = height;
      this.image = this.context.createImageData(width, height);
      this.fit();
    }
    const pixels = this.image.data;
    if (mode === "RGB") {
      for (let i = 0, from = 0; i < pixels.length; i += 4, from += 3) {
        pixels[i] = bytes[from]; pixels[i + 1] = bytes[from + 1]; pixels[i + 2] = bytes[from + 2]; pixels[i + 3] = 255;
      }
    } else {
      const stride = (width + 7) >> 3;
      for (let y = 0, i = 0; y < height; y += 1) {
        for (let x = 0; x < width; x += 1, i += 4) {
          const lit = bytes[y * stride + (x >> 3)] & (128 >> (x & 7));
          pixels[i] = lit ? OLED[0] : 3; pixels[i + 1] = lit ? OLED[1] : 4; pixels[i + 2] = lit ? OLED[2] : 6; pixels[i + 3] = 255;
        }
      }
    }
    this.context.putImageData(this.image, 0, 0);
    this.frames += 1;
  }

  /** Show every pixel as the same whole number of the screen's pixels, as large as the window in the panel allows. */
  fit(room = this.room) {
    if (!room) return;
    this.room = room;
    const ratio = devicePixelRatio || 1, [width, height] = this.size;
    const times = Math.max(1, Math.floor(Math.min((room.width * ratio) / width, (room.height * ratio) / height)));
    this.canvas.style.width = `${(width * times) / ratio}px`;
    this.canvas.style.height = `${(height * times) / ratio}px`;
  }
}

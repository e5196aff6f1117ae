// Recording: start and stop, how long, how much room is left, and the takes to listen to, download and delete.

import { h, $, clock, size, say, put } from "./dom.js";
import { wish, watch, state } from "./live.js";
import { toast } from "./toasts.js";

const address = (take) => `/api/takes/${encodeURIComponent(take)}`;

/** A date and time as the person is used to reading them. */
const when = (iso) => (iso ? new Date(iso).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) : "");

export async function record(on) {
  const answer = await wish({ do: "record", on });
  if (answer) toast(on ? "Recording" : `Recorded ${answer.take ?? "a take"}: see Record`);
}

export class Takes {
  /** @param {HTMLButtonElement} quick  the button at the top of the page */
  constructor(quick) {
    this.quick = quick;
    this.big = h("button", { type: "button", class: "record large", "aria-pressed": "false", text: "Record" });
    this.length = h("output", { class: "length figure", text: "0:00" });
    this.room = h("p", { class: "soft small" });
    this.list = h("ol", { class: "list takes", "aria-label": "Takes" });
    this.empty = h("p", { class: "soft", text: "No takes yet. Press Record, play, press it again: the take appears here." });
    this.element = h("div", {}, h("p", { class: "intro", text: "Records what the jack plays, as it plays: 24-bit stereo WAV." }),
      h("section", { class: "card recorder" }, this.big, this.length, this.room), this.empty, this.list);
    for (const button of [this.big, quick]) button.addEventListener("click", () => record(!state.takes?.recording));
    watch("takes", (value) => this.#show(value));
    setInterval(() => this.#tick(), 250);
  }

  #show(value) {
    this.at = performance.now();
    for (const button of [this.big, this.quick]) {
      put(button, "aria-pressed", value.recording);
      say(button, value.recording ? "Stop" : "Record");
      put(button, "title", value.recording ? "Stop recording" : "Record what the jack plays");
    }
    const left = value.free_seconds;
    const long = left > 7200 ? `${Math.floor(left / 3600)} hours` : `${Math.floor(left / 60)} minutes`;
    this.room.textContent = `${size(value.free_bytes)} free: room for ${long}${value.stopped ? `. Stopped: ${value.stopped}` : ""}`;
    this.empty.hidden = value.takes.length > 0;
    this.#tick();
    const finished = value.takes.filter((take) => !(value.recording && take.name === value.take)), key = JSON.stringify(finished);
    if (key === this.key) return;
    this.key = key;
    const playing = $("audio", this.list) && [...this.list.querySelectorAll("audio")].some((player) => !player.paused);
    if (playing && this.list.children.length === finished.length) return;
    this.list.replaceChildren(...finished.map((take) => this.#row(take)));
  }

  #tick() {
    const value = state.takes;
    if (!value) return;
    const seconds = value.recording ? value.seconds + (performance.now() - this.at) / 1000 : 0;
    say(this.length, clock(seconds));
    if (value.recording) say(this.quick, `Stop ${clock(seconds)}`);
  }

  #row(take) {
    const listen = h("button", { type: "button", text: "Listen", "aria-label": `Listen to ${take.name}`, on: { click: () => {
      const player = h("audio", { controls: true, src: address(take.name), "aria-label": take.name });
      listen.replaceWith(player);
      player.play().catch(() => {});
    } } });
    const remove = h("button", { type: "button", class: "danger", text: "Delete", "aria-label": `Delete ${take.name}`, on: { click: () => {
      if (remove.dataset.sure) { wish({ do: "take_delete", take: take.name }); return; }
      remove.dataset.sure = "1";
      remove.textContent = "Really?";
      setTimeout(() => { delete remove.dataset.sure; remove.textContent = "Delete"; }, 3000);
    } } });
    return h("li", {}, h("div", { class: "what" }, h("strong", { text: take.name }),
      h("small", { class: "soft", text: `${clock(take.seconds)} · ${size(take.bytes)} · ${when(take.at)}${take.about ? ` · ${take.about}` : ""}` })),
      h("div", { class: "buttons" }, listen, h("a", { class: "button strong", href: address(take.name), download: take.name,
        "aria-label": `Download ${take.name}`, text: "Download" }), remove));
  }
}

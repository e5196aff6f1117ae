// The library: what can be played, the verdict on each, and new models by drag and drop.

import { h, $, say, put, size } from "./dom.js";
import { wish, watch, state } from "./live.js";
import { toast } from "./toasts.js";
import { followed, lighter } from "./lighter.js";

const KINDS = ".ts,.safetensors";

function facts(model) {
  return [model.where === "factory" ? "factory" : "your own", model.kind === "unchecked" || model.kind === "refused" ? null : model.kind,
    model.sample_rate_hz && `${model.sample_rate_hz / 1000} kHz`, size(model.bytes), model.licence ?? "licence not stated"].filter(Boolean).join(" · ");
}

export class Models {
  constructor() {
    this.list = h("ol", { class: "list models", "aria-label": "Models" });
    this.uploads = h("ol", { class: "list uploads", "aria-label": "Uploads", "aria-live": "polite" });
    const file = h("input", { type: "file", accept: KINDS, multiple: true, class: "unseen", id: "model-file",
      on: { change: () => { for (const one of file.files) this.#upload(one); file.value = ""; } } });
    this.drop = h("label", { class: "drop", for: "model-file" }, file, h("strong", { text: "Drop a model here" }),
      h("span", { class: "soft", text: "or choose a file: .ts (nn~, RAVE) or .safetensors. It is checked while the sound goes on." }));
    for (const on of ["dragenter", "dragover"]) document.addEventListener(on,
      (event) => { if (event.dataTransfer?.types.includes("Files")) { event.preventDefault(); this.drop.classList.add("over"); } });
    document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) this.drop.classList.remove("over"); });
    document.addEventListener("drop", (event) => {
      this.drop.classList.remove("over");
      if (!event.dataTransfer?.files.length) return;
      event.preventDefault();
      this.opened?.();
      for (const one of event.dataTransfer.files) this.#upload(one);
    });
    this.element = h("div", {}, this.drop, this.uploads, this.list);
    this.going = new Map();
    watch("models", (models) => this.#show(models));
    watch("status", () => this.#playing());
    watch("upload", (message) => this.#verdict(message));
    followed(this.list);
  }

  // -- bringing one

  #upload(file) {
    const bar = h("progress", { max: 1, value: 0, "aria-label": `Upload of ${file.name}` }), text = h("small", { class: "soft", text: `0 of ${size(file.size)}` });
    const row = h("li", { class: "going" }, h("div", { class: "what" }, h("strong", { text: file.name }), text), bar);
    this.uploads.append(row);
    const sending = new XMLHttpRequest();
    sending.open("POST", `/api/models?name=${encodeURIComponent(file.name)}`);
    sending.upload.onprogress = ({ loaded, total }) => { bar.value = loaded / total;
      text.textContent = loaded < total ? `${size(loaded)} of ${size(total)}` : "received; it is being checked while the sound goes on …"; };
    sending.onload = () => {
      let answer = {};
      try { answer = JSON.parse(sending.responseText); } catch { /* no answer of ours */ }
      if (sending.status >= 400 || answer.ok === false) return this.#end(row, bar, text, answer.error ?? `refused with ${sending.status}`, true);
      bar.removeAttribute("value");
      text.textContent = "received; it is being checked while the sound goes on …";
      const name = answer.name ?? file.name;
      this.going.set(name, { row, bar, text });
      row.dataset.name = name;
    };
    sending.onerror = () => this.#end(row, bar, text, "the upload broke off; try again", true);
    sending.send(file);
  }

  #end(row, bar, text, line, bad) {
    bar.remove();
    text.textContent = line;
    row.className = bad ? "bad" : "good";
    row.append(h("button", { type: "button", class: "icon", "aria-label": "Dismiss", text: "×", on: { click: () => row.remove() } }));
    toast(line, bad);
  }

  #verdict({ name, phase, line }) {
    if (phase === "received") return;
    const known = this.going.get(name);
    if (!known) { toast(`${name}: ${line}`, phase === "refused"); return; }
    this.going.delete(name);
    this.#end(known.row, known.bar, known.text, line, phase === "refused");
  }

  // -- the list

  #show(models) {
    const key = JSON.stringify(models);
    if (key === this.key) return;
    this.key = key;
    this.list.replaceChildren(...models.map((model) => this.#row(model)));
    this.#playing();
  }

  #row(model) {
    const { name } = model, refused = model.verdict === "refused", line = model.line ?? (model.where === "factory" ? "" : "is being checked, or waits for it");
    const act = (text, title, what, more = {}) => h("button",
      { type: "button", text, "aria-label": `${title} ${name}`, title,
      on: { click: async ({ target }) => { put(target, "aria-busy", true); await wish(what); put(target, "aria-busy", false); } }, ...more });
    return h("li", { data: { model: name }, class: refused ? "bad" : "" },
      h("div", { class: "what" }, h("strong", { text: name }), h("span", { class: "tag", hidden: true }),
        h("small", { class: "soft", text: facts(model) }), h("small", { class: refused ? "verdict bad" : "verdict", text: line })),
      refused ? null : h("div", { class: "buttons" }, act("Play", "Crossfade to", { do: "swap", model: name }, { class: "strong" }),
        act("into A", "Load into slot A:", { do: "load", slot: "A", model: name }), act("into B", "Load into slot B:", { do: "load", slot: "B", model: name })),
      lighter(model), model.where === "own" ? this.#remover(name) : null);
  }

  #remover(name) {
    const remove = h("button", { type: "button", class: "danger", text: "Remove", "aria-label": `Remove ${name}`,
      title: "It goes to the library's trash", on: { click: async () => {
      if (!remove.dataset.sure) {
        remove.dataset.sure = "1";
        remove.textContent = "Really?";
        setTimeout(() => { delete remove.dataset.sure; remove.textContent = "Remove"; }, 3000);
        return;
      }
      const answer = await fetch(`/api/models/${encodeURIComponent(name)}`, { method: "DELETE" }).then((one) => one.json(), () => ({ ok: false, error: "no answer came" }));
      toast(answer.ok ? `${name} is in the trash: neurorack models restore brings it back` : answer.error, !answer.ok);
    } } });
    return remove;
  }

  #playing() {
    const slots = state.status?.slots ?? {};
    for (const row of this.list.children) {
      const tag = $(".tag", row), where = Object.keys(slots).filter((slot) => slots[slot]?.model === row.dataset.model);
      tag.hidden = !where.length;
      say(tag, where.length ? `plays in ${where.join(" and ")}` : "");
    }
  }
}

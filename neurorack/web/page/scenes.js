// Scenes: save what sounds now, recall it, rename, copy, delete; undo and redo of every edit.

import { h, $, put } from "./dom.js";
import { wish, watch, state } from "./live.js";
import { toast } from "./toasts.js";

const button = (text, name, click, more = {}) => h("button", { type: "button", text, "aria-label": name, title: name, on: { click }, ...more });

function models(scene) {
  return Object.entries(scene.models ?? {}).filter(([, name]) => name).map(([slot, name]) => `${slot} ${name}`).join(" · ");
}

export class Scenes {
  constructor() {
    this.name = h("input", { type: "text", maxlength: 40, placeholder: "a name for what sounds now", "aria-label": "Name of the new scene" });
    this.list = h("ol", { class: "list scenes", "aria-label": "Scenes" });
    this.current = h("p", { class: "soft small", role: "status" });
    const file = h("input", { type: "file", accept: ".yaml,.yml", class: "unseen", id: "scene-file",
      on: { change: () => { if (file.files[0]) this.#bringIn(file.files[0]); file.value = ""; } } });
    const save = async (event) => {
      event.preventDefault();
      const name = this.name.value.trim(), answer = await wish({ do: "scene_save", ...(name ? { name } : {}) });
      if (answer) { this.name.value = ""; toast(`Saved${answer.number ? ` as scene ${answer.number}` : ""}`); }
    };
    this.element = h("div", {},
      h("p", { class: "intro", text: "A scene keeps the models, knobs, routes, modulators, mix and level. Recalling one crossfades to it." }),
      h("section", { class: "card" }, h("form", { class: "inline", on: { submit: save } }, this.name,
        h("button", { type: "submit", class: "strong", text: "Save scene" })), this.current),
      this.list, h("label", { class: "quiet button", for: "scene-file", title: "A scene's file, from another module say" }, file, "Bring in a scene's file …"));
    watch("scenes", (value) => this.#show(value));
  }

  #show({ scenes, current, changed, undo }) {
    const now = scenes.find((scene) => scene.number === current);
    this.current.textContent = now ? `Scene ${now.number}, ${now.name || "unnamed"}${changed ? ", changed since" : ""}.`
      : scenes.length ? "What sounds now is in no scene." : "No scenes yet: name the sound and save it.";
    const key = JSON.stringify(scenes);
    if (key !== this.key && !$("input", this.list)) this.#rows(scenes, key);
    for (const row of this.list.children) {
      const here = Number(row.dataset.scene) === current;
      row.classList.toggle("current", here);
      put(row, "aria-current", here);
      $(".tag", row).hidden = !(here && changed);
    }
  }

  #rows(scenes, key) {
    this.key = key;
    const focused = this.list.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
    this.list.replaceChildren(...scenes.map((scene) => this.#row(scene)));
    if (focused) this.list.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
  }

  #row(scene) {
    const name = scene.name || `Scene ${scene.number}`, missing = scene.missing ?? [];
    return h("li", { data: { scene: scene.number } },
      button(String(scene.number), `Recall ${name}`, () => wish({ do: "scene_recall", number: scene.number }), { class: "number" }),
      h("div", { class: "what" }, h("strong", { text: name }), h("span", { class: "tag", text: "changed", hidden: true }),
        h("small", { class: "soft", text: missing.length ? `waits for ${missing.join(", ")}, which the library does not have` : models(scene) })),
      h("div", { class: "buttons" },
        button("Recall", `Recall ${name} now`, () => wish({ do: "scene_recall", number: scene.number }), { class: "strong" }),
        button("Save here", `Save what sounds now over ${name}`, () => wish({ do: "scene_save", number: scene.number })),
        button("Rename", `Rename ${name}`, (event) => this.#rename(event.target.closest("li"), scene)),
        button("Copy", `Copy ${name} to the next free place`, () => this.#copy(scene)),
        h("a", { class: "button", href: `/api/scenes/${scene.number}`, download: "", text: "File", "aria-label": `Download ${name} as a file`,
          title: `Download ${name} as a file` }),
        button("Delete", `Delete ${name}`, (event) => this.#delete(event.target, scene, name), { class: "danger" })));
  }

  async #bringIn(file) {
    const answer = await fetch("/api/scenes", { method: "POST", body: file }).then((one) => one.json(), () => ({ ok: false, error: "no answer came" }));
    toast(answer.ok ? `It is scene ${answer.number} now${answer.problems.length ? `; ${answer.problems[0]}` : ""}` : answer.error, !answer.ok);
  }

  #rename(row, scene) {
    const box = h("input", { type: "text", maxlength: 40, value: scene.name ?? "", "aria-label": `New name of scene ${scene.number}` });
    let ended = false;
    const done = async (keep) => {
      if (ended) return;
      ended = true;          // taking it away makes it lose the focus, which would end it again
      box.replaceWith(h("strong", { text: box.value || scene.name }));
      this.key = null;
      if (keep && box.value.trim() && box.value.trim() !== scene.name) await wish({ do: "scene_rename", number: scene.number, name: box.value.trim() });
      else this.#show(state.scenes);
    };
    box.addEventListener("keydown", ({ key }) => { if (key === "Enter") done(true); if (key === "Escape") done(false); });
    box.addEventListener("blur", () => done(true));
    $("strong", row).replaceWith(box);
    box.focus();
    box.select();
  }

  #copy(scene) {
    const taken = new Set(state.scenes.scenes.map((one) => one.number));
    const to = Array.from({ length: 64 }, (_, i) => i + 1).find((number) => !taken.has(number));
    if (to) wish({ do: "scene_copy", number: scene.number, to });
    else toast("All 64 places are taken: delete one first", true);
  }

  #delete(target, scene, name) {
    if (target.dataset.sure) { wish({ do: "scene_delete", number: scene.number }); return; }
    target.dataset.sure = "1";
    target.textContent = "Really?";
    target.setAttribute("aria-label", `Really delete ${name}`);
    setTimeout(() => { delete target.dataset.sure; target.textContent = "Delete"; target.setAttribute("aria-label", `Delete ${name}`); }, 3000);
  }
}

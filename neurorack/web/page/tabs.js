// The workbench's pages: a list of tabs as the ARIA practices want it (arrow keys move, Home and End), the last one kept in the address.

import { h, $ } from "./dom.js";

/**
 * @param {{id, name, element, shown?()}[]} pages  `shown` is called each time the page comes up
 * @returns {{open(id), current(): string}}
 */
export function tabs(pages) {
  const list = $("#tabs"), room = $("#pages");
  const buttons = pages.map(({ id, name, title }) => h("button",
    { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `page-${id}`, tabindex: -1, title, text: name, on: { click: () => open(id) } }));
  const sheets = pages.map(({ id, element }) => h("section", { class: "page", role: "tabpanel", id: `page-${id}`, "aria-labelledby": `tab-${id}`, hidden: true }, element));
  list.append(...buttons);
  room.append(...sheets);
  let now = null;

  function open(id, focus = false) {
    const at = Math.max(0, pages.findIndex((page) => page.id === id));
    if (pages[at].id !== now) {
      now = pages[at].id;
      buttons.forEach((button, i) => { button.setAttribute("aria-selected", i === at); button.tabIndex = i === at ? 0 : -1; sheets[i].hidden = i !== at; });
      document.body.dataset.page = now;
      if (location.hash.slice(1) !== now) history.replaceState(null, "", `#${now}`);
      pages[at].shown?.();
    }
    if (focus) buttons[at].focus();
    buttons[at].scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  list.addEventListener("keydown", (event) => {
    const at = pages.findIndex((page) => page.id === now), last = pages.length - 1;
    const to = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at ? at - 1 : last, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const visible = (i) => buttons[i].offsetParent !== null;
    open(pages[visible(to) ? to : event.key === "ArrowLeft" || event.key === "End" ? last : 1].id, true);
  });
  addEventListener("hashchange", () => open(location.hash.slice(1)));
  return { open, current: () => now };
}

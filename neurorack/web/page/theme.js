// Light or dark: as the system has it until the person chooses.

const KEY = "neurorack-theme";

export function theme(button) {
  const root = document.documentElement, system = matchMedia("(prefers-color-scheme: light)");
  const now = () => root.dataset.theme ?? (system.matches ? "light" : "dark");
  try { const kept = localStorage.getItem(KEY); if (kept) root.dataset.theme = kept; } catch { /* private */ }
  const name = () => { button.title = `To ${now() === "light" ? "dark" : "light"}`; button.setAttribute("aria-label", button.title); };
  button.addEventListener("click", () => {
    root.dataset.theme = now() === "light" ? "dark" : "light";
    try { localStorage.setItem(KEY, root.dataset.theme); } catch { /* private */ }
    name();
  });
  system.addEventListener("change", name);
  name();
}

// Colours: dark or light, as the system says or as was chosen, and those of roles for the diagram.
import { byId } from "./text.js";

/** Names of the roles that can send or act. */
export const ROLES = ["Acceptor", "Replica", "Leader", "Scout", "Commander", "Requester", "Seed", "Initializer", "Node", "Network"];

/** The colours of the diagram.
 * @typedef {object} Palette
 * @property {Record<string, string>} role
 * @property {string} ink
 * @property {string} muted
 * @property {string} line
 * @property {string} paper
 * @property {string} accent
 * @property {string} loss
 * @property {string} fault */

/** Themes that can be chosen; the first one follows the system. */
const THEMES = ["auto", "light", "dark"];

/** Returns the colours that the style sheet has at present.
 * @returns {Palette} */
export function palette() {
  const style = getComputedStyle(document.documentElement);
  const value = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
  return {
    role: Object.fromEntries(ROLES.map((role) => [role, value(role.toLowerCase())])),
    ink: value("ink"),
    muted: value("muted"),
    line: value("line"),
    paper: value("paper"),
    accent: value("accent"),
    loss: value("network"),
    fault: value("fault"),
  };
}

/** Sets up the switch of the theme. `onChange` is called when colours have changed.
 * @param {() => void} onChange
 * @returns {() => void} changes to the next theme */
export function themes(onChange) {
  const button = byId("theme");
  const set = (/** @type {string} */ theme) => {
    document.documentElement.dataset.theme = theme;
    button.textContent = { auto: "◐", light: "☀", dark: "☾" }[theme] ?? "";
    button.title = `Colours: ${theme === "auto" ? "as the system has them" : theme} (T)`;
    button.setAttribute("aria-label", button.title);
    onChange();
  };
  const next = () => {
    const index = THEMES.indexOf(document.documentElement.dataset.theme ?? "auto");
    set(THEMES[(index + 1) % THEMES.length]);
  };
  button.addEventListener("click", next);
  for (const media of ["(prefers-color-scheme: dark)", "print"]) matchMedia(media).addEventListener("change", onChange);
  set("auto");
  return next;
}

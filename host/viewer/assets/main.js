// The start of the page: it reads the run that is embedded, and shows it.
import { byId, counted, make } from "./text.js";
import { read } from "./run.js";
import { Player } from "./player.js";
import { controls } from "./controls.js";
import { ROLES, themes } from "./theme.js";

/** @typedef {import("./run.js").Run} Run */

/** Writes what is known of the run as a whole.
 * @param {Run} run */
function title(run) {
  const { head, facts, messages } = run;
  document.title = `Synod: ${head.command.replace(/^\S*\//, "")}`;
  byId("command").textContent = head.command.replace(/^\S*\//, "");
  const outcome = byId("outcome");
  const why = head.reason ? `: ${head.reason}` : "";
  outcome.textContent = `${head.outcome === "done" ? "✓" : "✕"} ${head.outcome}${why}`;
  outcome.dataset.outcome = head.outcome;
  const counts = [counted(messages.arrows.length, "message"), counted(facts.length, "fact")];
  byId("counts").textContent = counts.join(", ") + (head.cut ? " (the run went on after the last one)" : "");
  byId("summary").textContent = head.summary;
}

/** Fills the legend with the roles that have sent something.
 * @param {Run} run */
function legend(run) {
  const senders = new Set(run.messages.arrows.map((arrow) => arrow.role));
  const items = ROLES.filter((role) => senders.has(role)).map((role) => {
    const swatch = make("i", { className: "swatch" });
    swatch.style.background = `var(--${role.toLowerCase()})`;
    return make("span", {}, swatch, role);
  });
  byId("roles").replaceChildren(...items);
}

/** Reads and shows the run. */
async function start() {
  const run = await read(byId("data").textContent ?? "");
  title(run);
  legend(run);
  const player = new Player(run);
  controls(player);
  themes(() => {
    player.overview.refresh();
    player.diagram.recolour();
  });
  player.home();
  player.follow(location.hash);
  player.isLinking = true;
  // For tests, and for those who want to ask the run something in the console.
  Object.assign(window, { player });
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

start().catch((error) => {
  byId("details").textContent = `This page could not be read: ${error}`;
  throw error;
});

// Keys, buttons and the pointer.
import { byId, make, nodeName, seconds } from "./text.js";
import { SEARCHES } from "./find.js";
import { GUTTER, HEAD } from "./layout.js";
import { fate } from "./words.js";

/** @typedef {import("./player.js").Player} Player */

/** What a key does.
 * @typedef {{keys: string[], says: string, act: (player: Player, key: string) => void}} Key */

/** Kinds of facts that one may go to, each with its key. */
const KINDS = [
  ["e", "election"],
  ["p", "preemption"],
  ["l", "loss"],
  ["v", "violation"],
];

/** All keys, in the order of the help. @type {Key[]} */
const KEYS = [
  { keys: [" "], says: "play, or stop", act: (player) => player.play() },
  { keys: [">", "<"], says: "play faster, slower", act: (player, key) => player.faster(key === ">" ? 2 : 0.5) },
  { keys: ["ArrowRight", "j"], says: "next fact, of those that are searched for", act: (player) => player.step(1) },
  { keys: ["ArrowLeft", "k"], says: "previous fact", act: (player) => player.step(-1) },
  ...KINDS.map(([letter, kind]) => ({
    keys: [letter, letter.toUpperCase()],
    says: `next, previous ${kind}`,
    act: (/** @type {Player} */ player, /** @type {string} */ key) =>
      player.go(player.run.marks[kind], key === letter ? 1 : -1),
  })),
  { keys: ["w"], says: "why did this leader win", act: (player) => player.tellLeader() },
  { keys: ["s"], says: "the story of this slot", act: (player) => player.tellSomeSlot() },
  { keys: ["/"], says: "find", act: () => byId("find").focus() },
  { keys: ["Escape"], says: "leave the search", act: (player) => player.clear() },
  { keys: ["0"], says: "the first view", act: (player) => player.home() },
  { keys: ["+", "="], says: "nearer", act: (player) => player.diagram.zoom(1 / 1.4) },
  { keys: ["-"], says: "further away", act: (player) => player.diagram.zoom(1.4) },
  { keys: ["ArrowDown", "ArrowUp"], says: "scroll", act: (player, key) => scroll(player, key === "ArrowDown", 60) },
  { keys: ["PageDown", "PageUp"], says: "scroll by a page", act: (player, key) => scroll(player, key === "PageDown", 500) },
  { keys: ["Home", "End"], says: "the beginning, the end", act: (player, key) => player.seek(key === "Home" ? 0 : player.run.end) },
  { keys: ["t"], says: "colours: as the system, light, dark", act: () => byId("theme").click() },
  { keys: ["?", "h"], says: "this help", act: () => byId("help").showModal() },
];

/** Names of keys that have no letter. @type {Record<string, string>} */
const KEY_NAMES = {
  " ": "Space",
  ArrowRight: "→",
  ArrowLeft: "←",
  ArrowDown: "↓",
  ArrowUp: "↑",
  Escape: "Esc",
  PageDown: "Page ↓",
  PageUp: "Page ↑",
};

/** @param {Player} player
 * @param {boolean} isDown
 * @param {number} by */
function scroll(player, isDown, by) {
  player.diagram.scroller.scrollBy({ top: isDown ? by : -by });
}

/** Sets up the keys.
 * @param {Player} player */
function keys(player) {
  document.addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (byId("help").open) return;
    if (target.tagName === "INPUT") {
      if (event.key === "Enter") player.step(event.shiftKey ? -1 : 1);
      if (event.key === "Escape") (target.blur(), player.clear());
      return;
    }
    // A button that has the focus is pressed with the space bar.
    if (event.key === " " && target.tagName === "BUTTON") return;
    const key = KEYS.find(({ keys }) => keys.includes(event.key));
    if (!key) return;
    event.preventDefault();
    key.act(player, event.key);
  });
}

/** Fills the help with the keys and what can be searched for. */
function help() {
  const rows = KEYS.map(({ keys, says }) => {
    const names = keys.map((key) => make("kbd", { textContent: KEY_NAMES[key] ?? key }));
    return make("tr", {}, make("td", {}, ...names.flatMap((name) => [name, " "])), make("td", { textContent: says }));
  });
  byId("keys").replaceChildren(...rows);
  const searches = SEARCHES.map(([text, says]) =>
    make("tr", {}, make("td", {}, make("code", { textContent: text })), make("td", { textContent: says })),
  );
  byId("searches").replaceChildren(...searches);
}

/** Sets up the buttons and the search.
 * @param {Player} player */
function buttons(player) {
  const on = (/** @type {string} */ id, /** @type {() => void} */ act) =>
    byId(id).addEventListener("click", () => act());
  on("play", () => player.play());
  on("back", () => player.step(-1));
  on("forward", () => player.step(1));
  on("nearer", () => player.diagram.zoom(1 / 1.4));
  on("further", () => player.diagram.zoom(1.4));
  on("home", () => player.home());
  on("why", () => player.tellLeader());
  on("slot-story", () => player.tellSomeSlot());
  on("ask", () => byId("help").showModal());
  on("close", () => byId("help").close());
  for (const [, kind] of KINDS) {
    const count = player.run.marks[kind].length;
    byId(`count-${kind}`).textContent = String(count);
    for (const [id, way] of /** @type {[string, 1 | -1][]} */ ([[`next-${kind}`, 1], [`previous-${kind}`, -1]])) {
      on(id, () => player.go(player.run.marks[kind], way));
      byId(id).disabled = count === 0;
    }
  }
  byId("find").addEventListener("input", (/** @type {any} */ event) => player.search(event.target.value));
}

/** Sets up the pointer over the diagram.
 * @param {Player} player */
function pointer(player) {
  const { diagram } = player;
  const tip = byId("tip");
  let pressed = { x: 0, y: 0 };
  let isScrubbing = false;
  const place = (/** @type {PointerEvent | WheelEvent} */ event) => {
    const box = diagram.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  diagram.canvas.addEventListener("pointermove", (event) => {
    const { x, y } = place(event);
    if (isScrubbing) return player.seek(diagram.timeAt(y), false);
    diagram.pointed = y > HEAD ? diagram.timeAt(y) : null;
    diagram.near = diagram.hit(x, y);
    diagram.canvas.style.cursor = diagram.near ? "pointer" : x < GUTTER ? "row-resize" : "crosshair";
    hint(tip, diagram.near, event);
    diagram.redraw();
  });
  diagram.canvas.addEventListener("pointerleave", () => {
    diagram.pointed = null;
    diagram.near = null;
    tip.hidden = true;
    diagram.redraw();
  });
  diagram.canvas.addEventListener("pointerdown", (event) => {
    pressed = place(event);
    isScrubbing = pressed.x < GUTTER;
    if (!isScrubbing) return;
    diagram.canvas.setPointerCapture(event.pointerId);
    player.seek(diagram.timeAt(pressed.y), false);
  });
  diagram.canvas.addEventListener("pointerup", (event) => {
    const { x, y } = place(event);
    const isClick = Math.hypot(x - pressed.x, y - pressed.y) < 4;
    if (!isScrubbing && isClick) {
      const { fact } = diagram.hit(x, y) ?? {};
      if (fact) player.select(fact);
      else if (y > HEAD) player.seek(diagram.timeAt(y), false);
    }
    isScrubbing = false;
  });
  diagram.canvas.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      diagram.zoom(Math.exp(event.deltaY / 300), place(event).y);
    },
    { passive: false },
  );
}

/** Shows what is under the pointer beside it.
 * @param {any} tip
 * @param {import("./layout.js").Target | null} target
 * @param {PointerEvent} event */
function hint(tip, target, event) {
  tip.hidden = target === null;
  if (!target?.fact) return;
  const { fact, arrow } = target;
  const what = arrow ? `${arrow.kind}: ${nodeName(arrow.from)} → ${nodeName(arrow.to)}` : `${nodeName(fact.n)} ${fact.e}`;
  const slot = fact.slots?.[0] ? `slot ${fact.slots[0][0]}` : "";
  const then = arrow ? fate(arrow) : `at ${seconds(fact.t)} s`;
  tip.textContent = [what, slot, then].filter(Boolean).join("\n");
  const left = Math.min(event.clientX + 14, innerWidth - 280);
  tip.style.left = `${left}px`;
  tip.style.top = `${Math.min(event.clientY + 14, innerHeight - 80)}px`;
}

/** Sets up all controls.
 * @param {Player} player */
export function controls(player) {
  keys(player);
  help();
  buttons(player);
  pointer(player);
  addEventListener("hashchange", () => player.follow(location.hash));
}

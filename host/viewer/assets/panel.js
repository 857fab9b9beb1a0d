// The state of each node at a time: what it is, what it has promised and accepted, its queues and its disk.
import { ballotText, byId, make, nodeName, sameBallot, seconds } from "./text.js";

/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./states.js").NodeState} NodeState */

/** How many slots are shown of each window. */
const CELLS = 24;
/** The queues of a node, with what they hold. @type {[keyof NodeState, string][]} */
const QUEUES = [
  ["window", "in flight"],
  ["waiting", "waiting for a slot"],
  ["pending", "pending"],
  ["requesters", "requests of clients"],
  ["sessions", "sessions"],
];

/** The elements of a node.
 * @typedef {object} Row
 * @property {any} element
 * @property {Record<string, any>} parts
 * @property {any[]} cells */

/** Sets the text of an element if it differs, as that is what takes time.
 * @param {any} element
 * @param {string} text */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** The panel of states. */
export class Panel {
  /** @param {Run} run
   * @param {(slot: number) => void} onSlot
   * @param {(node: number) => void} onNode */
  constructor(run, onSlot, onNode) {
    this.run = run;
    this.root = byId("states");
    this.title = byId("states-time");
    this.scale = byId("scale");
    this.first = 1;
    /** @type {Row[]} */
    this.rows = Array.from({ length: run.head.nodes }, (_, node) => this.#row(node));
    this.root.append(...this.rows.map((row) => row.element));
    this.root.addEventListener("click", (/** @type {any} */ event) => {
      const { slot, node } = event.target.dataset;
      if (slot) onSlot(Number(slot));
      else if (node && event.target.tagName === "BUTTON") onNode(Number(node));
    });
  }

  /** @param {number} node
   * @returns {Row} */
  #row(node) {
    const part = (/** @type {string} */ name) => make("span", { className: name });
    const name = make("button", { className: "name", textContent: nodeName(node), title: `Find what ${nodeName(node)} does` });
    name.dataset.node = String(node);
    const parts = {
      name,
      state: part("state"),
      promised: part("promised"),
      follows: part("follows"),
      applied: part("applied"),
      queues: part("queues"),
    };
    const cells = Array.from({ length: CELLS }, () => make("span", { className: "cell" }));
    const window = make("div", { className: "window" }, ...cells);
    const first = make("div", { className: "facts" }, parts.name, parts.state, parts.promised, parts.follows, parts.applied);
    const second = make("div", { className: "row" }, window, parts.queues);
    const element = make("div", { className: "node" }, first, second);
    element.dataset.node = String(node);
    return { element, parts, cells };
  }

  /** Shows the states at a time.
   * @param {number} t
   * @param {boolean} isPointed whether it is the time under the pointer, and not that of the playhead */
  show(t, isPointed) {
    write(this.title, `at ${seconds(t)} s${isPointed ? ", under the pointer" : ""}`);
    const states = this.rows.map((_, node) => this.run.states.at(node, t));
    const known = states.map((state) => Math.max(state.decided, ...state.votes.keys()));
    const last = Math.max(CELLS, ...known);
    this.#scale(last - CELLS + 1);
    states.forEach((state, node) => this.#update(this.rows[node], node, state, t));
  }

  /** Writes the numbers of the slots above the cells.
   * @param {number} first */
  #scale(first) {
    if (this.first === first && this.scale.childElementCount > 0) return;
    this.first = first;
    const marks = [];
    for (let index = 0; index < CELLS; index += 8) marks.push(make("span", { textContent: String(first + index) }));
    this.scale.replaceChildren(...marks);
  }

  /** @param {Row} row
   * @param {number} node
   * @param {NodeState} state
   * @param {number} t */
  #update({ element, parts, cells }, node, state, t) {
    const isDown = state.state === "down";
    if (element.dataset.state !== state.state) element.dataset.state = state.state;
    write(parts.state, state.state);
    parts.state.title = `Roles: ${state.roles.join(", ") || "none"}`;
    write(parts.promised, isDown ? "" : ballotText(state.promised));
    const follows = state.follows === null ? "nobody" : state.follows === node ? "itself" : nodeName(state.follows);
    write(parts.follows, isDown ? "" : follows);
    write(parts.applied, isDown ? "" : `${state.applied} / ${state.decided}`);
    const queues = QUEUES.map(([name, what]) => `${state[name]} ${what}`);
    const busy = QUEUES.slice(0, 3).filter(([name]) => Number(state[name]) > 0);
    const disk = state.unsynced === 0 ? "synced" : `${state.unsynced} not synced`;
    const short = busy.slice(0, 2).map(([name]) => `${state[name]} ${name === "window" ? "in flight" : name}`);
    write(parts.queues, isDown ? "" : [...short, disk].join(" · "));
    parts.queues.title = isDown ? "" : `${queues.join(", ")}; disk: ${disk}; epoch ${state.epoch}`;
    // For tests and for those who look into the page.
    element.dataset.queues = QUEUES.map(([name]) => state[name]).join(" ");
    element.dataset.unsynced = String(state.unsynced);
    element.dataset.roles = state.roles.join(" ");
    element.dataset.leading = ballotText(state.leading);
    cells.forEach((cell, index) => this.#cell(cell, this.first + index, node, state, t));
  }

  /** @param {any} cell
   * @param {number} slot
   * @param {number} node
   * @param {NodeState} state
   * @param {number} t */
  #cell(cell, slot, node, state, t) {
    const vote = state.votes.get(slot);
    const isDown = state.state === "down";
    const chosen = this.run.chosen.get(slot)?.find((fact) => fact.n === node && fact.t <= t);
    const isOwn = chosen && sameBallot(chosen.ballots?.[0], state.leading);
    const isDecided = slot <= state.decided || isOwn;
    const kind = isDown ? "" : slot <= state.applied ? "applied" : isDecided ? "chosen" : vote ? "voted" : "";
    const name = `cell ${kind}`.trim();
    if (cell.className !== name) cell.className = name;
    write(cell, vote ? String(vote.ballot[1] % 100) : "");
    if (cell.dataset.slot !== String(slot)) cell.dataset.slot = String(slot);
    const words = { applied: "applied", chosen: "chosen, not applied yet", voted: "accepted, not known to be chosen", "": "nothing here" };
    const under = vote ? `; accepted under ${ballotText(vote.ballot)}: ${vote.proposal}` : "";
    const title = `Slot ${slot} at ${nodeName(node)}: ${words[kind]}${under}`;
    if (cell.title !== title) cell.title = title;
  }
}

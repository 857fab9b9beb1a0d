// The state of each node at any time: what was recorded are changes, and a copy of the whole is kept every so often.
import { firstLater } from "./text.js";

/** @typedef {import("./text.js").Ballot} Ballot */

/** A vote of an acceptor: the ballot, and the proposal.
 * @typedef {{ballot: Ballot, proposal: string}} Vote */

/** The state of a node.
 * @typedef {object} NodeState
 * @property {string} state
 * @property {string[]} roles
 * @property {Ballot | null} promised
 * @property {Ballot | null} leading
 * @property {number | null} follows
 * @property {number} applied
 * @property {number} decided
 * @property {number} low
 * @property {number} epoch
 * @property {number[]} members
 * @property {number} window
 * @property {number} waiting
 * @property {number} pending
 * @property {number} requesters
 * @property {number} sessions
 * @property {number} unsynced
 * @property {Map<number, Vote>} votes by slot */

/** A change of a node's state.
 * @typedef {object} Change
 * @property {number} t
 * @property {number} n
 * @property {Partial<NodeState>} s
 * @property {[number, Ballot, string][]} [votes]
 * @property {number[]} [gone] */

/** So many changes are applied at most to find a state. */
const CHANGES_MAX = 64;

/** Before anything is known of it. @type {NodeState} */
const NOTHING = {
  state: "joining",
  roles: [],
  promised: null,
  leading: null,
  follows: null,
  applied: 0,
  decided: 0,
  low: 0,
  epoch: 0,
  members: [],
  window: 0,
  waiting: 0,
  pending: 0,
  requesters: 0,
  sessions: 0,
  unsynced: 0,
  votes: new Map(),
};

/** Returns a state after a change, without altering the one before.
 * @param {NodeState} before
 * @param {Change} change
 * @returns {NodeState} */
function changed(before, change) {
  const after = { ...before, ...change.s };
  const isLower = after.low > before.low;
  if (change.votes || change.gone || isLower) {
    after.votes = new Map(before.votes);
    for (const slot of change.gone ?? []) after.votes.delete(slot);
    for (const [slot, ballot, proposal] of change.votes ?? []) after.votes.set(slot, { ballot, proposal });
    // What is applied and below the low-water mark was dropped.
    if (isLower) for (const slot of before.votes.keys()) if (slot <= after.low) after.votes.delete(slot);
  }
  return after;
}

/** The states of all nodes over time. */
export class States {
  /** @param {number} nodes */
  constructor(nodes) {
    /** The changes of each node. @type {Change[][]} */
    this.changes = Array.from({ length: nodes }, () => []);
    /** The states before changes 0, 64, 128 and so on of each node. @type {NodeState[][]} */
    this.whole = Array.from({ length: nodes }, () => []);
    /** The last state of each node. @type {NodeState[]} */
    this.last = Array.from({ length: nodes }, () => NOTHING);
    /** The state that was asked for last, of each node: after how many changes, and what it was.
     * @type {{count: number, state: NodeState}[]} */
    this.asked = Array.from({ length: nodes }, () => ({ count: 0, state: NOTHING }));
  }

  /** @param {Change} change */
  add(change) {
    const changes = this.changes[change.n];
    if (changes.length % CHANGES_MAX === 0) this.whole[change.n].push(this.last[change.n]);
    changes.push(change);
    this.last[change.n] = changed(this.last[change.n], change);
  }

  /** Returns the state of a node after everything that happened until a time.
   * @param {number} node
   * @param {number} t
   * @returns {NodeState} */
  at(node, t) {
    const changes = this.changes[node];
    const count = firstLater(changes, (change) => change.t > t);
    let { count: known, state } = this.asked[node];
    const chunk = Math.floor(count / CHANGES_MAX);
    // Forward from what was asked last, if that is nearer than the last whole state.
    if (known > count || known < chunk * CHANGES_MAX) {
      known = Math.min(chunk, this.whole[node].length - 1) * CHANGES_MAX;
      state = known < 0 ? NOTHING : this.whole[node][known / CHANGES_MAX];
      known = Math.max(known, 0);
    }
    for (; known < count; known += 1) state = changed(state, changes[known]);
    this.asked[node] = { count, state };
    return state;
  }
}

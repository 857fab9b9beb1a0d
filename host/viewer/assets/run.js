// A run: its facts in order, and what follows from them. Facts are added one by one, wherever they come from.
import { firstLater, sameBallot } from "./text.js";
import { Messages } from "./messages.js";
import { States } from "./states.js";

/** @typedef {import("./text.js").Fact} Fact */
/** @typedef {import("./text.js").Head} Head */
/** @typedef {import("./text.js").Ballot} Ballot */

/** A span of time in the life of a node or of the network.
 * @typedef {object} Span
 * @property {number} from
 * @property {number} to
 * @property {number} node
 * @property {string} kind
 * @property {number[][]} sets the nodes that it is between, for a fault of the network
 * @property {Fact | null} fact
 * @property {Ballot | null} ballot */

/** Kinds of faults that are between nodes, and not of one. */
const BETWEEN_NODES = ["partition", "one_way", "partial", "clog"];

/** Reads the facts that are embedded in the page.
 * @param {string} packed
 * @returns {Promise<any[]>} */
export async function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed.trim()), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const text = await new Response(stream).text();
  return JSON.parse(`[${text.trimEnd().replaceAll("\n", ",")}]`);
}

/** A run of a cluster. */
export class Run {
  /** @param {Head} head */
  constructor(head) {
    this.head = head;
    /** @type {Fact[]} */
    this.facts = [];
    this.messages = new Messages();
    this.states = new States(head.nodes);
    /** Facts that one may want to go to. @type {Record<string, Fact[]>} */
    this.marks = { election: [], preemption: [], loss: [], violation: [] };
    /** The facts that say that a slot is chosen, by slot. @type {Map<number, Fact[]>} */
    this.chosen = new Map();
    /** While nodes lead. @type {Span[]} */
    this.terms = [];
    /** While nodes are down. @type {Span[]} */
    this.downs = [];
    /** While there are planned faults. @type {Span[]} */
    this.faults = [];
    /** When the last fact happened. */
    this.end = 0;
    /** @type {Map<string, {name: string, text: string}>} */
    this.rules = new Map(head.rules.map((rule) => [rule.name, rule]));
  }

  /** Adds what happened next: a record, a change of a state, or the passage of a message.
   * @param {any} line */
  add(line) {
    this.end = Math.max(this.end, line.t);
    if (line.s) {
      this.#state(line);
      this.states.add(line);
      return;
    }
    if (line.line !== undefined) {
      line.i = this.facts.length;
      this.facts.push(line);
      this.#mark(line);
    }
    this.messages.add(line);
  }

  /** Ends the run: what is still open lasts to its end, and a broken rule is marked there.
   * @returns {Run} */
  ended() {
    for (const span of [...this.terms, ...this.downs, ...this.faults]) {
      if (span.to === Infinity) span.to = this.end;
    }
    const last = this.facts[this.facts.length - 1];
    if (this.head.outcome !== "done" && last && !this.marks.violation.includes(last)) {
      this.marks.violation.push(last);
    }
    return this;
  }

  /** @param {Fact} fact */
  #mark(fact) {
    if (fact.e === "adopted") this.marks.election.push(fact);
    if (fact.e === "preempted" || fact.e === "stepped_down") this.marks.preemption.push(fact);
    if (fact.e === "lost") this.marks.loss.push(fact);
    if (fact.e === "halted") this.marks.violation.push(fact);
    if (fact.e === "chosen") {
      const slot = fact.slots?.[0][0] ?? 0;
      this.chosen.set(slot, [...(this.chosen.get(slot) ?? []), fact]);
    }
    if (fact.e === "fault_began") {
      const kind = fact.why ?? "";
      const sets = BETWEEN_NODES.includes(kind) ? fact.sets ?? [] : [];
      this.faults.push({ from: fact.t, to: Infinity, node: fact.n, kind, sets, fact, ballot: null });
    }
    if (fact.e === "fault_ended") {
      const open = this.faults.find(
        (fault) => fault.to === Infinity && fault.kind === fact.why && fault.node === fact.n,
      );
      if (open) open.to = fact.t;
    }
  }

  /** @param {import("./states.js").Change} change */
  #state(change) {
    const { t, n: node, s } = change;
    const open = (/** @type {Span[]} */ spans) =>
      spans.find((span) => span.node === node && span.to === Infinity);
    if (s.leading !== undefined) {
      const term = open(this.terms);
      if (term) term.to = t;
      if (s.leading) {
        const won = this.marks.election.findLast((fact) => sameBallot(fact.ballots?.[0], s.leading));
        const span = { from: t, to: Infinity, node, kind: "leads", sets: [], fact: won ?? null };
        this.terms.push({ ...span, ballot: s.leading });
      }
    }
    if (s.state !== undefined) {
      const down = open(this.downs);
      if (down) down.to = t;
      if (s.state === "down") {
        const fact = this.facts.findLast((fact) => fact.n === node) ?? null;
        this.downs.push({ from: t, to: Infinity, node, kind: "down", sets: [], fact, ballot: null });
      }
    }
  }

  /** Returns the number of facts until a time.
   * @param {number} t */
  count(t) {
    return firstLater(this.facts, (fact) => fact.t > t);
  }

  /** Returns the last fact until a time.
   * @param {number} t
   * @returns {Fact | undefined} */
  lastBefore(t) {
    return this.facts[this.count(t) - 1];
  }

  /** Returns the facts about a slot.
   * @param {number} slot */
  ofSlot(slot) {
    return this.facts.filter((fact) => isAbout(fact, slot));
  }
}

/** True if a fact is about a slot.
 * @param {Fact} fact
 * @param {number} slot */
export function isAbout(fact, slot) {
  return fact.slots?.some(([first, last]) => first <= slot && slot <= last) ?? false;
}

/** Returns the run that is embedded in the page.
 * @param {string} packed */
export async function read(packed) {
  const [head, ...lines] = await unpack(packed);
  const run = new Run(head);
  for (const line of lines) run.add(line);
  return run.ended();
}

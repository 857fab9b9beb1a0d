// Messages: an arrow for each recipient of each message, from what the records say of it.
import { firstLater } from "./text.js";

/** @typedef {import("./text.js").Fact} Fact */

/** The way of a message to one recipient.
 * @typedef {object} Arrow
 * @property {string} id the message
 * @property {string} kind
 * @property {string} role the role that has sent it
 * @property {number} from
 * @property {number} to
 * @property {Fact} sent
 * @property {number} left when it left its sender
 * @property {number} at when it arrived, or left if it never did
 * @property {"flying" | "arrived" | "ignored" | "lost" | "missed" | "unsent"} fate
 * @property {Fact | null} end the fact at its end: received, ignored or lost
 * @property {boolean} late whether a fault delayed it
 * @property {boolean} twice whether this is the second copy */

/** All messages of a run. */
export class Messages {
  constructor() {
    /** In the order in which they were sent. @type {Arrow[]} */
    this.arrows = [];
    /** Second copies of messages, which are not counted as messages. @type {Arrow[]} */
    this.copies = [];
    /** The arrows of each message. @type {Map<string, Arrow[]>} */
    this.byId = new Map();
    /** The longest way of any message, in microseconds. */
    this.longest = 0;
    /** How many have arrived, and how long all of them took. */
    this.arrived = 0;
    this.took = 0;
  }

  /** How long a message takes on average. */
  get usual() {
    return this.arrived > 0 ? this.took / this.arrived : 30_000;
  }

  /** Takes a fact, if it is about the way of a message.
   * @param {any} fact */
  add(fact) {
    switch (fact.e) {
      case "sent":
        this.#sent(fact);
        return;
      case "lost":
        this.#end(fact, fact.to[0], "lost");
        return;
      case "received":
        this.#end(fact, fact.n, "arrived");
        return;
      case "ignored":
        this.#ignored(fact);
        return;
      case "missed":
        this.#end(fact, fact.n, "missed");
        return;
      case "delayed":
        for (const arrow of this.#of(fact.id, fact.to[0])) arrow.late = true;
        return;
      case "left":
        for (const arrow of this.byId.get(fact.id) ?? []) arrow.left = arrow.at = fact.t;
        return;
      case "unsent":
        for (const arrow of this.byId.get(fact.id) ?? []) arrow.fate = "unsent";
    }
  }

  /** @param {Fact} fact */
  #sent(fact) {
    // A message of a node to itself has no name, and no way.
    if (!fact.id) return;
    const arrows = (fact.to ?? []).map((to) => this.#arrow(fact, to));
    this.byId.set(fact.id, arrows);
    this.arrows.push(...arrows);
  }

  /** @param {Fact} fact
   * @param {number} to
   * @returns {Arrow} */
  #arrow(fact, to) {
    return {
      id: fact.id ?? "",
      kind: fact.m ?? "",
      role: fact.r,
      from: fact.n,
      to,
      sent: fact,
      left: fact.t,
      at: fact.t,
      fate: "flying",
      end: null,
      late: false,
      twice: false,
    };
  }

  /** @param {string} id
   * @param {number} to */
  #of(id, to) {
    return (this.byId.get(id) ?? []).filter((arrow) => arrow.to === to);
  }

  /** The first copy of a message that arrives is the message, and a later one a copy of it.
   * @param {Fact} fact
   * @param {number} to
   * @param {"arrived" | "lost" | "missed"} fate */
  #end(fact, to, fate) {
    const [first] = this.#of(fact.id ?? "", to);
    if (!first) return;
    let arrow = first;
    if (first.fate !== "flying") {
      arrow = { ...first, twice: true };
      this.copies.push(arrow);
      this.byId.get(arrow.id)?.push(arrow);
    }
    arrow.fate = fate;
    arrow.end = fact.line === undefined ? null : fact;
    if (fate === "lost") {
      arrow.left = arrow.at = fact.t;
    } else {
      arrow.at = fact.t;
      this.longest = Math.max(this.longest, arrow.at - arrow.sent.t);
      this.arrived += 1;
      this.took += arrow.at - arrow.left;
    }
  }

  /** What is ignored was received just before, or else is only known by this.
   * @param {Fact} fact */
  #ignored(fact) {
    const copies = this.#of(fact.id ?? "", fact.n);
    const arrow = copies.findLast((copy) => copy.fate === "arrived" && copy.at === fact.t);
    if (arrow) arrow.fate = "ignored";
    else this.#end(fact, fact.n, "arrived");
  }

  /** Returns the arrows that are on their way between two times.
   * @param {number} from
   * @param {number} to
   * @returns {Arrow[]} */
  between(from, to) {
    const first = firstLater(this.arrows, (arrow) => arrow.sent.t >= from - this.longest);
    const end = firstLater(this.arrows, (arrow) => arrow.sent.t > to);
    const whole = this.arrows.slice(first, end).filter((arrow) => arrow.at >= from || arrow.fate !== "arrived");
    return whole.concat(this.copies.filter((copy) => copy.at >= from && copy.sent.t <= to));
  }

  /** Returns the arrow of a fact: that of the message that it is about, to the recipient that it names.
   * @param {Fact} fact
   * @returns {Arrow | undefined} */
  of(fact) {
    const arrows = this.byId.get(fact.id ?? "") ?? [];
    const to = fact.e === "received" || fact.e === "ignored" ? fact.n : fact.to?.[0];
    return arrows.find((arrow) => arrow.end === fact) ?? arrows.find((arrow) => arrow.to === to);
  }
}

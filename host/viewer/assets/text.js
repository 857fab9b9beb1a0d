// Numbers, names and elements of the page: how things are called, in the words of the log.

/** A ballot: epoch, round, and the node that leads under it.
 * @typedef {[number, number, number]} Ballot */

/** A record of the trace. The keys are short, as there are many.
 * @typedef {object} Fact
 * @property {number} t when, in microseconds
 * @property {number} n the node
 * @property {string} r the role
 * @property {string} e the event
 * @property {string} line the line of the log
 * @property {number} i its place among the facts
 * @property {string} [m] the kind of the message
 * @property {string} [id] the message
 * @property {number[]} [to] the recipients
 * @property {number} [from] the sender
 * @property {string} [why] a reason, a cause, or the kind of a fault
 * @property {[number, number][]} [slots] runs of slots that it is about
 * @property {Ballot[]} [ballots] ballots that it names
 * @property {string[]} [keys] requests that it names
 * @property {number[][]} [sets] sets of nodes that it names */

/** What is known of the run as a whole.
 * @typedef {object} Head
 * @property {string} command
 * @property {number} seed
 * @property {number} nodes
 * @property {number} window
 * @property {string} outcome
 * @property {string | null} reason
 * @property {string} summary
 * @property {boolean} cut
 * @property {{name: string, text: string}[]} rules */

/** Returns seconds with four places, cut off as in the log.
 * @param {number} us */
export function seconds(us) {
  const tenths = Math.floor(us / 100);
  return `${Math.floor(tenths / 10000)}.${String(tenths % 10000).padStart(4, "0")}`;
}

/** Returns a span of time in a unit that suits it.
 * @param {number} us */
export function span(us) {
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 1_000_000) return `${(us / 1000).toFixed(us < 10_000 ? 1 : 0)} ms`;
  return `${(us / 1_000_000).toFixed(2)} s`;
}

/** @param {number} node */
export function nodeName(node) {
  return `NODE_${node}`;
}

/** Returns a ballot as the log writes it.
 * @param {Ballot | null | undefined} ballot */
export function ballotText(ballot) {
  if (!ballot) return "none";
  const [epoch, round, leader] = ballot;
  return `(${epoch > 0 ? `${epoch}:` : ""}${round}, ${nodeName(leader)})`;
}

/** True if two ballots are one.
 * @param {Ballot | null | undefined} one
 * @param {Ballot | null | undefined} other */
export function sameBallot(one, other) {
  if (!one || !other) return one === other;
  return one.every((part, index) => part === other[index]);
}

/** Returns a number with its noun.
 * @param {number} count
 * @param {string} noun */
export function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/** Returns names as a list in a sentence.
 * @param {string[]} names */
export function listed(names) {
  if (names.length < 2) return names.join("");
  return `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
}

/** Returns the index of the first item for which `isLater` is true; all after it are later too.
 * @template T
 * @param {T[]} items
 * @param {(item: T) => boolean} isLater */
export function firstLater(items, isLater) {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (isLater(items[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Returns the element of the page with this id, which is in the template.
 * @param {string} id
 * @returns {any} */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element;
}

/** Makes an element.
 * @param {string} tag
 * @param {Record<string, any>} properties
 * @param {(Node | string)[]} children
 * @returns {any} */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) /** @type {any} */ (element)[name] = value;
    else element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

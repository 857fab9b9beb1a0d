// What was clicked: a fact with its line of the log, its sense, its fate and its rules; or a story.
import { ballotText, byId, make, nodeName, sameBallot, seconds } from "./text.js";
import { fate, rulesOf, sentence } from "./words.js";

/** @typedef {import("./text.js").Fact} Fact */
/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./stories.js").Story} Story */

/** What can be asked for from the details.
 * @typedef {object} Actions
 * @property {(fact: Fact) => void} select
 * @property {(slot: number) => void} slot
 * @property {(adopted: Fact) => void} win
 * @property {(text: string) => void} find */

/** How many facts of the same node are shown before and after one. */
const AROUND = 3;
/** How many recipients of a message are shown. */
const COPIES_MAX = 16;

/** The panel of details. */
export class Details {
  /** @param {Run} run
   * @param {Actions} actions */
  constructor(run, actions) {
    this.run = run;
    this.actions = actions;
    this.root = byId("details");
    /** The story that was shown last, to go back to. @type {Story | null} */
    this.story = null;
  }

  /** Shows a story.
   * @param {Story} story */
  tell(story) {
    this.story = story;
    const steps = story.steps.map((step) => make("li", {}, this.#link(step.fact, step.text)));
    this.root.replaceChildren(
      make("h2", { textContent: story.title }),
      make("p", { textContent: story.intro }),
      make("ol", { className: "steps" }, ...steps),
    );
    this.root.scrollTop = 0;
  }

  /** Returns a line that leads to a fact.
   * @param {Fact | undefined} fact
   * @param {string} text */
  #link(fact, text) {
    if (!fact) return make("span", { textContent: text });
    const time = make("time", { textContent: seconds(fact.t) });
    const button = make("button", { className: "step" }, time, make("span", { textContent: text }));
    button.dataset.fact = String(fact.i);
    button.addEventListener("click", () => this.actions.select(fact));
    return button;
  }

  /** Shows a fact.
   * @param {Fact} fact */
  show(fact) {
    const kind = fact.m ? `${fact.e} ${fact.m}` : fact.e;
    const title = make("h2", {}, make("span", { className: "role", textContent: `${nodeName(fact.n)}.${fact.r}` }), ` ${kind}`);
    title.firstChild.style.color = `var(--${fact.r.toLowerCase()})`;
    const back = this.story ? [this.#action(`‹ ${this.story.title}`, () => this.story && this.tell(this.story))] : [];
    this.root.replaceChildren(
      ...back,
      title,
      make("p", { className: "sense", textContent: sentence(fact) }),
      make("code", { className: "line", textContent: fact.line, title: "The line of the log" }),
      ...this.#copies(fact),
      make("div", { className: "actions" }, ...this.#actions(fact)),
      ...this.#rules(fact),
      ...this.#around(fact),
    );
    this.root.scrollTop = 0;
  }

  /** Returns what became of the message of a fact: of the one copy, or of all that were sent.
   * @param {Fact} fact */
  #copies(fact) {
    const arrows = this.run.messages.byId.get(fact.id ?? "") ?? [];
    const own = fact.e === "sent" ? arrows : arrows.filter((arrow) => arrow === this.run.messages.of(fact));
    if (own.length === 0) return [];
    const items = own.slice(0, COPIES_MAX).map((arrow) => {
      const item = make("li", {}, this.#link(arrow.end ?? arrow.sent, fate(arrow)));
      item.dataset.fate = arrow.fate;
      return item;
    });
    return [make("ul", { className: "copies" }, ...items)];
  }

  /** @param {string} text
   * @param {() => void} act */
  #action(text, act) {
    const button = make("button", { textContent: text });
    button.addEventListener("click", act);
    return button;
  }

  /** @param {Fact} fact */
  #actions(fact) {
    const buttons = [];
    const sent = this.run.messages.of(fact)?.sent;
    if (sent && sent !== fact) buttons.push(this.#action("Where it was sent", () => this.actions.select(sent)));
    const slot = fact.slots?.[0]?.[0];
    if (slot) buttons.push(this.#action(`The story of slot ${slot}`, () => this.actions.slot(slot)));
    for (const ballot of fact.ballots ?? []) {
      const won = this.run.marks.election.find((adopted) => sameBallot(adopted.ballots?.[0], ballot));
      if (won) buttons.push(this.#action(`Why ${nodeName(won.n)} won ${ballotText(ballot)}`, () => this.actions.win(won)));
    }
    const client = /^client_(\d+)#/.exec(fact.keys?.[0] ?? "")?.[1];
    if (client) buttons.push(this.#action(`Find client ${client}`, () => this.actions.find(`client:${client}`)));
    if (fact.m) buttons.push(this.#action(`Find ${fact.m}`, () => this.actions.find(`kind:${fact.m}`)));
    return buttons;
  }

  /** @param {Fact} fact */
  #rules(fact) {
    const rules = rulesOf(fact).flatMap((name) => this.run.rules.get(name) ?? []);
    if (rules.length === 0) return [];
    const items = rules.map(({ name, text }) => {
      const [holds, wrong] = text.split(" ✗ ");
      const parts = [make("b", { textContent: name }), ` ${holds}`];
      if (wrong) parts.push(make("span", { className: "wrong", textContent: ` Without it: ${wrong}` }));
      return make("li", {}, ...parts);
    });
    return [make("h3", { textContent: "Rules that it follows" }), make("ul", { className: "rules" }, ...items)];
  }

  /** Returns the lines of the log around a fact, of the same node.
   * @param {Fact} fact */
  #around(fact) {
    const own = (/** @type {Fact} */ other) => other.n === fact.n;
    const before = this.run.facts.slice(Math.max(0, fact.i - 2000), fact.i).filter(own).slice(-AROUND);
    const after = this.run.facts.slice(fact.i + 1, fact.i + 2000).filter(own).slice(0, AROUND);
    const items = [...before, fact, ...after].map((other) => {
      const item = make("li", {}, this.#link(other, other.line.replace(/^.*?T=\S+ /, "")));
      if (other === fact) item.className = "this";
      return item;
    });
    return [make("h3", { textContent: `Before and after at ${nodeName(fact.n)}` }), make("ul", { className: "around" }, ...items)];
  }
}

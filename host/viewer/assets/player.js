// The player: what is selected, which time it is, what is searched for; and playing, stepping and links.
import { byId, counted, firstLater } from "./text.js";
import { found, slotOf } from "./find.js";
import { Details } from "./details.js";
import { Diagram } from "./diagram.js";
import { Overview } from "./overview.js";
import { Panel } from "./panel.js";
import { firstSlot, slotStory, welcome, winStory } from "./stories.js";

/** @typedef {import("./text.js").Fact} Fact */
/** @typedef {import("./run.js").Run} Run */

/** How fast a run plays, in pixels a second. */
const PIXELS_A_SECOND = 90;

/** The player of a run. */
export class Player {
  /** @param {Run} run */
  constructor(run) {
    this.run = run;
    this.query = "";
    /** @type {Fact[]} */
    this.matches = [];
    this.isPlaying = false;
    this.speed = 1;
    /** Whether the address is to be written. */
    this.isLinking = false;
    this.diagram = new Diagram(run, () => this.#beforeFrame());
    this.overview = new Overview(this.diagram);
    this.panel = new Panel(
      run,
      (slot) => this.tellSlot(slot),
      (node) => this.search(`node:${node}`),
    );
    this.details = new Details(run, {
      select: (fact) => this.select(fact),
      slot: (slot) => this.tellSlot(slot),
      win: (adopted) => this.tellWin(adopted),
      find: (text) => this.search(text),
    });
  }

  #beforeFrame() {
    const { pointed, time } = this.diagram;
    this.panel.show(pointed ?? time, pointed !== null);
    this.overview.paint();
  }

  /** Shows the first election, or the beginning if nobody was elected. */
  home() {
    const [won] = this.run.marks.election;
    const claim = won && this.run.facts.find((fact) => fact.m === "prepare" && fact.e === "sent" && fact.n === won.n);
    const from = claim ? claim.t : 0;
    const to = won ? won.t : Math.min(this.run.end, 400_000);
    const room = Math.max((to - from) * 0.15, 2000);
    this.diagram.fit(Math.max(0, from - room), to + room * 2.5);
    this.seek(to, false);
    this.clear();
  }

  /** Moves the playhead.
   * @param {number} t
   * @param {boolean} reveals whether the diagram follows */
  seek(t, reveals = true) {
    this.diagram.time = Math.max(0, Math.min(this.run.end, t));
    if (reveals) this.diagram.reveal(this.diagram.time);
    this.diagram.redraw();
    this.#link();
  }

  /** Shows a fact, and moves the playhead to it.
   * @param {Fact} fact */
  select(fact) {
    this.diagram.selected = fact;
    this.seek(fact.t);
    this.details.show(fact);
  }

  /** Goes to the next or the previous fact of a list.
   * @param {Fact[]} facts
   * @param {1 | -1} way */
  go(facts, way) {
    const { selected, time } = this.diagram;
    // From what is selected, as several facts may have one time.
    const at = selected && selected.t === time ? selected.i : this.run.count(time) - 0.5;
    const index = way > 0 ? firstLater(facts, (fact) => fact.i > at) : firstLater(facts, (fact) => fact.i >= at) - 1;
    const fact = facts[index];
    if (fact) this.select(fact);
    else this.say(`There is no ${way > 0 ? "later" : "earlier"} one.`);
  }

  /** Goes to the next or the previous fact, of those that are searched for if any are.
   * @param {1 | -1} way */
  step(way) {
    this.go(this.matches.length > 0 ? this.matches : this.run.facts, way);
  }

  /** Searches, and lets everything else step back.
   * @param {string} text */
  search(text) {
    this.query = text;
    byId("find").value = text;
    this.matches = found(this.run.facts, text);
    const isOn = text.trim() !== "";
    this.diagram.matches = isOn ? new Set(this.matches) : null;
    byId("found").textContent = isOn ? counted(this.matches.length, "fact") : "";
    this.diagram.redraw();
    this.#link();
  }

  /** @param {number} slot */
  tellSlot(slot) {
    this.search(`slot:${slot}`);
    const story = slotStory(this.run, slot);
    this.details.tell(story);
    const facts = story.steps.flatMap((step) => step.fact ?? []);
    this.#show(facts);
  }

  /** @param {Fact} adopted */
  tellWin(adopted) {
    const ballot = adopted.ballots?.[0];
    if (ballot) this.search(`phase:1 ballot:${ballot.join(".")}`);
    const story = winStory(this.run, adopted);
    this.details.tell(story);
    const facts = story.steps.flatMap((step) => step.fact ?? []);
    this.#show(facts);
  }

  /** Brings the facts of a story into view, as far as they are near each other.
   * @param {Fact[]} facts */
  #show(facts) {
    if (facts.length === 0) return;
    const from = facts[0].t;
    const to = Math.min(facts[facts.length - 1].t, from + 400_000);
    const room = Math.max(5000, (to - from) * 0.08);
    this.diagram.fit(Math.max(0, from - room), to + room);
    this.diagram.selected = null;
    this.seek(to, false);
  }

  /** Tells the story of the slot that is searched for, or of the first one. */
  tellSomeSlot() {
    const slot = slotOf(this.query) ?? this.diagram.selected?.slots?.[0]?.[0] ?? firstSlot(this.run);
    if (slot) this.tellSlot(slot);
  }

  /** Tells why the leader of the present time has won. */
  tellLeader() {
    const { election } = this.run.marks;
    const until = firstLater(election, (fact) => fact.t > this.diagram.time);
    const won = election[Math.max(0, until - 1)];
    if (won) this.tellWin(won);
  }

  /** Leaves the search and the selection. */
  clear() {
    this.diagram.selected = null;
    this.search("");
    this.details.tell(welcome(this.run));
  }

  /** Begins or ends to play. */
  play() {
    this.isPlaying = !this.isPlaying;
    const button = byId("play");
    button.textContent = this.isPlaying ? "❚❚" : "▶";
    button.setAttribute("aria-pressed", String(this.isPlaying));
    let last = performance.now();
    const move = (/** @type {number} */ now) => {
      if (!this.isPlaying) return;
      const t = this.diagram.time + ((now - last) / 1000) * PIXELS_A_SECOND * this.speed * this.diagram.perPixel;
      last = now;
      this.seek(t, false);
      // The playhead stays where it is, and the run moves under it.
      if (this.diagram.y(t) > this.diagram.height * 0.6) this.diagram.scrollTo(t, 0.6);
      if (t >= this.run.end) this.play();
      else requestAnimationFrame(move);
    };
    if (this.isPlaying) requestAnimationFrame(move);
  }

  /** @param {number} factor */
  faster(factor) {
    this.speed = Math.max(0.125, Math.min(16, this.speed * factor));
    this.say(`Speed ${this.speed}`);
  }

  /** Says something for a moment, also to those who do not see the page.
   * @param {string} text */
  say(text) {
    const said = byId("said");
    said.textContent = text;
    clearTimeout(this.silence);
    this.silence = setTimeout(() => (said.textContent = ""), 2500);
  }

  /** Writes the moment into the address, so that it can be shared. */
  #link() {
    if (!this.isLinking) return;
    clearTimeout(this.linking);
    this.linking = setTimeout(() => history.replaceState(null, "", this.address()), 150);
  }

  /** Returns the part of the address that leads to what is seen. */
  address() {
    const { time, selected, perPixel } = this.diagram;
    const slot = slotOf(this.query);
    const parts = [`t=${(Math.round(time) / 1e6).toFixed(6)}`];
    if (slot !== null) parts.push(`slot=${slot}`);
    else if (this.query) parts.push(`find=${encodeURIComponent(this.query)}`);
    if (selected) parts.push(`fact=${selected.i}`);
    parts.push(`zoom=${Math.round(perPixel)}`);
    return `#${parts.join("&")}`;
  }

  /** Goes to where an address leads; returns whether it leads anywhere.
   * @param {string} address */
  follow(address) {
    const parts = new URLSearchParams(address.replace(/^#/, ""));
    const [t, slot, fact, zoom] = ["t", "slot", "fact", "zoom"].map((name) => {
      const number = Number(parts.get(name) ?? NaN);
      return Number.isFinite(number) ? number : null;
    });
    if (t === null && slot === null) return false;
    if (slot !== null) this.tellSlot(slot);
    else this.search(parts.get("find") ?? "");
    if (zoom) this.diagram.zoom(zoom / this.diagram.perPixel);
    this.diagram.selected = null;
    const selected = fact === null ? undefined : this.run.facts[fact];
    if (selected) this.select(selected);
    if (t !== null) this.seek(t * 1e6);
    if (t !== null || selected) this.diagram.scrollTo(this.diagram.time);
    return true;
  }
}

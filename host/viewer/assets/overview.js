// The strip beside the diagram: the whole run at a glance, with the part that is in view.
import { byId } from "./text.js";
import { line } from "./layout.js";

/** @typedef {import("./diagram.js").Diagram} Diagram */

/** The strip. What does not change is painted once, into a picture of its own. */
export class Overview {
  /** @param {Diagram} diagram */
  constructor(diagram) {
    this.diagram = diagram;
    /** @type {HTMLCanvasElement} */
    this.canvas = byId("overview");
    this.still = document.createElement("canvas");
    this.isStale = true;
    new ResizeObserver(() => this.refresh()).observe(this.canvas);
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.#go(event.offsetY);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (event.buttons > 0) this.#go(event.offsetY);
    });
  }

  /** @param {number} y */
  #go(y) {
    const share = Math.max(0, Math.min(1, y / this.canvas.clientHeight));
    this.diagram.scrollTo(share * this.diagram.run.end, 0.5);
  }

  /** Paints everything anew with the next frame. */
  refresh() {
    this.isStale = true;
    this.diagram.redraw();
  }

  /** Paints the strip. */
  paint() {
    const scale = devicePixelRatio || 1;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    if (width === 0 || height === 0) return;
    if (this.isStale) this.#paintStill(width, height, scale);
    const ink = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    ink.setTransform(1, 0, 0, 1, 0, 0);
    ink.clearRect(0, 0, this.canvas.width, this.canvas.height);
    ink.drawImage(this.still, 0, 0);
    ink.setTransform(scale, 0, 0, scale, 0, 0);
    const { run, palette, range, time } = this.diagram;
    const y = (/** @type {number} */ t) => (t / Math.max(1, run.end)) * height;
    ink.strokeStyle = palette.accent;
    ink.lineWidth = 1.5;
    ink.strokeRect(1, y(range.from), width - 2, Math.max(4, y(range.to) - y(range.from)));
    line(ink, 0, y(time), width, y(time));
  }

  /** @param {number} width
   * @param {number} height
   * @param {number} scale */
  #paintStill(width, height, scale) {
    this.isStale = false;
    for (const canvas of [this.canvas, this.still]) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const ink = /** @type {CanvasRenderingContext2D} */ (this.still.getContext("2d"));
    ink.setTransform(scale, 0, 0, scale, 0, 0);
    const { run, palette } = this.diagram;
    const row = (/** @type {number} */ t) => Math.min(Math.floor(height) - 1, Math.floor((t / Math.max(1, run.end)) * height));
    const counts = new Array(Math.ceil(height)).fill(0);
    for (const arrow of run.messages.arrows) counts[row(arrow.left)] += 1;
    const most = Math.max(1, ...counts);
    ink.fillStyle = palette.line;
    counts.forEach((count, y) => ink.fillRect(width / 2 - (count / most) * (width / 2 - 4), y, (count / most) * (width - 8), 1));
    ink.globalAlpha = 0.25;
    ink.fillStyle = palette.fault;
    for (const fault of run.faults) ink.fillRect(0, row(fault.from), width / 3, Math.max(1, row(fault.to) - row(fault.from)));
    ink.globalAlpha = 1;
    const kinds = /** @type {[string, string][]} */ ([
      ["preemption", palette.muted],
      ["election", palette.role.Leader],
      ["violation", palette.loss],
    ]);
    for (const [kind, colour] of kinds) {
      ink.fillStyle = colour;
      for (const fact of run.marks[kind]) ink.fillRect(0, row(fact.t) - 1, width, 2.5);
    }
  }
}

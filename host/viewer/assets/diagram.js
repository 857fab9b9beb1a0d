// The space-time diagram: which part of the run is in view, where things are, and what is under the pointer.
import { byId } from "./text.js";
import { palette } from "./theme.js";
import { GUTTER, HEAD } from "./layout.js";
import { paint } from "./drawing.js";

/** @typedef {import("./text.js").Fact} Fact */
/** @typedef {import("./run.js").Run} Run */
/** @typedef {import("./layout.js").Target} Target */

/** The narrowest and the widest lane. */
const LANE_MIN = 30;
const LANE_MAX = 260;
/** Room below the last fact. */
const FOOT = 90;
/** Browsers have no longer pages. */
const HEIGHT_MAX = 12_000_000;
/** How near the pointer must be, in pixels. */
const NEAR = 7;

/** The diagram. It is painted once a frame at most, when something has changed. */
export class Diagram {
  /** @param {Run} run
   * @param {() => void} onFrame called before a frame is painted */
  constructor(run, onFrame) {
    this.run = run;
    this.onFrame = onFrame;
    this.scroller = byId("diagram");
    this.length = byId("length");
    /** @type {HTMLCanvasElement} */
    this.canvas = byId("canvas");
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    this.palette = palette();
    /** The width of a lane. */
    this.lane = LANE_MIN;
    /** Microseconds of a pixel. */
    this.perPixel = 250;
    /** The time of the playhead. */
    this.time = 0;
    /** The time under the pointer; null if it is elsewhere. @type {number | null} */
    this.pointed = null;
    /** @type {Fact | null} */
    this.selected = null;
    /** The facts that are searched for; null for all. @type {Set<Fact> | null} */
    this.matches = null;
    /** @type {Target[]} */
    this.targets = [];
    /** @type {Target | null} */
    this.near = null;
    this.isDirty = false;
    this.width = 0;
    this.height = 0;
    new ResizeObserver(() => this.#resized()).observe(this.scroller);
    this.scroller.addEventListener("scroll", () => this.redraw(), { passive: true });
    this.#resized();
  }

  #resized() {
    const scale = devicePixelRatio || 1;
    this.width = this.scroller.clientWidth;
    this.height = this.scroller.clientHeight;
    this.canvas.width = Math.round(this.width * scale);
    this.canvas.height = Math.round(this.height * scale);
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${this.height}px`;
    this.#measure();
  }

  /** Gives the content the size that it would have if it were painted as a whole. */
  #measure() {
    const nodes = this.run.head.nodes;
    const room = (this.width - GUTTER - 12) / nodes;
    this.lane = Math.max(LANE_MIN, Math.min(LANE_MAX, room));
    const whole = HEAD + this.run.end / this.perPixel + FOOT;
    // The canvas sticks to the window, and takes a window's height itself.
    this.length.style.height = `${Math.max(0, whole - this.height)}px`;
    this.length.style.width = `${GUTTER + this.lane * nodes + 12}px`;
    this.redraw();
  }

  /** Paints at once. */
  paint() {
    this.onFrame();
    const scale = devicePixelRatio || 1;
    this.context.setTransform(scale, 0, 0, scale, 0, 0);
    this.targets = paint(this);
  }

  /** Paints with the next frame. */
  redraw() {
    if (this.isDirty) return;
    this.isDirty = true;
    requestAnimationFrame(() => {
      this.isDirty = false;
      this.paint();
    });
  }

  /** Reads the colours anew, and paints at once: no frame is painted between a command to print and the print. */
  recolour() {
    this.palette = palette();
    this.#resized();
    this.paint();
  }

  /** Returns where a node is. @param {number} node */
  x(node) {
    return GUTTER + this.lane * (node + 0.5) - this.scroller.scrollLeft;
  }

  /** Returns where a time is. @param {number} t */
  y(t) {
    return HEAD + 8 + t / this.perPixel - this.scroller.scrollTop;
  }

  /** Returns the time at a height. @param {number} y */
  timeAt(y) {
    const t = (y - HEAD - 8 + this.scroller.scrollTop) * this.perPixel;
    return Math.max(0, Math.min(this.run.end, t));
  }

  /** The first and the last time in view. */
  get range() {
    return { from: this.timeAt(HEAD), to: this.timeAt(this.height) };
  }

  /** Scrolls so that a time is at a share of the height.
   * @param {number} t
   * @param {number} share */
  scrollTo(t, share = 0.4) {
    this.scroller.scrollTop = t / this.perPixel - (this.height - HEAD) * share;
    this.redraw();
  }

  /** Scrolls only if a time is not in view, with some room around it.
   * @param {number} t */
  reveal(t) {
    const y = this.y(t);
    if (y < HEAD + 40 || y > this.height - 60) this.scrollTo(t);
    this.redraw();
  }

  /** Shows all between two times.
   * @param {number} from
   * @param {number} to */
  fit(from, to) {
    this.#scale((to - from) / Math.max(100, this.height - HEAD - 24));
    this.scrollTo(from, 0.02);
  }

  /** Changes the scale around a height.
   * @param {number} factor
   * @param {number} [y] */
  zoom(factor, y = this.height * 0.4) {
    const t = this.timeAt(y);
    this.#scale(this.perPixel * factor);
    this.scroller.scrollTop = t / this.perPixel + HEAD + 8 - y;
    this.redraw();
  }

  /** @param {number} perPixel */
  #scale(perPixel) {
    const least = Math.max(1, this.run.end / HEIGHT_MAX);
    const most = Math.max(least, this.run.end / Math.max(100, this.height - HEAD - FOOT));
    this.perPixel = Math.max(least, Math.min(most, perPixel));
    this.#measure();
  }

  /** Returns what is nearest to a place, if it is near enough. Points are preferred to lines.
   * @param {number} x
   * @param {number} y
   * @returns {Target | null} */
  hit(x, y) {
    let nearest = null;
    let least = NEAR;
    for (const target of this.targets) {
      const far = distance(target, x, y) + (target.arrow ? 1 : 0);
      if (far < least) {
        least = far;
        nearest = target;
      }
    }
    return nearest;
  }
}

/** Returns the distance of a place from a line.
 * @param {Target} line
 * @param {number} x
 * @param {number} y */
function distance({ x0, y0, x1, y1 }, x, y) {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : Math.max(0, Math.min(1, ((x - x0) * dx + (y - y0) * dy) / length));
  return Math.hypot(x - x0 - along * dx, y - y0 - along * dy);
}

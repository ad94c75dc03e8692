/**
 * `<curve-plot>`: how a network bends a line through points, and a hand to change the points.
 *
 *   <curve-plot id="output" hx-morph-skip-children show="test,residuals" form="experiment" paint>
 *
 *   show   comma list of what is shown besides the training points and the network: test, residuals
 *   form   id of the form that edits are written into (lib/plane-points.js says how)
 *   paint  present: points may be edited (gestures and keys: lib/plane-painting.js); a finger then paints and does not scroll
 *
 * The page gives `points` (a PointSet with one column) and frames to `show(frame)`. Units and least squares are drawn when a
 * frame has them. Events: `edited` { points: how many } after each edit that was written into the form.
 *
 * Curves, which change with each frame, points, which seldom do, and what is pointed at have a canvas each. The plot reaches
 * as far as the points, with the margin that the server gives them, so that it stands still while the network moves. Each
 * painted frame leaves a performance mark "painted" with { step }.
 */

import { make, write } from "../lib/dom.js";
import { fixed, integer, significant } from "../lib/format.js";
import { ticks } from "../lib/marks.js";
import { Pace } from "../lib/pace.js";
import { Redraw, surface } from "../lib/painting.js";
import { colour, onPaletteChange } from "../lib/palette.js";
import { Painting } from "../lib/plane-painting.js";

/** @typedef {import("../lib/plane-points.js").Point} Point */
/** @typedef {import("../lib/plane-painting.js").Place} Place */
/** @typedef {{ x: [number, number], output: (number | null)[] }} Line equal steps over x */

const RADIUS = 3.4;
const DESCRIBE_EVERY = 4000, SAY_EVERY = 400; // ms
const NEAR = 8; // pixels, for a point to be read off
const MARGIN = { left: 44, right: 14, top: 14, bottom: 28 }; // CSS pixels at the usual size of type
const DASH = [7, 5];

/** What may be in the picture: name, class of the key, and the sign that stands for it. */
const KEY = /** @type {const} */ ({
  output: ["the network", "series-2", "M0 5h24"],
  train: ["training", "filled", "M12 2a3 3 0 1 0 .01 0z"],
  test: ["test", "", "M12 .5L16.5 5 12 9.5 7.5 5z"],
  units: ["units", "train", "M0 5h24"],
  residuals: ["what it misses", "", "M12 0v10"],
  best: ["least squares", "series-3", "M0 5h6m4 0h5m4 0h5"],
});

class CurvePlot extends HTMLElement {
  static observedAttributes = ["show", "paint"];
  canvas = make("canvas", { role: "application", tabindex: 0, "data-keys": "own" });
  #curves = make("canvas", { "aria-hidden": "true" });
  #marks = make("canvas", { "aria-hidden": "true" });
  #reading = make("p", { class: "reading", hidden: true, "aria-hidden": "true" });
  #said = make("p", { class: "visually-hidden", role: "status" });
  #key = new Map(Object.entries(KEY).map(([part, [text, look, path]]) => [part, keyEntry(text, look, path)]));
  /** @type {PlaneFrame | null} */ #frame = null;
  /** @type {import("../lib/plane-points.js").PointSet | null} */ #set = null;
  #stale = { curves: true, marks: true };
  /** @type {Place | null} */ #place = null;
  #words = "";
  #describe = new Pace(DESCRIBE_EVERY, () => this.canvas.setAttribute("aria-label", this.#sentence()));
  #speak = new Pace(SAY_EVERY, () => write(this.#said, this.#words));
  /** @type {Painting | null} */ #painting = null;
  /** @type {Redraw | null} */ #redraw = null;
  /** @type {(() => void) | null} */ #stop = null;
  #resize = new ResizeObserver(() => this.#refresh());
  #changed = () => {
    this.#describe.hurry();
    this.#describe.wish();
    this.#refresh();
  };

  connectedCallback() {
    this.replaceChildren(
      make("div", { class: "plot" }, this.#curves, this.#marks, this.canvas, this.#reading),
      make("p", { class: "key" }, ...this.#key.values()), this.#said);
    this.#redraw = new Redraw(this, () => this.#draw());
    this.#stop = onPaletteChange(() => this.#refresh());
    this.#painting = new Painting(this.canvas, {
      set: () => this.#set,
      on: () => this.hasAttribute("paint"),
      domain: () => this.#domain,
      place: event => this.#under(event),
      pixels: place => this.#pixels(place),
      where: point => this.#visible(point) ? where(point) : null,
      make: ([x, y]) => ({ place: [x], label: y, test: false }),
      moved: (point, [x, y]) => ({ ...point, place: [x], label: y }),
      name,
      look: (place, by) => this.#look(place, by),
      say: words => this.#say(words),
      edited: () => this.#submit(),
    });
    this.#resize.observe(this.canvas);
    this.#describe.wish();
    this.#refresh();
  }

  disconnectedCallback() {
    this.#painting?.stop();
    this.#resize.disconnect();
    this.#redraw?.stop();
    this.#stop?.();
  }

  attributeChangedCallback() { this.#refresh(); }

  get points() { return this.#set; }
  set points(set) {
    this.#set?.removeEventListener("change", this.#changed);
    this.#set = set;
    set?.addEventListener("change", this.#changed);
    this.#changed();
  }

  /** @param {PlaneFrame} frame */
  show(frame) {
    if (!frame.curve) return;
    this.#frame = frame;
    this.#stale.curves = true;
    this.#describe.wish();
    this.#redraw?.request();
  }

  /** Everything is to be drawn again. */
  #refresh() {
    this.#stale = { curves: true, marks: true };
    this.#painting?.refresh();
    this.#redraw?.request();
  }

  // ---- Places ------------------------------------------------------------------------------------------------------------

  /** @param {string} what */
  #shows(what) { return (this.getAttribute("show") ?? "test").split(",").includes(what); }

  /** @param {Point} point */
  #visible(point) { return !point.test || this.#shows("test"); }

  /** @returns {[Place, Place]} */
  get #domain() { return this.#set?.domain ?? [[-5, 5], [-1, 1]]; }

  /** Ends of the axes on the canvas, in CSS pixels. */
  get #frameBox() {
    const { clientWidth, clientHeight } = this.canvas, rem = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
    return { left: MARGIN.left * rem, right: clientWidth - MARGIN.right * rem, top: MARGIN.top * rem, bottom: clientHeight - MARGIN.bottom * rem };
  }

  /** @param {{ clientX: number, clientY: number }} event @returns {Place} */
  #under({ clientX, clientY }) {
    const place = this.canvas.getBoundingClientRect(), { left, right, top, bottom } = this.#frameBox, [[x0, x1], [y0, y1]] = this.#domain;
    return [x0 + (clientX - place.left - left) / (right - left) * (x1 - x0), y1 - (clientY - place.top - top) / (bottom - top) * (y1 - y0)];
  }

  /** @param {Place} place */
  #pixels(place) { return scaler(this.#frameBox, this.#domain)(...place); }

  // ---- Words -------------------------------------------------------------------------------------------------------------

  #sentence() {
    const curve = this.#frame?.curve, points = this.#set?.points ?? [], tests = points.filter(point => point.test).length;
    const [[x0, x1]] = this.#domain, said = [x0, (x0 + x1) / 2, x1].map(x => `${significant(curve && at(curve, x))} at ${significant(x)}`).join(", ");
    const missed = curve ? points.filter(point => !point.test).map(point => Math.abs(point.label - (at(curve, point.place[0]) ?? NaN))) : [];
    const far = missed.length ? ` It misses the training points by ${significant(missed.reduce((sum, v) => sum + v) / missed.length)} on average.` : "";
    const keys = this.hasAttribute("paint") ? " Enter adds a point, Delete erases the nearest, M takes it along." : "";
    return `${integer(points.length)} points, ${integer(tests)} of them for testing, and the network’s curve: ${curve ? said : "not known yet"}.${far} Arrow keys move a cursor that reads it.${keys}`;
  }

  /** What the network says at a place. @param {Place} place */
  #answer([x]) {
    const curve = this.#frame?.curve;
    return curve ? `${fixed(x, 2)} · network ${significant(at(curve, x))}` : fixed(x, 2);
  }

  /** @param {Place} place @returns {string} the point under the pointer, if there is one */
  #point(place) {
    const [x, y] = this.#pixels(place), near = this.#set?.points.find(point => {
      const [u, v] = this.#pixels(where(point));
      return this.#visible(point) && Math.hypot(u - x, v - y) < NEAR;
    });
    if (!near) return "";
    const answer = this.#frame?.curve ? at(this.#frame.curve, near.place[0]) : null;
    return `${near.test ? "Test" : "Training"} point ${name(near)}${answer == null ? "" : `, missed by ${significant(Math.abs(near.label - answer))}`}`;
  }

  /** @param {Place | null} place @param {"pointer" | "keys"} by */
  #look(place, by) {
    this.#place = place;
    if (place && by === "keys" && !this.#painting?.grabbed) this.#say([this.#answer(place), this.#point(place)].filter(Boolean).join(". "));
    this.#redraw?.request();
  }

  /** @param {string} words */
  #say(words) {
    this.#words = words;
    this.#speak.wish();
  }

  #submit() {
    const form = document.getElementById(this.getAttribute("form") ?? "");
    if (!this.#set) return;
    if (!this.#set.points.length) this.#say("There are no points: the network goes on with the former ones until you add some.");
    else if (form instanceof HTMLFormElement) this.#set.submit(form);
    this.dispatchEvent(new CustomEvent("edited", { bubbles: true, detail: { points: this.#set.points.length } }));
  }

  // ---- Pictures ----------------------------------------------------------------------------------------------------------

  #draw() {
    const fresh = this.#stale.curves;
    if (this.#stale.curves) this.#drawCurves();
    if (this.#stale.marks) this.#drawMarks();
    this.#drawOverlay();
    this.#stale = { curves: false, marks: false };
    if (!fresh || !this.#frame) return;
    performance.clearMarks("painted");
    performance.mark("painted", { detail: { step: this.#frame.step } });
  }

  #drawCurves() {
    const { context } = surface(this.#curves), box = this.#frameBox, curve = this.#frame?.curve, points = this.#set?.points ?? [];
    const best = curve?.least_squares, residuals = curve && this.#shows("residuals");
    this.#drawAxes(context, box);
    for (const [part, shown] of /** @type {const} */ ([
      ["output", curve], ["train", points.some(point => !point.test)], ["test", this.#shows("test") && points.some(point => point.test)],
      ["units", curve?.units], ["residuals", residuals], ["best", best],
    ])) /** @type {HTMLElement} */ (this.#key.get(part)).hidden = !shown;
    if (!curve) return;
    const pixels = scaler(box, this.#domain);
    context.beginPath();
    context.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
    context.clip();
    context.strokeStyle = colour("train", 0.7);
    for (const unit of curve.units?.curves ?? []) trace(context, pixels, { x: curve.x, output: unit });
    if (residuals) {
      context.strokeStyle = colour("ink-3");
      context.beginPath();
      for (const point of points) {
        const answer = at(curve, point.place[0]);
        if (answer === null || !this.#visible(point)) continue;
        context.moveTo(...pixels(...where(point)));
        context.lineTo(...pixels(point.place[0], answer));
      }
      context.stroke();
    }
    context.strokeStyle = colour("series-2");
    context.lineWidth = 2.25;
    trace(context, pixels, curve);
    if (best) { // dashed and on top: in the end both lie on each other
      write(this.#key.get("best")?.lastElementChild, `least squares, loss ${significant(best.loss)}`);
      context.strokeStyle = colour("series-3");
      context.lineWidth = 2;
      context.setLineDash(DASH);
      trace(context, pixels, { x: curve.x, output: best.output });
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {{ left: number, right: number, top: number, bottom: number }} box */
  #drawAxes(context, box) {
    const [[x0, x1], [y0, y1]] = this.#domain, pixels = scaler(box, this.#domain), size = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
    context.font = `${11 * size}px ${getComputedStyle(this).fontFamily}`;
    context.fillStyle = colour("ink-3");
    context.textBaseline = "top";
    context.textAlign = "center";
    const rule = colour("rule"), edge = colour("edge");
    for (const tick of ticks(x0, x1, (box.right - box.left) / 50)) {
      const x = crisp(pixels(tick, 0)[0]);
      line(context, tick === 0 ? edge : rule, x, box.top, x, box.bottom);
      context.fillText(axisNumber(tick), x, box.bottom + 6 * size);
    }
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const tick of ticks(y0, y1, (box.bottom - box.top) / 50)) {
      const y = crisp(pixels(0, tick)[1]);
      line(context, tick === 0 ? edge : rule, box.left, y, box.right, y);
      context.fillText(axisNumber(tick), box.left - 6 * size, y);
    }
    const set = this.#set;
    context.font = `600 ${context.font}`;
    context.textBaseline = "bottom";
    context.fillText(set?.columns[0] ?? "x", box.right, box.bottom - 4 * size);
    context.textAlign = "left";
    context.textBaseline = "top";
    context.fillText(set?.target ?? "y", box.left + 5 * size, box.top + 2 * size);
  }

  #drawMarks() {
    const { context } = surface(this.#marks), pixels = scaler(this.#frameBox, this.#domain);
    for (const test of [false, true]) {
      context.fillStyle = colour(test ? "paper" : "ink");
      context.strokeStyle = colour(test ? "ink" : "paper");
      context.lineWidth = test ? 1.5 : 1;
      context.beginPath();
      for (const point of this.#set?.points ?? []) if (point.test === test && this.#visible(point)) (test ? diamond : circle)(context, ...pixels(...where(point)), RADIUS);
      context.fill();
      context.stroke();
    }
  }

  #drawOverlay() {
    const { context } = surface(this.canvas), place = this.#place, curve = this.#frame?.curve, box = this.#frameBox, cursor = this.#painting?.cursor;
    if (cursor) {
      context.strokeStyle = colour("focus");
      context.lineWidth = 2;
      context.beginPath();
      circle(context, ...this.#pixels(cursor), this.#painting?.grabbed ? 7 : 9);
      context.stroke();
    }
    const [[x0, x1]] = this.#domain, inside = place && place[0] >= x0 && place[0] <= x1;
    this.#reading.hidden = !inside;
    if (!inside) return;
    const [x, y] = this.#pixels(place), answer = curve ? at(curve, place[0]) : null;
    line(context, colour("edge"), crisp(x), box.top, crisp(x), box.bottom);
    if (answer !== null) {
      context.fillStyle = colour("series-2");
      context.beginPath();
      circle(context, ...this.#pixels([place[0], answer]), 4);
      context.fill();
    }
    write(this.#reading, [this.#answer(place), this.#point(place)].filter(Boolean).join("\n"));
    this.#reading.style.setProperty("--x", `${x}px`);
    this.#reading.style.setProperty("--y", `${y}px`);
    this.#reading.toggleAttribute("data-left", x > this.canvas.clientWidth / 2);
    this.#reading.toggleAttribute("data-above", y > this.canvas.clientHeight / 2);
  }
}

/** @param {Point} point @returns {Place} */
const where = point => [point.place[0], point.label];

/** @param {Point} point */
const name = point => `at ${fixed(point.place[0], 2)}, ${significant(point.label)}`;

/** What a line is at x, between its samples; null beside them. @param {Line} line @param {number} x @returns {number | null} */
function at({ x: [low, high], output }, x) {
  const place = (x - low) / (high - low) * (output.length - 1), left = Math.min(output.length - 2, Math.floor(place));
  const a = output[left], b = output[left + 1];
  return place < 0 || place > output.length - 1 || a == null || b == null ? null : a + (place - left) * (b - a);
}

/** @param {{ left: number, right: number, top: number, bottom: number }} box @param {[Place, Place]} domain @returns {(x: number, y: number) => [number, number]} */
const scaler = ({ left, right, top, bottom }, [[x0, x1], [y0, y1]]) => (x, y) => [left + (x - x0) / (x1 - x0) * (right - left), bottom - (y - y0) / (y1 - y0) * (bottom - top)];

/** @param {CanvasRenderingContext2D} context @param {(x: number, y: number) => [number, number]} pixels @param {Line} line gaps where it is no number */
function trace(context, pixels, { x: [low, high], output }) {
  let pen = false;
  context.beginPath();
  output.forEach((value, i) => {
    if (value !== null) context[pen ? "lineTo" : "moveTo"](...pixels(low + i / (output.length - 1) * (high - low), value));
    pen = value !== null;
  });
  context.stroke();
}

/** @param {CanvasRenderingContext2D} context @param {string} stroke @param {number} x0 @param {number} y0 @param {number} x1 @param {number} y1 */
function line(context, stroke, x0, y0, x1, y1) {
  context.strokeStyle = stroke;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

/** @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} radius */
function circle(context, x, y, radius) {
  context.moveTo(x + radius, y);
  context.arc(x, y, radius, 0, 2 * Math.PI);
}

/** @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} radius of a circle as large */
function diamond(context, x, y, radius) {
  const r = radius + 1;
  context.moveTo(x, y - r);
  context.lineTo(x + r, y);
  context.lineTo(x, y + r);
  context.lineTo(x - r, y);
  context.closePath();
}

/** A place that a line of one pixel fills. @param {number} place */
const crisp = place => Math.round(place) + 0.5;

/** @param {number} tick */
const axisNumber = tick => String(tick).replace("-", "−");

/** @param {string} text @param {string} look @param {string} path */
function keyEntry(text, look, path) {
  const entry = make("span", { class: look, hidden: true }), svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), sign = document.createElementNS(svg.namespaceURI, "path");
  svg.setAttribute("viewBox", "0 0 24 10");
  svg.setAttribute("aria-hidden", "true");
  sign.setAttribute("d", path);
  svg.append(sign);
  entry.append(svg, make("span", {}, text));
  return entry;
}

customElements.define("curve-plot", CurvePlot);
export { CurvePlot };

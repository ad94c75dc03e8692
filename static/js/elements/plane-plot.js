/**
 * `<plane-plot>`: what a network answers over the plane, with the points that it learns from, and a hand to change them.
 *
 *   <plane-plot id="output" hx-morph-skip-children regions="soft" show="test,mistakes" columns="0,1" form="experiment" paint>
 *
 *   regions   soft: by confidence · hard: the most probable class, or the sign of a number · lines: contours alone
 *   show      comma list of what is shown besides the training points: test, mistakes
 *   columns   which two columns of the points are the axes
 *   form      id of the form that edits are written into (lib/plane-points.js says how)
 *   paint     present: points may be edited (tools and keys: lib/plane-painting.js)
 *
 * The page gives `points` (a PointSet, shared with `<hidden-space>`), frames to `show(frame)`, and to `light(indices)` the
 * points that are to stand out (a cell of the confusion matrix), null for all. A frame with a `neuron` shows that neuron's
 * answer instead of the network's. Events: `edited` { points: how many } after each edit that was written into the form.
 *
 * Three canvases: regions, which change with each frame; points, which seldom do; what is pointed at and is wrong. Each
 * painted frame leaves a performance mark "painted" with { step, taken }.
 */

import "./colour-scale.js";
import { boundaries, contour } from "../lib/contours.js";
import { make, write } from "../lib/dom.js";
import { fixed, integer, percent, significant } from "../lib/format.js";
import { stack } from "../lib/frames.js";
import { axisNumber, cross, halo, lettered, stamps, ticks } from "../lib/marks.js";
import { Pace } from "../lib/pace.js";
import { largest, limits, Redraw } from "../lib/painting.js";
import { colour, onPaletteChange } from "../lib/palette.js";
import { Painting } from "../lib/plane-painting.js";
import { between, classColours, classRegions, signedRegions } from "../lib/regions.js";

/** @typedef {import("../lib/plane-points.js").Point} Point */
/** @typedef {import("../lib/plane-painting.js").Place} Place */
/** @typedef {import("../lib/frames.js").Stack} Stack */

const RADIUS = 3.4;
const DESCRIBE_EVERY = 4000, SAY_EVERY = 400; // ms
const LEVELS = [0.1, 0.9]; // beside 0.5, of the first of two classes
const NEAR = 8; // pixels, for a point to be read off

class PlanePlot extends HTMLElement {
  static observedAttributes = ["regions", "show", "columns", "paint"];
  canvas = make("canvas", { role: "application", tabindex: 0, "data-keys": "own" });
  #regions = make("canvas", { "aria-hidden": "true" });
  #marks = make("canvas", { "aria-hidden": "true" });
  #reading = make("p", { class: "reading", hidden: true, "aria-hidden": "true" });
  #said = make("p", { class: "visually-hidden", role: "status" });
  #caption = make("span");
  #scale = document.createElement("colour-scale");
  #legend = make("div", { class: "row note", hidden: true }, this.#caption, this.#scale);
  #why = make("p", { class: "note", hidden: true });
  #offscreen = new OffscreenCanvas(1, 1);
  /** @type {PlaneFrame | null} */ #frame = null;
  /** @type {import("../lib/plane-points.js").PointSet | null} */ #set = null;
  /** @type {Set<Point>} */ #mistakes = new Set();
  /** @type {Set<Point> | null} */ #lit = null;
  #stale = { regions: true, marks: true };
  /** @type {Place | null} */ #place = null;
  #words = "";
  #describe = new Pace(DESCRIBE_EVERY, () => this.canvas.setAttribute("aria-label", this.#sentence()));
  #speak = new Pace(SAY_EVERY, () => write(this.#said, this.#words));
  /** @type {Painting | null} */ #painting = null;
  /** @type {Redraw | null} */ #redraw = null;
  /** @type {(() => void) | null} */ #stop = null;
  #resize = new ResizeObserver(() => this.#refresh());
  #changed = () => {
    this.#judge();
    if (!this.#set?.points.some(point => this.#lit?.has(point))) this.#lit = null;
    this.#describe.hurry();
    this.#refresh();
  };

  connectedCallback() {
    this.replaceChildren(make("div", { class: "plot square" }, this.#regions, this.#marks, this.canvas, this.#reading), this.#legend, this.#why, this.#said);
    this.#redraw = new Redraw(this, () => this.#draw());
    this.#stop = onPaletteChange(() => this.#refresh());
    this.#painting = new Painting(this.canvas, {
      set: () => this.#set,
      on: () => this.#paintable,
      domain: () => this.#domain,
      place: event => this.#under(event),
      pixels: place => this.#pixels(place),
      where: point => point.test && !this.#shows("test") ? null : this.#where(point),
      make: (place, label) => ({ place, label, test: false }),
      moved: (point, place) => ({ ...point, place }),
      name: point => this.#name(point),
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
    if (set === this.#set) return;
    this.#set?.removeEventListener("change", this.#changed);
    this.#set = set;
    set?.addEventListener("change", this.#changed);
    this.#changed();
  }

  /** @param {PlaneFrame} frame */
  show(frame) {
    if ((frame.neuron === null) !== (this.#frame?.neuron == null) || String(frame.domain) !== String(this.#frame?.domain)) this.#stale.marks = true;
    this.#frame = frame;
    this.#judge();
    this.#stale.regions = true;
    this.#describe.wish();
    this.#redraw?.request();
  }

  /** Which of the points that are still there were taken for another class. */
  #judge() {
    const set = this.#set, wrong = set?.at(this.#frame?.mistakes ?? []) ?? new Set();
    this.#mistakes = set && set.points !== set.served ? new Set(set.points.filter(point => wrong.has(point))) : wrong;
  }

  /** Lets some points stand out, as places in the served list; null: none in particular. @param {Iterable<number> | null} indices */
  light(indices) {
    this.#lit = indices && this.#set ? this.#set.at(indices) : null;
    this.#refresh();
  }

  /** In slow motion the points of the batch stand out until the update. @param {string | null} stage @param {NarratedUpdate} told */
  narrate(stage, told) {
    this.light(stage && stage !== "update" ? told.batch.places : null);
  }

  /** Everything is to be drawn again. */
  #refresh() {
    this.#stale = { regions: true, marks: true };
    this.#painting?.refresh();
    const columns = this.#set?.columns.length ?? 2, paint = this.hasAttribute("paint");
    this.#why.hidden = !paint || columns === 2;
    if (columns !== 2) write(this.#why, `Painting is off: each of these points has ${columns} numbers, and a click gives two.`);
    this.#redraw?.request();
  }

  // ---- Places ------------------------------------------------------------------------------------------------------------

  /** Whether it is a number that is shown at each place, and not classes. */
  get #signed() { return this.#frame?.neuron != null || !this.#classes.length; }

  /** @param {string} what */
  #shows(what) { return (this.getAttribute("show") ?? "test,mistakes").split(",").includes(what); }

  get #paintable() { return this.hasAttribute("paint") && (this.#set === null || this.#set.columns.length === 2); }

  get #columns() { return (this.getAttribute("columns") ?? "0,1").split(",").map(Number); }

  /** @returns {[Place, Place]} */
  get #domain() { return this.#frame?.domain ?? this.#set?.domain ?? [[-6, 6], [-6, 6]]; }

  /** @param {{ clientX: number, clientY: number }} event @returns {Place} */
  #under({ clientX, clientY }) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect(), [[x0, x1], [y0, y1]] = this.#domain;
    return [x0 + (clientX - left) / width * (x1 - x0), y1 - (clientY - top) / height * (y1 - y0)];
  }

  /** @param {Place} place @returns {[number, number]} */
  #pixels([x, y]) {
    const { clientWidth, clientHeight } = this.canvas, [[x0, x1], [y0, y1]] = this.#domain;
    return [(x - x0) / (x1 - x0) * clientWidth, (y1 - y) / (y1 - y0) * clientHeight];
  }

  /** @param {Point} point @returns {Place} */
  #where(point) {
    const [a, b] = this.#columns;
    return [point.place[a], point.place[b]];
  }

  // ---- Words -------------------------------------------------------------------------------------------------------------

  get #classes() { return this.#set?.classes ?? ["A", "B"]; }

  /** "A", or the number. @param {Point} point */
  #label({ label }) { return this.#classes.length ? this.#classes[label] : significant(label); }

  /** "A at 1.2, −3.4". @param {Point} point */
  #name(point) { return `${this.#label(point)} at ${this.#where(point).map(v => fixed(v, 1)).join(", ")}`; }

  #sentence() {
    const frame = this.#frame, set = this.#set, names = this.#classes, count = set?.points.length ?? 0, tests = set?.points.filter(point => point.test).length ?? 0;
    const what = frame?.neuron ? `What ${neuronName(frame)} answers over the plane` : names.length ? "Decision regions over the plane" : "The learned number over the plane";
    const points = `${integer(count)} points${names.length ? ` of ${names.length} classes` : ""}, ${integer(tests)} of them for testing`;
    const wrong = frame?.mistakes && names.length ? ` ${this.#mistakes.size === 1 ? "One is" : `${integer(this.#mistakes.size)} are`} on the wrong side.` : "";
    const keys = this.#paintable ? " Enter adds a point, Delete erases the nearest, M takes it along, 1 to 6 choose the class." : "";
    return `${what}, with ${points}.${wrong} Arrow keys move a cursor that reads the answer.${keys}`;
  }

  /** What stands at a place, line by line: where it is, the network's answer, the point if there is one. @param {Place} place @returns {string[]} */
  #lines(place) {
    const point = this.#near(place);
    return [place.map(v => fixed(v, 2)).join(", "), ...this.#answer(place), ...point ? [point] : []];
  }

  /** @param {Place} place @returns {string[]} */
  #answer([x, y]) {
    const frame = this.#frame, names = this.#classes, pack = frame?.neuron?.map ?? frame?.outputs;
    if (!frame || !pack) return [];
    const { maps, width, height } = stack(pack), [[x0, x1], [y0, y1]] = frame.domain;
    const values = maps.map(map => between(map, width, height, (x - x0) / (x1 - x0) * width - 0.5, (y1 - y) / (y1 - y0) * height - 0.5));
    if (frame.neuron || !names.length) return [significant(values[0])];
    return (values.length === 1 ? [values[0], 1 - values[0]] : values).map((share, k) => `${names[k]} ${percent(share, 0)}`);
  }

  /** @param {Place} place @returns {string} the point under the pointer in words, if there is one */
  #near(place) {
    const [x, y] = this.#pixels(place);
    const near = this.#set?.points.find(point => {
      const [u, v] = this.#pixels(this.#where(point));
      return (!point.test || this.#shows("test")) && Math.hypot(u - x, v - y) < NEAR;
    });
    return near ? `${near.test ? "Test" : "Training"} point ${this.#label(near)}${this.#mistakes.has(near) ? ", on the wrong side" : ""}` : "";
  }

  /** @param {Place | null} place @param {"pointer" | "keys"} by */
  #look(place, by) {
    this.#place = place;
    if (place && by === "keys" && !this.#painting?.grabbed) this.#say(this.#lines(place).join("; "));
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
    if (!this.#set.points.length) this.#say("There are no points: the network goes on with the former ones until you paint some.");
    else if (form instanceof HTMLFormElement) this.#set.submit(form);
    this.dispatchEvent(new CustomEvent("edited", { bubbles: true, detail: { points: this.#set.points.length } }));
  }

  // ---- Pictures ----------------------------------------------------------------------------------------------------------

  #draw() {
    if (this.#stale.regions) this.#drawRegions();
    if (this.#stale.marks) this.#drawMarks();
    this.#drawOverlay();
    if (this.#stale.regions && this.#frame) {
      performance.clearMarks("painted");
      performance.mark("painted", { detail: { step: this.#frame.step, taken: this.#frame.taken } });
    }
    this.#stale = { regions: false, marks: false };
  }

  #drawRegions() {
    const { context, width, height } = lettered(this.#regions), frame = this.#frame, pack = frame?.neuron?.map ?? frame?.outputs;
    context.fillStyle = colour("map-zero");
    context.fillRect(0, 0, width, height);
    const signed = this.#signed, look = this.getAttribute("regions") ?? "soft";
    this.#legend.hidden = !signed || !pack;
    if (!frame || !pack) return;
    const grid = stack(pack), limit = signed ? this.#limit(frame, grid) : 1;
    if (signed) {
      write(this.#caption, frame.neuron ? `What ${neuronName(frame)} answers` : "");
      this.#scale.setAttribute("ends", significant(limit));
    }
    if (look !== "lines") {
      const style = look === "hard" ? "hard" : "soft";
      this.#enlarge(context, signed ? signedRegions(grid, limit, style) : classRegions(grid, style), width, height);
    }
    if (!signed) this.#drawBoundary(context, grid, width, height, look === "lines");
    else if (look === "lines") this.#drawLevels(context, grid, limit, width, height);
  }

  /** The end of the colour scale: of the numbers to be learned, so that points and regions share it; a neuron has its own. @param {PlaneFrame} frame @param {Stack} grid */
  #limit(frame, grid) {
    if (frame.neuron) return limits.follow(`plane ${frame.neuron.layer} ${frame.neuron.unit}`, grid.largest);
    return this.#largestLabel() || grid.largest;
  }

  #largestLabel() { return largest(Float32Array.from(this.#set?.points ?? [], point => point.label)); }

  /** @param {CanvasRenderingContext2D} context @param {ImageData} image @param {number} width @param {number} height */
  #enlarge(context, image, width, height) {
    if (this.#offscreen.width !== image.width || this.#offscreen.height !== image.height) this.#offscreen = new OffscreenCanvas(image.width, image.height);
    this.#offscreen.getContext("2d")?.putImageData(image, 0, 0);
    context.imageSmoothingEnabled = true;
    context.drawImage(this.#offscreen, 0, 0, width, height);
  }

  /** @param {CanvasRenderingContext2D} context @param {Stack} grid @param {number} width @param {number} height @param {boolean} levels whether less and more certain lines, too */
  #drawBoundary(context, grid, width, height, levels) {
    const two = grid.maps.length === 1, trace = tracer(context, grid, width, height), label = labeller(context, grid, width, height);
    if (levels && two) {
      const [a, b] = classColours(2);
      for (const level of LEVELS) {
        const lines = contour(grid.maps[0], grid.width, grid.height, level), text = level > 0.5 ? a : b;
        trace(lines, `rgb(${text.join(" ")})`, 1);
        label(lines, `${this.#classes[0]} ${percent(level, 0)}`);
      }
    }
    trace(two ? contour(grid.maps[0], grid.width, grid.height, 0.5) : boundaries(grid.maps, grid.width, grid.height), colour("ink", levels ? 1 : 0.55), levels ? 1.75 : 1.25);
  }

  /** @param {CanvasRenderingContext2D} context @param {Stack} grid @param {number} limit @param {number} width @param {number} height */
  #drawLevels(context, grid, limit, width, height) {
    const trace = tracer(context, grid, width, height), label = labeller(context, grid, width, height);
    for (const level of ticks(-limit, limit, 8)) {
      const lines = contour(grid.maps[0], grid.width, grid.height, level);
      trace(lines, level === 0 ? colour("ink") : colour(level < 0 ? "negative" : "positive"), level === 0 ? 1.75 : 1);
      label(lines, axisNumber(level));
    }
  }

  #drawMarks() {
    const { context, width, height } = lettered(this.#marks), set = this.#set;
    this.#drawAxes(context, width, height);
    if (!set) return;
    const stamp = stamps(RADIUS, set.classes.length > 0, this.#largestLabel(), this.#signed), lit = this.#lit, tests = this.#shows("test");
    context.resetTransform();
    for (const point of set.points) {
      if (point.test && !tests) continue;
      const [x, y] = this.#pixels(this.#where(point));
      context.globalAlpha = !lit || lit.has(point) ? 1 : 0.2;
      stamp(context, point, x, y);
    }
    context.globalAlpha = 1;
  }

  /** Small ticks at the lower and the left edge, and the columns' names. @param {CanvasRenderingContext2D} context @param {number} width @param {number} height */
  #drawAxes(context, width, height) {
    const [[x0, x1], [y0, y1]] = this.#domain, [a, b] = this.#columns, names = this.#set?.columns ?? ["x", "y"];
    context.strokeStyle = colour("edge");
    context.beginPath();
    context.textBaseline = "bottom";
    context.textAlign = "center";
    for (const tick of ticks(x0, x1, width / 70)) {
      const x = (tick - x0) / (x1 - x0) * width;
      if (x < 16 || x > width - 24) continue;
      context.moveTo(x, height);
      context.lineTo(x, height - 4);
      halo(context, axisNumber(tick), x, height - 5);
    }
    context.textBaseline = "middle";
    context.textAlign = "left";
    for (const tick of ticks(y0, y1, height / 70)) {
      const y = (y1 - tick) / (y1 - y0) * height;
      if (y < 24 || y > height - 24) continue;
      context.moveTo(0, y);
      context.lineTo(4, y);
      halo(context, axisNumber(tick), 7, y);
    }
    context.stroke();
    context.textBaseline = "top";
    halo(context, names[b] ?? "", 5, 5);
    context.textAlign = "right";
    context.textBaseline = "bottom";
    halo(context, names[a] ?? "", width - 5, height - 5);
    context.strokeStyle = colour("rule");
    context.strokeRect(0.5, 0.5, width - 1, height - 1);
  }

  #drawOverlay() {
    const { context } = lettered(this.canvas);
    if (this.#shows("mistakes") && this.#mistakes.size) {
      context.strokeStyle = colour("ink");
      context.lineWidth = 1.5;
      context.beginPath();
      for (const point of this.#mistakes) {
        if (point.test && !this.#shows("test") || this.#lit && !this.#lit.has(point)) continue;
        const [x, y] = this.#pixels(this.#where(point));
        cross(context, x, y);
      }
      context.stroke();
    }
    if (this.#lit) {
      context.strokeStyle = colour("ink", 0.6);
      context.lineWidth = 1;
      context.beginPath();
      for (const point of this.#lit) this.#circle(context, this.#where(point), 6);
      context.stroke();
    }
    const cursor = this.#painting?.cursor;
    if (cursor) {
      context.strokeStyle = colour("focus");
      context.lineWidth = 2;
      context.beginPath();
      this.#circle(context, cursor, this.#painting?.grabbed ? 7 : 9);
      context.stroke();
    }
    this.#read();
  }

  /** @param {CanvasRenderingContext2D} context @param {Place} place @param {number} radius */
  #circle(context, place, radius) {
    const [x, y] = this.#pixels(place);
    context.moveTo(x + radius, y);
    context.arc(x, y, radius, 0, 2 * Math.PI);
  }

  /** The words beside the pointer; they follow the network while the pointer stands still. */
  #read() {
    const place = this.#place;
    this.#reading.hidden = !place;
    if (!place) return;
    const [x, y] = this.#pixels(place), { clientWidth, clientHeight } = this.canvas;
    write(this.#reading, this.#lines(place).join("\n"));
    this.#reading.style.setProperty("--x", `${x}px`);
    this.#reading.style.setProperty("--y", `${y}px`);
    this.#reading.toggleAttribute("data-left", x > clientWidth / 2);
    this.#reading.toggleAttribute("data-above", y > clientHeight / 2);
  }
}

/** Draws flat lists of lines in a grid's cells. @param {CanvasRenderingContext2D} context @param {Stack} grid @param {number} width @param {number} height */
function tracer(context, grid, width, height) {
  const sx = width / grid.width, sy = height / grid.height;
  /** @param {number[]} lines @param {string} stroke @param {number} thickness */
  return (lines, stroke, thickness) => {
    context.strokeStyle = stroke;
    context.lineWidth = thickness;
    context.beginPath();
    for (let i = 0; i < lines.length; i += 4) {
      context.moveTo((lines[i] + 0.5) * sx, (lines[i + 1] + 0.5) * sy);
      context.lineTo((lines[i + 2] + 0.5) * sx, (lines[i + 3] + 0.5) * sy);
    }
    context.stroke();
  };
}

/**
 * Writes a contour's value on it, where it passes nearest to a fixed place, so that the words stand still; not where other
 * words stand already.
 * @param {CanvasRenderingContext2D} context @param {Stack} grid @param {number} width @param {number} height
 */
function labeller(context, grid, width, height) {
  /** @type {Place[]} */ const taken = [];
  /** @param {number[]} lines @param {string} text */
  return (lines, text) => {
    let found = -1, least = Infinity;
    for (let i = 0; i < lines.length; i += 4) {
      const distance = Math.hypot(lines[i] - 0.3 * grid.width, lines[i + 1] - 0.3 * grid.height);
      if (distance < least) [found, least] = [i, distance];
    }
    if (found < 0) return;
    const x = clamp((lines[found] + 0.5) / grid.width * width, 24, width - 24), y = clamp((lines[found + 1] + 0.5) / grid.height * height, 10, height - 10);
    if (taken.some(([u, v]) => Math.abs(u - x) < 36 && Math.abs(v - y) < 14)) return;
    taken.push([x, y]);
    context.textAlign = "center";
    context.textBaseline = "middle";
    halo(context, text, x, y);
  };
}

/** @param {number} value @param {number} low @param {number} high */
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** "neuron 3 of layer 1", "input 2". @param {PlaneFrame} frame */
function neuronName(frame) {
  const { layer, unit } = frame.neuron ?? { layer: -1, unit: 0 };
  if (layer < 0) return `input ${unit + 1}`;
  const layers = (frame.weights ?? frame.neurons ?? []).map(found => found.layer).filter(index => index >= 0), place = layers.indexOf(layer);
  return place < 0 ? `neuron ${unit + 1}` : place === layers.length - 1 ? `output ${unit + 1}` : `neuron ${unit + 1} of layer ${place + 1}`;
}

customElements.define("plane-plot", PlanePlot);
export { PlanePlot };

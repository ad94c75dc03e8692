/**
 * `<fit-plot>`: points, the curves fitted to them, and what the curves say where there is no point.
 *
 *   <fit-plot hx-morph-skip-children of="fit" edit></fit-plot>
 *
 *   of    name of the figure that is drawn (`Plot`)
 *   edit  present: its points may be moved, added and erased (gestures and keys: lib/plane-painting.js)
 *
 * The page sets `figures`; while a run trains, `frame(run, frame)` brings its curve between two answers. Events: `set`
 * { x, y, outliers } after an edit: the places of all points, the last `outliers` of them being outliers.
 */

import { axesIn, dot, rule, trace } from "../lib/axes.js";
import { make, write } from "../lib/dom.js";
import { fixed, significant } from "../lib/format.js";
import { halo, lettered } from "../lib/marks.js";
import { Pace } from "../lib/pace.js";
import { Redraw } from "../lib/painting.js";
import { colour, onPaletteChange } from "../lib/palette.js";
import { Painting } from "../lib/plane-painting.js";
import { PointSet } from "../lib/plane-points.js";

/** @typedef {import("../lib/plane-points.js").Point} Point a `test` point is an outlier here */
/** @typedef {[number, number]} Place */
/** @typedef {{ name: string, range: Place, ticks?: [number, string][] }} Axis */
/**
 * A curve: its values at equal steps over `x`. `run`: that of a run, whose frames bring newer ones; `straight`: two of its
 * values say all. `learns`: the run learns from so many of the points, the first ones, all of them in each batch. `wide`: drawn
 * broad and pale, for another to lie on.
 * @typedef {{ name: string, words: string, look: keyof typeof LOOKS, x: Place, values: (number | null)[], run?: string, learns?: number, straight?: boolean, wide?: boolean }} Curve
 */
/**
 * `kinds`: what each kind of point is, in words. `limits`: of what may be edited. `split`: only the side of this value counts,
 * and points stand at 0 or 1.
 * @typedef {{
 *   x: Axis, y: Axis, said: string, points: { x: number, y: number, kind: keyof typeof KINDS }[], kinds: Partial<Record<keyof typeof KINDS, string>>,
 *   curves: Curve[], marks?: { x: number, y: number, words: string, look: keyof typeof LOOKS }[],
 *   limits?: { range: Place, ordinary: Place, points: number }, split?: number,
 * }} Plot
 */

const RADIUS = 4, FINGER = 18; // CSS pixels: of a point; from a finger to a point that it takes
const FOR_MARKS = 44, NEAREST = 14; // CSS pixels at the usual size of type: room for labels; between two of them
const WORD = 24; // CSS pixels at the usual size of type, for the word under a tick
const EDIT_EVERY = 150, SAY_EVERY = 400, DESCRIBE_EVERY = 4000; // ms
const GRID = 10; // places of points in each unit
const SIDES = [-2, 2]; // where a point comes to stand whose side of the split changes

const LOOKS = {
  "series-1": { dash: /** @type {number[]} */ ([]), path: "M0 5h24" },
  "series-2": { dash: [2, 4], path: "M1 5h0M7 5h0M13 5h0M19 5h0" },
  "series-3": { dash: [7, 4], path: "M0 5h7m3 0h7m3 0h4" },
  train: { dash: [], path: "M0 5h24" },
};
const KINDS = {
  filled: "M12 2a3 3 0 1 0 .01 0z",
  open: "M12 2a3 3 0 1 0 .01 0z",
  outlier: "M12 .5L16.5 5 12 9.5 7.5 5z",
};

class FitPlot extends HTMLElement {
  canvas = make("canvas", { role: "img" });
  #reading = make("p", { class: "reading", hidden: true, "aria-hidden": "true" });
  #said = make("p", { class: "visually-hidden", role: "status" });
  #key = make("figcaption", { class: "key" });
  /** @type {Plot | null} */ #plot = null;
  /** @type {ReturnType<typeof axesIn> | null} */ #axes = null;
  /** Newer values of curves that belong to runs. @type {Map<string, { x: Place, values: (number | null)[] }>} */ #live = new Map();
  /** The stage of an update that is told slowly, and how many points its run learns from. @type {{ stage: string, of: number } | null} */ #told = null;
  #set = new PointSet();
  #sent = { text: "", at: -Infinity };
  /** @type {Place | null} */ #place = null;
  #words = "";
  #speak = new Pace(SAY_EVERY, () => write(this.#said, this.#words));
  #describe = new Pace(DESCRIBE_EVERY, () => this.canvas.setAttribute("aria-label", this.#sentence()));
  #edits = new Pace(EDIT_EVERY, () => this.#submit());
  /** @type {Painting | null} */ #painting = null;
  /** @type {Redraw | null} */ #redraw = null;
  /** @type {(() => void) | null} */ #stop = null;
  #resize = new ResizeObserver(() => this.#redraw?.request());

  connectedCallback() {
    this.replaceChildren(make("div", { class: "plot" }, this.canvas, this.#reading), this.#key, this.#said);
    this.#redraw = new Redraw(this, () => this.#draw());
    this.#stop = onPaletteChange(() => this.#redraw?.request());
    this.#resize.observe(this.canvas);
    if (this.hasAttribute("edit")) this.#equip();
    else {
      this.canvas.addEventListener("pointermove", event => this.#look(this.#under(event)));
      this.canvas.addEventListener("pointerleave", () => this.#look(null));
    }
  }

  #equip() {
    for (const [name, value] of Object.entries({ role: "application", tabindex: "0", "data-keys": "own" })) this.canvas.setAttribute(name, value);
    this.#painting = new Painting(this.canvas, this.#host());
    this.#set.addEventListener("change", () => { this.#edits.wish(); this.#redraw?.request(); });
    // A finger on a point takes it along; anywhere else it scrolls the page.
    this.canvas.addEventListener("touchstart", event => {
      const [x, y] = this.#pixels(this.#under(event.touches[0]));
      if (this.#set.points.some(point => { const [u, v] = this.#pixels(this.#where(point)); return Math.hypot(u - x, v - y) < FINGER; })) event.preventDefault();
    }, { passive: false });
  }

  disconnectedCallback() {
    this.#painting?.stop();
    this.#resize.disconnect();
    this.#redraw?.stop();
    this.#stop?.();
  }

  /** @param {Record<string, Plot>} all */
  set figures(all) {
    const plot = this.#plot = all[this.getAttribute("of") ?? ""] ?? null;
    this.#live.clear();
    if (!plot) return;
    this.#set.domain = [plot.x.range, plot.y.range];
    this.#adopt(plot);
    this.#fillKey(plot);
    this.#describe.wish();
    this.#redraw?.request();
    this.#painting?.refresh();
  }

  /** @param {string} run @param {PlaneFrame} frame */
  frame(run, { curve }) {
    if (!curve || !this.#plot?.curves.some(each => each.run === run)) return;
    this.#live.set(run, { x: curve.x, values: curve.output });
    this.#redraw?.request();
  }

  /** @param {import("../lib/narration.js").Stage | null} stage @param {NarratedUpdate} told */
  narrate(stage, { batch }) {
    this.#told = stage && stage !== "update" ? { stage, of: batch.of } : null;
    this.#redraw?.request();
  }

  // ---- Points ----------------------------------------------------------------------------------------------------------------

  /** Takes over the points of an answer, unless it is that of an edit before the last. @param {Plot} plot */
  #adopt({ points, limits }) {
    if (!limits) return;
    const served = points.map(({ x, y, kind }) => ({ place: [x], label: y, test: kind === "outlier" })), text = written(served);
    const waits = this.#sent.text !== text && performance.now() - this.#sent.at < 10 * EDIT_EVERY;
    if (this.#painting?.grabbed || waits || text === written(this.#set.points)) return;
    this.#set.points = this.#set.served = served;
  }

  #submit() {
    const limits = this.#plot?.limits, points = ordered(this.#set.points);
    const ordinary = points.filter(point => !point.test).length, text = written(points);
    if (!limits || text === this.#sent.text) return;
    if (ordinary < limits.ordinary[0] || ordinary > limits.ordinary[1] || points.length > limits.points) {
      this.#say(`There may be ${limits.ordinary[0]} to ${limits.ordinary[1]} points beside the outliers.`);
      this.#set.undo();
      return;
    }
    this.#sent = { text, at: performance.now() };
    const detail = { x: points.map(point => point.place[0]), y: points.map(point => point.label), outliers: points.length - ordinary };
    this.dispatchEvent(new CustomEvent("set", { bubbles: true, detail }));
  }

  /** Where a point is drawn. @param {Point} point @returns {Place} */
  #where({ place: [x], label }) {
    const split = this.#plot?.split;
    return [x, split === undefined ? label : Number(label > split)];
  }

  /** A point as `former`, at another place of the picture. @param {Point} former @param {Place} place @returns {Point} */
  #moved(former, [x, y]) {
    const split = this.#plot?.split, [low, high] = this.#plot?.limits?.range ?? [x, x];
    const tidy = (/** @type {number} */ value) => Math.max(low, Math.min(high, Math.round(value * GRID) / GRID));
    if (split === undefined) return { ...former, place: [tidy(x)], label: tidy(y) };
    const above = y > 0.5;
    return { ...former, place: [tidy(x)], label: above === former.label > split ? former.label : SIDES[Number(above)] };
  }

  /** @returns {import("../lib/plane-painting.js").Host} */
  #host() {
    return {
      set: () => this.#set,
      on: () => this.#plot !== null,
      domain: () => this.#set.domain,
      place: event => this.#under(event),
      pixels: place => this.#pixels(place),
      where: point => this.#where(point),
      make: place => this.#moved({ place: [0], label: SIDES[0], test: false }, place),
      moved: (point, place) => this.#moved(point, place),
      name: point => `${point.test ? "outlier" : "point"} at ${fixed(point.place[0], 1)}, ${fixed(this.#where(point)[1], 1)}`,
      look: (place, by) => this.#look(place, by),
      say: words => this.#say(words),
      edited: () => { this.#edits.hurry(); this.#edits.wish(); },
    };
  }

  // ---- Places and words --------------------------------------------------------------------------------------------------------

  /** @param {{ clientX: number, clientY: number }} event @returns {Place} */
  #under({ clientX, clientY }) {
    if (!this.#axes || !this.#plot) return [0, 0];
    const { left, top } = this.canvas.getBoundingClientRect(), { box } = this.#axes, { x, y } = this.#plot;
    const part = (clientX - left - box.left) / (box.right - box.left), up = (box.bottom - clientY + top) / (box.bottom - box.top);
    return [x.range[0] + part * (x.range[1] - x.range[0]), y.range[0] + up * (y.range[1] - y.range[0])];
  }

  /** @param {Place} place @returns {Place} */
  #pixels([x, y]) { return this.#axes ? [this.#axes.X(x), this.#axes.Y(y)] : [0, 0]; }

  /** @param {Place | null} place @param {"pointer" | "keys"} [by] */
  #look(place, by = "pointer") {
    const range = this.#plot?.x.range;
    this.#place = place && range && place[0] >= range[0] && place[0] <= range[1] ? place : null;
    if (this.#place && by === "keys" && !this.#painting?.grabbed) this.#say(this.#answers(this.#place[0]).join(", "));
    this.#redraw?.request();
  }

  /** What each curve says at x. @param {number} x */
  #answers(x) {
    const { ticks } = this.#plot?.x ?? {}, name = ticks ? "" : `${this.#plot?.x.name} `;
    return [`${name}${ticks?.find(([tick]) => tick === Math.round(x))?.[1] ?? fixed(x, 1)}`, ...(this.#plot?.curves ?? []).flatMap(curve => {
      const value = curve.wide ? null : at(this.#newest(curve), x);
      return value === null ? [] : [`${curve.words} ${significant(value)}`];
    })];
  }

  #sentence() {
    const keys = this.hasAttribute("edit") ? " Arrow keys move a cursor. Enter adds a point, Delete erases the nearest, M takes it along." : "";
    return `${this.#plot?.said ?? ""}${keys}`;
  }

  /** @param {string} words */
  #say(words) {
    this.#words = words;
    this.#speak.wish();
  }

  /** @param {Plot} plot */
  #fillKey({ curves, kinds, points }) {
    const entries = [
      ...Object.entries(kinds).filter(([kind]) => points.some(point => point.kind === kind)).map(([kind, words]) => entry(kind, KINDS[/** @type {keyof typeof KINDS} */ (kind)], words, kind)),
      ...curves.map(({ look, words, wide }) => entry(look, wide ? LOOKS.train.path : LOOKS[look].path, words, wide ? "wide" : "")),
    ];
    if (entries.map(each => each.textContent).join() !== this.#key.textContent) this.#key.replaceChildren(...entries);
  }

  // ---- Pictures ------------------------------------------------------------------------------------------------------------------

  /** A curve as its run has it by now. @param {Curve} curve */
  #newest(curve) {
    const { x, values } = (curve.run && this.#live.get(curve.run)) || curve;
    if (!curve.straight) return { x, values };
    const [a, b] = [values[0], values[values.length - 1]], [low, high] = this.#set.domain[0];
    if (a === null || b === null) return { x, values };
    const slope = (b - a) / (x[1] - x[0]);
    return { x: this.#set.domain[0], values: [a + slope * (low - x[0]), a + slope * (high - x[0])] };
  }

  #draw() {
    const plot = this.#plot;
    if (!plot) return;
    const { context, width, height } = lettered(this.canvas), rem = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
    const area = { left: 0, right: width - (plot.marks?.length ? FOR_MARKS * rem : 0), top: 0, bottom: height };
    const drawn = this.#axes = axesIn(context, area, spelled(plot.x, (area.right - 60 * rem) / (WORD * rem)), spelled(plot.y)), { box } = drawn;
    context.save();
    context.beginPath();
    context.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
    context.clip();
    for (const curve of plot.curves) {
      const { x: [low, high], values } = this.#newest(curve), places = values.map((_, i) => low + i / (values.length - 1) * (high - low));
      const shown = curve.straight ? values : values.map((value, i) => places[i] < curve.x[0] || places[i] > curve.x[1] ? null : value);
      context.globalAlpha = curve.wide ? 0.22 : 1;
      trace(drawn, places, shown, { token: curve.look, width: curve.wide ? 9 : 2.25, dash: curve.wide ? [] : LOOKS[curve.look].dash });
    }
    context.restore();
    const points = plot.limits ? this.#set.points.map(point => ({ place: this.#where(point), kind: point.test ? "outlier" : "filled" })) : plot.points.map(({ x, y, kind }) => ({ place: [x, y], kind }));
    for (const { place: [x, y], kind } of points) mark(context, kind, drawn.X(x), drawn.Y(y));
    this.#drawTold(plot);
    this.#drawMarks(plot);
    this.#drawPointed(plot);
  }

  /** Of an update that is told slowly, the batch; where its loss is told, how far each point is from the curve. @param {Plot} plot */
  #drawTold({ points, curves }) {
    const told = this.#told, curve = told && curves.find(({ learns }) => learns === told.of);
    if (!this.#axes || !told || !curve) return;
    const { context } = this.#axes, apart = told.stage === "loss" || told.stage === "backward";
    context.strokeStyle = colour("focus");
    context.lineWidth = 1.5;
    context.beginPath();
    for (const { x, y } of points.slice(0, told.of)) {
      const [across, up] = this.#pixels(this.#where({ place: [x], label: y, test: false })), answer = at(this.#newest(curve), x);
      context.moveTo(across + (apart ? 0 : RADIUS + 3), up);
      if (!apart) context.arc(across, up, RADIUS + 3, 0, 2 * Math.PI);
      else if (answer !== null) context.lineTo(...this.#pixels([x, answer]));
    }
    context.stroke();
  }

  /** What the curves say where there is no point; beside them their words, pushed apart. @param {Plot} plot */
  #drawMarks({ marks = [], y: { range: [low, high] } }) {
    if (!this.#axes) return;
    const { context, X, Y, rem } = this.#axes;
    context.textAlign = "left";
    context.textBaseline = "middle";
    let last = -Infinity;
    for (const { x, y, words, look } of [...marks].sort((a, b) => b.y - a.y)) {
      const height = Y(Math.max(low, Math.min(high, y)));
      dot(context, X(x), height, look);
      last = Math.max(height, last + NEAREST * rem);
      halo(context, words, X(x) + 10 * rem, last);
    }
  }

  /** @param {Plot} plot */
  #drawPointed(plot) {
    const cursor = this.#painting?.cursor, place = this.#place;
    this.#reading.hidden = !place;
    if (!this.#axes || !place) return;
    const { context, box } = this.#axes, [x, y] = this.#pixels(place);
    rule(context, "edge", [[x, box.top], [x, box.bottom]]);
    for (const curve of plot.curves) {
      const value = curve.wide ? null : at(this.#newest(curve), place[0]);
      if (value !== null && value >= plot.y.range[0] && value <= plot.y.range[1]) dot(context, ...this.#pixels([place[0], value]), curve.look, 4);
    }
    if (cursor) {
      context.strokeStyle = colour("focus");
      context.lineWidth = 2;
      context.beginPath();
      context.arc(...this.#pixels(cursor), this.#painting?.grabbed ? 7 : 9, 0, 2 * Math.PI);
      context.stroke();
    }
    write(this.#reading, this.#answers(place[0]).join("\n"));
    this.#reading.style.setProperty("--x", `${x}px`);
    this.#reading.style.setProperty("--y", `${y}px`);
    this.#reading.toggleAttribute("data-left", x > this.canvas.clientWidth / 2);
    this.#reading.toggleAttribute("data-above", y > this.canvas.clientHeight / 2);
  }
}

/** An axis whose ticks have words of their own, or none: every second or fourth where so many have no room. @param {Axis} axis @param {number} [most] @returns {import("../lib/axes.js").Axis} */
function spelled({ name, range, ticks }, most = Infinity) {
  if (!ticks) return { name, range };
  const every = [1, 2].find(step => ticks.length / step <= most) ?? 4;
  return { name, range, ticks: ticks.flatMap(([tick], i) => i % every ? [] : [tick]), words: tick => ticks.find(([at]) => at === tick)?.[1] ?? "" };
}

/** Outliers last. @param {Point[]} points */
const ordered = points => [...points.filter(point => !point.test), ...points.filter(point => point.test)];

/** @param {Point[]} points */
const written = points => JSON.stringify(ordered(points).map(({ place, label, test }) => [place[0], label, test]));

/** What a curve is at x, between its values; null beside them. @param {{ x: Place, values: (number | null)[] }} curve @param {number} x @returns {number | null} */
function at({ x: [low, high], values }, x) {
  const place = (x - low) / (high - low) * (values.length - 1), left = Math.min(values.length - 2, Math.floor(place));
  const a = values[left], b = values[left + 1];
  return place < 0 || place > values.length - 1 || a == null || b == null ? null : a + (place - left) * (b - a);
}

/** @param {CanvasRenderingContext2D} context @param {string} kind @param {number} x @param {number} y */
function mark(context, kind, x, y) {
  const r = kind === "outlier" ? RADIUS + 2 : RADIUS;
  context.save();
  context.beginPath();
  if (kind === "outlier") {
    context.moveTo(x, y - r);
    context.lineTo(x + r, y);
    context.lineTo(x, y + r);
    context.lineTo(x - r, y);
    context.closePath();
  } else context.arc(x, y, r, 0, 2 * Math.PI);
  context.fillStyle = colour(kind === "open" ? "paper" : kind === "outlier" ? "series-2" : "ink");
  context.strokeStyle = colour(kind === "open" ? "ink" : "paper");
  context.lineWidth = kind === "open" ? 1.5 : 1;
  context.fill();
  context.stroke();
  context.restore();
}

/** @param {string} look @param {string} path @param {string} words @param {string} kind */
function entry(look, path, words, kind) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), sign = document.createElementNS(svg.namespaceURI, "path");
  svg.setAttribute("viewBox", "0 0 24 10");
  svg.setAttribute("aria-hidden", "true");
  sign.setAttribute("d", path);
  svg.append(sign);
  return make("span", { class: `${look} ${kind}` }, svg, make("span", {}, words));
}

customElements.define("fit-plot", FitPlot);
export { FitPlot };

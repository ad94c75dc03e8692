/**
 * `<loss-landscape>`: the loss over two weights as a map or as a bowl, arrows against its gradient, and the paths of runs on it.
 *
 *   <loss-landscape hx-morph-skip-children runs="batch stochastic" data-labels='{"batch": "batch, all 40"}'></loss-landscape>
 *
 * The page gives `figures` (app/labs/gradient.py says what is in them) and `settings` (view, arrows, turn, w0, w1), and while a
 * run trains its frames with weights, so that a path grows between two answers. A click on the map, or arrow keys and Enter,
 * start elsewhere; the bowl is turned by dragging it or with the arrow keys. Both say so by the event `set`.
 *
 * In slow motion the update is drawn as it is told: where it begins, the way downhill, the step.
 *
 * Ground, which seldom changes, and paths have a canvas each.
 */

import { contour } from "../lib/contours.js";
import { make, write } from "../lib/dom.js";
import { fixed, integer, significant } from "../lib/format.js";
import { axisNumber, halo, lettered, ticks } from "../lib/marks.js";
import { Pace } from "../lib/pace.js";
import { Redraw } from "../lib/painting.js";
import { colour, onPaletteChange, palette } from "../lib/palette.js";

/** @typedef {[number, number]} Place w0 and w1 */
/** @typedef {{ w0: number[], w1: number[] }} Path a place after 0, 1, … updates */
/** @typedef {Path & { step: number }} Walked after how many updates it ends; what the stream adds may leave some out */
/**
 * @typedef {object} Figures
 * @property {{ w0: Place, w1: Place, shape: [number, number], loss: number[][], levels: number[] }} surface
 * @property {[number, number, number, number][]} arrows w0, w1 and the gradient there
 * @property {Place} minimum @property {number} lowest @property {[Place, Place]} curvature
 * @property {Record<string, Path>} paths
 */
/** @typedef {(w0: number, w1: number) => Place} Project a place of the surface -> pixels */

const MARGIN = { left: 30, right: 2, top: 20, bottom: 24 }; // CSS pixels at the usual size of type
const TILT = 0.7, TALL = 1.2; // radians from above; height of the bowl in halves of its width
const STEPS = 50, TURN = 5; // of the cursor across the map; degrees
const DESCRIBE_EVERY = 4000;
const FAR = 1e5; // pixels; a path that is farther away is not followed

/** How the first, second, third run is drawn, as in the charts. */
const LOOKS = [
  { token: "series-1", width: 2.5, dash: /** @type {number[]} */ ([]), dots: true },
  { token: "series-2", width: 1.5, dash: [2, 3], dots: false },
  { token: "series-3", width: 2, dash: [7, 3], dots: true },
];

class LossLandscape extends HTMLElement {
  canvas = make("canvas", { role: "application", tabindex: 0, "data-keys": "own" });
  #ground = make("canvas", { "aria-hidden": "true" });
  #reading = make("p", { class: "reading", hidden: true, "aria-hidden": "true" });
  #said = make("p", { class: "visually-hidden", role: "status" });
  /** @type {Figures | null} */ #figures = null;
  /** @type {Record<string, string>} */ #settings = {};
  /** @type {Map<string, Walked>} */ #paths = new Map();
  /** @type {Map<string, number>} */ #generations = new Map();
  /** @type {Place | null} */ #cursor = null;
  /** @type {{ stage: string, from: Place, slope: Place, to: Place } | null} */ #told = null;
  /** @type {{ x: number, turn: number } | null} */ #drag = null;
  #turn = 0;
  #stale = true;
  #describe = new Pace(DESCRIBE_EVERY, () => this.canvas.setAttribute("aria-label", this.#sentence()));
  /** @type {Redraw | null} */ #redraw = null;
  /** @type {(() => void) | null} */ #stop = null;
  #resize = new ResizeObserver(() => this.#refresh());

  connectedCallback() {
    this.replaceChildren(make("div", { class: "surface" }, this.#ground, this.canvas, this.#reading), this.#said);
    this.#redraw = new Redraw(this, () => this.#draw());
    this.#stop = onPaletteChange(() => this.#refresh());
    this.#resize.observe(this.canvas);
    const { canvas } = this;
    canvas.onpointerdown = event => { if (this.#bowl && event.button === 0) this.#grab(event); };
    canvas.onpointermove = event => this.#drag ? this.#turnTo(this.#drag.turn + (event.clientX - this.#drag.x) / 2) : this.#look(this.#under(event));
    canvas.onpointerup = () => this.#release();
    canvas.onpointercancel = () => this.#release();
    canvas.onpointerleave = () => this.#look(null);
    canvas.onclick = event => { if (!this.#bowl) this.#start(this.#under(event)); };
    canvas.onkeydown = event => this.#key(event);
    canvas.onblur = () => { this.#cursor = null; this.#look(null); };
  }

  disconnectedCallback() {
    this.#resize.disconnect();
    this.#redraw?.stop();
    this.#stop?.();
  }

  // ---- What comes in -----------------------------------------------------------------------------------------------------

  get figures() { return this.#figures; }
  set figures(figures) {
    if (figures?.lowest !== this.#figures?.lowest) this.#stale = true;
    this.#figures = figures;
    for (const [run, { w0, w1 }] of Object.entries(figures?.paths ?? {})) {
      const known = this.#paths.get(run), step = w0.length - 1;
      if (!known || known.step <= step || known.w0[0] !== w0[0] || known.w1[0] !== w1[0]) this.#paths.set(run, { w0: [...w0], w1: [...w1], step });
    }
    this.#describe.wish();
    this.#redraw?.request();
  }

  get settings() { return this.#settings; }
  set settings(settings) {
    const other = (/** @type {string[]} */ ...names) => names.some(name => settings[name] !== this.#settings[name]);
    if (other("learning_rate", "minibatch", "seed")) this.#paths.clear();
    if (other("view", "arrows", "turn")) {
      this.#stale = true;
      this.#describe.hurry(); // the figures come next
    }
    this.#settings = settings;
    this.#turn = Number(settings.turn);
    if (this.#bowl) this.#reading.hidden = true;
    this.#redraw?.request();
  }

  /** Another generation begins at the start. @param {string} run @param {Run} state */
  state(run, { generation }) {
    if ((this.#generations.get(run) ?? generation) !== generation) this.#paths.delete(run);
    this.#generations.set(run, generation);
  }

  /** The place after `step` updates. @param {string} run @param {PlaneFrame} frame */
  frame(run, { step, weights }) {
    const path = this.#paths.get(run), layer = weights?.[0], w0 = layer?.biases[0], w1 = layer?.weights[0][0];
    if (!path || w0 == null || w1 == null || step <= path.step) return;
    path.w0.push(w0);
    path.w1.push(w1);
    path.step = step;
    this.#describe.wish();
    this.#redraw?.request();
  }

  /** One update, stage by stage. @param {string | null} stage @param {NarratedUpdate} told */
  narrate(stage, { layers: [layer] }) {
    const at = (/** @type {"old" | "gradient" | "new"} */ which) => /** @type {Place} */ ([layer.biases?.[which].values?.[0], layer.weights?.[which].values?.[0][0]]);
    this.#told = stage ? { stage, from: at("old"), slope: at("gradient"), to: at("new") } : null;
    this.#redraw?.request();
  }

  #refresh() {
    this.#stale = true;
    this.#redraw?.request();
  }

  // ---- Places ------------------------------------------------------------------------------------------------------------

  get #bowl() { return this.#settings.view === "bowl"; }
  get #rem() { return parseFloat(getComputedStyle(document.documentElement).fontSize) / 16; }
  get #runs() { return (this.getAttribute("runs") ?? "").split(" "); }
  get #labels() { return /** @type {Record<string, string>} */ (JSON.parse(this.dataset.labels ?? "{}")); }

  get #box() {
    const { clientWidth, clientHeight } = this.canvas, rem = this.#rem;
    return { left: MARGIN.left * rem, right: clientWidth - MARGIN.right, top: MARGIN.top * rem, bottom: clientHeight - MARGIN.bottom * rem };
  }

  /** @param {{ clientX: number, clientY: number }} event @returns {Place | null} outside of the map there is none */
  #under({ clientX, clientY }) {
    if (!this.#figures || this.#bowl) return null;
    const { x, y } = this.canvas.getBoundingClientRect(), { left, right, top, bottom } = this.#box, { w0, w1 } = this.#figures.surface;
    const across = (clientX - x - left) / (right - left), down = (clientY - y - top) / (bottom - top);
    return across < 0 || across > 1 || down < 0 || down > 1 ? null : [w0[0] + across * (w0[1] - w0[0]), w1[1] - down * (w1[1] - w1[0])];
  }

  /** Of the map. @param {Figures} figures @returns {Project} */
  #flat({ surface: { w0, w1 } }) {
    const { left, right, top, bottom } = this.#box;
    return (a, b) => [left + (a - w0[0]) / (w0[1] - w0[0]) * (right - left), bottom - (b - w1[0]) / (w1[1] - w1[0]) * (bottom - top)];
  }

  /**
   * Of the bowl, seen from above one of its sides: turned, tilted, and raised by the root of the loss, which makes the valley
   * floor visible beside rims that are three hundred times as high.
   * @param {Figures} figures @returns {(w0: number, w1: number, height?: number) => [number, number, number]} x, y, and how near
   */
  #solid(figures) {
    const { clientWidth: width, clientHeight: height } = this.canvas, { w0, w1, loss } = figures.surface;
    const turn = this.#turn * Math.PI / 180, cos = Math.cos(turn), sin = Math.sin(turn), highest = Math.sqrt(Math.max(...loss.flat()));
    const size = Math.min(width, height) / 2.7;
    return (a, b, up = Math.sqrt(lossAt(figures, a, b)) / highest) => {
      const u = 2 * (a - w0[0]) / (w0[1] - w0[0]) - 1, v = 1 - 2 * (b - w1[0]) / (w1[1] - w1[0]);
      const x = u * cos - v * sin, near = u * sin + v * cos;
      return [width / 2 + size * x, 0.6 * height + size * (near * Math.cos(TILT) - (up - 0.35) * TALL * Math.sin(TILT)), near];
    };
  }

  // ---- A hand ------------------------------------------------------------------------------------------------------------

  /** @param {PointerEvent} event */
  #grab(event) {
    this.#drag = { x: event.clientX, turn: this.#turn };
    this.canvas.setPointerCapture(event.pointerId);
  }

  /** @param {number} degrees */
  #turnTo(degrees) {
    this.#turn = ((Math.round(degrees) + 180) % 360 + 360) % 360 - 180;
    this.#refresh();
  }

  #release() {
    if (!this.#drag) return;
    this.#drag = null;
    this.#set({ turn: this.#turn });
  }

  /** @param {Record<string, number>} detail */
  #set(detail) { this.dispatchEvent(new CustomEvent("set", { bubbles: true, detail })); }

  /** @param {Place | null} place */
  #start(place) { if (place) this.#set({ w0: Number(place[0].toFixed(2)), w1: Number(place[1].toFixed(2)) }); }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key] ?? [0, 0];
    if (!this.#figures || event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.#bowl && dx) {
      this.#turnTo(this.#turn + dx * TURN);
      this.#set({ turn: this.#turn });
    } else if (!this.#bowl && (dx || dy)) {
      const { w0, w1 } = this.#figures.surface, [a, b] = this.#cursor ?? [Number(this.#settings.w0), Number(this.#settings.w1)], step = (event.shiftKey ? 5 : 1) / STEPS;
      this.#cursor = [held(a + dx * step * (w0[1] - w0[0]), w0), held(b + dy * step * (w1[1] - w1[0]), w1)];
      this.#look(this.#cursor);
      write(this.#said, this.#words(this.#cursor));
    } else if (event.key === "Enter" && this.#cursor) this.#start(this.#cursor);
    else return;
    event.preventDefault();
  }

  // ---- Words -------------------------------------------------------------------------------------------------------------

  /** @param {Place} place */
  #words([w0, w1]) { return `w₀ ${fixed(w0)}, w₁ ${fixed(w1)}: loss ${significant(this.#figures && lossAt(this.#figures, w0, w1))}`; }

  #sentence() {
    const figures = this.#figures, labels = this.#labels;
    if (!figures) return "The loss over two weights. Nothing is known yet.";
    const { w0, w1 } = figures.surface, lowest = `It is lowest, ${significant(figures.lowest)}, at w₀ ${fixed(figures.minimum[0])}, w₁ ${fixed(figures.minimum[1])}.`;
    const paths = this.#runs.flatMap(run => {
      const path = this.#paths.get(run);
      if (!path) return [];
      const last = path.w0.length - 1, a = path.w0[last], b = path.w1[last], inside = !outside(figures.surface, a, b);
      return `${labels[run] ?? run} after ${integer(path.step)} updates ${inside ? `at w₀ ${fixed(a)}, w₁ ${fixed(b)}` : "has left the map"}, loss ${significant(lossAt(figures, a, b))}`;
    });
    const hand = this.#bowl ? "Left and right turn it." : "Arrow keys move a cursor, Enter starts there.";
    return `The loss over w₀ from ${fixed(w0[0], 1)} to ${fixed(w0[1], 1)} and w₁ from ${fixed(w1[0], 1)} to ${fixed(w1[1], 1)}, a long valley. ${lowest} ${paths.join("; ")}. ${hand}`;
  }

  /** @param {Place | null} place what one looks at now */
  #look(place) {
    const shown = place ?? this.#cursor, figures = this.#figures;
    this.#reading.hidden = !shown || this.#bowl;
    if (shown && figures && !this.#bowl) {
      const [x, y] = this.#flat(figures)(...shown);
      write(this.#reading, this.#words(shown));
      this.#reading.style.setProperty("--x", `${x}px`);
      this.#reading.style.setProperty("--y", `${y}px`);
      this.#reading.toggleAttribute("data-left", x > this.canvas.clientWidth / 2);
      this.#reading.toggleAttribute("data-above", y > this.canvas.clientHeight / 2);
    }
    this.#redraw?.request();
  }

  // ---- Pictures ----------------------------------------------------------------------------------------------------------

  #draw() {
    const figures = this.#figures;
    if (!figures || !this.canvas.clientWidth) return;
    if (this.#stale) {
      if (this.#bowl) this.#drawBowl(figures);
      else this.#drawMap(figures);
    }
    this.#stale = false;
    this.#drawPaths(figures);
  }

  /** @param {Figures} figures */
  #drawMap(figures) {
    const { context } = lettered(this.#ground), box = this.#box, project = this.#flat(figures), { surface, arrows } = figures;
    this.#drawAxes(context, surface, project);
    context.beginPath();
    context.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
    context.clip();
    // A number stands at the middle of its cell, and the outer numbers at the very edge.
    const [rows, columns] = surface.shape, cell = { x: (box.right - box.left) / (columns - 1), y: (box.bottom - box.top) / (rows - 1) };
    context.imageSmoothingEnabled = true;
    context.drawImage(shades(figures), box.left - cell.x / 2, box.top - cell.y / 2, columns * cell.x, rows * cell.y);
    // The root of what lies above the minimum grows evenly on every way up, so that lines between the grid's numbers are true.
    const above = (/** @type {number} */ loss) => Math.sqrt(Math.max(0, loss - figures.lowest)), heights = surface.loss.flat().map(above);
    context.strokeStyle = colour("ink-3", 0.38);
    for (const level of surface.levels) {
      const lines = contour(heights, columns, rows, above(level));
      context.beginPath();
      for (let i = 0; i < lines.length; i += 4) {
        context.moveTo(box.left + lines[i] * cell.x, box.top + lines[i + 1] * cell.y);
        context.lineTo(box.left + lines[i + 2] * cell.x, box.top + lines[i + 3] * cell.y);
      }
      context.stroke();
    }
    if (this.#settings.arrows === "arrows") for (const [w0, w1, g0, g1] of arrows) drawArrow(context, project(w0, w1), project(w0 - g0, w1 - g1));
    this.#drawLevels(context, figures, project);
  }

  /** The loss written on its contour, straight up from the minimum. @param {CanvasRenderingContext2D} context @param {Figures} figures @param {Project} project */
  #drawLevels(context, figures, project) {
    const { minimum: [a, b], lowest, curvature, surface } = figures, rem = this.#rem, [, floor] = project(a, b);
    context.textAlign = "center";
    context.textBaseline = "middle";
    let above = floor;
    for (const level of surface.levels) {
      const w1 = b + Math.sqrt(2 * (level - lowest) / curvature[1][1]), [x, y] = project(a, w1);
      if (!(level > lowest) || w1 > surface.w1[1] - 0.2 || above - y < 22 * rem) continue;
      halo(context, String(level), x, y);
      above = y;
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {Figures["surface"]} surface @param {Project} project */
  #drawAxes(context, { w0, w1 }, project) {
    const { left, right, top, bottom } = this.#box, rem = this.#rem;
    context.fillStyle = colour("ink-3");
    context.textAlign = "center";
    context.textBaseline = "top";
    for (const tick of ticks(w0[0], w0[1], 7)) if (project(tick, 0)[0] < right - 28 * rem) context.fillText(axisNumber(tick), project(tick, 0)[0], bottom + 6 * rem);
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const tick of ticks(w1[0], w1[1], 6)) if (project(0, tick)[1] > top + 8 * rem) context.fillText(axisNumber(tick), left - 7 * rem, project(0, tick)[1]);
    context.fillStyle = colour("ink-2");
    context.font = `600 ${12 * rem}px ${getComputedStyle(this).fontFamily}`;
    context.textAlign = "left";
    context.fillText("w₁", 0, top - 10 * rem);
    context.textAlign = "right";
    context.textBaseline = "top";
    context.fillText("w₀", right, bottom + 5 * rem);
    context.font = context.font.replace("600 ", "");
    context.strokeStyle = colour("edge");
    context.beginPath();
    context.moveTo(left, Math.round(bottom) + 0.5);
    context.lineTo(right, Math.round(bottom) + 0.5);
    context.stroke();
  }

  /** Far cells first, so that near ones hide them. @param {Figures} figures */
  #drawBowl(figures) {
    const { context } = lettered(this.#ground), project = this.#solid(figures), { w0, w1, loss, shape: [rows, columns] } = figures.surface;
    const a = (/** @type {number} */ i) => w0[0] + i / (columns - 1) * (w0[1] - w0[0]), b = (/** @type {number} */ j) => w1[1] - j / (rows - 1) * (w1[1] - w1[0]);
    const shade = shadeOf(figures), cells = [];
    for (let j = 0; j + 2 < rows; j += 2) for (let i = 0; i + 2 < columns; i += 2) {
      const corners = [project(a(i), b(j)), project(a(i + 2), b(j)), project(a(i + 2), b(j + 2)), project(a(i), b(j + 2))];
      cells.push({ corners, near: corners[0][2] + corners[2][2], fill: shade(loss[j + 1][i + 1]) });
    }
    cells.sort((one, other) => one.near - other.near);
    context.strokeStyle = colour("ink-3", 0.3);
    context.lineWidth = 0.75;
    for (const { corners, fill } of cells) {
      context.beginPath();
      for (const [x, y] of corners) context.lineTo(x, y);
      context.closePath();
      context.fillStyle = fill;
      context.fill();
      context.stroke();
    }
    this.#drawEdges(context, figures, project);
  }

  /**
   * What the weights are at the middle of each edge, a little outside of it.
   * @param {CanvasRenderingContext2D} context @param {Figures} figures @param {(w0: number, w1: number, height?: number) => [number, number, number]} project
   */
  #drawEdges(context, figures, project) {
    const { w0, w1 } = figures.surface, middle = [(w0[0] + w0[1]) / 2, (w1[0] + w1[1]) / 2];
    context.textAlign = "center";
    context.textBaseline = "middle";
    const [cx, cy] = project(middle[0], middle[1], 0.2);
    for (const [words, a, b] of /** @type {[string, number, number][]} */ ([
      [`w₀ = ${axisNumber(w0[0])}`, w0[0], middle[1]], [`w₀ = ${axisNumber(w0[1])}`, w0[1], middle[1]],
      [`w₁ = ${axisNumber(w1[0])}`, middle[0], w1[0]], [`w₁ = ${axisNumber(w1[1])}`, middle[0], w1[1]],
    ])) {
      const [x, y] = project(a, b), far = Math.hypot(x - cx, y - cy), outside = (far + 24 * this.#rem) / far;
      halo(context, words, cx + outside * (x - cx), cy + outside * (y - cy));
    }
  }

  /** @param {Figures} figures */
  #drawPaths(figures) {
    const { context } = lettered(this.canvas), box = this.#box;
    /** @type {Project} */ const project = this.#bowl ? (a, b) => /** @type {Place} */ (this.#solid(figures)(a, b).slice(0, 2)) : this.#flat(figures);
    if (!this.#bowl) {
      context.beginPath();
      context.rect(box.left, box.top, box.right - box.left, box.bottom - box.top);
      context.clip();
    }
    for (const [k, run] of [...this.#runs.entries()].reverse()) {
      const path = this.#paths.get(run);
      if (path) drawPath(context, LOOKS[k], this.#shown(path, figures, project));
    }
    this.#drawMarks(context, figures, project);
    this.#drawTold(context, project);
  }

  /**
   * As far as a path can be drawn: the bowl ends at its edges, a canvas where its numbers do.
   * @param {Path} path @param {Figures} figures @param {Project} project
   */
  #shown({ w0, w1 }, { surface }, project) {
    const places = w0.map((a, i) => project(a, w1[i]));
    const lost = this.#bowl ? w0.findIndex((a, i) => outside(surface, a, w1[i])) : 1 + places.findIndex(([x, y]) => !(Math.abs(x) < FAR && Math.abs(y) < FAR));
    return lost > 0 ? places.slice(0, lost) : places;
  }

  /** @param {CanvasRenderingContext2D} context @param {Project} project */
  #drawTold(context, project) {
    const told = this.#told, rem = this.#rem;
    if (!told || [...told.from, ...told.slope, ...told.to].some(value => value == null)) return;
    const from = project(...told.from), to = project(...told.to);
    context.textAlign = "left";
    context.strokeStyle = context.fillStyle = colour("ink");
    if (told.stage === "backward") {
      const downhill = project(told.from[0] - told.slope[0], told.from[1] - told.slope[1]), far = Math.hypot(downhill[0] - from[0], downhill[1] - from[1]) || 1;
      const tip = /** @type {Place} */ ([0, 1].map(i => from[i] + 60 * rem * (downhill[i] - from[i]) / far));
      trace(context, [from, tip], colour("sheet", 0.8), 7, []);
      trace(context, [from, tip], colour("ink"), 3, []);
      disc(context, ...tip, 4);
      halo(context, "−∇Loss", tip[0] + 8 * rem, tip[1]);
    } else if (told.stage === "update") {
      trace(context, [from, to], colour("sheet", 0.8), 8, []);
      trace(context, [from, to], colour("ink"), 4, []);
      disc(context, ...to, 6);
      halo(context, "−α∇Loss", to[0] + 10 * rem, to[1] + 12 * rem);
    }
    context.strokeStyle = colour("ink");
    context.lineWidth = 2;
    context.beginPath();
    context.arc(...from, 9, 0, 2 * Math.PI);
    context.stroke();
  }

  /** Start, minimum, cursor. @param {CanvasRenderingContext2D} context @param {Figures} figures @param {Project} project */
  #drawMarks(context, figures, project) {
    const rem = this.#rem, [x, y] = project(Number(this.#settings.w0), Number(this.#settings.w1)), [u, v] = project(...figures.minimum);
    disc(context, x, y, 6, colour("sheet"));
    context.strokeStyle = colour("ink");
    context.lineWidth = 1.5;
    context.stroke();
    context.beginPath();
    context.moveTo(u - 5, v);
    context.lineTo(u + 5, v);
    context.moveTo(u, v - 5);
    context.lineTo(u, v + 5);
    context.stroke();
    context.font = `600 ${context.font}`;
    context.textBaseline = "middle";
    context.textAlign = x < 70 * rem ? "left" : "right";
    halo(context, "start", x < 70 * rem ? x + 11 * rem : x - 11 * rem, y - 10 * rem);
    context.textAlign = "left";
    halo(context, "minimum", u + 9 * rem, v + 10 * rem);
    if (!this.#cursor || this.#bowl) return;
    context.strokeStyle = colour("focus");
    context.lineWidth = 2;
    context.beginPath();
    context.arc(...project(...this.#cursor), 9, 0, 2 * Math.PI);
    context.stroke();
  }
}

/** Exact, because the loss of a line is a parabola: the lowest value and how it bends. @param {Figures} figures @param {number} w0 @param {number} w1 */
function lossAt({ minimum, lowest, curvature: [[a, b], [, d]] }, w0, w1) {
  const x = w0 - minimum[0], y = w1 - minimum[1];
  return lowest + (a * x * x + 2 * b * x * y + d * y * y) / 2;
}

/** @param {Figures["surface"]} surface @param {number} a @param {number} b */
const outside = ({ w0, w1 }, a, b) => a < w0[0] || a > w0[1] || b < w1[0] || b > w1[1];

/** @param {number} value @param {Place} range */
const held = (value, [low, high]) => Math.min(high, Math.max(low, value));

/** The grey of a loss, by its logarithm. @param {Figures} figures */
function shadeOf({ lowest, surface }) {
  const table = new Uint8Array(palette("loss").buffer), low = Math.log(lowest), span = Math.log(Math.max(...surface.loss.flat())) - low;
  return (/** @type {number} */ loss) => {
    const i = 4 * Math.max(0, Math.min(255, Math.round(255 * (Math.log(loss) - low) / span)));
    return `rgb(${table[i]} ${table[i + 1]} ${table[i + 2]})`;
  };
}

/** One pixel for each number of the surface. @param {Figures} figures */
function shades(figures) {
  const [rows, columns] = figures.surface.shape, canvas = new OffscreenCanvas(columns, rows), shade = shadeOf(figures);
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"));
  figures.surface.loss.forEach((row, j) => row.forEach((loss, i) => {
    context.fillStyle = shade(loss);
    context.fillRect(i, j, 1, 1);
  }));
  return canvas;
}

/** From a place downhill; longer where it is steeper, but far less so. @param {CanvasRenderingContext2D} context @param {Place} from @param {Place} to */
function drawArrow(context, [x, y], [u, v]) {
  const steep = Math.hypot(u - x, v - y), length = Math.min(22, 3 + 0.85 * Math.sqrt(steep)), angle = Math.atan2(v - y, u - x);
  const tip = { x: x + length * Math.cos(angle), y: y + length * Math.sin(angle) };
  context.strokeStyle = context.fillStyle = colour("ink-3", 0.75);
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(tip.x, tip.y);
  context.stroke();
  context.beginPath();
  context.moveTo(tip.x + 2 * Math.cos(angle), tip.y + 2 * Math.sin(angle));
  for (const side of [2.5, -2.5]) context.lineTo(tip.x + 4 * Math.cos(angle + side), tip.y + 4 * Math.sin(angle + side));
  context.fill();
}

/** With paper under it, and where it stands now at its end. @param {CanvasRenderingContext2D} context @param {typeof LOOKS[0]} look @param {Place[]} places */
function drawPath(context, { token, width, dash, dots }, places) {
  const head = places[places.length - 1];
  trace(context, places, colour("sheet", 0.7), width + 2.5, []);
  trace(context, places, colour(token), width, dash);
  context.fillStyle = colour(token);
  if (dots) for (const [x, y] of places) disc(context, x, y, 0.75 * width);
  disc(context, ...head, 6, colour("sheet"));
  disc(context, ...head, 4.75, colour(token));
}

/** @param {CanvasRenderingContext2D} context @param {Place[]} places @param {string} stroke @param {number} width @param {number[]} dash */
function trace(context, places, stroke, width, dash) {
  context.strokeStyle = stroke;
  context.lineWidth = width;
  context.setLineDash(dash);
  context.beginPath();
  for (const [x, y] of places) context.lineTo(x, y);
  context.stroke();
  context.setLineDash([]);
}

/** @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} radius @param {string} [fill] */
function disc(context, x, y, radius, fill) {
  if (fill) context.fillStyle = fill;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}

customElements.define("loss-landscape", LossLandscape);
export { LossLandscape };

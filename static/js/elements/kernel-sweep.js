/**
 * `<kernel-sweep>`: a kernel slides over a row of numbers or over a digit. The numbers stand in the page, worked out by the
 * engine; this element says on which of them the kernel lies, and draws what cannot be written.
 *
 * The page gives `figures` ({ row, digit, size } of the lesson) and `settings`. Inside it are, where the view has them:
 *
 *   canvas[data-draw]       links: which inputs an answer comes from; picture and response: the maps; window and cell: where
 *                           the kernel lies on them
 *   [data-column]           inputs, padding included; [data-place] and [data-row]: answers, and their rows of weights
 *   input[data-list]        one number of a list of settings
 *   [data-sum] [data-limit] the answer in figures, the end of its colours; table[data-draw=products] what it is the sum of
 *   [data-sweep]            lets the kernel slide once; with reduced motion it moves on by one place
 *   drawing-pad             gives a picture in the place of the test digit
 *
 * Event: `set` with the list that a number was typed into, the place that was pressed, or what was drawn.
 */

import "./drawing-pad.js";
import { make, write } from "../lib/dom.js";
import { significant } from "../lib/format.js";
import { fromBase64, toBase64 } from "../lib/frames.js";
import { lettered } from "../lib/marks.js";
import { Pace } from "../lib/pace.js";
import { largest, paint, Redraw, surface } from "../lib/painting.js";
import { colour, onPaletteChange } from "../lib/palette.js";

/**
 * @typedef {{ inputs: number[], kernel: number[], response: number[], sums: string[], place: number }} Row
 * @typedef {{ label: number | null, ink: number[][], kernel: number[][], response: number[][], down: number, across: number }} Digit
 * @typedef {{ n: number, k: number, p: number, s: number, outputs: number }} Size
 */

const PACE = { row: 900, digit: 66 }; // ms from one place to the next
const TICKS = 150; // of a sweep over a digit, whose places are too many for one each
const FAINT = 0.16;
const ALONG = 0.27; // where on its line a weight is written

const DRAWN_EVERY = 150; // ms between two sendings of a drawing that grows
const SIDE = 28, SHADES = 15;

const still = matchMedia("(prefers-reduced-motion: reduce)");

class KernelSweep extends HTMLElement {
  /** @type {{ row: Row | null, digit: Digit | null, size: Size } | null} */ #figures = null;
  /** @type {Record<string, string>} */ settings = {};
  /** Where the kernel lies, counted along the response, row by row. */
  #at = 0;
  #timer = 0;
  #begun = false;
  /** @type {Redraw | null} */ #redraw = null;
  /** @type {(() => void) | null} */ #stop = null;
  #resize = new ResizeObserver(() => this.#redraw?.request());
  #drawn = "";
  #drawing = new Pace(DRAWN_EVERY, () => this.#set({ drawing: this.#drawn }));

  connectedCallback() {
    this.#redraw = new Redraw(this, () => this.#draw());
    this.#stop = onPaletteChange(() => this.#redraw?.request());
    this.#resize.observe(this);
    this.addEventListener("change", event => this.#typed(event));
    this.addEventListener("click", event => this.#pressed(event));
    this.addEventListener("ink", event => {
      const { size, ink_base64, empty } = /** @type {CustomEvent} */ (event).detail;
      this.#drawn = empty ? "" : packed(size, fromBase64(ink_base64));
      this.#drawing.wish();
    });
    this.addEventListener("keydown", event => this.#key(event));
    this.addEventListener("pointermove", event => this.#pointed(event));
    this.addEventListener("pointerout", event => { if (layers(event)) this.#move(this.#rest); });
  }

  disconnectedCallback() {
    clearInterval(this.#timer);
    this.#resize.disconnect();
    this.#redraw?.stop();
    this.#stop?.();
  }

  get figures() { return this.#figures; }
  set figures(figures) {
    const before = this.#figures;
    this.#figures = figures;
    if (!figures) return;
    if (before && (!before.row !== !figures.row || before.size.outputs !== figures.size.outputs)) this.#end();
    if (!this.#timer) this.#at = this.#rest;
    if (!this.#begun && !still.matches) this.#sweep();
    this.#begun = true;
    for (const pad of this.querySelectorAll("drawing-pad")) {
      /** @type {import("./drawing-pad.js").DrawingPad} */ (pad).showImage(null); // tells what it is for
      for (const input of pad.querySelectorAll("input")) input.setAttribute("form", ""); // none of the lab's settings
    }
    this.#redraw?.request();
  }

  /** The place that the settings say. */
  get #rest() {
    const { row, digit, size } = this.#figures ?? {};
    return row?.place ?? (digit && size ? digit.down * size.outputs + digit.across : 0);
  }

  get #places() {
    const { row, size } = this.#figures ?? {};
    return size ? size.outputs ** (row ? 1 : 2) : 0;
  }

  /** @param {number} at */
  #move(at) {
    this.#at = Math.max(0, Math.min(this.#places - 1, at));
    this.#redraw?.request();
  }

  // ---- The sweep -------------------------------------------------------------------------------------------------------------

  #sweep() {
    const row = Boolean(this.#figures?.row), by = row ? 1 : Math.ceil(this.#places / TICKS);
    this.#at = 0;
    this.#timer = window.setInterval(() => {
      if (this.#at + by >= this.#places) this.#end();
      else this.#move(this.#at + by);
    }, row ? PACE.row : PACE.digit);
    this.#redraw?.request();
  }

  #end() {
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#move(this.#rest);
  }

  // ---- What is done to it ------------------------------------------------------------------------------------------------------

  /** @param {Record<string, unknown>} detail */
  #set(detail) { this.dispatchEvent(new CustomEvent("set", { bubbles: true, detail })); }

  /** The kernel stays there. @param {number} at */
  #put(at) {
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#move(at);
    const { row, size } = this.#figures ?? {};
    if (row) this.#set({ place: this.#at });
    else if (size) this.#set({ down: Math.floor(this.#at / size.outputs), across: this.#at % size.outputs });
  }

  /** @param {Event} event */
  #typed({ target }) {
    if (!(target instanceof HTMLInputElement) || !target.dataset.list) return;
    const { list, index } = target.dataset, values = this.settings[list].split(",");
    values[Number(index)] = target.value.replaceAll("−", "-").replaceAll(",", ".");
    this.#set({ [list]: values });
  }

  /** @param {MouseEvent} event */
  #pressed(event) {
    const target = event.target instanceof Element ? event.target : this;
    const place = /** @type {HTMLElement | null} */ (target.closest("[data-place]"))?.dataset.place;
    if (place !== undefined) this.#put(Number(place));
    else if (target.closest("[data-sweep]")) {
      if (still.matches) this.#put((this.#at + 1) % this.#places);
      else if (this.#timer) this.#end();
      else this.#sweep();
    } else if (layers(event)) this.#put(this.#at);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const { outputs = 1 } = this.#figures?.size ?? {};
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -outputs, ArrowDown: outputs }[event.key];
    if (!by || !(event.target instanceof HTMLCanvasElement) || this.#at + by < 0 || this.#at + by >= this.#places) return;
    event.preventDefault();
    this.#put(this.#at + by);
  }

  /** Over a map the kernel follows the pointer. @param {PointerEvent} event */
  #pointed(event) {
    const over = layers(event), { size, digit } = this.#figures ?? {};
    if (!over || !size || !digit || this.#timer) return;
    const { left, top, width, height } = over.getBoundingClientRect(), picture = over.dataset.over === "picture";
    const across = picture ? size.n + 2 * size.p : size.outputs, middle = picture ? size.k / 2 : 0.5, by = picture ? size.s : 1;
    const [x, y] = [(event.clientX - left) / width, (event.clientY - top) / height]
      .map(share => Math.max(0, Math.min(size.outputs - 1, Math.round((share * across - middle) / by))));
    this.#move(y * size.outputs + x);
  }

  // ---- Pictures ----------------------------------------------------------------------------------------------------------------

  #draw() {
    const { row, digit, size } = this.#figures ?? {};
    write(this.querySelector("[data-sweep]"), still.matches ? "Next place" : this.#timer ? "Stop" : "Sweep");
    if (row && size) this.#drawRow(row, size);
    if (digit && size) this.#drawDigit(digit, size);
  }

  /** @param {string} name */
  #canvas(name) { return /** @type {HTMLCanvasElement} */ (this.querySelector(`canvas[data-draw=${name}]`)); }

  /** @param {string} text */
  #say(text) { write(this.querySelector("[data-sum]"), text); }

  /** @param {Row} row @param {Size} size */
  #drawRow(row, { n, p, s, outputs }) {
    const canvas = this.#canvas("links"), at = this.#at, begin = at * s;
    const { context, width, height } = lettered(canvas), cell = width / (n + 2 * p), most = largest(Float32Array.from(row.kernel)) || 1;
    const middle = (/** @type {number} */ column) => (column + 0.5) * cell;
    for (let place = 0; place < outputs; place++) row.kernel.forEach((weight, i) => {
      context.strokeStyle = colour(weight > 0 ? "positive" : weight < 0 ? "negative" : "edge", place === at ? 1 : FAINT);
      context.lineWidth = 1 + 3 * Math.abs(weight) / most;
      context.setLineDash(weight ? [] : [2, 4]);
      context.beginPath();
      context.moveTo(middle(place * s + i), 3);
      context.lineTo(middle(place * s + 1), height - 3);
      context.stroke();
    });
    row.kernel.forEach((weight, i) => label(context, signed(weight), middle(begin + i + (1 - i) * ALONG), height * ALONG, cell));
    for (const input of this.#all("[data-column]")) {
      const column = Number(input.dataset.column);
      input.toggleAttribute("data-here", column >= begin && column < begin + row.kernel.length);
    }
    for (const answer of this.#all("[data-place], [data-row]")) answer.toggleAttribute("data-here", Number(answer.dataset.place ?? answer.dataset.row) === at);
    this.#shade(row.inputs);
    this.#say(`Response ${at + 1}: ${row.sums[at]}`);
    canvas.setAttribute("aria-label", `Each of ${outputs} responses is connected with ${row.kernel.length} neighbours, by the weights ${row.kernel.map(signed).join(", ")}. Response ${at + 1} is ${row.sums[at]}.`);
  }

  /** Lower is darker, as on the slide. @param {number[]} inputs */
  #shade(inputs) {
    const low = Math.min(...inputs), high = Math.max(...inputs);
    for (const input of this.#all("input[data-list=row]")) {
      input.style.setProperty("--dark", String(high > low ? (high - inputs[Number(input.dataset.index)]) / (high - low) : 0));
    }
  }

  /** @param {Digit} digit @param {Size} size */
  #drawDigit({ label, ink, kernel, response, down, across }, { n, k, p, s, outputs }) {
    const at = this.#at, y = Math.floor(at / outputs), x = at % outputs, side = n + 2 * p;
    const padded = (/** @type {number} */ r, /** @type {number} */ c) => ink[r - p]?.[c - p] ?? 0;
    paint(this.#canvas("picture"), Array.from({ length: side * side }, (_, i) => padded(Math.floor(i / side), i % side)), side, side, 1, "ink");
    const answers = Float32Array.from(response.flat()), limit = largest(answers);
    paint(this.#canvas("response"), this.#timer ? answers.map((v, i) => i <= at ? v : 0) : answers, outputs, outputs, limit);
    write(this.querySelector("[data-limit]"), significant(limit));
    const { context, width } = surface(this.#canvas("window")), pixel = width / side;
    context.strokeStyle = colour("edge");
    context.setLineDash([3, 3]);
    if (p) context.strokeRect(p * pixel, p * pixel, n * pixel, n * pixel);
    box(context, x * s * pixel, y * s * pixel, k * pixel);
    const shown = surface(this.#canvas("cell"));
    box(shown.context, x * shown.width / outputs, y * shown.width / outputs, shown.width / outputs);
    const answer = short(response[y][x]);
    this.#products(kernel.map((weights, i) => weights.map((weight, j) => [padded(y * s + i, x * s + j), weight])));
    this.#say(`Row ${y + 1}, column ${x + 1}: the ${k * k} products sum to ${answer}`);
    this.#canvas("response").setAttribute("aria-label", `Response, ${outputs} by ${outputs} values from ${significant(Math.min(...answers))} to ${significant(Math.max(...answers))}.`);
    this.#canvas("picture").setAttribute("aria-label", label === null ? "Your drawing." : `A test digit ${label}.`);
    if (x === across && y === down) this.#canvas("window").setAttribute("aria-label", `The kernel lies ${y + 1}th from the top and ${x + 1}th from the left and answers ${answer}. Arrow keys move it.`);
  }

  /** Every product with its two factors. @param {number[][][]} factors rows of [ink, weight] */
  #products(factors) {
    const table = this.querySelector("table[data-draw=products]");
    if (!table) return;
    const cells = [...table.querySelectorAll("td")];
    if (cells.length !== factors.length ** 2) {
      table.replaceChildren(make("tbody", {}, ...factors.map(line => make("tr", {}, ...line.map(() => make("td", {}, make("b"), make("span")))))));
      this.#products(factors);
      return;
    }
    factors.flat().forEach(([ink, weight], i) => {
      const [product, how] = cells[i].children;
      write(product, short(ink * weight));
      write(how, `${short(ink)}·${weight < 0 ? `(${short(weight)})` : short(weight)}`);
      cells[i].setAttribute("data-sign", ink * weight > 0 ? "+" : ink * weight < 0 ? "-" : "");
    });
  }

  /** @param {string} selector @returns {HTMLElement[]} */
  #all(selector) { return [...this.querySelectorAll(selector)].filter(found => found instanceof HTMLElement); }
}

/**
 * A drawing as the lab's setting: 28 × 28 means in 16 shades, two pixels a byte, in base64.
 * @param {number} size of the drawing's side, a multiple of 28 @param {Uint8Array} ink
 */
function packed(size, ink) {
  const block = size / SIDE, shades = Array.from({ length: SIDE * SIDE }, (_, i) => {
    let sum = 0;
    for (let k = 0; k < block * block; k++) sum += ink[(Math.floor(i / SIDE) * block + Math.floor(k / block)) * size + i % SIDE * block + k % block];
    return Math.round(sum / (block * block) / 255 * SHADES);
  });
  return toBase64(Uint8Array.from({ length: shades.length / 2 }, (_, k) => shades[2 * k] << 4 | shades[2 * k + 1]));
}

/** The map under the pointer. @param {Event} event @returns {HTMLElement | null} */
const layers = event => event.target instanceof Element ? event.target.closest(".layers") : null;

/** A frame that stands off ink and paper. @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} side */
function box(context, x, y, side) {
  context.setLineDash([]);
  for (const [width, name] of /** @type {[number, string][]} */ ([[4, "sheet"], [2, "ink"]])) {
    context.lineWidth = width;
    context.strokeStyle = colour(name);
    context.strokeRect(x, y, side, side);
  }
}

/** A weight on its line. @param {CanvasRenderingContext2D} context @param {string} text @param {number} x @param {number} y @param {number} room */
function label(context, text, x, y, room) {
  const size = Math.min(parseFloat(getComputedStyle(document.documentElement).fontSize), 0.4 * room);
  context.font = context.font.replace(/^.*?px/, `600 ${size}px`);
  context.textAlign = "center";
  context.textBaseline = "middle";
  const width = context.measureText(text).width + 0.4 * size;
  context.fillStyle = colour("paper");
  context.fillRect(x - width / 2, y - 0.7 * size, width, 1.4 * size);
  context.fillStyle = colour("ink");
  context.fillText(text, x, y + 1);
}

/** No more digits than it has, four at most. @param {number} value */
const short = value => String(Number(value.toFixed(4))).replace("-", "−");

/** @param {number} value */
const signed = value => (value > 0 ? "+" : "") + short(value);

customElements.define("kernel-sweep", KernelSweep);
export { KernelSweep };

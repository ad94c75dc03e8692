/**
 * `<network-diagram>`: the network as neurons and lines. Every neuron shows where in the plane it says yes (blue) and no
 * (orange); a line is a weight, the bar under a neuron its bias: to the right and blue it adds, to the left and orange it
 * takes away.
 *
 * The page renders the columns and morphs them when the network changes; this element paints into them, draws lines and
 * bars on the canvas behind them, and lets weights be read and typed. Markup:
 *
 *     <network-diagram><div class="scroller"><div class="diagram">
 *       <canvas class="links" aria-hidden="true" hx-morph-skip></canvas>
 *       <div class="layer-column"><header>…</header><div>
 *         <label class="neuron" data-layer="-1" data-unit="0" data-feature="x" data-label="x"><input …><canvas class="map"></canvas></label>
 *         <label class="neuron off" data-feature="x_squared" data-label="x²"><input …><canvas class="map"></canvas></label> …
 *       <div class="layer-column"><header>…</header><div>
 *         <button class="neuron" type="button" data-layer="0" data-unit="0" aria-pressed="false"><canvas class="map"></canvas></button> …
 *       <div class="layer-column"><header>…</header><div>
 *         <button class="neuron last" type="button" data-layer="2" data-unit="0" data-label="A" aria-pressed="false">…
 *     </div></div><div class="weight-card" role="group" hidden hx-morph-skip></div></network-diagram>
 *
 * `data-layer` is the place of the dense layer in the network, −1 the inputs; `data-unit` the place in it, of an input among
 * those that are used. An input that is not used has neither and is painted from its formula. The last column shows the
 * probability of each class, or the number that is learned.
 *
 * Tells the page, bubbling: `weights` { layer, unit, input, value }: a weight was typed, input null for the bias;
 * `neuron` { layer, unit, pressed }: a neuron is to be shown large, or no more.
 *
 * Keys: the arrows go from neuron to neuron, Enter opens the card of its weights, Space shows it large, Esc closes the card.
 */

import { all } from "../lib/dom.js";
import { featureMap } from "../lib/features.js";
import { significant } from "../lib/format.js";
import { stack } from "../lib/frames.js";
import { drawLines, drawMeant, Gap } from "../lib/links.js";
import { Pace } from "../lib/pace.js";
import { largest, limits, paint, Redraw, surface } from "../lib/painting.js";
import { colour, onPaletteChange } from "../lib/palette.js";
import { WeightCard } from "../lib/weight-card.js";

/** @typedef {import("../lib/links.js").Line} Line */
/** CSS pixels from the diagram's corner. @typedef {{ left: number, right: number, top: number, bottom: number }} Box */
/** @typedef {{ element: HTMLElement, layer: number, box: Box }} Neuron */
/** What the card is about: the line of an input, or all of a neuron. @typedef {{ column: number, unit: number, input: number | null }} Subject */

const SIDE = 24; // pixels of an input's map before the first frame
/** @type {PlaneFrame["domain"]} */
const DOMAIN = [[-6, 6], [-6, 6]];
const LABEL_EVERY = 4000; // ms; a screen reader must not be told ten times a second
const BAR = { below: 2, height: 3, full: 2 }; // pixels, pixels, the bias that reaches as far as the neuron does
const HEADROOM = 1.5; // the strongest colours are left to the lines
const OTHERS = 0.3; // opacity of lines that the card is not about
const RUN_ID = /^[0-9a-f]{16}$/;
const BESIDE = 10; // pixels between the card and what it is about

class NetworkDiagram extends HTMLElement {
  /** @type {PlaneFrame | null} */ #frame = null;
  /** @type {Neuron[][]} the inputs, then each dense layer */ #columns = [];
  /** @type {Gap[]} the one before each dense layer */ #gaps = [];
  /** @type {HTMLCanvasElement} */ #canvas;
  /** @type {CanvasRenderingContext2D | null} */ #context = null;
  /** @type {import("../lib/links.js").Colours | null} */ #colours = null;
  /** @type {WeightCard} */ #card;
  /** @type {Subject | null} */ #subject = null;
  /** @type {Box | null} where the line is pointed at */ #spot = null;
  /** @type {HTMLElement | null} the neuron that Tab comes to */ #current = null;
  #labels = new Pace(LABEL_EVERY, () => this.#label());
  /** @type {Redraw | null} */ #redraw = null;
  #changes = new MutationObserver(records => {
    if (records.some(({ target }) => !this.#card.box.contains(target))) this.refresh();
  });
  #sizes = new ResizeObserver(() => this.refresh());
  #outside = (/** @type {Event} */ event) => { if (event.target instanceof Node && !this.#card.box.contains(event.target)) this.#close(); };
  /** @type {(() => void) | null} */ #stop = null;

  constructor() {
    super();
    this.#canvas = /** @type {HTMLCanvasElement} */ (this.querySelector(".links"));
    this.#card = new WeightCard(/** @type {HTMLElement} */ (this.querySelector(".weight-card")));
    this.addEventListener("pointermove", event => this.#point(event));
    this.addEventListener("pointerleave", () => { if (!this.#card.kept) this.#close(); });
    this.addEventListener("click", event => this.#click(event));
    this.addEventListener("keydown", event => this.#key(event));
    this.addEventListener("focusin", event => this.#focus(event));
    this.addEventListener("focusout", event => this.#blur(event));
    this.addEventListener("scroll", () => this.#place(), true);
    this.#card.box.addEventListener("typed", event => this.#typed(event));
    this.#card.box.addEventListener("leave", () => this.#leave());
  }

  connectedCallback() {
    this.#redraw = new Redraw(this, () => this.#draw());
    this.#stop = onPaletteChange(() => {
      this.#colours = null;
      this.#redraw?.request();
    });
    // A morph also takes away what the server does not know of, such as the roving tabindex.
    this.#changes.observe(this, { childList: true, subtree: true, attributeFilter: ["tabindex", "data-layer", "data-unit", "data-label"] });
    for (const box of all(".diagram", this)) this.#sizes.observe(box); // also calls at once
    document.addEventListener("pointerdown", this.#outside);
  }

  disconnectedCallback() {
    this.#redraw?.stop();
    this.#stop?.();
    this.#changes.disconnect();
    this.#sizes.disconnect();
    document.removeEventListener("pointerdown", this.#outside);
  }

  /** @param {PlaneFrame} frame */
  show(frame) {
    this.#frame = frame;
    this.#redraw?.request();
  }

  // ---- Layout --------------------------------------------------------------------------------------------------------------

  /** Finds the neurons and their places anew. */
  refresh() {
    const diagram = this.querySelector(".diagram");
    if (!diagram) return;
    const corner = diagram.getBoundingClientRect();
    /** @type {Map<number, Neuron[]>} */
    const layers = new Map();
    for (const element of all(".neuron[data-unit]", diagram)) {
      const layer = Number(element.dataset.layer), { left, right, top, bottom } = element.getBoundingClientRect();
      const box = { left: left - corner.left, right: right - corner.left, top: top - corner.top, bottom: bottom - corner.top };
      if (!layers.has(layer)) layers.set(layer, []);
      /** @type {Neuron[]} */ (layers.get(layer))[Number(element.dataset.unit)] = { element, layer, box };
    }
    this.#columns = [...layers.keys()].sort((a, b) => a - b).map(layer => /** @type {Neuron[]} */ (layers.get(layer)));
    this.#gaps = this.#columns.slice(1).map((column, k) => {
      const before = this.#columns[k];
      return new Gap(before[0].box.right, column[0].box.left, before.map(centre), column.map(centre));
    });
    this.#context = surface(this.#canvas).context;
    this.#rove(this.#columns.slice(1).some(column => column.some(({ element }) => element === this.#current)) ? this.#current : this.#columns[1]?.[0].element);
    if (this.#subject && !this.#columns[this.#subject.column]?.[this.#subject.unit]) this.#close();
    this.#labels.hurry();
    this.#draw();
    this.#place();
  }

  /** One neuron is reached by Tab, the others from it by arrow keys. @param {HTMLElement | null | undefined} current */
  #rove(current) {
    this.#current = current ?? null;
    for (const column of this.#columns.slice(1)) for (const { element } of column) element.tabIndex = element === current ? 0 : -1;
    this.#changes.takeRecords();
  }

  // ---- Pictures ------------------------------------------------------------------------------------------------------------

  #draw() {
    this.#paint();
    this.#lines();
    this.#card.show(input => this.#value(input));
    this.#labels.wish();
  }

  #paint() {
    const frame = this.#frame, seen = frame?.neurons?.find(({ layer }) => layer < 0), side = seen?.maps.shape[1] ?? SIDE;
    for (const element of all(seen ? "[data-feature]:not([data-unit])" : "[data-feature]", this)) {
      const map = featureMap(element.dataset.feature ?? "", frame?.domain ?? DOMAIN, side);
      paint(mapOf(element), map, side, side, HEADROOM * largest(map));
    }
    for (const column of this.#columns) {
      const { layer } = column[0], pack = frame?.neurons?.find(maps => maps.layer === layer)?.maps;
      if (!pack) continue;
      const { maps, width, height, largest: most } = stack(pack), limit = HEADROOM * limits.follow(`neurons ${layer}`, most);
      const probabilities = column === this.#columns.at(-1) && frame?.mistakes; // numbers cannot be mistaken, only far off
      column.forEach(({ element }, unit) => {
        const map = maps[unit];
        if (!map) return; // the frame is of the network before the last change
        if (layer < 0) paint(mapOf(element), map, width, height, HEADROOM * largest(map));
        else if (probabilities) paint(mapOf(element), map.map(p => 2 * p - 1), width, height, HEADROOM);
        else paint(mapOf(element), map, width, height, limit);
      });
    }
  }

  #lines() {
    const context = this.#context, about = this.#subject;
    if (!context) return;
    context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    const colours = this.#colours ??= { positive: colour("positive"), negative: colour("negative"), ink: colour("ink"), edge: colour("edge") };
    /** @type {Line | null} */
    let meant = null;
    this.#gaps.forEach((gap, k) => {
      const /** @type {Line[]} */ near = [], /** @type {Line[]} */ far = [], layer = this.#layer(k + 1);
      for (const link of gap.links) {
        const weight = layer?.weights[link.unit]?.[link.input] ?? null;
        if (weight === null) continue;
        const same = about?.column === k + 1 && about.unit === link.unit;
        if (same && about.input === link.input) meant = { link, weight };
        (!about || about.input !== null || same ? near : far).push({ link, weight });
      }
      drawLines(context, far, colours, OTHERS);
      drawLines(context, near, colours);
    });
    if (meant) drawMeant(context, meant, colours);
    this.#columns.slice(1).forEach((column, k) => column.forEach(({ box }, unit) => {
      const bias = this.#layer(k + 1)?.biases[unit] ?? null;
      if (bias === null) return;
      const middle = (box.left + box.right) / 2, reach = (box.right - box.left) / 2, top = box.bottom + BAR.below;
      context.fillStyle = colours.edge;
      context.fillRect(middle - 0.5, top, 1, BAR.height);
      context.fillStyle = bias < 0 ? colours.negative : colours.positive;
      context.fillRect(middle, top, reach * Math.max(-1, Math.min(1, bias / BAR.full)), BAR.height);
    }));
  }

  #label() {
    this.#columns.slice(1).forEach((column, k) => column.forEach(({ element }, unit) => {
      const bias = this.#layer(k + 1)?.biases[unit] ?? null, text = this.#title(k + 1, unit) + (bias === null ? "" : `, bias ${significant(bias)}`);
      if (element.getAttribute("aria-label") !== text) element.setAttribute("aria-label", text);
    }));
  }

  /** What is known of a column's weights. @param {number} column */
  #layer(column) {
    const place = this.#columns[column]?.[0].layer;
    return this.#frame?.weights?.find(({ layer }) => layer === place);
  }

  /** A number of what the card is about, the bias without an input; null while it is not known. @param {number | null} input */
  #value(input) {
    const subject = this.#subject, layer = subject && this.#layer(subject.column);
    if (!layer) return null;
    return (input === null ? layer.biases[subject.unit] : layer.weights[subject.unit]?.[input]) ?? null;
  }

  /** @param {number} column @param {number} unit */
  #name(column, unit) {
    const { label } = this.#columns[column][unit].element.dataset;
    if (label) return label;
    return column === this.#columns.length - 1 ? "output" : `${column ? "neuron" : "input"} ${unit + 1}`;
  }

  /** @param {number} column @param {number} unit */
  #title(column, unit) {
    if (column < this.#columns.length - 1) return `Layer ${column}, neuron ${unit + 1}`;
    return `Output ${this.#columns[column][unit].element.dataset.label ?? ""}`.trim();
  }

  // ---- The card --------------------------------------------------------------------------------------------------------------

  /** @param {Subject} subject @param {boolean} kept @param {Box | null} [spot] */
  #open(subject, kept, spot = null) {
    const { column, unit, input } = subject;
    const title = input === null ? this.#title(column, unit) : `${this.#name(column - 1, input)} → ${this.#name(column, unit)}`;
    const entries = input === null
      ? [{ name: "bias", input: null }, ...this.#columns[column - 1].map((_, from) => ({ name: this.#name(column - 1, from), input: from }))]
      : [{ name: "weight", input }];
    this.#subject = subject;
    this.#spot = spot;
    this.#card.open(title, entries, kept && this.#layer(column) !== undefined, this.#explained(subject));
    this.#card.show(input => this.#value(input));
    this.#place();
    this.#redraw?.request();
  }

  /** Where it is worked out how this weight, or the unit's bias, comes by its gradient; empty where no run is shown. @param {Subject} subject */
  #explained({ column, unit, input }) {
    const run = /** @type {HTMLElement | null} */ (this.closest("[data-run]"))?.dataset.run ?? "";
    return RUN_ID.test(run) ? `/labs/backpropagation?run=${run}&layer=${this.#columns[column][0].layer}&unit=${unit}&input=${input ?? -1}` : "";
  }

  #close() {
    if (!this.#subject) return;
    this.#card.close();
    this.#subject = null;
    this.#redraw?.request();
  }

  /** Beside what it is about: on the right if there is room. */
  #place() {
    const subject = this.#subject, diagram = this.querySelector(".diagram");
    if (!subject || !diagram) return;
    const { box } = this.#card, here = this.getBoundingClientRect(), there = diagram.getBoundingClientRect();
    const spot = this.#spot ?? this.#columns[subject.column][subject.unit].box, shift = there.left - here.left;
    const right = spot.right + shift + BESIDE, left = spot.left + shift - BESIDE - box.offsetWidth, last = here.width - box.offsetWidth;
    box.style.setProperty("left", `${Math.max(0, Math.min(last, right <= last || left < 0 ? right : left))}px`);
    box.style.setProperty("top", `${Math.max(0, Math.min(here.height - box.offsetHeight, spot.top + there.top - here.top))}px`);
  }

  /** @param {Event} event */
  #typed(event) {
    const subject = this.#subject, { input, value } = /** @type {CustomEvent} */ (event).detail;
    if (!subject) return;
    const { layer } = this.#columns[subject.column][subject.unit];
    this.dispatchEvent(new CustomEvent("weights", { bubbles: true, detail: { layer, unit: subject.unit, input, value } }));
  }

  #leave() {
    const subject = this.#subject;
    if (subject) this.#columns[subject.column][subject.unit].element.focus();
    this.#close(); // after the focus, for that opens it to read
  }

  // ---- Pointer and keys ---------------------------------------------------------------------------------------------------------

  /** The neuron that an event happened in. @param {EventTarget | null} target @returns {Subject | null} */
  #neuron(target) {
    const element = target instanceof Element ? target.closest(".neuron") : null;
    for (const [column, neurons] of this.#columns.entries()) {
      const unit = column ? neurons.findIndex(neuron => neuron.element === element) : -1;
      if (unit >= 0) return { column, unit, input: null };
    }
    return null;
  }

  /** The line under the pointer. @param {PointerEvent | MouseEvent} event @returns {{ subject: Subject, spot: Box } | null} */
  #line(event) {
    if (!(event.target instanceof Element) || event.target.closest("header, .neuron, .weight-card")) return null;
    const { left, top } = this.#canvas.getBoundingClientRect(), x = event.clientX - left, y = event.clientY - top;
    for (const [k, gap] of this.#gaps.entries()) {
      const layer = this.#layer(k + 1), found = gap.nearest(x, y, link => layer?.weights[link.unit]?.[link.input] ?? null);
      if (found) return { subject: { column: k + 1, unit: found.unit, input: found.input }, spot: { left: x, right: x, top: y, bottom: y } };
    }
    return null;
  }

  /** @param {PointerEvent} event */
  #point(event) {
    if (this.#card.kept || event.pointerType === "touch") return;
    const neuron = this.#neuron(event.target), line = neuron ? null : this.#line(event), subject = neuron ?? line?.subject;
    if (!subject) this.#close();
    else if (!same(subject, this.#subject)) this.#open(subject, false, line?.spot);
  }

  /** @param {MouseEvent} event */
  #click(event) {
    const neuron = this.#neuron(event.target), line = this.#line(event);
    if (line) {
      this.#open(line.subject, true, line.spot);
      this.#card.focus();
    }
    if (!neuron) return;
    const { element, layer } = this.#columns[neuron.column][neuron.unit], pressed = element.getAttribute("aria-pressed") !== "true";
    for (const other of all(".neuron[aria-pressed=true]", this)) other.setAttribute("aria-pressed", "false");
    element.setAttribute("aria-pressed", String(pressed));
    this.#rove(element);
    if (event.detail && pressed) this.#open(neuron, true); // by Space the card is there already
    element.dispatchEvent(new CustomEvent("neuron", { bubbles: true, detail: { layer, unit: neuron.unit, pressed } }));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const here = this.#neuron(event.target);
    if (!here || event.ctrlKey || event.metaKey || event.altKey) return;
    const next = this.#next(here, event.key);
    if (next) next.focus();
    else if (event.key === "Enter") {
      this.#open(here, true);
      this.#card.focus();
    } else if (event.key === "Escape") this.#close();
    else return;
    event.preventDefault();
  }

  /** The neuron that a key leads to. @param {Subject} here @param {string} key @returns {HTMLElement | null} */
  #next({ column, unit }, key) {
    const neurons = this.#columns[column], last = neurons.length - 1;
    if (key === "Home" || key === "End") return neurons[key === "Home" ? 0 : last].element;
    if (key === "ArrowUp" || key === "ArrowDown") return neurons[Math.max(0, Math.min(last, unit + (key === "ArrowUp" ? -1 : 1)))].element;
    if (key !== "ArrowLeft" && key !== "ArrowRight") return null;
    const beside = column + (key === "ArrowLeft" ? -1 : 1);
    if (beside < 1 || beside >= this.#columns.length) return neurons[unit].element;
    const height = centre(neurons[unit]);
    return this.#columns[beside].reduce((a, b) => Math.abs(centre(b) - height) < Math.abs(centre(a) - height) ? b : a).element;
  }

  /** @param {FocusEvent} event */
  #focus(event) {
    const neuron = this.#neuron(event.target);
    if (!neuron || !(event.target instanceof HTMLElement)) return;
    this.#rove(event.target);
    if (event.target.matches(":focus-visible") && !this.#card.kept) this.#open(neuron, false);
  }

  /** @param {FocusEvent} event */
  #blur({ relatedTarget }) {
    if (this.#card.kept ? relatedTarget instanceof Node && !this.#card.box.contains(relatedTarget) : true) this.#close();
  }
}

/** @param {Neuron} neuron */
const centre = ({ box }) => (box.top + box.bottom) / 2;
/** @param {Element} neuron */
const mapOf = neuron => /** @type {HTMLCanvasElement} */ (neuron.querySelector("canvas"));
/** @param {Subject} a @param {Subject | null} b */
const same = (a, b) => a.column === b?.column && a.unit === b.unit && a.input === b.input;

customElements.define("network-diagram", NetworkDiagram);
export { NetworkDiagram };

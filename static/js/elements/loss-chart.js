/**
 * `<loss-chart>`: loss or accuracy against updates, by uPlot. The page writes the controls (radio `plot`, checkbox `log`,
 * select `smoothing`, buttons `data-action` clear, png, csv) and the place `[data-plot]`; this element brings them to life.
 *
 * Drag zooms, double-click shows all, the pointer reads off every series at one update. For who cannot see it there is a
 * sentence with figures and a table. It draws four times a second at most and only while in view.
 *
 * Drawn are training and validation, and test accuracy, too; with `series="train test"` training and test, as of runs that are
 * judged on their whole splits. Without a control the curve is not smoothed and its axis is linear.
 */

import { all, download, make, write } from "../lib/dom.js";
import { integer } from "../lib/format.js";
import { drawLabels, LOOKS, options, show, SteadyRange } from "../lib/chart.js";
import { Curve } from "../lib/curve.js";
import { Pace } from "../lib/pace.js";
import { Redraw } from "../lib/painting.js";
import { colour, onPaletteChange } from "../lib/palette.js";
import { Points } from "../lib/points.js";

const EVERY = 250, SAY_EVERY = 5000, TABLE_ROWS = 20; // ms, ms

/** uPlot is not part of this repository's sources, so that it is loaded by its address. */
const uPlot = /** @type {Promise<{ default: UPlotConstructor }>} */ (import(new URL("../../vendor/uPlot.esm.js", import.meta.url).href));

class LossChart extends HTMLElement {
  points = new Points();
  /** @type {UPlot | null} */ #chart = null;
  /** @type {UPlotConstructor | null} */ #library = null;
  #curve = new Curve(this.points, "loss", 0.9, 0);
  #steady = new SteadyRange();
  /** @type {{ min: number, max: number } | null} */ #zoom = null;
  #end = 0;
  #from = 0;
  #place = make("div");
  #readout = make("p", { class: "note readout", "aria-hidden": "true" });
  #table = make("table", { class: "curve-table" });
  #details = make("details", { class: "disclosure" }, make("summary", {}, "As a table"), make("div", { class: "scroller", tabindex: 0 }, this.#table));
  #pointed = false;
  #drawn = 0;
  #generation = -1;
  #words = new Pace(SAY_EVERY, () => { this.#say(); this.#fillTable(); });
  #timer = 0;
  /** @type {Redraw | null} */ #redraw = null;
  #resize = new ResizeObserver(() => this.#size());
  /** @type {(() => void) | null} */ #stop = null;

  async connectedCallback() {
    this.#place = this.querySelector("[data-plot]") ?? this.#place;
    this.#place.setAttribute("role", "img");
    this.#place.setAttribute("aria-label", "Loss against updates. Nothing is measured yet.");
    this.#place.after(this.#readout);
    this.append(this.#details);
    this.#redraw = new Redraw(this, () => this.#draw());
    this.#stop = onPaletteChange(() => this.#rebuild());
    this.#details.addEventListener("toggle", () => this.#fillTable());
    this.addEventListener("change", () => this.#rebuild());
    this.addEventListener("click", event => {
      const action = event.target instanceof Element && event.target.closest("[data-action]")?.getAttribute("data-action");
      if (action === "clear") this.clear();
      if (action === "png") this.#png();
      if (action === "csv") download(new Blob([this.points.csv()], { type: "text/csv" }), "nabla-curve.csv");
    });
    this.#library = (await uPlot).default;
    this.#rebuild();
    this.#resize.observe(this.#place);
  }

  disconnectedCallback() {
    this.#resize.disconnect();
    this.#redraw?.stop();
    this.#stop?.();
    this.#chart?.destroy();
    this.#chart = null;
    clearTimeout(this.#timer);
  }

  /** As the page of a lab tells of its runs; the one that is drawn is that of the place. @param {string} run @param {Partial<Columns>} rows */
  metrics(run, rows) {
    if (!this.#draws(run)) return;
    this.points.append(rows);
    this.refresh();
  }

  /** Another generation: its points have nothing to do with those before. @param {string} run @param {Run} state */
  state(run, { generation }) {
    if (!this.#draws(run) || generation === this.#generation) return;
    this.#generation = generation;
    this.forget();
  }

  /** @param {string} run */
  #draws(run) { return /** @type {HTMLElement | null} */ (this.closest("[data-run]"))?.dataset.run === run; }

  /** New rows have come into `points`, or all of them went. */
  refresh() {
    if (this.#timer) return;
    this.#timer = window.setTimeout(() => {
      this.#timer = 0;
      this.#drawn = performance.now();
      if (this.#chart) { // the words are for those, too, who never scroll the picture into view
        this.#curve.update();
        this.#words.wish();
      }
      this.#redraw?.request();
    }, Math.max(0, EVERY - (performance.now() - this.#drawn)));
  }

  /** Hides what was before now; a double-click brings it back. */
  clear() {
    this.#from = Number(this.points.columns.step.at(-1) ?? 0);
    this.#zoom = null;
    this.#rebuild();
  }

  /** Another history: the old one's zoom and clearing mean nothing. */
  forget() {
    this.#from = 0;
    this.#zoom = null;
    this.points.clear();
    this.#rebuild();
  }

  /** Where a number is learned there is no accuracy to choose. @param {boolean} known */
  offerAccuracy(known) {
    const accuracy = this.querySelector("[name=plot][value=accuracy]"), loss = this.querySelector("[name=plot][value=loss]");
    if (!(accuracy instanceof HTMLInputElement) || !(loss instanceof HTMLInputElement)) return;
    accuracy.closest("fieldset")?.toggleAttribute("hidden", !known);
    if (known || !accuracy.checked) return;
    loss.checked = true;
    this.#rebuild();
  }

  get #plot() { return this.#chosen("plot") === "accuracy" ? "accuracy" : "loss"; }
  get #log() { return this.#plot === "loss" && (this.querySelector("[name=log]") instanceof HTMLInputElement ? /** @type {HTMLInputElement} */ (this.querySelector("[name=log]")).checked : false); }
  get #smoothing() { return Number(this.#chosen("smoothing") ?? 0); }

  /** @param {string} name @returns {string | undefined} */
  #chosen(name) {
    const control = this.querySelector(`[name=${name}]:checked, select[name=${name}]`);
    return control instanceof HTMLInputElement || control instanceof HTMLSelectElement ? control.value : undefined;
  }

  #rebuild() {
    if (!this.#library) return;
    const plot = this.#plot, log = this.#log, smoothing = this.#smoothing, { rem, font } = this.#type();
    for (const control of all("[name=log]", this)) /** @type {HTMLInputElement} */ (control).disabled = plot !== "loss";
    this.#curve = new Curve(this.points, plot, smoothing, this.#from);
    this.#curve.update();
    this.#steady = new SteadyRange();
    this.#end = 0;
    this.#words.hurry();
    this.#chart?.destroy();
    const { width, height } = this.#place.getBoundingClientRect();
    this.#chart = new this.#library(options({
      plot, log, shown: this.#shown, width, height, rem, font,
      range: (low, high) => {
        const [bottom, top] = this.#steady.fit(low, high, log, log ? [0.1, 3] : [0, 1]);
        return [plot === "loss" && !log ? 0 : bottom, top];
      },
      drawn: chart => drawLabels(chart, this.#ends(), rem, font),
      zoomed: chart => this.#select(chart),
      reset: () => { this.#zoom = null; if (this.#from) { this.#from = 0; this.#rebuild(); } else this.#draw(); },
      pointed: chart => { this.#pointed = chart.cursor.idx != null; this.#read(chart.cursor.idx ?? undefined); },
    }), this.#curve.data, this.#place);
    this.#chart.root.setAttribute("aria-hidden", "true");
    this.#draw();
  }

  #type() {
    const style = getComputedStyle(this);
    return { rem: parseFloat(getComputedStyle(document.documentElement).fontSize) / 16, font: style.fontFamily };
  }

  #size() {
    const { width, height } = this.#place.getBoundingClientRect();
    if (width && height) this.#chart?.setSize({ width, height });
  }

  #draw() {
    const chart = this.#chart;
    if (!chart) return;
    this.#curve.update();
    const { data } = this.#curve, first = data[0].length ? Number(data[0][0]) : 0, last = data[0].length ? Number(data[0].at(-1)) : 0;
    // The right end moves on in steps of a tenth, not with every point.
    if (last > this.#end || last < this.#end / 2) this.#end = last + 0.1 * (last - first);
    chart.setData(data, false);
    chart.setScale("x", this.#zoom ?? { min: this.#from || Math.min(first, 0), max: Math.max(this.#end, first + 10) });
    if (!this.#pointed) this.#read();
    this.#words.wish();
  }

  /** @param {UPlot} chart */
  #select(chart) {
    const { left, width } = chart.select;
    if (width < 4) return;
    this.#zoom = { min: chart.posToVal(left, "x"), max: chart.posToVal(left + width, "x") };
    chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.#steady = new SteadyRange();
    this.#draw();
  }

  /** Series that are shown, by their place in `Curve.data`. */
  get #shown() {
    const train = this.#smoothing > 0 ? 2 : 1;
    if (this.getAttribute("series") === "train test") return [train, 4];
    return this.#plot === "accuracy" ? [train, 3, 4] : [train, 3];
  }

  /** Those of them that have a value somewhere: without points for testing there is no test loss. */
  get #measured() { return this.#shown.filter(series => this.#curve.at(series)); }

  #ends() {
    return this.#shown.flatMap(series => {
      const end = this.#curve.at(series), look = LOOKS[series];
      return end ? [{ name: look.name, token: look.token, x: Number(this.#curve.data[0][end.row]), y: end.value }] : [];
    });
  }

  /** All series at one update. @param {number} [row] the newest one if nothing is pointed at */
  #read(row) {
    const step = this.#curve.data[0][row ?? this.#curve.data[0].length - 1];
    write(this.#readout, step == null ? "Nothing is measured yet." : `Update ${integer(step)}: ` + this.#measured.map(series =>
      `${LOOKS[series].name} ${show(this.#plot, this.#curve.at(series, row)?.value)}`).join(", "));
  }

  #say() {
    const { data } = this.#curve, plot = this.#plot, name = plot === "loss" ? "Loss" : "Accuracy";
    if (!data[0].length) return this.#place.setAttribute("aria-label", `${name} against updates. Nothing is measured yet.`);
    const parts = this.#measured.map(series =>
      `${LOOKS[series].name} went from ${show(plot, data[series].find(v => v != null))} to ${show(plot, this.#curve.at(series)?.value)}`);
    this.#place.setAttribute("aria-label", `${name} against updates ${integer(data[0][0])} to ${integer(data[0].at(-1))}: ${parts.join("; ")}. A table follows.`);
  }

  #fillTable() {
    if (!this.#details.open) return;
    const { data } = this.#curve, rows = data[0].length, plot = this.#plot, count = Math.min(TABLE_ROWS, rows);
    const heads = ["Update", ...this.#measured.map(series => LOOKS[series].name)];
    const body = make("tbody");
    for (let i = 0; i < count; i++) {
      const row = count < 2 ? 0 : Math.round(i * (rows - 1) / (count - 1));
      body.append(make("tr", {}, make("th", { scope: "row" }, integer(data[0][row])),
        ...this.#measured.map(series => make("td", { class: "number" }, show(plot, this.#curve.at(series, row)?.value)))));
    }
    this.#table.replaceChildren(
      make("thead", {}, make("tr", {}, ...heads.map((head, k) => make("th", { scope: "col", class: k ? "number" : null }, head)))), body);
  }

  #png() {
    const source = this.#chart?.ctx.canvas;
    if (!source) return;
    const copy = make("canvas", { width: source.width, height: source.height }), context = copy.getContext("2d");
    if (!context) return;
    context.fillStyle = colour("paper");
    context.fillRect(0, 0, copy.width, copy.height);
    context.drawImage(source, 0, 0);
    copy.toBlob(blob => { if (blob) download(blob, "nabla-curve.png"); });
  }
}

customElements.define("loss-chart", LossChart);
export { LossChart };

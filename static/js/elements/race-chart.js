/**
 * `<race-chart>`: one figure of several runs in one chart, by uPlot.
 *
 *   <race-chart hx-morph-skip-children runs="batch stochastic" data-labels='{"batch": "batch, all 40"}'
 *               value="train_loss" against="step" scale="log"></race-chart>
 *
 *   runs     names of the runs, at most four; the order decides how their lines look
 *   value    column that is drawn: train_loss, test_accuracy, … (lib/points.js has their names)
 *   against  step, examples or seconds
 *   scale    log or linear: that of the values
 *   across   log or linear: that of what they are drawn against
 *   figures  name of the figure that holds the points, run by run, where the page's own are too sparse
 *
 * The page hands over what came of each run: `metrics(run, rows)`, `state(run, { generation })`, and `figures`. The pointer
 * reads all runs off at one place. For who cannot see it there is a sentence with figures and a table. It draws four times a
 * second at most and only while in view.
 */

import { bare, drawLabels, line, SteadyRange } from "../lib/chart.js";
import { make, write } from "../lib/dom.js";
import { fixed, integer, percent, significant } from "../lib/format.js";
import { Pace } from "../lib/pace.js";
import { Redraw } from "../lib/painting.js";
import { onPaletteChange } from "../lib/palette.js";
import { Points } from "../lib/points.js";

/** @typedef {{ name: string, label: string, token: string, x: number[], y: number[] }} Series */

const EVERY = 250, SAY_EVERY = 5000, TABLE_ROWS = 12; // ms, ms

/** How the first, second, … run is drawn: apart in lightness and in dash, not in hue alone. */
const LOOKS = [
  { token: "series-1", width: 2.25, dash: /** @type {number[] | undefined} */ (undefined) },
  { token: "series-2", width: 1.75, dash: [2, 3] },
  { token: "series-3", width: 2, dash: [7, 3] },
  { token: "train", width: 2, dash: undefined },
];
/** @type {Record<string, string>} */
const VALUES = {
  train_loss: "training loss", validation_loss: "validation loss", test_loss: "test loss",
  train_accuracy: "training accuracy", validation_accuracy: "validation accuracy", test_accuracy: "test accuracy",
};
/** @type {Record<string, { unit: string, at: (place: number) => string }>} */
const AGAINST = {
  step: { unit: "updates", at: place => `update ${integer(place)}` },
  examples: { unit: "examples", at: place => `${integer(place)} examples` },
  seconds: { unit: "seconds", at: place => `${significant(place)} seconds` },
};

/** uPlot is not part of this repository's sources, so that it is loaded by its address. */
const uPlot = /** @type {Promise<{ default: UPlotConstructor }>} */ (import(new URL("../../vendor/uPlot.esm.js", import.meta.url).href));

class RaceChart extends HTMLElement {
  static observedAttributes = ["runs", "value", "against", "scale", "across", "data-labels"];
  /** @type {Map<string, Points>} */ #points = new Map();
  /** @type {Map<string, number>} */ #generations = new Map();
  /** @type {UPlot | null} */ #chart = null;
  /** @type {UPlotConstructor | null} */ #library = null;
  /** @type {Series[]} */ #series = [];
  #steady = new SteadyRange();
  #end = 0;
  #rem = 1;
  #pointed = false;
  #place = make("div", { class: "plot", role: "img" });
  #readout = make("p", { class: "note readout", "aria-hidden": "true" });
  #table = make("table", { class: "curve-table" });
  #details = make("details", { class: "disclosure aside" }, make("summary", {}, "As a table"), make("div", { class: "scroller", tabindex: 0 }, this.#table));
  #pace = new Pace(EVERY, () => this.#redraw?.request());
  #words = new Pace(SAY_EVERY, () => { this.#say(); this.#fillTable(); });
  /** @type {Redraw | null} */ #redraw = null;
  #resize = new ResizeObserver(() => this.#size());
  /** @type {(() => void) | null} */ #stop = null;

  async connectedCallback() {
    this.replaceChildren(this.#place, this.#readout, this.#details);
    this.#redraw = new Redraw(this, () => this.#draw());
    this.#stop = onPaletteChange(() => this.#rebuild());
    this.#details.addEventListener("toggle", () => this.#fillTable());
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
  }

  /** @param {string} _ @param {string | null} before @param {string | null} after */
  attributeChangedCallback(_, before, after) { if (before !== after) this.#rebuild(); }

  // ---- What comes in ---------------------------------------------------------------------------------------------------

  /** @param {string} run @param {Partial<Columns>} rows all new points */
  metrics(run, rows) {
    if (!this.hasAttribute("figures")) this.#add(run, rows);
  }

  /** Another generation: its points have nothing to do with those before. @param {string} run @param {Run} state */
  state(run, { generation }) {
    if (this.#generations.get(run) === generation) return;
    this.#generations.set(run, generation);
    if (!this.hasAttribute("figures")) this.#forget(run);
  }

  /** @param {Record<string, any>} all */
  set figures(all) {
    const source = this.getAttribute("figures");
    if (!source) return;
    for (const run of this.#runs) {
      this.#forget(run);
      this.#add(run, all[source]?.[run] ?? {});
    }
  }

  /** @param {string} run @param {Partial<Columns>} rows */
  #add(run, rows) {
    this.#of(run).append(rows);
    this.#pace.wish();
  }

  /** @param {string} run */
  #forget(run) {
    this.#of(run).clear();
    this.#pace.wish();
  }

  /** @param {string} run */
  #of(run) {
    const found = this.#points.get(run) ?? new Points();
    this.#points.set(run, found);
    return found;
  }

  // ---- What is asked for -----------------------------------------------------------------------------------------------

  get #runs() { return (this.getAttribute("runs") ?? "").split(" ").filter(Boolean); }
  get #value() { return /** @type {Column} */ (this.getAttribute("value") ?? "train_loss"); }
  get #against() { return /** @type {"step" | "examples" | "seconds"} */ (this.getAttribute("against") ?? "step"); }
  get #shares() { return this.#value.endsWith("accuracy"); }
  get #log() { return this.getAttribute("scale") === "log"; }
  get #logAcross() { return this.getAttribute("across") === "log"; }

  /** What is drawn of each run; a logarithmic axis has no place for zero. @returns {Series[]} */
  #read() {
    const labels = JSON.parse(this.dataset.labels ?? "{}");
    return this.#runs.map((name, k) => {
      const { columns } = this.#of(name), across = columns[this.#against], values = columns[this.#value];
      /** @type {number[]} */ const x = [], /** @type {number[]} */ y = [];
      values.forEach((value, row) => {
        const place = across[row];
        if (value == null || place == null || this.#log && value <= 0 || this.#logAcross && place <= 0) return;
        x.push(place);
        y.push(value);
      });
      return { name, label: labels[name] ?? name, token: LOOKS[k].token, x, y };
    });
  }

  // ---- The chart -------------------------------------------------------------------------------------------------------

  #rebuild() {
    if (!this.#library || !this.isConnected) return;
    const rem = this.#rem = rootSize(), font = getComputedStyle(this).fontFamily;
    const { width, height } = this.#place.getBoundingClientRect(), log = this.#log, shares = this.#shares;
    this.#series = this.#read();
    this.#steady = new SteadyRange();
    this.#end = 0;
    this.#words.hurry();
    this.#chart?.destroy();
    this.#chart = new this.#library({
      ...bare({
        shares, log, logAcross: this.#logAcross, width, height, rem, font, right: this.#room(font),
        range: (low, high) => {
          const [bottom, top] = this.#steady.fit(low, high, log, log ? [0.1, 3] : [0, 1]);
          return [shares || log ? bottom : Math.min(0, bottom), shares ? Math.min(1, top) : top];
        },
        across: tick => this.#against === "seconds" ? String(Number(tick.toPrecision(3))) : Number.isInteger(tick) ? integer(tick) : "",
        drawn: chart => drawLabels(chart, this.#ends(), rem, font, AGAINST[this.#against].unit),
        pointed: chart => { this.#pointed = chart.cursor.idx != null; this.#tell(this.#pointed ? chart.posToVal(chart.cursor.left ?? 0, "x") : undefined); },
      }),
      series: [{}, ...this.#series.map((_, k) => ({ ...line(LOOKS[k].token, LOOKS[k].width, 1), dash: LOOKS[k].dash, points: { show: false } }))],
    }, this.#aligned(), this.#place);
    this.#chart.root.setAttribute("aria-hidden", "true");
    this.#draw();
  }

  /** Room for the longest name at the end of its line, in pixels at the usual size of type. @param {string} font */
  #room(font) {
    const context = /** @type {CanvasRenderingContext2D} */ (make("canvas").getContext("2d"));
    context.font = `600 12px ${font}`;
    return 20 + Math.max(64, ...this.#series.map(({ label }) => context.measureText(label).width));
  }

  /** Each run has places of its own; uPlot wants them in one. */
  #aligned() {
    return /** @type {UPlotConstructor} */ (this.#library).join(this.#series.map(({ x, y }) => [x, y]));
  }

  /** Presented, words are larger; a chart's are for good. */
  #size() {
    const { width, height } = this.#place.getBoundingClientRect();
    if (!width || !height) return;
    if (this.#rem === rootSize()) this.#chart?.setSize({ width, height });
    else this.#rebuild();
  }

  #draw() {
    const chart = this.#chart;
    if (!chart) return;
    this.#series = this.#read();
    const places = this.#series.flatMap(({ x }) => x.length ? [x[0], x[x.length - 1]] : []), last = Math.max(0, ...places);
    // The right end moves on in steps of a tenth, not with every point.
    if (last > this.#end || last < this.#end / 2) this.#end = 1.1 * last;
    chart.setData(this.#aligned(), false);
    chart.setScale("x", this.#logAcross ? { min: Math.min(1, ...places), max: Math.max(this.#end, 10) } : { min: 0, max: this.#end || 10 });
    if (!this.#pointed) this.#tell();
    this.#words.wish();
  }

  #ends() {
    return this.#series.flatMap(({ label, token, x, y }) => x.length ? [{ name: label, token, x: x[x.length - 1], y: y[y.length - 1] }] : []);
  }

  // ---- Words -----------------------------------------------------------------------------------------------------------

  /** @param {number | undefined} value */
  #figure(value) { return this.#shares ? percent(value, 2) : significant(value); }

  /** All runs at one place, the newest one if nothing is pointed at. @param {number} [place] */
  #tell(place) {
    const measured = this.#series.filter(({ x }) => x.length);
    if (!measured.length) return write(this.#readout, "Nothing is measured yet.");
    const where = place ?? Math.max(...measured.map(({ x }) => x[x.length - 1]));
    const said = measured.map(series => `${series.label} ${this.#figure(at(series, where))}`).join(", ");
    write(this.#readout, `${capital(AGAINST[this.#against].at(where))}: ${said}`);
  }

  #say() {
    const title = `${capital(VALUES[this.#value] ?? this.#value)} against ${AGAINST[this.#against].unit}`;
    const parts = this.#series.filter(({ x }) => x.length).map(({ label, x, y }) =>
      `${label} went from ${this.#figure(y[0])} to ${this.#figure(y[y.length - 1])} at ${AGAINST[this.#against].at(x[x.length - 1])}`);
    this.#place.setAttribute("aria-label", `${title}. ${parts.length ? `${parts.join("; ")}. A table follows.` : "Nothing is measured yet."}`);
  }

  #fillTable() {
    if (!this.#details.open) return;
    const { unit } = AGAINST[this.#against], heads = [capital(unit), ...this.#series.map(({ label }) => label)];
    const places = [...new Set(this.#series.flatMap(({ x }) => x))].sort((a, b) => a - b), count = Math.min(TABLE_ROWS, places.length);
    const chosen = Array.from({ length: count }, (_, i) => places[count < 2 ? 0 : Math.round(i * (places.length - 1) / (count - 1))]);
    this.#table.replaceChildren(
      make("thead", {}, make("tr", {}, ...heads.map((head, k) => make("th", { scope: "col", class: k ? "number" : null }, head)))),
      make("tbody", {}, ...chosen.map(place => make("tr", {},
        make("th", { scope: "row" }, this.#against === "seconds" ? fixed(place, 3) : integer(place)),
        ...this.#series.map(series => make("td", { class: "number" }, this.#figure(at(series, place))))))));
  }
}

/** The newest value at or before a place. @param {Series} series @param {number} place */
function at({ x, y }, place) {
  let row = x.length - 1;
  while (row >= 0 && x[row] > place) row--;
  return y[row];
}

/** How large type is, as a share of the usual. */
const rootSize = () => parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;

/** @param {string} words */
const capital = words => words[0].toUpperCase() + words.slice(1);

customElements.define("race-chart", RaceChart);
export { RaceChart };

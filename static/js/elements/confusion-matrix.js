/**
 * `<confusion-matrix>`: how well a run on points does: which class is taken for which, precision and recall of each; where a
 * number is learned, R² and the mean errors. It is measured on the points for testing, or on all of them if none are.
 *
 * The page gives it each state of the run (`follow`) and says how far the training is (`moved`); it asks the server once a
 * second at most, only while in view, and once more when the training rests. Pressing a cell sends `highlight` with
 * { truth, predicted, split }, pressing it again with null.
 *
 * All children are its own: where the server's answers are morphed in, it carries `hx-morph-skip-children`.
 */

import { Problem, request } from "../lib/api.js";
import { make, write } from "../lib/dom.js";
import { fixed, integer, significant } from "../lib/format.js";
import { Pace } from "../lib/pace.js";
import { Redraw } from "../lib/painting.js";

const ASK_EVERY = 1000; // ms

/**
 * @typedef {{ split: "train" | "test", step: number, examples: number, accuracy: number | null, loss: number | null,
 *   confusion: number[][], per_class: { precision: number | null, recall: number | null }[],
 *   r_squared?: number | null, mean_absolute_error?: number | null, root_mean_squared_error?: number | null }} Evaluation
 */

class ConfusionMatrix extends HTMLElement {
  /** @type {Run | null} */ #run = null;
  /** @type {Evaluation | null} */ #latest = null;
  #step = 0;
  #shape = "";
  #busy = false;
  #caption = make("figcaption", {}, "Not measured yet.");
  #table = make("table", { class: "matrix" });
  #scroller = make("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": "Confusion matrix", hidden: true }, this.#table);
  #figures = make("dl", { class: "figures" });
  #asking = new Pace(ASK_EVERY, () => void this.#ask());
  /** @type {Redraw | null} */ #redraw = null;

  constructor() {
    super();
    this.addEventListener("click", event => {
      const cell = event.target instanceof Element ? event.target.closest("[data-truth]") : null;
      if (cell instanceof HTMLElement) this.#press(cell);
    });
  }

  connectedCallback() {
    this.replaceChildren(make("figure", { class: "figure" }, this.#caption, this.#scroller), this.#figures);
    this.#redraw = new Redraw(this, () => this.#asking.wish());
  }

  disconnectedCallback() {
    this.#redraw?.stop();
    this.#asking.hurry();
  }

  /** @param {Run} run */
  follow(run) {
    if (!same(run, this.#run)) this.#latest = null;
    this.#run = run;
    this.#step = run.step;
    if (!this.#latest || this.#latest.step < run.step) this.#redraw?.request();
  }

  /** @param {number} step */
  moved(step) {
    if (step === this.#step) return;
    this.#step = step;
    this.#redraw?.request();
  }

  async #ask() {
    const run = this.#run;
    if (!run || this.#busy) return;
    this.#busy = true;
    try {
      const found = await request("GET", `/api/runs/${run.id}/evaluation?split=${run.dataset.test_examples ? "test" : "train"}`);
      if (same(run, this.#run)) this.#show(run, found);
      else this.#redraw?.request();
    } catch (error) {
      // The stream tells of a server that is gone, the page of a run that is. 409: the network was changed meanwhile; 429, 503:
      // the server asks for patience.
      if (!(error instanceof Problem)) throw error;
      if ([409, 429, 503].includes(error.status)) this.#redraw?.request();
    } finally {
      this.#busy = false;
    }
    if (this.#latest && this.#latest.step < this.#step) this.#redraw?.request();
  }

  /** @param {Run} run @param {Evaluation} evaluation */
  #show({ dataset }, evaluation) {
    this.#latest = evaluation;
    const { split, step, examples } = evaluation, classes = dataset.classes, known = classes.length > 0;
    const shape = JSON.stringify(classes);
    if (shape !== this.#shape) this.#build(classes);
    this.#shape = shape;
    write(this.#caption, `${integer(examples)} ${split === "test" ? "test" : "training"} ${examples === 1 ? "point" : "points"} at update ${integer(step)}.` +
      (known ? " Rows: what it is. Columns: what the network says. Press a cell to see its points." : ""));
    this.#scroller.hidden = !known;
    if (known) this.#count(classes, evaluation);
    const values = known
      ? evaluation.per_class.map(({ precision, recall }) => `${fixed(precision)}, ${fixed(recall)}`)
      : [fixed(evaluation.r_squared, 3), significant(evaluation.mean_absolute_error), significant(evaluation.root_mean_squared_error)];
    this.#figures.querySelectorAll("dd").forEach((place, k) => write(place, values[k] ?? ""));
  }

  /** @param {string[]} classes */
  #build(classes) {
    const names = classes.length ? classes.map(name => `${name}: precision, recall`) : ["R²", "Mean absolute error", "Root mean squared error"];
    this.#figures.replaceChildren(...names.map(name => make("div", {}, make("dt", {}, name), make("dd", {}))));
    this.#table.classList.toggle("named", classes.some(name => name.length > 2));
    this.#table.replaceChildren(
      make("caption", { class: "visually-hidden" }, "Rows: true class. Columns: predicted class."),
      make("thead", {}, make("tr", {}, make("td", { class: "corner" }), ...classes.map(name => make("th", { scope: "col", title: name }, name)))),
      make("tbody", {}, ...classes.map((name, truth) => make("tr", {}, make("th", { scope: "row", title: name }, name), ...classes.map((_, predicted) =>
        make("td", { class: truth === predicted ? "hit" : null }, make("button", { type: "button", "aria-pressed": "false", "data-truth": truth, "data-predicted": predicted })))))));
  }

  /** A mistake's tint tells its share of the row: some, above 5 %, above 20 %. @param {string[]} classes @param {Evaluation} evaluation */
  #count(classes, { confusion }) {
    for (const button of this.#table.querySelectorAll("button")) {
      const truth = Number(button.dataset.truth), predicted = Number(button.dataset.predicted), count = confusion[truth][predicted];
      const share = count / confusion[truth].reduce((sum, value) => sum + value, 0);
      write(button, count ? integer(count) : "·");
      button.setAttribute("aria-label", `${classes[truth]} taken for ${classes[predicted]}: ${integer(count)}`);
      if (truth !== predicted) button.parentElement?.setAttribute("data-level", String(count ? 1 + Number(share > 0.05) + Number(share > 0.2) : 0));
    }
  }

  /** @param {HTMLElement} pressed */
  #press(pressed) {
    const on = pressed.getAttribute("aria-pressed") !== "true";
    for (const cell of this.#table.querySelectorAll("button")) cell.setAttribute("aria-pressed", String(on && cell === pressed));
    const detail = on ? { truth: Number(pressed.dataset.truth), predicted: Number(pressed.dataset.predicted), split: this.#latest?.split } : null;
    this.dispatchEvent(new CustomEvent("highlight", { bubbles: true, detail }));
  }
}

/** Whether an evaluation of one speaks of the other, too. @param {Run} run @param {Run | null} other */
const same = (run, other) => run.id === other?.id && run.generation === other.generation && run.dataset.digest === other.dataset.digest;

customElements.define("confusion-matrix", ConfusionMatrix);
export { ConfusionMatrix };

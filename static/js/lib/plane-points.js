/**
 * The points of a run as the page shows and edits them, with undo and redo, and their way to the server.
 *
 * What the server knows (`served`) and what the page shows (`points`) differ while somebody paints: frames mean by an index a
 * place in `served`. Points are objects that are replaced when they move, so that a set of them (mistakes, a chosen cell of
 * the confusion matrix) stays right while others come and go.
 *
 * Edits travel with the form of the experiment, in hidden inputs that `submit` fills (and makes where they are missing):
 *   own_values       base64 of little-endian float32, row after row: the columns, then the class or the number
 *   own_columns      JSON list of the columns' names
 *   own_class_names  JSON list of the classes' names, empty where a number is learned
 *   own_target       the name of what is learned
 * and `data` becomes "own"; then the form hears `change`.
 */

import { Problem, request } from "./api.js";
import { toBase64 } from "./frames.js";
import { make } from "./dom.js";

/** `place` has a number for each column. `test`: kept aside for testing, as the server decided. @typedef {{ place: number[], label: number, test: boolean }} Point */

const LETTERS = "ABCDEF";
const MOST_UNDONE = 200;
const REMEMBERED = 8; // edits under way to the server at a time; more of them are never between two answers

/** @param {Point[]} points @returns {string} */
export function encodeRows(points) {
  const rows = Float32Array.from(points.flatMap(({ place, label }) => [...place, label]));
  return toBase64(new Uint8Array(rows.buffer));
}

/** Events: `change` whenever other points, or the same ones otherwise split, are to be drawn. */
export class PointSet extends EventTarget {
  columns = ["x", "y"];
  target = "class";
  /** @type {[[number, number], [number, number]]} */ domain = [[-6, 6], [-6, 6]];
  digest = "";
  /** @type {Point[]} */ points = [];
  /** @type {Point[]} */ served = [];
  #names = ["A", "B"];
  /** @type {{ text: string, points: Point[] }[]} */ #sent = [];
  /** @type {Point[][]} */ #undone = [];
  /** @type {Point[][]} */ #done = [];
  /** @type {unknown} */ #gesture = null;
  #asking = new AbortController();

  /** Names of the classes, those that were only just painted included; none where a number is learned. */
  get classes() {
    if (!this.#names.length) return [];
    const names = [...this.#names], free = [...LETTERS].filter(letter => !names.includes(letter));
    for (const { label } of this.points) while (names.length <= label && free.length) names.push(/** @type {string} */ (free.shift()));
    return names;
  }

  get canUndo() { return this.#done.length > 0; }
  get canRedo() { return this.#undone.length > 0; }

  /** Asks for the points of a run when its dataset's digest is another one. @param {string} run @param {string} digest */
  async follow(run, digest) {
    if (digest === this.digest) return;
    this.digest = digest;
    this.#asking.abort();
    this.#asking = new AbortController();
    try {
      this.take(await request("GET", `/api/runs/${run}/points`, undefined, this.#asking.signal));
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") return;
      this.digest = ""; // asked again with the next state of the run; that the server is away, the stream says
      if (!(error instanceof Problem)) throw error;
    }
  }

  /**
   * What the server has. If it is what this page sent, newer edits and the way back stay; else it is another set of points.
   * @param {PointsAnswer} answer
   */
  take(answer) {
    const points = answer.values.map((place, i) => ({ place, label: answer.labels[i], test: false }));
    const text = encodeRows(points), own = this.#sent.findLast(sent => sent.text === text);
    this.digest = answer.digest;
    this.domain = answer.domain;
    if (own && String(answer.columns) === String(this.columns)) this.served = own.points;
    else {
      this.columns = answer.columns;
      this.target = answer.target;
      this.#names = answer.classes;
      this.#done = [];
      this.#undone = [];
      this.#sent = [{ text, points }];
      this.points = this.served = points;
    }
    this.served.forEach((point, i) => { point.test = answer.split[i] === "test"; });
    this.dispatchEvent(new Event("change"));
  }

  /** The points that a frame means. @param {Iterable<number>} indices @returns {Set<Point>} */
  at(indices) {
    const found = new Set();
    for (const index of indices) if (this.served[index]) found.add(this.served[index]);
    return found;
  }

  /**
   * Other points; those of one gesture (a drag, a spray) are taken back together.
   * @param {Point[]} points @param {unknown} [gesture] whatever is the same for all of it
   */
  put(points, gesture = {}) {
    if (gesture !== this.#gesture) {
      this.#done.push(this.points);
      if (this.#done.length > MOST_UNDONE) this.#done.shift();
    }
    this.#gesture = gesture;
    this.#undone = [];
    this.#show(points);
  }

  /** @returns {boolean} whether there was something to take back */
  undo() { return this.#swap(this.#done, this.#undone); }

  /** @returns {boolean} */
  redo() { return this.#swap(this.#undone, this.#done); }

  /** @param {Point[][]} from @param {Point[][]} to */
  #swap(from, to) {
    const points = from.pop();
    if (!points) return false;
    to.push(this.points);
    this.#gesture = null;
    this.#show(points);
    return true;
  }

  /** @param {Point[]} points */
  #show(points) {
    this.points = points;
    this.dispatchEvent(new Event("change"));
  }

  /** Writes the points into the form and lets it hear of them. @param {HTMLFormElement} form */
  submit(form) {
    const text = encodeRows(this.points);
    this.#sent = [...this.#sent.slice(1 - REMEMBERED), { text, points: this.points }];
    const fields = { own_values: text, own_columns: JSON.stringify(this.columns), own_class_names: JSON.stringify(this.classes), own_target: this.target };
    for (const [name, value] of Object.entries(fields)) write(form, name, value);
    write(form, "data", "own");
    form.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

/** @param {HTMLFormElement} form @param {string} name @param {string} value */
function write(form, name, value) {
  const found = form.elements.namedItem(name);
  if (found instanceof RadioNodeList || found instanceof HTMLInputElement || found instanceof HTMLSelectElement) found.value = value;
  else form.append(make("input", { type: "hidden", name, value }));
}

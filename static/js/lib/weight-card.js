/**
 * The card beside a line or a neuron of the network diagram: weights and bias, live. Under the pointer it only reads; kept
 * open, it has fields. A field shows the network's own value as long as nobody is in it.
 *
 * The box tells by `typed` { input, value } that a number was entered, input null for the bias, and by `leave` that Esc was
 * pressed. It may stand inside a form, which must not notice: the fields have no names and their own events stay here.
 */

import { make, write } from "./dom.js";
import { significant } from "./format.js";

const LARGEST = 1e6; // the engine takes no weight beyond
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const WIDE = 8; // entries; more of them stand in two columns

/** One number: a weight of an input, or the bias. @typedef {{ name: string, input: number | null }} Entry */
/** `text` is what the field held last without having been typed. @typedef {{ input: number | null, figure: HTMLElement | null, field: HTMLInputElement | null, text: string }} Row */

export class WeightCard {
  /** Whether it stays, with fields, until it is closed. */
  kept = false;
  /** @type {Row[]} */ #rows = [];
  #fault = make("small", { class: "error", role: "alert" });

  /** @param {HTMLElement} box */
  constructor(box) {
    this.box = box;
    this.box.addEventListener("keydown", event => this.#key(event));
    for (const name of ["input", "change"]) this.box.addEventListener(name, event => event.stopPropagation());
  }

  /**
   * @param {string} title @param {Entry[]} entries a unit's bias and weights, or the one weight of a line @param {boolean} kept
   * @param {string} explained address of the page that explains the weight, or of the bias; empty: none
   */
  open(title, entries, kept, explained) {
    this.kept = kept;
    this.#rows = [];
    write(this.#fault, "");
    const list = make("div", { class: "figures" }, ...entries.flatMap(entry => this.#row(entry, kept, entries.length === 1)));
    list.toggleAttribute("data-wide", entries.length > WIDE);
    this.box.toggleAttribute("data-kept", kept);
    this.box.setAttribute("aria-label", title);
    const link = kept && explained ? [make("a", { href: explained }, entries.length === 1 ? "Explain this weight" : "Explain the bias")] : [];
    this.box.replaceChildren(make("b", {}, title), list, this.#fault, ...link);
    this.box.hidden = false;
  }

  /** What stands in a field that somebody is in counts, as it does when they go on to another. */
  close() {
    const { activeElement } = document;
    if (activeElement instanceof HTMLElement && this.box.contains(activeElement)) activeElement.blur();
    this.box.hidden = true;
    this.kept = false;
  }

  /** Into the first field. */
  focus() {
    const { field } = this.#rows[0];
    field?.focus();
    field?.select();
  }

  /** @param {(input: number | null) => number | null} read null: not known */
  show(read) {
    for (const row of this.#rows) {
      const { figure, field } = row, value = read(row.input);
      write(figure, significant(value));
      if (field && field !== document.activeElement && !field.hasAttribute("aria-invalid")) field.value = row.text = plain(value);
    }
  }

  /** @param {Entry} entry @param {boolean} kept @param {boolean} alone */
  #row({ name, input }, kept, alone) {
    const figure = !kept || alone ? make("b") : null, field = kept ? make("input", { inputmode: "decimal", autocomplete: "off" }) : null;
    /** @type {Row} */
    const row = { input, figure, field, text: "" };
    this.#rows.push(row);
    field?.addEventListener("change", () => this.#enter(row, field));
    return [
      ...figure ? [make("div", {}, make("span", {}, name), figure)] : [],
      ...field ? [make("label", {}, make("span", {}, alone ? "set to" : name), field)] : [],
    ];
  }

  /** A field was left, or Enter was pressed in it. @param {Row} row @param {HTMLInputElement} field */
  #enter(row, field) {
    if (field.value === row.text) return;
    row.text = field.value;
    const text = field.value.trim().replaceAll("−", "-"), value = NUMBER.test(text) ? Number(text) : NaN, right = Math.abs(value) <= LARGEST;
    if (right) field.removeAttribute("aria-invalid");
    else field.setAttribute("aria-invalid", "true");
    write(this.#fault, right ? "" : "A number such as −0.5, at most a million.");
    if (right) this.box.dispatchEvent(new CustomEvent("typed", { detail: { input: row.input, value } }));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const row = this.#rows.find(({ field }) => field === event.target), field = row?.field;
    if (event.key === "Escape") {
      if (row && field) field.value = row.text; // what was typed is left with the field
      this.box.dispatchEvent(new Event("leave"));
    } else if (event.key === "Enter" && row && field) {
      this.#enter(row, field);
      field.select();
    } else return;
    event.preventDefault(); // Enter would send the form around
  }
}

/** As it is typed. @param {number | null} value */
const plain = value => value === null ? "" : String(value).replace("-", "−");

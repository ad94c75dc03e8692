/** Figures in the text: `<span data-figure="epoch" data-format="number" data-digits="2">`, written ten times a second at most. */

import { all, write } from "./dom.js";
import { format } from "./format.js";

const EVERY = 100; // ms

export class Figures {
  /** @type {Record<string, number | null>} */ latest = {};
  #timer = 0;

  /** @param {Record<string, number | null | undefined>} values undefined ones stay as they are */
  set(values) {
    for (const [name, value] of Object.entries(values)) if (value !== undefined) this.latest[name] = value;
    this.#timer ||= window.setTimeout(() => {
      this.#timer = 0;
      for (const element of all("[data-figure]")) {
        const { figure = "", format: style = "number", digits } = element.dataset;
        if (figure in this.latest) write(element, format(this.latest[figure], style, digits === undefined ? undefined : Number(digits)));
      }
    }, EVERY);
  }
}

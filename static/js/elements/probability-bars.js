/**
 * `<probability-bars classes="0,1,…" label="…">`: one bar a class, the figure always printed. `show(null)`: no answer, all
 * bars empty. The most probable class is marked by `aria-current`, not by colour alone.
 */

import { make, write } from "../lib/dom.js";
import { NONE, percent } from "../lib/format.js";

class ProbabilityBars extends HTMLElement {
  /** @type {{ row: HTMLElement, bar: HTMLElement, figure: HTMLElement }[]} */ #rows = [];

  connectedCallback() {
    if (this.#rows.length) return;
    const classes = (this.getAttribute("classes") ?? "0,1,2,3,4,5,6,7,8,9").split(",");
    const list = make("ol", { class: "bars", "aria-label": this.getAttribute("label") ?? "Probability of each class" });
    for (const name of classes) {
      const bar = make("i"), figure = make("span", {}, NONE);
      const row = make("li", {}, make("b", {}, name), make("span", { class: "bar", "aria-hidden": "true" }, bar), figure);
      this.#rows.push({ row, bar, figure });
      list.append(row);
    }
    this.replaceChildren(list);
  }

  /** @param {number[] | null} probabilities */
  show(probabilities) {
    const first = probabilities ? probabilities.indexOf(Math.max(...probabilities)) : -1;
    this.#rows.forEach(({ row, bar, figure }, k) => {
      const value = probabilities?.[k] ?? null;
      bar.style.setProperty("--value", (value ?? 0).toFixed(4));
      write(figure, percent(value));
      if (k === first) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    });
  }
}

customElements.define("probability-bars", ProbabilityBars);
export { ProbabilityBars };

/** What the small plots of the labs share: a canvas that draws what the page hands over, in view, at any size, in either theme. */

import { make } from "./dom.js";
import { Redraw } from "./painting.js";
import { onPaletteChange } from "./palette.js";

/** @template Figures what the page sets as `figures` */
export class FigureCanvas extends HTMLElement {
  canvas = make("canvas", { role: "img" });
  /** What is to be drawn, once it is there. @type {Figures | null} */ given = null;
  /** @type {Redraw | null} */ #redraw = null;
  #resize = new ResizeObserver(() => this.redraw());
  /** @type {(() => void) | null} */ #stop = null;

  /** @param {...Node} beside what stands under the canvas */
  build(...beside) {
    this.replaceChildren(make("div", { class: "plot" }, this.canvas), ...beside);
  }

  connectedCallback() {
    this.build();
    this.#redraw = new Redraw(this, () => { if (this.given) this.draw(this.given); });
    this.#resize.observe(this.canvas);
    this.#stop = onPaletteChange(() => this.redraw());
    this.redraw();
  }

  disconnectedCallback() {
    this.#resize.disconnect();
    this.#redraw?.stop();
    this.#stop?.();
  }

  /** @param {Figures} all */
  set figures(all) {
    this.given = all;
    this.redraw();
  }

  redraw() { this.#redraw?.request(); }

  /** @param {Figures} _all to be drawn by the element that this is */
  draw(_all) { throw new Error("an element draws its own figures"); }

  /** @param {(event: PointerEvent) => void} act at a press on the canvas and wherever it is dragged */
  onDrag(act) {
    this.canvas.addEventListener("pointerdown", event => { this.canvas.setPointerCapture(event.pointerId); act(event); });
    this.canvas.addEventListener("pointermove", event => { if (this.canvas.hasPointerCapture(event.pointerId)) act(event); });
  }
}

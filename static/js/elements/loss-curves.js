/**
 * `<loss-curves picture="squared">`: the squared loss over the network's output, with the point where it is now and its slope.
 * `<loss-curves picture="product">`: the product of N probabilities, as powers of ten, until float32 has no number for it.
 * `<loss-curves picture="sum">`: −Σ log P of the same examples.
 *
 * The page sets `figures`. A press or a drag on the squared loss asks for that output by a `set` event.
 */

import { FigureCanvas } from "../lib/figure-canvas.js";
import { axes, dot, rule, trace } from "../lib/axes.js";
import { fixed, integer, significant, superscript } from "../lib/format.js";
import { axisNumber, halo } from "../lib/marks.js";
import { colour } from "../lib/palette.js";

/** @typedef {{ target: number, output: number, loss: number, slope: number, outputs: number[], losses: number[] }} Squared */
/**
 * @typedef {{ examples: number, product: number, sum: number, power: number, vanished: number | null, smallest: number,
 *   places: number[], products: (number | null)[], sums: number[], said: string }} Likelihood
 */
/** @typedef {ReturnType<typeof axes>} Plot */

const DASH = [7, 3];
const LOWEST = -50; // power of ten at the bottom of the picture of the product

/** @extends {FigureCanvas<{ squared: Squared, likelihood: Likelihood }>} */
class LossCurves extends FigureCanvas {
  /** @type {Plot | null} */ #plot = null;

  connectedCallback() {
    super.connectedCallback();
    if (this.#picture === "squared") this.onDrag(event => this.#ask(event));
  }

  get #picture() { return this.getAttribute("picture"); }

  /** @param {PointerEvent} event */
  #ask({ offsetX }) {
    if (!this.#plot || !this.given) return;
    const { outputs } = this.given.squared, { left, right } = this.#plot.box, low = outputs[0], high = outputs[outputs.length - 1];
    const output = Math.max(low, Math.min(high, low + (offsetX - left) / (right - left) * (high - low)));
    this.dispatchEvent(new CustomEvent("set", { bubbles: true, detail: { output: Math.round(20 * output) / 20 } }));
  }

  /** @param {{ squared: Squared, likelihood: Likelihood }} all */
  draw(all) {
    if (this.#picture === "squared") this.#squared(all.squared);
    else if (this.#picture === "product") this.#product(all.likelihood);
    else this.#sum(all.likelihood);
  }

  /** @param {Squared} figures */
  #squared({ target, output, loss, slope, outputs, losses }) {
    const low = outputs[0], high = outputs[outputs.length - 1];
    const plot = axes(this.canvas, { name: "ŷ", range: [low, high] }, { name: "Loss", range: [0, loss > 18 ? 50 : 20] }), { context, box, X, Y, rem } = plot;
    this.#plot = plot;
    context.beginPath();
    context.rect(box.left, 0, box.right - box.left, box.bottom + 6);
    context.clip();
    rule(context, "edge", [[X(target), box.top], [X(target), box.bottom]]);
    trace(plot, outputs, losses, { token: "series-1" });
    trace(plot, [low, high], [loss + slope * (low - output), loss + slope * (high - output)], { token: "series-2", width: 1.75, dash: DASH });
    context.textBaseline = "top";
    context.textAlign = target > 0 ? "right" : "left";
    halo(context, "y", X(target) + (target > 0 ? -6 : 6) * rem, box.top);
    context.textBaseline = "middle";
    context.font = `600 ${context.font}`;
    // Outside of the curve, if there is room.
    const words = `${fixed(loss)}, slope ${fixed(slope)}`, wide = context.measureText(words).width + 14 * rem;
    const right = output < target ? X(output) - wide < box.left : X(output) + wide < box.right;
    context.textAlign = right ? "left" : "right";
    halo(context, words, X(output) + (right ? 12 : -12) * rem, Math.min(box.bottom - 12 * rem, Y(loss)));
    dot(context, X(output), Y(loss), "series-2", 5.5 * rem);
    this.canvas.setAttribute("aria-label", `The squared loss over the output, a parabola that is 0 at ${fixed(target)}. At the output ${fixed(output)} the loss is ${fixed(loss)} and its slope ${fixed(slope)}.`);
  }

  /** @param {Likelihood} figures */
  #product({ examples, places, products, smallest, vanished, said }) {
    const plot = axes(this.canvas, count(examples), { name: "product", range: [LOWEST, 0], ticks: [0, -10, -20, -30, -40, -50], words: power => power ? `10${superscript(power)}` : "1" }), { context, box, X, Y, rem } = plot;
    const floor = Y(Math.log10(smallest));
    context.fillStyle = colour("well");
    context.fillRect(box.left, floor, box.right - box.left, box.bottom - floor);
    trace(plot, places, products.map(product => product === null ? null : Math.log10(product)), { token: "series-1" });
    context.textBaseline = "bottom";
    context.textAlign = "right";
    halo(context, `float32 ends at ${significant(smallest)}`, box.right, floor - 4 * rem);
    if (vanished) {
      const x = X(vanished), left = x < (box.left + box.right) / 2;
      trace(plot, [vanished, vanished], [LOWEST, Math.log10(smallest)], { token: "series-2", dash: [2, 3] });
      dot(context, x, box.bottom, "series-2");
      context.textAlign = left ? "left" : "right";
      context.font = `600 ${context.font}`;
      halo(context, `0 from ${integer(vanished)} on`, x + (left ? 10 : -10) * rem, floor - 20 * rem);
    }
    this.canvas.setAttribute("aria-label", `The product of 1 to ${integer(examples)} probabilities, as powers of ten: ${said}.`);
  }

  /** @param {Likelihood} figures */
  #sum({ examples, places, sums, sum }) {
    const plot = axes(this.canvas, count(examples), { name: "−Σ log P", range: [0, Math.max(1, 1.15 * sum)] }), { context, X, Y, rem } = plot;
    trace(plot, places, sums, { token: "series-3" });
    dot(context, X(examples), Y(sum), "series-3");
    context.textAlign = "right";
    context.textBaseline = "bottom";
    context.font = `600 ${context.font}`;
    halo(context, significant(sum), X(examples) - 8 * rem, Y(sum) - 2 * rem);
    this.canvas.setAttribute("aria-label", `The sum of −log P over 1 to ${integer(examples)} examples grows evenly to ${significant(sum)}.`);
  }
}

/** The axis of the number of examples, which may be a single one. @param {number} examples */
const count = examples => ({ name: "examples", range: /** @type {[number, number]} */ ([0, Math.max(1, examples)]), words: (/** @type {number} */ tick) => Number.isInteger(tick) ? integer(tick) : axisNumber(tick) });

customElements.define("loss-curves", LossCurves);
export { LossCurves };

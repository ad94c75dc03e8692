/**
 * `<score-curves picture="scores">`: how many transactions have which score, honest and fraud, with the threshold among them.
 * `<score-curves picture="precision">`: precision over recall, for every threshold, in the steps of its area; `picture="roc"`: recall over the share of
 * honest people who are stopped. Both with the point of the threshold.
 *
 * The page sets `figures`; what is not judged yet is not drawn. A press or a drag in the scores asks for that threshold by a
 * `set` event.
 */

import { FigureCanvas } from "../lib/figure-canvas.js";
import { axes, dot, trace } from "../lib/axes.js";
import { fixed, integer, percent, significant } from "../lib/format.js";
import { halo } from "../lib/marks.js";
import { colour } from "../lib/palette.js";

/** @typedef {{ edges: number[], honest: number[], fraud: number[] }} Histogram */
/** @typedef {{ recall: number[], precision: number[], false_positives: number[] }} Curves */
/** @typedef {{ tp: number, fp: number, fn: number, tn: number, recall: number, precision: number | null, words: Record<"recall" | "precision", string> }} Result */
/**
 * @typedef {{ threshold: number, pictured: { judged: number, histogram: Histogram, curves: Curves | null, result: Result | null,
 *   average_precision: number | null, roc_auc: number | null } | null }} Figures
 */
/** @typedef {ReturnType<typeof axes>} Plot */

const SHARES = [0, 0.25, 0.5, 0.75, 1];
const COUNTS = [0, 2, 4, 6]; // powers of ten
const LEAST = -0.3; // below one transaction, so that a single one can be seen

/** @extends {FigureCanvas<Figures>} */
class ScoreCurves extends FigureCanvas {
  /** @type {Plot | null} */ #plot = null;

  connectedCallback() {
    super.connectedCallback();
    if (this.#picture === "scores") this.onDrag(event => this.#ask(event));
  }

  get #picture() { return this.getAttribute("picture"); }

  /** @param {PointerEvent} event */
  #ask({ offsetX }) {
    if (!this.#plot || !this.given?.pictured) return;
    const { edges } = this.given.pictured.histogram, { left, right } = this.#plot.box, low = edges[0], high = edges[edges.length - 1];
    const threshold = Math.max(low, Math.min(high, low + (offsetX - left) / (right - left) * (high - low)));
    this.dispatchEvent(new CustomEvent("set", { bubbles: true, detail: { threshold: Math.round(10 * threshold) / 10 } }));
  }

  /** @param {Figures} all */
  draw(all) {
    if (this.#picture === "scores") this.#scores(all);
    else this.#curve(all, this.#picture === "roc");
  }

  /** @param {Figures} figures */
  #scores({ threshold, pictured }) {
    const { edges, honest, fraud } = pictured?.histogram ?? { edges: [-20, 20], honest: [], fraud: [] }, low = edges[0], high = edges[edges.length - 1];
    const plot = axes(this.canvas, { name: "score", range: [low, high] }, { name: "transactions", range: [LEAST, 7], ticks: COUNTS, words: power => ["1", "100", "10 k", "1 M"][power / 2] });
    const { context, box, X, Y, rem } = plot;
    this.#plot = plot;
    for (const [counts, token] of /** @type {[number[], string][]} */ ([[honest, "class-a"], [fraud, "class-b"]])) {
      this.#steps(plot, edges, counts, token);
    }
    context.font = `600 ${context.font}`;
    context.textBaseline = "bottom";
    for (const [counts, words, side] of /** @type {[number[], string, CanvasTextAlign][]} */ ([[honest, "honest", "right"], [fraud, "fraud", "left"]])) {
      const place = summit(counts);
      if (place < 0) continue;
      context.textAlign = side;
      halo(context, words, X((edges[place] + edges[place + 1]) / 2) + (side === "left" ? 14 : -14) * rem, Y(Math.log10(counts[place])) - 2 * rem);
    }
    const x = X(threshold), room = x < box.left + 0.75 * (box.right - box.left);
    trace(plot, [threshold, threshold], [LEAST, 7], { token: "ink" });
    context.textBaseline = "top";
    context.textAlign = room ? "left" : "right";
    halo(context, room ? "said fraud →" : "said honest ←", x + (room ? 7 : -7) * rem, box.top - 14 * rem);
    this.canvas.setAttribute("aria-label", pictured
      ? `Number of transactions against score, on a log scale: most honest ones at ${at(edges, honest)}, most frauds at ${at(edges, fraud)}; the threshold stands at ${fixed(threshold, 1)}. ${integer(pictured.judged)} are judged.`
      : "Number of transactions against score: none is judged yet.");
  }

  /** Bars without gaps, on a log scale. @param {Plot} plot @param {number[]} edges @param {number[]} counts @param {string} token */
  #steps({ context, box, X, Y }, edges, counts, token) {
    const outline = new Path2D();
    counts.forEach((count, place) => {
      if (!count) return;
      const y = Y(Math.log10(count)), left = X(edges[place]), right = X(edges[place + 1]);
      if (!counts[place - 1]) outline.moveTo(left, box.bottom);
      outline.lineTo(left, y);
      outline.lineTo(right, y);
      if (!counts[place + 1]) outline.lineTo(right, box.bottom);
    });
    context.fillStyle = colour(token, 0.18);
    context.fill(outline);
    context.strokeStyle = colour(token);
    context.lineWidth = 1.5;
    context.stroke(outline);
  }

  /** @param {Figures} figures @param {boolean} roc */
  #curve({ pictured }, roc) {
    const plot = axes(this.canvas, { name: roc ? "honest people stopped, %" : "recall, %", range: [0, 1], ticks: SHARES, words: share }, { name: roc ? "recall, %" : "precision, %", range: [0, 1], ticks: [0, 0.5, 1], words: share });
    const { context, box, X, Y, rem } = plot, curves = pictured?.curves, result = pictured?.result;
    if (roc) trace(plot, [0, 1], [0, 1], { token: "edge", width: 1, dash: [3, 4] });
    if (!pictured || !curves || !result) {
      this.canvas.setAttribute("aria-label", roc ? "The ROC curve comes when the whole month is judged." : "Precision against recall comes when the whole month is judged.");
      return;
    }
    if (roc) trace(plot, [0, ...curves.false_positives, 1], [0, ...curves.recall, 1], { token: "series-1" });
    else trace(plot, curves.recall.flatMap((recall, i) => [i ? curves.recall[i - 1] : 0, recall]), curves.precision.flatMap(precision => [precision, precision]), { token: "series-1" });
    const up = roc ? result.recall : result.precision, across = roc ? result.fp / (result.fp + result.tn) : result.recall;
    const words = `recall ${result.words.recall}, ${roc ? `${percent(across, across === 0 ? 0 : across < 0.01 ? 3 : 1)} stopped` : `precision ${result.words.precision}`}`;
    if (up !== null) {
      const left = across > 0.5; // where the curve is not: below it, to the side that has room
      context.textAlign = left ? "right" : "left";
      context.textBaseline = "middle";
      context.font = `600 ${context.font}`;
      halo(context, words, X(across) + (left ? -12 : 12) * rem, Math.min(box.bottom - 9 * rem, Y(up) + 12 * rem));
      dot(context, X(across), Y(up), "class-b", 5.5 * rem);
    }
    const area = roc ? pictured.roc_auc : pictured.average_precision;
    this.canvas.setAttribute("aria-label", `${roc ? "The ROC curve" : "Precision against recall"}, area ${significant(area)}. At the threshold: ${words}.`);
  }
}

/** @param {number} tick */
const share = tick => fixed(100 * tick, 0);

/** Where the highest bar is, the ends left out, for what lies beyond is in them; −1 when all are empty. @param {number[]} counts */
function summit(counts) {
  const inner = counts.slice(1, -1), most = Math.max(0, ...inner);
  return most > 0 ? 1 + inner.indexOf(most) : -1;
}

/** @param {number[]} edges @param {number[]} counts */
function at(edges, counts) {
  const place = summit(counts);
  return place < 0 ? "no score" : `score ${fixed((edges[place] + edges[place + 1]) / 2, 1)}`;
}

customElements.define("score-curves", ScoreCurves);
export { ScoreCurves };

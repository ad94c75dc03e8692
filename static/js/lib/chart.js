/** How the curves are drawn: options for uPlot in the page's own colours and type (look.md, "Charts"). */

import { fixed, integer, percent, significant, superscript } from "./format.js";
import { colour } from "./palette.js";

/** @typedef {import("./curve.js").Plot} Plot */

const DASH = [7, 3];

/** Names and colours of the series, in the order of `Curve.data`; apart in lightness and in dash, not in hue alone. */
export const LOOKS = [
  { name: "", token: "ink" },
  { name: "training", token: "train" },
  { name: "training", token: "train" },
  { name: "validation", token: "validation" },
  { name: "test", token: "test" },
];

/** @param {Plot} plot @param {number | null | undefined} value */
export const show = (plot, value) => plot === "accuracy" ? percent(value, 2) : significant(value);

/** 1-2-5 ticks of a logarithmic axis; over many decades only the ones, at most seven. @param {number} low @param {number} high */
function logTicks(low, high) {
  const decades = Math.log10(high / low), digits = decades > 4 ? [1] : decades > 2.5 ? [1, 3] : [1, 2, 5], ticks = [], every = Math.ceil(decades / 7);
  for (let power = every * Math.floor(Math.log10(low) / every); power <= Math.ceil(Math.log10(high)); power += every) {
    for (const digit of digits) {
      const tick = digit * 10 ** power;
      if (tick >= low && tick <= high) ticks.push(Number(tick.toPrecision(2)));
    }
  }
  return ticks;
}

/** A tick as short as it can be: 0.05, 300, 10⁶. @param {number} tick */
function axisValue(tick) {
  const power = Math.log10(Math.abs(tick));
  if (Number.isInteger(power) && (power > 4 || power < -3)) return `10${superscript(power)}`;
  return String(Number(tick.toPrecision(6))).replace("-", "−");
}

/** Keeps a range until the data leave it or fill less than 80 % of it, so that a chart does not breathe. */
export class SteadyRange {
  /** @type {[number, number] | null} */ #kept = null;

  /**
   * @param {number | null} low @param {number | null} high of what is to be seen
   * @param {boolean} log @param {[number, number]} none when there is nothing to see
   * @returns {[number, number]}
   */
  fit(low, high, log, none) {
    if (low == null || high == null || !Number.isFinite(low) || !Number.isFinite(high)) return none;
    const to = log ? Math.log : (/** @type {number} */ v) => v, from = log ? Math.exp : (/** @type {number} */ v) => v;
    const a = to(low), b = to(high), span = Math.max(b - a, log ? 0.5 : 1e-3);
    if (this.#kept) {
      const [c, d] = this.#kept.map(to);
      if (c <= a && b <= d && span > 0.8 * (d - c)) return this.#kept;
    }
    return this.#kept = [from(a - 0.06 * span), from(b + 0.06 * span)];
  }
}

/** A logarithmic axis would else go on to the next power of ten. @param {[UPlot, number, number]} given */
const exactly = (...given) => given.slice(1, 3);

/**
 * What every chart has in common: axes, scales and hooks, without its series. `shares`: values are shares of one and told in
 * percent; `logAcross`: the x axis, too, is logarithmic.
 * @param {{ shares: boolean, log: boolean, logAcross?: boolean, width: number, height: number, rem: number, font: string, right?: number,
 *   range: (low: number | null, high: number | null) => [number, number], across: (tick: number) => string,
 *   drawn: (chart: UPlot) => void, pointed: (chart: UPlot) => void }} given
 */
export function bare({ shares, log, logAcross = false, width, height, rem, font, right = 84, range, across, drawn, pointed }) {
  const text = { stroke: colour("ink-3"), font: `${11 * rem}px ${font}`, ticks: { show: false } };
  const logarithmic = {
    incrs: [1e300], // uPlot looks for a step wide enough first, and draws no ticks over more decades than its own steps have
    splits: (/** @type {[UPlot, number, number, number]} */ ...[, , low, high]) => logTicks(low, high),
    filter: (/** @type {UPlot} */ _, /** @type {number[]} */ ticks) => ticks,
  };
  return {
    width, height,
    padding: [8 * rem, right * rem, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: {
      x: { time: false, auto: false, ...(logAcross ? { distr: 3, range: exactly } : {}) },
      y: { distr: log ? 3 : 1, range: (/** @type {UPlot} */ _, /** @type {number | null} */ low, /** @type {number | null} */ high) => range(low, high) },
    },
    axes: [
      {
        ...text, grid: { show: false }, border: { show: true, stroke: colour("edge"), width: 1 }, size: 34 * rem, gap: 6 * rem, space: 70 * rem,
        ...(logAcross ? logarithmic : {}),
        values: (/** @type {UPlot} */ _, /** @type {number[]} */ ticks) => ticks.map(across),
      },
      {
        ...text, grid: { stroke: colour("rule"), width: 1 }, size: 44 * rem, gap: 6 * rem, space: 34 * rem,
        ...(log ? logarithmic : {}),
        values: (/** @type {UPlot} */ _, /** @type {number[]} */ ticks) => ticks.map(tick => shares ? `${fixed(tick * 100, ticks[1] - ticks[0] < 0.01 ? 1 : 0)}\u2009%` : axisValue(tick)),
      },
    ],
    hooks: { draw: [drawn], setCursor: [pointed] },
  };
}

/**
 * `shown` are the series to draw, by their place in `Curve.data`.
 * @param {{ plot: Plot, log: boolean, shown: number[], width: number, height: number, rem: number, font: string,
 *   range: (low: number | null, high: number | null) => [number, number],
 *   drawn: (chart: UPlot) => void, zoomed: (chart: UPlot) => void, reset: () => void, pointed: (chart: UPlot) => void }} given
 * @returns {object}
 */
export function options({ plot, log, shown, zoomed, reset, ...given }) {
  const smooth = shown.includes(2), common = bare({ ...given, log, shares: plot === "accuracy", across: tick => Number.isInteger(tick) ? integer(tick) : "" });
  const sparse = (/** @type {UPlot} */ _, /** @type {number} */ series, /** @type {number} */ from, /** @type {number} */ to) => series > 2 && to - from < 30;
  return {
    ...common,
    cursor: { ...common.cursor, drag: { x: true, y: false, setScale: false }, bind: { dblclick: () => () => { reset(); return null; } } },
    select: { show: true },
    series: [
      {},
      { ...line("train", smooth ? 1 : 1.5, smooth ? 0.45 : 1), auto: !smooth, points: { show: false } },
      { ...line("train", 2, 1), show: smooth, points: { show: false } },
      { ...line("validation", 2, 1), show: shown.includes(3), dash: DASH, points: { show: sparse, size: 5 } },
      { ...line("test", 2, 1), show: shown.includes(4), dash: shown.includes(3) ? undefined : DASH, points: { show: sparse, size: 5 } },
    ],
    hooks: { ...common.hooks, setSelect: [zoomed] },
  };
}

/** @param {string} token @param {number} width @param {number} alpha */
export const line = (token, width, alpha) => ({ stroke: colour(token, alpha), width, spanGaps: true });

/**
 * Names at the ends of the lines, pushed apart where they would touch, and the unit at the end of the axis.
 * @param {UPlot} chart @param {{ name: string, token: string, x: number, y: number }[]} ends values @param {number} rem @param {string} font
 * @param {string} [unit]
 */
export function drawLabels(chart, ends, rem, font, unit = "updates") {
  const { ctx, bbox } = chart, ratio = devicePixelRatio || 1, apart = 14 * rem * ratio;
  const placed = ends
    .map(end => ({ ...end, x: Math.min(chart.valToPos(end.x, "x", true), bbox.left + bbox.width), y: chart.valToPos(end.y, "y", true) }))
    .filter(end => end.y >= bbox.top - apart && end.y <= bbox.top + bbox.height + apart && end.x >= bbox.left)
    .sort((a, b) => a.y - b.y);
  for (let i = 1; i < placed.length; i++) placed[i].y = Math.max(placed[i].y, placed[i - 1].y + apart);
  const below = placed.length ? placed[placed.length - 1].y + apart / 2 - (bbox.top + bbox.height) : 0;
  ctx.save();
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  ctx.font = `600 ${12 * rem * ratio}px ${font}`;
  ctx.lineWidth = 4 * ratio;
  ctx.lineJoin = "round";
  ctx.strokeStyle = colour("paper", 0.85); // of several runs one may end where another still goes on
  for (const { name, token, x, y } of placed) {
    ctx.fillStyle = colour(token === "train" ? "ink-3" : token);
    ctx.strokeText(name, x + 8 * ratio, y - Math.max(0, below));
    ctx.fillText(name, x + 8 * ratio, y - Math.max(0, below));
  }
  ctx.font = `${11 * rem * ratio}px ${font}`;
  ctx.fillStyle = colour("ink-3");
  ctx.textBaseline = "bottom";
  ctx.fillText(unit, bbox.left + bbox.width + 28 * rem * ratio, bbox.top + bbox.height + 22 * rem * ratio);
  ctx.restore();
}

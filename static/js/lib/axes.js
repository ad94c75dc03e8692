/** Axes round a small plot on a canvas, and the lines in it (look.md, "Charts"): from values to CSS pixels. */

import { axisNumber, lettered, ticks } from "./marks.js";
import { colour } from "./palette.js";

/** @typedef {[number, number]} Range */
/** @typedef {{ name: string, range: Range, ticks?: number[], words?: (tick: number) => string }} Axis what is not given is chosen */

/** Part of a canvas, in CSS pixels. @typedef {{ left: number, right: number, top: number, bottom: number }} Area */

/**
 * A clean canvas with its axes.
 * @param {HTMLCanvasElement} canvas @param {Axis} across @param {Axis} up
 */
export function axes(canvas, across, up) {
  const { context, width, height } = lettered(canvas);
  return axesIn(context, { left: 0, right: width, top: 0, bottom: height }, across, up);
}

/**
 * The axes of one of several plots on a canvas.
 * @param {CanvasRenderingContext2D} context @param {Area} area @param {Axis} across @param {Axis} up
 */
export function axesIn(context, area, across, up) {
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
  const box = { left: area.left + 40 * rem, right: area.right - 20 * rem, top: area.top + 22 * rem, bottom: area.bottom - 36 * rem };
  const X = (/** @type {number} */ value) => box.left + (value - across.range[0]) / (across.range[1] - across.range[0]) * (box.right - box.left);
  const Y = (/** @type {number} */ value) => box.bottom - (value - up.range[0]) / (up.range[1] - up.range[0]) * (box.bottom - box.top);
  context.fillStyle = colour("ink-3");
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const tick of up.ticks ?? ticks(...up.range, (box.bottom - box.top) / (40 * rem))) {
    rule(context, "rule", [[box.left, Y(tick)], [box.right, Y(tick)]]);
    context.fillText((up.words ?? axisNumber)(tick), box.left - 6 * rem, Y(tick));
  }
  rule(context, "edge", [[box.left, box.bottom], [box.right, box.bottom]]);
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const tick of across.ticks ?? ticks(...across.range, (box.right - box.left) / (60 * rem))) {
    context.fillText((across.words ?? axisNumber)(tick), X(tick), box.bottom + 6 * rem);
  }
  context.textAlign = "right";
  context.fillText(across.name, box.right, box.bottom + 20 * rem);
  context.textAlign = "left";
  context.fillText(up.name, area.left, area.top);
  return { context, rem, box, X, Y };
}

/**
 * A hairline that fills whole pixels.
 * @param {CanvasRenderingContext2D} context @param {string} token @param {[Range, Range]} ends
 */
export function rule(context, token, [[x0, y0], [x1, y1]]) {
  const crisp = (/** @type {number} */ place) => Math.round(place) + 0.5;
  context.save();
  context.strokeStyle = colour(token);
  context.lineWidth = 1;
  context.setLineDash([]);
  context.beginPath();
  context.moveTo(crisp(x0), crisp(y0));
  context.lineTo(crisp(x1), crisp(y1));
  context.stroke();
  context.restore();
}

/**
 * A line through values; where one is null there is a gap.
 * @param {{ context: CanvasRenderingContext2D, X: (value: number) => number, Y: (value: number) => number }} plot
 * @param {readonly number[]} xs @param {readonly (number | null)[]} ys @param {{ token: string, width?: number, dash?: number[] }} look
 */
export function trace({ context, X, Y }, xs, ys, { token, width = 2, dash = [] }) {
  let pen = false;
  context.save();
  context.strokeStyle = colour(token);
  context.lineWidth = width;
  context.setLineDash(dash);
  context.beginPath();
  ys.forEach((y, i) => {
    if (y !== null) context[pen ? "lineTo" : "moveTo"](X(xs[i]), Y(y));
    pen = y !== null;
  });
  context.stroke();
  context.restore();
}

/** @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {string} token @param {number} [radius] */
export function dot(context, x, y, token, radius = 5) {
  context.save();
  context.fillStyle = colour(token);
  context.strokeStyle = colour("paper");
  context.lineWidth = 1.5;
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
  context.restore();
}

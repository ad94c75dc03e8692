/**
 * Columns of a run -> the arrays of one chart: x, raw training, smoothed training, validation, test. Follows an append-only
 * history by working on the new rows only, so that 50,000 points cost no more than ten.
 */

/** @typedef {"loss" | "accuracy"} Plot */
/** @type {Record<Plot, { raw: Column, validation: Column, test: Column }>} */
const SERIES = {
  loss: { raw: "train_loss", validation: "validation_loss", test: "test_loss" },
  accuracy: { raw: "train_accuracy", validation: "validation_accuracy", test: "test_accuracy" },
};

export class Curve {
  /** @type {(number | null)[][]} x, raw, smoothed, validation, test; the same arrays for as long as they only grow */
  data = [[], [], [], [], []];
  /** Running sums of the measured values, [0, v1, v1 + v2, …]: a mean over any stretch is one subtraction. */
  #sums = [0];
  #rows = 0;
  #epoch = -1;

  /**
   * @param {import("./points.js").Points} points
   * @param {Plot} plot
   * @param {number} smoothing the smoothed line is the mean over this latest share of all measured values, 0: none. A share
   *   and not a fixed number of them, so that the steep beginning is not smeared and the long end is calm.
   * @param {number} from the first update to show
   */
  constructor(points, plot, smoothing, from) {
    this.points = points;
    this.plot = plot;
    this.smoothing = smoothing;
    this.from = from;
  }

  /** Takes in the rows that came since. @returns {boolean} whether there were any */
  update() {
    const { columns, epoch } = this.points, { raw, validation, test } = SERIES[this.plot];
    if (epoch !== this.#epoch) {
      this.data = [[], [], [], [], []];
      this.#sums = [0];
      this.#rows = 0;
      this.#epoch = epoch;
    }
    const begin = this.#rows;
    for (; this.#rows < this.points.length; this.#rows++) {
      const row = this.#rows, step = Number(columns.step[row]), value = columns[raw][row];
      if (step < this.from) continue;
      if (value != null) this.#sums.push(this.#sums[this.#sums.length - 1] + value);
      this.data[0].push(step);
      this.data[1].push(positive(value, this.plot));
      this.data[2].push(value == null ? null : positive(this.#mean(), this.plot));
      this.data[3].push(positive(columns[validation][row], this.plot));
      this.data[4].push(positive(columns[test][row], this.plot));
    }
    return this.#rows > begin;
  }

  #mean() {
    const last = this.#sums.length - 1, width = Math.max(1, Math.ceil(this.smoothing * last));
    return (this.#sums[last] - this.#sums[last - width]) / width;
  }

  /** The newest measured value of a series at or before a row. @param {number} series @param {number} [row] */
  at(series, row = this.data[0].length - 1) {
    const column = this.data[series];
    for (let i = Math.min(row, column.length - 1); i >= 0; i--) if (column[i] != null) return { row: i, value: Number(column[i]) };
    return null;
  }
}

/** A logarithmic axis has no place for zero. @param {number | null} value @param {Plot} plot */
const positive = (value, plot) => value == null || plot === "loss" && value <= 0 ? null : value;

/**
 * The curve of a run as columns, as the stream delivers them and as uPlot takes them. Append-only; rows that are delivered
 * again (a server that lost its newest seconds and trained them anew) replace the ones kept.
 */

/** @returns {Columns} */
const empty = () => ({
  step: [], examples: [], seconds: [], train_loss: [], l1_loss: [], l2_loss: [], train_accuracy: [], validation_loss: [],
  validation_accuracy: [], test_loss: [], test_accuracy: [],
});

const COLUMNS = /** @type {Column[]} */ (Object.keys(empty()));

export class Points {
  /** @type {Columns} */
  columns = empty();
  /** Counts up whenever rows were dropped, so that whoever derives from the columns starts again. */
  epoch = 0;

  get length() { return this.columns.step.length; }

  /** @param {Partial<Columns>} rows */
  append(rows) {
    const steps = rows.step ?? [];
    if (!steps.length) return;
    const own = this.columns.step, first = Number(steps[0]);
    if (own.length && Number(own[own.length - 1]) >= first) {
      let keep = own.length;
      while (keep > 0 && Number(own[keep - 1]) >= first) keep--;
      for (const name of COLUMNS) this.columns[name].length = keep;
      this.epoch++;
    }
    for (const name of COLUMNS) {
      const column = this.columns[name], added = rows[name];
      for (let i = 0; i < steps.length; i++) column.push(added?.[i] ?? null);
    }
  }

  clear() {
    this.columns = empty();
    this.epoch++;
  }

  /** The newest measured value of a column and its row. @param {Column} name */
  last(name) {
    const column = this.columns[name];
    for (let row = column.length - 1; row >= 0; row--) if (column[row] != null) return { row, value: Number(column[row]) };
    return null;
  }

  /** @returns {string} */
  csv() {
    const rows = [COLUMNS.join(",")];
    for (let i = 0; i < this.length; i++) rows.push(COLUMNS.map(name => this.columns[name][i] ?? "").join(","));
    return rows.join("\n") + "\n";
  }
}

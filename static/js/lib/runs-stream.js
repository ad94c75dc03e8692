/** One stream of several runs (GET /api/events), for a page that shows them side by side. */

import { ServerEvents } from "./stream.js";

const NAMES = ["state", "metrics", "frame", "status", "close"];

/**
 * Events: `state` `metrics` `frame` `status` `close` (detail: { run: id, data: as on the stream of that run }), and those of
 * the connection: `lost` `found` `gone` (one of the runs is gone).
 *
 * Each connection brings all points of every run again; those that have come before are left out here. So, as on a stream of
 * one run, points are forgotten only at a `state` of another generation, and none comes twice.
 */
export class RunsStream extends ServerEvents {
  /** Of each run: its generation, its points so far, and how many of them will come again. @type {Map<string, { generation: number, rows: number, again: number }>} */
  #known = new Map();

  /**
   * @param {HTMLElement} element holds the connection and is never swapped @param {string[]} ids
   * @param {{ views: string, watch: string }} wanted
   */
  constructor(element, ids, { views, watch }) {
    const query = new URLSearchParams([...ids.map(id => ["run", id]), ["views", views], ["watch", watch]]);
    super(element, `/api/events?${query}`, ids.flatMap(id => NAMES.map(name => `${name}@${id}`)));
    this.addEventListener("found", () => {
      for (const known of this.#known.values()) known.again = known.rows;
    });
  }

  /** @param {string} name `metrics@<run>` @param {any} data */
  receive(name, data) {
    const [kind, run] = name.split("@");
    const known = this.#known.get(run) ?? { generation: NaN, rows: 0, again: 0 };
    this.#known.set(run, known);
    if (kind === "state" && data.generation !== known.generation) Object.assign(known, { generation: data.generation, rows: 0, again: 0 });
    if (kind === "metrics") {
      const rows = data.points.step.length, old = Math.min(known.again, rows);
      known.again -= old;
      known.rows += rows - old;
      for (const column of Object.keys(data.points)) data.points[column].splice(0, old);
    }
    this.dispatchEvent(new CustomEvent(kind, { detail: { run, data } }));
  }
}

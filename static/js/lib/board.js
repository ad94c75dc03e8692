/** The lecturer's cards, one a run, in the order of their students; kept up to date by what `GET /api/class/events` tells. */

import { icon, make, write } from "./dom.js";
import { integer, percent, significant } from "./format.js";

/**
 * @typedef {{ low: number, high: number, data: string }} Curve
 * @typedef {{ id: string, kind: string, student: number, name: string | null, named: boolean, state: string, position: number | null,
 *   step: number, accuracy: number | null, loss: number | null, curve: Curve | null }} Run
 * @typedef {{ number: number, nickname: string | null, online: boolean, solved: number }} Student
 * @typedef {{ whole?: boolean, counts?: Record<string, number>, students?: Student[], gone?: string[], runs?: (Partial<Run> & { id: string })[] }} News
 * @typedef {{ run: Run, order: number, element: HTMLElement, name: HTMLElement, link: HTMLElement, curve: HTMLElement & { curve?: Curve | null },
 *   chip: HTMLElement, result: HTMLElement, steps: HTMLElement, pause: HTMLButtonElement, stop: HTMLButtonElement, remove: HTMLButtonElement }} Card
 */

/** @type {Record<string, [group: string, word: string]>} as in app/routes/views.py */
const STATES = {
  queued: ["waiting", "Waiting"], running: ["training", "Training"], paused: ["paused", "Paused"], stopped: ["ended", "Stopped"],
  finished: ["ended", "Finished"], "time-limit": ["ended", "Time is up"], diverged: ["trouble", "Diverged"], interrupted: ["trouble", "Interrupted"],
  "out-of-memory": ["trouble", "Out of memory"], "worker-crashed": ["trouble", "Fault"],
};
const MAY_GO_ON = new Set(["paused", "interrupted", "out-of-memory", "worker-crashed", "finished", "time-limit"]);

export class Board {
  /** @type {Map<string, Card>} */ #cards = new Map();
  /** @type {Map<number, Student>} */ students = new Map();
  #created = 0;

  /** @param {HTMLElement} place of the cards @param {(what: "pause" | "run" | "stop" | "delete", run: Run, whose: string) => void} act */
  constructor(place, act) {
    this.place = place;
    this.act = act;
  }

  /** @param {number} number of a student */
  whose(number) {
    if (number === 0) return "Lecturer";
    return this.students.get(number)?.nickname ?? `Student ${number}`;
  }

  /** How many runs are in each group of states. */
  get groups() {
    /** @type {Record<string, number>} */
    const found = { all: this.#cards.size };
    for (const { run } of this.#cards.values()) {
      const [group] = STATES[run.state];
      found[group] = (found[group] ?? 0) + 1;
    }
    return found;
  }

  /** @param {number} student */
  runsOf(student) {
    return [...this.#cards.values()].filter(({ run }) => run.student === student).length;
  }

  /** @param {News} news */
  take(news) {
    if (news.whole) {
      const still = new Set(news.runs?.map(run => run.id));
      for (const id of this.#cards.keys()) if (!still.has(id)) this.#remove(id);
    }
    for (const id of news.gone ?? []) this.#remove(id);
    const renamed = new Set();
    if (news.students) {
      const before = this.students;
      this.students = new Map(news.students.map(student => [student.number, student]));
      for (const { number, nickname } of news.students) if (before.get(number)?.nickname !== nickname) renamed.add(number);
    }
    for (const run of news.runs ?? []) this.#update(run);
    if (renamed.size) for (const card of this.#cards.values()) if (renamed.has(card.run.student)) this.#draw(card, true);
  }

  /** @param {string} id */
  #remove(id) {
    this.#cards.get(id)?.element.remove();
    this.#cards.delete(id);
  }

  /** @param {Partial<Run> & { id: string }} news */
  #update(news) {
    const known = this.#cards.get(news.id), card = known ?? this.#make(/** @type {Run} */ (news));
    Object.assign(card.run, news);
    this.#cards.set(news.id, card);
    if ("curve" in news) card.curve.curve = card.run.curve;
    this.#draw(card, !known);
  }

  /** @param {Card} card @param {boolean} moved whether it stands elsewhere now */
  #draw(card, moved) {
    const { run } = card, [group, word] = STATES[run.state];
    const whose = this.whose(run.student), name = run.name ?? "A run";
    write(card.name, whose);
    write(card.link, name);
    card.element.dataset.group = group;
    card.chip.dataset.state = run.state;
    write(card.chip, run.position ? `${word}, number ${integer(run.position)}` : word);
    write(card.result, run.accuracy !== null ? `${percent(run.accuracy)} right` : `loss ${significant(run.loss)}`);
    write(card.steps, `${integer(run.step)} updates`);
    const goes = group === "training" || group === "waiting", words = goes ? "Pause" : "Train on";
    if (card.pause.dataset.does !== words) {
      card.pause.dataset.does = words;
      card.pause.replaceChildren(icon(goes ? "pause" : "play"));
    }
    card.pause.disabled = !goes && !MAY_GO_ON.has(run.state);
    card.stop.disabled = !goes && run.state !== "paused";
    for (const [button, verb] of /** @type {[HTMLButtonElement, string][]} */ ([[card.pause, words], [card.stop, "End"], [card.remove, "Delete"]])) {
      const label = `${verb} ${name} of ${whose}`;
      if (button.ariaLabel !== label) button.ariaLabel = label;
      button.title = verb;
    }
    if (moved) this.#place(card);
  }

  /** By student, then as they were made. @param {Card} a @param {Card} b */
  #compare(a, b) {
    const [first, second] = [this.whose(a.run.student), this.whose(b.run.student)];
    return first.localeCompare(second, undefined, { numeric: true }) || a.run.student - b.run.student || a.order - b.order;
  }

  /** @param {Card} card */
  #place(card) {
    const others = /** @type {HTMLElement[]} */ ([...this.place.children]).filter(element => element !== card.element);
    let low = 0, high = others.length;
    while (low < high) {
      const middle = (low + high) >> 1, other = this.#cards.get(others[middle].dataset.run ?? "");
      if (other && this.#compare(other, card) < 0) low = middle + 1;
      else high = middle;
    }
    this.place.insertBefore(card.element, others[low] ?? null);
  }

  /** @param {Run} run @returns {Card} */
  #make(run) {
    /** @param {string} name */
    const button = name => make("button", { class: "button quiet square", type: "button" }, icon(name));
    const name = make("h3", { dir: "auto" }), link = make("a", { class: "run", dir: "auto", href: `/runs/${run.id}` });
    const curve = /** @type {Card["curve"]} */ (document.createElement("run-curve"));
    const chip = make("span", { class: "chip" }), result = make("span", { class: "result" }), steps = make("span", { class: "steps" });
    const pause = button("pause"), stop = button("stop"), remove = button("clear");
    const element = make("article", { class: "run-card", "data-run": run.id },
      name, link, curve, make("div", {}, chip, result), make("div", {}, steps, make("span", { class: "group" }, pause, stop, remove)));
    const card = { run: { ...run }, order: this.#created++, element, name, link, curve, chip, result, steps, pause, stop, remove };
    const act = this.act, whose = () => this.whose(card.run.student);
    pause.addEventListener("click", () => act(pause.dataset.does === "Pause" ? "pause" : "run", card.run, whose()));
    stop.addEventListener("click", () => act("stop", card.run, whose()));
    remove.addEventListener("click", () => act("delete", card.run, whose()));
    return card;
  }
}

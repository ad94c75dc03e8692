/**
 * `<slow-motion data-runs="batch:<id>,stochastic:<id>" data-titles="{}">`: one update of a run, stage by stage: take a batch, forward, loss,
 * backward, update. Each stage says what it does in the run's own figures and lights up where it happens: elements of the
 * figure that have `narrate(stage, told)` are called with it, null in the end; whatever carries the stage in `data-stage` is
 * marked, and until the update so is the batch: what carries the place of one of its examples in `data-example`.
 *
 * A run that trains is paused first. The update is made when its first stage is asked for, as a single step makes it.
 * All children are its own: where the server's answers are morphed in, it carries `hx-morph-skip-children`.
 */

import { Problem, request } from "../lib/api.js";
import { all, make, write } from "../lib/dom.js";
import { integer } from "../lib/format.js";
import { stack } from "../lib/frames.js";
import { STAGES, tell, TITLES } from "../lib/narration.js";
import { paint } from "../lib/painting.js";
import { onPaletteChange } from "../lib/palette.js";

/** @typedef {import("../lib/narration.js").Stage} Stage */
/** @typedef {HTMLElement & { narrate?: (stage: Stage | null, told: NarratedUpdate) => void }} Narrated */

const EVERY = 2500; // ms for each stage, when it plays
const MOST_MAPS = 8; // of a layer, shown as pictures

class SlowMotion extends HTMLElement {
  /** @type {NarratedUpdate | null} */ #told = null;
  /** @type {number} the stage that is shown, −1 before the first */ #stage = -1;
  #timer = 0;
  #busy = false;
  /** @type {(() => void) | null} */ #stop = null;
  #choice = make("select", { "data-local": true, "aria-label": "Which run" });
  #next = make("button", { class: "button", type: "button", "data-command": "next-stage", title: "S" }, "Next stage");
  #play = make("button", { class: "button", type: "button", "aria-pressed": "false" }, "Play slowly");
  #which = make("span", { class: "note" });
  /** @type {Record<Stage, { item: HTMLElement, button: HTMLButtonElement, gist: HTMLElement }>} */ #stages;
  #said = make("div", { class: "said stack", "aria-live": "polite" });

  /** The page's answer has taken the marks away. */
  #again = () => {
    this.#name();
    this.#light(STAGES[this.#stage] ?? null);
  };

  constructor() {
    super();
    this.#stages = /** @type {any} */ (Object.fromEntries(STAGES.map((stage, k) => {
      const gist = make("small"), button = make("button", { type: "button", disabled: true }, make("b", {}, `${k + 1}. ${TITLES[stage]}`), gist);
      button.addEventListener("click", () => { this.#rest(); this.#show(k); });
      return [stage, { button, gist, item: make("li", {}, button) }];
    })));
    this.#next.addEventListener("click", () => { this.#rest(); void this.#advance(); });
    this.#play.addEventListener("click", () => this.#timer ? this.#rest() : this.#begin());
    this.#choice.addEventListener("change", () => this.#forget());
  }

  connectedCallback() {
    this.#choice.replaceChildren(...this.#runs.map(([name]) => make("option", { value: name })));
    this.#name();
    document.addEventListener("htmx:after:swap", this.#again);
    this.#stop = onPaletteChange(() => this.#show(this.#stage));
    this.#choice.hidden = this.#choice.length < 2;
    this.#play.hidden = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.replaceChildren(
      make("div", { class: "row" }, this.#next, this.#play, this.#choice, this.#which),
      make("ol", { class: "stages" }, ...STAGES.map(stage => this.#stages[stage].item)), this.#said);
  }

  disconnectedCallback() {
    this.#rest();
    document.removeEventListener("htmx:after:swap", this.#again);
    this.#stop?.();
  }

  /** Runs are called as in the run bar, which may change with the settings. */
  #name() {
    const titles = JSON.parse(this.dataset.titles ?? "{}");
    for (const option of this.#choice.options) write(option, titles[option.value] ?? option.value[0].toUpperCase() + option.value.slice(1).replaceAll("_", " "));
  }

  /** Name and id of each run. @returns {string[][]} */
  get #runs() { return (this.dataset.runs ?? "").split(",").filter(Boolean).map(pair => pair.split(":")); }

  /** The next stage; after the last one the next update. @returns {Promise<boolean>} whether it is there */
  async #advance() {
    const panel = this.closest("details");
    if (panel) panel.open = true;
    if (this.#told && this.#stage < STAGES.length - 1) {
      this.#show(this.#stage + 1);
      return true;
    }
    if (this.#busy) return false;
    this.#busy = true;
    try {
      this.#told = await this.#update();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.#rest();
      this.#said.replaceChildren(make("p", { class: "callout warning" }, error.message, " ", make("button", { class: "button", type: "button", "data-send": "reset" }, "Reset")));
      return false;
    } finally {
      this.#busy = false;
    }
    this.#show(0);
    this.dispatchEvent(new CustomEvent("set", { bubbles: true, detail: {} })); // the figures are those after the update
    return true;
  }

  /** @returns {Promise<NarratedUpdate>} */
  async #update() {
    const [, id] = this.#runs.find(([name]) => name === this.#choice.value) ?? this.#runs[0], path = `/api/runs/${id}`;
    if ((await request("GET", path)).state === "running") await request("PATCH", path, { state: "paused" });
    return request("POST", `${path}/narration`);
  }

  /** @param {number} place of the stage */
  #show(place) {
    const told = this.#told;
    if (!told) return;
    this.#stage = place;
    const stage = STAGES[place], words = tell(told), { lines, rows } = words[stage];
    STAGES.forEach((each, k) => {
      const { item, button, gist } = this.#stages[each];
      item.toggleAttribute("data-current", k === place);
      if (k === place) button.setAttribute("aria-current", "step"); else button.removeAttribute("aria-current");
      button.disabled = k > place && !item.hasAttribute("data-done");
      item.toggleAttribute("data-done", item.hasAttribute("data-done") && place > 0 || k <= place);
      write(gist, item.hasAttribute("data-done") ? words[each].gist : "");
    });
    write(this.#which, `Update ${integer(told.step)}${told.made ? "" : ", told but not made: this run has finished"}`);
    this.#said.replaceChildren(...lines.map(line => make("p", {}, line)), make("dl", { class: "told" }, ...rows.map(([name, figures, picture]) => make("div", {}, make("dt", {}, name), make("dd", {}, figures, ...picture ? [maps(picture, stage === "batch" ? "ink" : "signed")] : [])))));
    this.#light(stage);
  }

  /** @param {Stage | null} stage null: nothing in particular */
  #light(stage) {
    const told = this.#told;
    if (!told) return;
    const batch = new Set(stage && stage !== "update" ? told.batch.places : []);
    for (const element of /** @type {Narrated[]} */ (all("#stage *"))) {
      const { stage: stages = "", example } = element.dataset, run = /** @type {HTMLElement | null} */ (element.closest("[data-run]"))?.dataset.run;
      if (run && run !== this.#choice.value) continue;
      if (stages) element.toggleAttribute("data-lit", stage !== null && stages.split(" ").includes(stage));
      if (example) element.toggleAttribute("data-taken", batch.has(Number(example)));
      element.narrate?.(stage, told);
    }
  }

  /** Another run, another story. */
  #forget() {
    this.#rest();
    this.#light(null);
    this.#told = null;
    this.#stage = -1;
    for (const { item, button, gist } of Object.values(this.#stages)) {
      for (const mark of ["data-current", "data-done"]) item.removeAttribute(mark);
      button.removeAttribute("aria-current");
      button.disabled = true;
      write(gist, "");
    }
    write(this.#which, "");
    this.#said.replaceChildren();
  }

  // ---- Playing -------------------------------------------------------------------------------------------------------------

  #begin() {
    this.#playing(true);
    const go = async () => {
      if (await this.#advance() && this.#timer) this.#timer = window.setTimeout(go, EVERY);
    };
    this.#timer = window.setTimeout(go, 0);
  }

  #rest() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#playing(false);
  }

  /** @param {boolean} yes */
  #playing(yes) {
    this.#play.setAttribute("aria-pressed", String(yes));
    write(this.#play, yes ? "Stop" : "Play slowly");
  }
}

/** The first maps of a layer, or the picture that the network sees. @param {Pack} pack @param {"ink" | "signed"} palette */
function maps(pack, palette) {
  const { maps: all, width, height, largest } = stack(pack), count = Math.min(all.length, MOST_MAPS);
  return make("span", { class: "tiles small", role: "img", "aria-label": count < all.length ? `The first ${count} of ${all.length} maps` : all.length === 1 ? "As a picture" : `${count} maps` }, ...all.slice(0, count).map(map => {
    const canvas = make("canvas", { class: "map" });
    paint(canvas, map, width, height, palette === "ink" ? 1 : largest, palette);
    return canvas;
  }));
}

customElements.define("slow-motion", SlowMotion);

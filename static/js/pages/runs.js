/** The list of runs follows what they do: asked for again every few seconds while it is in view, less often while nothing moves. */

import { ConnectionNotice } from "../lib/connection.js";
import { all, make } from "../lib/dom.js";
import { pause } from "../lib/stream.js";

const MOVING = 3000, STILL = 15_000; // ms between two looks
const list = () => /** @type {HTMLElement} */ (document.getElementById("runs-list"));

/** Events: `lost` and `found`, as a stream has them. */
class Looks extends EventTarget {
  /** What asks; refusals are told by `lost`, not in #problems. */
  #asker = make("div", { hidden: true, "hx-status:4xx": "swap:none", "hx-status:5xx": "swap:none" });
  #timer = 0;
  #failed = 0;
  #wrong = false;

  constructor() {
    super();
    document.body.append(this.#asker);
    for (const name of ["htmx:error", "htmx:response:error"]) this.#asker.addEventListener(name, () => { this.#wrong = true; });
    document.addEventListener("visibilitychange", () => this.hurry());
    this.#soon();
  }

  /** Looks now. */
  hurry() {
    clearTimeout(this.#timer);
    void this.#look();
  }

  #soon() {
    const moves = list().querySelector('.chip:is([data-state="running"], [data-state="queued"])');
    const wait = this.#failed ? pause(this.#failed - 1) : moves ? MOVING : STILL;
    this.#timer = window.setTimeout(() => this.hurry(), wait);
    this.dispatchEvent(this.#failed ? new CustomEvent("lost", { detail: { retryAt: Date.now() + wait } }) : new Event("found"));
  }

  async #look() {
    if (document.hidden) return; // asked again when it comes into view
    if (!document.activeElement?.matches("#runs-list input")) { // a name is just being typed
      this.#wrong = false;
      await window.htmx?.ajax("GET", list().dataset.address ?? "", { source: this.#asker, target: list(), swap: "outerMorph" });
      this.#failed = this.#wrong ? this.#failed + 1 : 0;
      if (!this.#wrong) for (const name of all("#runs-list input.name")) if (name instanceof HTMLInputElement && name !== document.activeElement) name.value = name.defaultValue;
    }
    this.#soon();
  }
}

const problems = document.getElementById("problems");
if (problems && list()) new ConnectionNotice(new Looks(), problems);

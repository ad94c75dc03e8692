/**
 * What this page looks at, told to the server by PUT: latest wins, never two requests in flight. A drawing may change at
 * every animation frame; while one request is under way only the newest wish is kept.
 */

import { Problem, request } from "./api.js";

/** One id a page load: two tabs must not steer each other's pictures, and a duplicated tab copies sessionStorage. */
export const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), b => (b % 36).toString(36)).join("");

/** @template {object} Value what the server can be asked to show, as the pages' modules say */
export class Watch extends EventTarget {
  #busy = false;
  #dirty = false;
  #known = false;
  #retry = 0;

  /** @param {string} run id of the run @param {Value} value what is looked at first @param {string} [id] one that several runs share */
  constructor(run, value, id = newId()) {
    super();
    this.id = id;
    this.path = `/api/runs/${run}/watches/${this.id}`;
    this.value = value;
  }

  /** @param {Partial<Value>} changes */
  set(changes) {
    Object.assign(this.value, changes);
    this.#send();
  }

  /** The stream stands: the server may have forgotten the watch with an earlier stream. */
  announce() {
    this.#known = true;
    this.#send();
  }

  async #send() {
    if (!this.#known || this.#busy) {
      this.#dirty = true;
      return;
    }
    this.#busy = true;
    clearTimeout(this.#retry);
    do {
      this.#dirty = false;
      try {
        await request("PUT", this.path, this.value);
      } catch (error) {
        const status = error instanceof Problem ? error.status : 0;
        // 0: the stream is about to notice, and announces again. 429, 503: the server asks for patience.
        if (status === 429 || status === 503) this.#retry = window.setTimeout(() => this.#send(), 1000);
        else if (status) this.dispatchEvent(new CustomEvent("problem", { detail: error }));
      }
    } while (this.#dirty);
    this.#busy = false;
  }
}

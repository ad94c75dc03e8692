/** "No connection … tries again in 4 s", under the run bar, for as long as it is true. */

import { make, write } from "./dom.js";
import { ask } from "./server.js";

const PATIENCE = 800; // ms; a tab that comes back into view reconnects in less and needs no words

export class ConnectionNotice {
  #words = make("span");
  #box = make("div", { class: "callout warning page-callout", id: "connection", role: "status", hidden: true });
  #timer = 0;
  #retryAt = 0;
  #since = 0;

  /**
   * @param {EventTarget & { hurry(): void }} stream @param {Element} before the notice stands before this element
   * @param {{ href: string, words: string }} instead where to go when the run is gone
   */
  constructor(stream, before, instead = { href: "/", words: "Go to the latest run" }) {
    const now = make("button", { class: "button", type: "button" }, "Try now");
    now.addEventListener("click", () => stream.hurry());
    this.#box.append(make("span", {}, make("b", {}, "No connection. "), this.#words), now);
    before.before(this.#box);
    stream.addEventListener("lost", event => {
      this.#retryAt = /** @type {CustomEvent} */ (event).detail.retryAt;
      this.#since ||= Date.now();
      if (!this.#timer) this.#timer = window.setInterval(() => this.#tell(), 250);
    });
    stream.addEventListener("found", () => {
      this.#end();
      void ask(); // it may be another server by now
    });
    stream.addEventListener("gone", () => {
      this.#end();
      this.#box.replaceChildren(make("b", {}, "This run is gone. "), "It was deleted, here or in another tab. ", make("a", { href: instead.href }, instead.words));
      this.#box.hidden = false;
    });
  }

  #tell() {
    if (Date.now() - this.#since < PATIENCE) return;
    const left = Math.ceil((this.#retryAt - Date.now()) / 1000);
    write(this.#words, left > 0 ? `The server does not answer; this page tries again in ${left} s.` : "Trying again …");
    this.#box.hidden = false;
  }

  #end() {
    clearInterval(this.#timer);
    this.#timer = this.#since = 0;
    this.#box.hidden = true;
  }
}

/**
 * `<unit-lights>`: lines of a calculation and a picture of the units that they are about. Pointing at a line, or coming to it
 * by Tab, lights up what it names; Up and Down go from line to line.
 *
 *     <unit-lights>… <svg><g data-part="3">…</g><g data-part="w13">…</g></svg> … <li data-lights="3 w13" tabindex="0">…
 *
 * The line that the page itself has chosen carries `data-lit`, and so do its parts as the server draws them: they stay lit
 * while nothing is pointed at. In slow motion each stage lights up where it happens.
 *
 * Fields in `[data-loaded]` are loaded anew with every answer; whoever was in one of them is in it again afterwards.
 */

import { all } from "../lib/dom.js";

/** @type {Record<string, string>} what each stage of an update is about */
const STAGES = { batch: "1 2", forward: "3 4 5", loss: "5 loss", backward: "loss 5 4 3", update: "w13 w23 w03 w14 w24 w04 w35 w45 w05" };

class UnitLights extends HTMLElement {
  /** @type {Element | null} */ #line = null;
  #stage = "";
  /** Id of the field that has the focus, of those that are loaded. */ #field = "";
  #back = () => { if (this.#field && document.activeElement === document.body) document.getElementById(this.#field)?.focus(); };

  connectedCallback() {
    this.addEventListener("focusin", ({ target }) => { this.#field = target instanceof Element && target.closest("[data-loaded]") ? target.id : ""; });
    document.addEventListener("htmx:after:swap", this.#back);
    for (const name of ["pointerover", "focusin"]) this.addEventListener(name, event => this.#at(event.target));
    for (const name of ["pointerleave", "focusout"]) this.addEventListener(name, () => this.#at(null));
    this.addEventListener("keydown", event => this.#key(event));
  }

  disconnectedCallback() { document.removeEventListener("htmx:after:swap", this.#back); }

  /** The picture has been drawn anew. @param {unknown} _ */
  set figures(_) { this.#light(); }

  /** @param {string | null} stage */
  narrate(stage) {
    this.#stage = stage ? STAGES[stage] ?? "" : "";
    this.#light();
  }

  /** @param {EventTarget | null} target */
  #at(target) {
    const line = target instanceof Element ? target.closest("[data-lights]") : null;
    if (line === this.#line) return;
    this.#line = line;
    this.#light();
  }

  #light() {
    const chosen = this.#line?.isConnected ? this.#line : this.querySelector("[data-lights][data-lit]");
    const about = new Set((chosen?.getAttribute("data-lights") ?? this.#stage).split(" "));
    for (const part of all("[data-part]", this)) part.toggleAttribute("data-lit", about.has(part.getAttribute("data-part") ?? ""));
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (!(event.target instanceof HTMLElement) || !event.target.matches("[data-line]") || event.ctrlKey || event.metaKey || event.altKey) return;
    const lines = all("[data-line]", this), place = lines.indexOf(event.target) + ({ ArrowDown: 1, ArrowUp: -1 }[event.key] ?? NaN);
    if (!lines[place]) return;
    lines[place].focus();
    event.preventDefault();
  }
}

customElements.define("unit-lights", UnitLights);
export { UnitLights };

/**
 * `<drawing-pad>`: draw a digit with mouse, pen, finger or the keyboard, or give it a picture (file, drop, paste).
 *
 * `ink` event: { size, ink_base64, empty }, at most once an animation frame and always the newest. While the network looks
 * at an image of the data set, `showImage` lays that image over the pad; the first stroke takes it away and starts anew.
 * Keyboard: arrows move a cursor (with Shift in large steps), Enter presses the pen down or lifts it, Delete clears.
 */

import { icon, make, write } from "../lib/dom.js";
import { stack } from "../lib/frames.js";
import { inkOf } from "../lib/image.js";
import { Ink } from "../lib/ink.js";
import { paint, surface } from "../lib/painting.js";
import { colour, onPaletteChange } from "../lib/palette.js";

const UNITS = 280; // the brush is measured in 280ths of the side, MNIST's 28 pixels ten times over
const BRUSH = 20;

class DrawingPad extends HTMLElement {
  ink = new Ink();
  canvas = make("canvas", { role: "img", tabindex: 0, "data-keys": "own" });
  #image = make("canvas", { class: "map over", role: "img", hidden: true, width: 1, height: 1 });
  #hint = make("p", { class: "hint" });
  #cursor = make("span", { class: "cursor", hidden: true });
  #said = make("p", { class: "visually-hidden", role: "status" });
  #error = make("p", { class: "error", role: "alert", hidden: true });
  #brush = make("input", { type: "range", min: 8, max: 40, value: BRUSH });
  #file = make("input", { type: "file", accept: "image/*", hidden: true });
  #undo = make("button", { class: "button quiet square", type: "button", "aria-label": "Undo", title: "Undo" }, icon("undo"));
  /** @type {number | null} */ #pointer = null;
  #place = [0.5, 0.5];
  #penDown = false;
  #asked = 0;
  /** @type {Pack | null} */ #shown = null;
  /** @type {(() => void) | null} */ #stop = null;
  #resize = new ResizeObserver(() => this.#draw());

  connectedCallback() {
    const clear = make("button", { class: "button quiet", type: "button" }, "Clear");
    const upload = make("button", { class: "button quiet", type: "button", title: "Or drop a picture on the pad, or paste one" }, icon("upload"), " Upload");
    this.replaceChildren(
      make("div", { class: "pad" }, this.canvas, this.#image, this.#hint, this.#cursor),
      make("div", { class: "tools" }, this.#undo, clear, make("label", { class: "row" }, make("span", { class: "visually-hidden" }, "Brush size"), this.#brush), upload, this.#file),
      this.#error, this.#said,
    );
    this.#undo.addEventListener("click", () => { if (this.ink.undo()) this.#changed(); });
    clear.addEventListener("click", () => this.clear());
    upload.addEventListener("click", () => this.#file.click());
    this.#file.addEventListener("change", () => { this.#take(this.#file.files?.[0]); this.#file.value = ""; });
    this.#listenToPointer();
    this.#listenToKeys();
    this.addEventListener("dragover", event => event.preventDefault());
    this.addEventListener("drop", event => { event.preventDefault(); this.#take(event.dataTransfer?.files[0]); });
    document.addEventListener("paste", this.#paste);
    this.#resize.observe(this.canvas);
    this.#stop = onPaletteChange(() => { this.#draw(); this.#drawImage(); });
    this.describe("");
  }

  disconnectedCallback() {
    document.removeEventListener("paste", this.#paste);
    this.#resize.disconnect();
    this.#stop?.();
  }

  clear() {
    this.ink.clear();
    this.#changed();
  }

  /** Lays an image of the data set over the pad; null takes it away. @param {Pack | null} pack @param {string} [words] */
  showImage(pack, words = "") {
    this.#shown = pack;
    this.#image.hidden = !pack;
    if (this.#image.getAttribute("aria-label") !== words) this.#image.setAttribute("aria-label", words);
    this.#drawImage();
    this.#tell();
  }

  /** What is on the pad and how it is read, for who does not see it. @param {string} answer */
  describe(answer) {
    const what = this.ink.empty ? "It is empty." : "It shows your drawing.";
    this.canvas.setAttribute("aria-label", `Drawing pad. ${what} ${answer} Arrow keys move a cursor, Enter presses the pen down or lifts it. Upload takes a picture instead.`);
  }

  #listenToPointer() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", event => {
      if (this.#pointer !== null || event.button !== 0) return;
      this.#pointer = event.pointerId;
      canvas.setPointerCapture(event.pointerId);
      this.#begin(this.#at(event));
    });
    canvas.addEventListener("pointermove", event => {
      if (event.pointerId !== this.#pointer) return;
      const between = event.getCoalescedEvents?.() ?? [];
      for (const point of between.length ? between : [event]) this.ink.extend(this.#at(point));
      this.#changed();
    });
    for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
      canvas.addEventListener(name, event => { if (event.pointerId === this.#pointer) this.#pointer = null; });
    }
  }

  /** @param {PointerEvent} event @returns {[number, number]} */
  #at(event) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / height];
  }

  /** @param {[number, number]} point */
  #begin(point) {
    if (!this.#image.hidden) {
      this.showImage(null);
      this.ink.clear();
    }
    this.ink.begin(point, Number(this.#brush.value) / UNITS);
    this.#changed();
  }

  #listenToKeys() {
    /** @type {Record<string, [number, number]>} */
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    this.canvas.addEventListener("keydown", event => {
      const move = arrows[event.key];
      if (move) {
        const step = (event.shiftKey ? 3 : 1) / 28;
        this.#place = this.#place.map((v, k) => Math.min(0.98, Math.max(0.02, v + move[k] * step)));
        if (this.#penDown) {
          this.ink.extend([this.#place[0], this.#place[1]]);
          this.#changed();
        }
      } else if (event.key === "Enter") {
        this.#penDown = !this.#penDown;
        if (this.#penDown) this.#begin([this.#place[0], this.#place[1]]);
        write(this.#said, this.#penDown ? "Pen down" : "Pen up");
      } else if (event.key === "Delete" || event.key === "Backspace") this.clear();
      else if (event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey)) { if (this.ink.undo()) this.#changed(); }
      else return;
      event.preventDefault();
      this.#showCursor(true);
    });
    this.canvas.addEventListener("focus", () => this.#showCursor(this.canvas.matches(":focus-visible")));
    this.canvas.addEventListener("blur", () => { this.#penDown = false; this.#showCursor(false); });
  }

  /** @param {boolean} shown */
  #showCursor(shown) {
    this.#cursor.hidden = !shown;
    this.#cursor.toggleAttribute("data-down", this.#penDown);
    this.#cursor.style.setProperty("--x", String(this.#place[0]));
    this.#cursor.style.setProperty("--y", String(this.#place[1]));
  }

  /** @param {ClipboardEvent} event */
  #paste = event => {
    const file = event.clipboardData?.files[0];
    if (file?.type.startsWith("image/")) this.#take(file);
  };

  /** @param {File | undefined} file */
  async #take(file) {
    if (!file) return;
    this.#error.hidden = true;
    try {
      const ink = await inkOf(file);
      if (!ink.some(v => v)) throw new Error("This picture is all of one shade: there is no digit to see.");
      this.showImage(null);
      this.ink.put(ink);
      this.#changed();
    } catch (error) {
      write(this.#error, error instanceof Error ? error.message : String(error));
      this.#error.hidden = false;
    }
  }

  #changed() {
    this.#tell();
    this.#asked ||= requestAnimationFrame(() => {
      this.#asked = 0;
      this.#draw();
      this.dispatchEvent(new CustomEvent("ink", { bubbles: true, detail: { ...this.ink.encode(), empty: this.ink.empty } }));
    });
  }

  #draw() {
    const { context, width } = surface(this.canvas);
    this.ink.draw(context, width, colour("ink"));
  }

  #drawImage() {
    if (!this.#shown) return;
    const { maps, width, height } = stack(this.#shown);
    paint(this.#image, maps[0], width, height, 1, "ink");
  }

  #tell() {
    const image = !this.#image.hidden;
    this.#hint.hidden = !image && !this.ink.empty;
    this.#hint.toggleAttribute("data-low", image);
    write(this.#hint, image ? "draw here to try your own" : "Draw a digit here.");
    this.#undo.disabled = !this.ink.marks.length;
  }
}

customElements.define("drawing-pad", DrawingPad);
export { DrawingPad };

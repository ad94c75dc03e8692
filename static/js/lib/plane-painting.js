/**
 * Editing points on a plot by mouse, pen, finger and keyboard. Shared by the plane and the curve, which lend what differs:
 * how places, pixels and points belong together (`Host`).
 *
 * Pointer: a click adds, a drag on a point moves it, shift, ctrl or the right button erases the nearest. Tools change what the
 * plain click does. A finger that only adds still scrolls the page: the canvas has its tool in `data-paint`, by which the
 * style sheet decides. Keys: arrows move a cursor (with Shift in large steps), Enter or Space adds, Delete erases the nearest,
 * 1 to 6 or A to F choose the class, M takes the nearest point along and lays it down, Escape gives up, Ctrl+Z and
 * Ctrl+Shift+Z (or Ctrl+Y) undo and redo.
 *
 * The page's markup, anywhere in the document, best inside one element with `hx-morph-skip`:
 *   <input type="radio" name="paint_tool" value="add | move | erase | spray">
 *   <input type="radio" name="paint_class" value="0" aria-label="Class A"> … one a class
 *   <input name="paint_value" inputmode="decimal"> where a number is learned
 *   <button type="button" data-paint="undo | redo | clear">
 * Choosing among these is no change of the experiment: their `input` and `change` end here.
 */

import { all } from "./dom.js";

/** @typedef {import("./plane-points.js").Point} Point */
/** @typedef {[number, number]} Place on the two axes of the plot */
/**
 * @typedef {object} Host
 * @property {() => import("./plane-points.js").PointSet | null} set
 * @property {() => boolean} on whether points may be edited now
 * @property {() => [Place, Place]} domain ends of the first axis, ends of the second
 * @property {(event: { clientX: number, clientY: number }) => Place} place that lies under the pointer
 * @property {(place: Place) => [number, number]} pixels of a place, in CSS pixels of the canvas
 * @property {(point: Point) => Place | null} where a point stands; null: it is not shown
 * @property {(place: Place, label: number) => Point} make
 * @property {(point: Point, place: Place) => Point} moved the same point elsewhere
 * @property {(point: Point) => string} name in words: "A at 1.2, −3.4"
 * @property {(place: Place | null, by: "pointer" | "keys") => void} look what one looks at now
 * @property {(words: string) => void} say
 * @property {() => void} edited a change worth telling the server
 */

const REACH = { mouse: 9, finger: 18, erase: 32, spray: 20 }; // CSS pixels
const SPRAYED = 3; // points at a time
const SETTLE = 150; // ms without an edit before the server is told, while a gesture goes on
const STEPS = 60; // of the cursor across the plot

export class Painting {
  /** @type {Place | null} */ cursor = null;
  /** @type {Point | null} */ grabbed = null;
  #canvas;
  #host;
  /** @type {number | null} */ #pointer = null;
  /** @type {"tap" | "move" | "erase" | "spray"} */ #doing = "tap";
  /** @type {object} */ #gesture = {};
  /** @type {Place} */ #from = [0, 0];
  /** @type {Point[] | null} */ #before = null;
  #timer = 0;
  #off = new AbortController();

  /** @param {HTMLCanvasElement} canvas that has the focus and the pointer @param {Host} host */
  constructor(canvas, host) {
    this.#canvas = canvas;
    this.#host = host;
    const { signal } = this.#off;
    canvas.addEventListener("pointerdown", event => this.#down(event), { signal });
    canvas.addEventListener("pointermove", event => this.#move(event), { signal });
    canvas.addEventListener("pointerup", event => this.#up(event), { signal });
    canvas.addEventListener("pointercancel", event => { if (event.pointerId === this.#pointer) this.#giveUp(); }, { signal });
    canvas.addEventListener("pointerleave", () => { if (this.#pointer === null) host.look(this.cursor, "keys"); }, { signal });
    canvas.addEventListener("contextmenu", event => { if (host.on()) event.preventDefault(); }, { signal });
    canvas.addEventListener("keydown", event => this.#key(event), { signal });
    canvas.addEventListener("focus", () => { if (canvas.matches(":focus-visible")) this.#go(0, 0); }, { signal });
    canvas.addEventListener("blur", () => { this.#drop(); this.cursor = null; host.look(null, "keys"); }, { signal });
    document.addEventListener("click", event => {
      const pressed = event.target instanceof Element ? event.target.closest("button[data-paint]") : null;
      if (pressed instanceof HTMLElement && host.on()) this.#command(pressed.dataset.paint ?? "");
    }, { signal });
    for (const name of ["input", "change"]) {
      document.addEventListener(name, event => {
        if (!(event.target instanceof HTMLInputElement) || !event.target.name.startsWith("paint_")) return;
        event.stopPropagation();
        this.refresh();
      }, { signal, capture: true });
    }
  }

  stop() {
    this.#off.abort();
    clearTimeout(this.#timer);
  }

  /** Which tool the canvas is for, and which buttons would do nothing now. */
  refresh() {
    const set = this.#host.set(), on = this.#host.on();
    if (on) this.#canvas.dataset.paint = chosen("paint_tool") ?? "add";
    else delete this.#canvas.dataset.paint;
    for (const button of all("button[data-paint]")) {
      const can = button.dataset.paint === "undo" ? set?.canUndo : button.dataset.paint === "redo" ? set?.canRedo : (set?.points.length ?? 0) > 0;
      /** @type {HTMLButtonElement} */ (button).disabled = !on || !can;
    }
  }

  // ---- Pointer ---------------------------------------------------------------------------------------------------------

  /** @param {PointerEvent} event */
  #down(event) {
    const place = this.#host.place(event);
    this.#host.look(place, "pointer");
    if (this.#pointer !== null || !this.#host.on() || !this.#host.set()) return;
    const erasing = event.button === 2 || event.shiftKey || event.ctrlKey;
    if (event.button !== 0 && !erasing) return;
    this.#drop();
    this.#gesture = {};
    this.#before = this.#host.set()?.points ?? null;
    if (erasing) {
      this.eraseNearest(place, this.#gesture);
      return;
    }
    this.#pointer = event.pointerId;
    this.#canvas.setPointerCapture(event.pointerId);
    this.#from = place;
    const tool = chosen("paint_tool") ?? "add", finger = event.pointerType === "touch", near = this.#nearest(place, finger ? REACH.finger : REACH.mouse);
    if (tool === "erase" || tool === "spray") {
      this.#doing = tool;
      if (tool === "spray") this.#spray(place);
      else this.#rub(place);
    } else if (finger && tool === "add" && !near) this.#doing = "tap";
    else {
      this.#doing = "move";
      this.grabbed = near ?? (tool === "add" ? this.add(place, this.#gesture) : null);
    }
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const place = this.#host.place(event);
    this.#host.look(place, "pointer");
    if (event.pointerId !== this.#pointer) return;
    if (this.#doing === "spray" || this.#doing === "erase") this.#stroke(place);
    else if (this.#doing === "move" && this.grabbed) this.#carry(place);
  }

  /** The brush goes all the way from where it was: a quick pointer is not seen everywhere. @param {Place} place */
  #stroke(place) {
    const from = this.#from, [dx, dy] = [place[0] - from[0], place[1] - from[1]], far = this.#distance(place, from), pace = REACH.spray / 2;
    for (let way = pace; way <= far; way += pace) {
      this.#from = [from[0] + dx * way / far, from[1] + dy * way / far];
      if (this.#doing === "spray") this.#spray(this.#from);
      else this.#rub(this.#from);
    }
  }

  /** @param {PointerEvent} event */
  #up(event) {
    if (event.pointerId !== this.#pointer) return;
    this.#pointer = null;
    if (this.#doing === "tap" && this.#distance(this.#host.place(event), this.#from) <= REACH.mouse) this.add(this.#from, this.#gesture);
    const set = this.#host.set(), many = (set?.points.length ?? 0) - (this.#before?.length ?? 0);
    if (this.#doing === "move" && this.grabbed && many === 0 && set?.points !== this.#before) this.#host.say(`Moved to ${this.#host.name(this.grabbed)}.`);
    if (this.#doing === "spray" || this.#doing === "erase" && many) this.#host.say(`${many > 0 ? "Added" : "Erased"} ${Math.abs(many)}. ${this.#count()}`);
    this.grabbed = null;
    this.#flush();
  }

  /** The gesture is taken back. */
  #giveUp() {
    const set = this.#host.set();
    if (set && this.#before && set.points !== this.#before && set.undo()) this.#tell();
    this.#pointer = null;
    this.grabbed = null;
    this.#before = null;
  }

  // ---- Keys --------------------------------------------------------------------------------------------------------------

  /** @param {KeyboardEvent} event */
  #key(event) {
    /** @type {Record<string, [number, number]>} */
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const move = arrows[event.key], key = event.key.toLowerCase(), held = event.ctrlKey || event.metaKey;
    if (event.altKey || held && key !== "z" && key !== "y") return;
    if (move) this.#go(move[0] * (event.shiftKey ? 5 : 1), move[1] * (event.shiftKey ? 5 : 1));
    else if (event.key === "Escape" && (this.grabbed || this.#pointer !== null)) this.#giveUp();
    else if (!this.#host.on() || !this.#host.set()) return;
    else if (held) this.#command(key === "y" || event.shiftKey ? "redo" : "undo");
    else if (event.key === "Delete" || event.key === "Backspace") this.#erase();
    else if (/^[1-6a-f]$/.test(key)) choose("1" <= key && key <= "6" ? Number(key) - 1 : "abcdef".indexOf(key), this.#host.say);
    else if (key === "m") this.#grab();
    else if (event.key === "Enter" || event.key === " ") {
      if (this.grabbed) this.#grab();
      else this.add(this.#here(), {});
      this.#flush();
    } else return;
    event.preventDefault();
  }

  #here() {
    const [[left, right], [low, high]] = this.#host.domain();
    return this.cursor ??= [(left + right) / 2, (low + high) / 2];
  }

  /** @param {number} right steps @param {number} up */
  #go(right, up) {
    const domain = this.#host.domain(), here = this.#here();
    this.cursor = /** @type {Place} */ (here.map((v, i) => {
      const [low, high] = domain[i];
      return Math.min(high, Math.max(low, v + [right, up][i] * (high - low) / STEPS));
    }));
    if (this.grabbed) this.#carry(this.cursor);
    this.#host.look(this.cursor, "keys");
  }

  #grab() {
    if (this.grabbed) return this.#drop();
    this.#gesture = {};
    this.#before = this.#host.set()?.points ?? null;
    this.grabbed = this.#nearest(this.#here(), REACH.erase);
    const place = this.grabbed && this.#host.where(this.grabbed);
    if (this.grabbed && place) {
      this.cursor = place;
      this.#host.look(place, "keys");
      this.#host.say(`Took ${this.#host.name(this.grabbed)}. Arrows move it, M lays it down.`);
    } else this.#host.say("There is no point near the cursor.");
  }

  #drop() {
    if (!this.grabbed || this.#pointer !== null) return;
    this.#host.say(`Laid down ${this.#host.name(this.grabbed)}.`);
    this.grabbed = null;
    this.#flush();
  }

  #erase() {
    this.grabbed = null;
    this.eraseNearest(this.#here(), {});
  }

  /** @param {string} command undo, redo or clear */
  #command(command) {
    const set = this.#host.set();
    if (!set) return;
    this.grabbed = null;
    if (command === "clear") {
      set.put([]);
      this.#host.say("All points are gone. Undo brings them back.");
    } else if (command === "undo" ? set.undo() : set.redo()) this.#host.say(`${command === "undo" ? "Undone" : "Done again"}. ${this.#count()}`);
    else {
      this.#host.say(`There is nothing to ${command}.`);
      return;
    }
    this.#tell();
    this.#flush();
  }

  // ---- Points ------------------------------------------------------------------------------------------------------------

  /** @param {Place} place @param {object} gesture @returns {Point | null} */
  add(place, gesture) {
    const set = this.#host.set(), label = this.#label();
    if (!set || label === null) return null;
    const point = this.#host.make(this.#inside(place), label);
    set.put([...set.points, point], gesture);
    this.#host.say(`Added ${this.#host.name(point)}. ${this.#count()}`);
    this.#tell();
    return point;
  }

  /** @param {Place} place @param {object} gesture */
  eraseNearest(place, gesture) {
    const set = this.#host.set(), point = this.#nearest(place, REACH.erase);
    if (!set || !point) {
      this.#host.say("There is no point near here.");
      return;
    }
    set.put(set.points.filter(other => other !== point), gesture);
    this.#host.say(`Erased ${this.#host.name(point)}. ${this.#count()}`);
    this.#tell();
    this.#flush();
  }

  /** @param {Place} place */
  #carry(place) {
    const set = this.#host.set(), point = this.grabbed;
    if (!set || !point) return;
    const moved = this.grabbed = this.#host.moved(point, this.#inside(place));
    set.put(set.points.map(other => other === point ? moved : other), this.#gesture);
    this.#tell();
  }

  /** @param {Place} middle */
  #spray(middle) {
    const set = this.#host.set(), label = this.#label();
    if (!set || label === null) return;
    const [x, y] = this.#host.pixels(middle), [[left, right], [low, high]] = this.#host.domain();
    const [x0, y0] = this.#host.pixels([left, low]), [x1, y1] = this.#host.pixels([right, high]);
    const points = Array.from({ length: SPRAYED }, () => {
      const angle = 2 * Math.PI * Math.random(), r = REACH.spray * Math.sqrt(Math.random());
      const u = (x + r * Math.cos(angle) - x0) / (x1 - x0), v = (y + r * Math.sin(angle) - y0) / (y1 - y0);
      return this.#host.make(this.#inside([left + u * (right - left), low + v * (high - low)]), label);
    });
    set.put([...set.points, ...points], this.#gesture);
    this.#tell();
  }

  /** Erases all that the brush touches. @param {Place} place */
  #rub(place) {
    const set = this.#host.set();
    const left = set?.points.filter(point => this.#reach(point, place) > REACH.mouse + 3);
    if (!set || !left || left.length === set.points.length) return;
    set.put(left, this.#gesture);
    this.#tell();
  }

  /** @returns {number | null} class or number of a new point; null, and said, if the number is none */
  #label() {
    if (this.#host.set()?.classes.length) return Number(chosen("paint_class") ?? 0);
    const text = chosen("paint_value") ?? "1", value = Number(text.replace("−", "-").replace(",", "."));
    if (text.trim() !== "" && Number.isFinite(value)) return value;
    this.#host.say("A new point needs a number: write one beside the tools.");
    return null;
  }

  /** @param {Place} place @returns {Place} */
  #inside(place) {
    const domain = this.#host.domain();
    return /** @type {Place} */ (place.map((v, i) => Math.min(domain[i][1], Math.max(domain[i][0], v))));
  }

  /** @param {Place} place @param {number} reach pixels */
  #nearest(place, reach) {
    let found = null, least = reach;
    for (const point of this.#host.set()?.points ?? []) {
      const distance = this.#reach(point, place);
      if (distance <= least) [found, least] = [point, distance];
    }
    return found;
  }

  /** @param {Point} point @param {Place} place @returns {number} pixels; infinite for a point that is not shown */
  #reach(point, place) {
    const where = this.#host.where(point);
    return where ? this.#distance(where, place) : Infinity;
  }

  /** @param {Place} a @param {Place} b */
  #distance(a, b) {
    const [x, y] = this.#host.pixels(a), [u, v] = this.#host.pixels(b);
    return Math.hypot(x - u, y - v);
  }

  #count() {
    const count = this.#host.set()?.points.length ?? 0;
    return count === 1 ? "1 point." : `${count} points.`;
  }

  // ---- To the server -------------------------------------------------------------------------------------------------------

  #tell() {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.#flush(), SETTLE);
  }

  #flush() {
    if (!this.#timer) return;
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#host.edited();
  }
}

/** @param {string} name @returns {string | null} of the checked radio, or of the field */
function chosen(name) {
  const control = document.querySelector(`[name=${name}]:checked, input[name=${name}]:not([type=radio])`);
  return control instanceof HTMLInputElement ? control.value : null;
}

/** @param {number} which class @param {(words: string) => void} say */
function choose(which, say) {
  const radio = document.querySelector(`[name=paint_class][value="${which}"]`);
  if (!(radio instanceof HTMLInputElement) || radio.disabled) return;
  radio.checked = true;
  say(`Painting ${radio.getAttribute("aria-label") ?? `class ${"ABCDEF"[which]}`}.`);
}

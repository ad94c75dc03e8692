/**
 * For words that follow a picture, less often than it is drawn. At most once in so many milliseconds, but always once more
 * after the last wish: while a run is paused no other frame comes, and what stands at last has to be true.
 */
export class Pace {
  #timer = 0;
  #last = -Infinity;

  /** @param {number} every milliseconds @param {() => void} act */
  constructor(every, act) {
    this.every = every;
    this.act = act;
  }

  wish() {
    if (this.#timer) return;
    const wait = this.#last + this.every - performance.now();
    if (wait <= 0) this.#act();
    else this.#timer = window.setTimeout(() => this.#act(), wait);
  }

  /** The next wish is granted at once. */
  hurry() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#last = -Infinity;
  }

  #act() {
    this.#timer = 0;
    this.#last = performance.now();
    this.act();
  }
}

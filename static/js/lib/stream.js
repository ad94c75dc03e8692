/**
 * The page's one stream, of one run or (runs-stream.js) of several, by htmx's hx-sse: named events arrive as DOM events on the `#stream` element, a hidden tab lets go
 * of its connection, a broken one is made again with Last-Event-ID, for as long as the page is open.
 *
 * The request is issued by `htmx.ajax` rather than by `hx-sse:connect` on `load`, for two reasons seen in htmx 4.0.1: hx-sse
 * never retries when the very first connection fails, and an element processed twice (by htmx's own start and by us)
 * connects twice. The options that `hx-sse:connect` would imply therefore stand in `hx-config`. How long to wait is decided
 * here and not by hx-sse (whose jitter is off), so that the page can say truly in how many seconds it tries again.
 */

const OPTIONS = {
  sse: { reconnect: true, pauseOnBackground: true, releaseOn: "immediate", reconnectDelay: 0, reconnectMaxDelay: 0, reconnectJitter: 0 },
};
const FIRST = 500, QUICK = 8000, SLOW = 30_000; // ms between two attempts
const QUICK_ATTEMPTS = 12; // about a minute; a server that is started again is back by then
const GONE = new Set([403, 404]); // there is no such run, or (a class was cleared up) it is not for whoever asks any more
const SCATTER = 0.5; // share of the pause, either way: a class whose server was away does not come back in one instant

/** Milliseconds before another attempt: doubling to 8 s, and slower when a minute has gone by. @param {number} failed attempts so far */
export function pause(failed) {
  const steady = failed < QUICK_ATTEMPTS ? Math.min(FIRST * 2 ** failed, QUICK) : Math.min(QUICK * 2 ** (failed - QUICK_ATTEMPTS), SLOW);
  return steady * (1 + SCATTER * (2 * Math.random() - 1));
}

/**
 * What hx-sse tells about its connection.
 * @typedef {{ attempt: number, cancelled: boolean, config: typeof OPTIONS.sse, delayCanceller: (() => void) | null }} Connection
 */

/**
 * A connection that is held for as long as its element stands in the page. Events: `lost` (detail: { retryAt: ms since
 * epoch }), `found` (the connection stands), `gone` (there is no such run any more).
 */
export class ServerEvents extends EventTarget {
  /** @type {HTMLElement} */ #element;
  /** @type {Connection | null} */ #connection = null;
  #failed = 0;
  #timer = 0;
  #status = 0;
  #lastId = "";
  #seen = () => this.open();

  /**
   * @param {HTMLElement} element holds the connection and is never swapped @param {string} url
   * @param {string[]} names of the events that `receive` takes
   */
  constructor(element, url, names) {
    super();
    this.#element = element;
    this.url = url;
    element.setAttribute("hx-config", JSON.stringify(OPTIONS));
    element.setAttribute("hx-swap", "none");
    // The body shows refusals of requests in #problems; those of the stream are told by `lost`.
    element.setAttribute("hx-status:4xx", "swap:none");
    element.setAttribute("hx-status:5xx", "swap:none");
    element.setAttribute("hx-sse:close", "close");
    for (const name of names) {
      element.addEventListener(name, event => {
        const { data, id } = /** @type {CustomEvent} */ (event).detail ?? {};
        if (typeof data !== "string") return;
        if (id) this.#lastId = id;
        this.receive(name, JSON.parse(data));
      });
    }
    // The server takes its leave: it stops (and may soon be back) or the run was deleted (and the next answer is 404).
    element.addEventListener("close", () => this.#retry(0));
    element.addEventListener("htmx:sse:after:connection", event => {
      const connection = this.#connection = /** @type {CustomEvent} */ (event).detail.connection;
      this.#failed = 0;
      this.#prepare(connection);
      this.dispatchEvent(new Event("found"));
      // hx-sse hears of a page that goes out of sight from now on only; this one did while it connected.
      if (document.hidden) setTimeout(() => document.dispatchEvent(new Event("visibilitychange")));
    });
    // Whoever comes back to a page waits for nothing.
    document.addEventListener("visibilitychange", () => {
      if (document.hidden && this.#connection) this.#prepare(this.#connection, 0);
    });
    element.addEventListener("htmx:sse:before:connection", event => this.#waiting(/** @type {CustomEvent} */ (event).detail.connection));
    element.addEventListener("htmx:sse:error", event => { this.#status = /** @type {CustomEvent} */ (event).detail.status ?? 0; });
    // First connection failed: hx-sse itself does not come back from that.
    element.addEventListener("htmx:response:error", event => this.#retry(/** @type {CustomEvent} */ (event).detail.ctx?.response?.status ?? 0));
    element.addEventListener("htmx:error", () => this.#retry(0));
  }

  /** @param {string} name @param {any} data */
  receive(name, data) {
    this.dispatchEvent(new CustomEvent(name, { detail: data }));
  }

  /** As soon as the page is in sight: a browser has six connections for all of its tabs. */
  open() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (document.hidden) {
      document.addEventListener("visibilitychange", this.#seen, { once: true });
      return;
    }
    const headers = this.#lastId ? { "Last-Event-ID": this.#lastId } : {};
    window.htmx?.ajax("GET", this.url, { source: this.#element, target: this.#element, swap: "none", headers });
  }

  /** Does not wait for the end of the pause before the next attempt. */
  hurry() {
    if (this.#timer) this.open();
    else this.#connection?.delayCanceller?.();
  }

  /** How long hx-sse will wait before its next attempt. @param {Connection} connection @param {number} [delay] milliseconds */
  #prepare(connection, delay = pause(this.#failed)) {
    connection.config.reconnectDelay = connection.config.reconnectMaxDelay = delay;
  }

  /** @param {Connection} connection about to be made; `attempt` is 0 for the first */
  #waiting(connection) {
    if (connection.attempt === 0) return;
    this.#connection = connection;
    if (GONE.has(this.#status)) {
      connection.cancelled = true;
      this.dispatchEvent(new Event("gone"));
      return;
    }
    this.#lost(connection.config.reconnectMaxDelay);
    this.#failed += 1;
    this.#prepare(connection);
  }

  /** @param {number} status */
  #retry(status) {
    this.#status = status;
    if (GONE.has(status)) {
      this.dispatchEvent(new Event("gone"));
      return;
    }
    const delay = pause(this.#failed++);
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => { this.#timer = 0; this.open(); }, delay);
    this.#lost(delay);
  }

  /** @param {number} delay milliseconds */
  #lost(delay) {
    this.dispatchEvent(new CustomEvent("lost", { detail: { retryAt: Date.now() + delay } }));
  }
}

/** Events: `state` `metrics` `frame` `status` (detail: the decoded data), and those of its connection. */
export class RunStream extends ServerEvents {
  /** @param {HTMLElement} element @param {string} url */
  constructor(element, url) {
    super(element, url, ["state", "metrics", "frame", "status"]);
  }
}

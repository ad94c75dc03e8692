/** "Save my work": asks the server for the report of this lab, pictures of its figure included, or of all labs, and hands over the file. */

import { Problem } from "./api.js";
import { all, download, make, write } from "./dom.js";

const MOST = 12; // pictures
const LARGEST = 1_500_000; // characters of one
const WIDEST = 1600; // pixels
const DRAWN = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "opacity", "font-family", "font-size", "font-weight", "text-anchor", "dominant-baseline"];
const STORE = "nabla.student";

/** @typedef {{ label: string, image: string }} Picture */

const student = /** @type {HTMLInputElement | null} */ (document.getElementById("student"));
if (student) {
  try { student.value = localStorage.getItem(STORE) ?? ""; } catch { /* no storage: it is typed again */ }
}

document.addEventListener("click", event => {
  const pressed = event.target instanceof Element ? event.target.closest("[data-save]") : null;
  if (pressed instanceof HTMLButtonElement) void save(pressed.dataset.save ?? "json");
});

/** @param {string} format html or json */
async function save(format) {
  const said = document.getElementById("saved"), name = student?.value ?? "";
  try { localStorage.setItem(STORE, name); } catch { /* as above */ }
  write(said, "Saving …");
  try {
    const { lab } = document.body.dataset;
    download(lab ? await ofLab(lab, format, name) : await fetched(`/api/labs/report?${new URLSearchParams({ format, student: name })}`), `nabla-${lab ?? "labs"}.${format}`);
    write(said, "It is in your downloads.");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    write(said, error.message);
  }
}

const form = () => /** @type {HTMLElement} */ (document.getElementById("lab"));

/** Runs that train are paused, so that pictures and figures are of the same update. */
async function standing() {
  if (form().dataset.running !== "1") return;
  all('[data-command="toggle"]')[0]?.click();
  for (let tries = 0; tries < 100 && (form().dataset.running === "1" || document.body.dataset.sending); tries++) await new Promise(done => setTimeout(done, 50));
}

/** @param {string} lab @param {string} format @param {string} name @returns {Promise<Blob>} */
async function ofLab(lab, format, name) {
  await standing();
  const { settings = "{}", runs = "" } = form().dataset;
  const ids = Object.fromEntries(runs.split(",").filter(Boolean).map(pair => pair.split(":")));
  const body = { student: name, settings: JSON.parse(settings), runs: ids, pictures: await pictures() };
  return fetched(`/api/labs/${lab}/report?format=${format}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

/** @param {string} path @param {RequestInit} [options] @returns {Promise<Blob>} @throws {Problem} */
async function fetched(path, options) {
  const response = await fetch(path, options).catch(() => { throw new Problem(0, "The server does not answer. Is it still running?"); });
  if (!response.ok) throw new Problem(response.status, (await response.json().catch(() => null))?.detail ?? `The server answered ${response.status}.`);
  return response.blob();
}

/** What the figure shows: each element with its canvases as one picture, and each drawing. @returns {Promise<Picture[]>} */
async function pictures() {
  const canvases = /** @type {HTMLCanvasElement[]} */ (all("#stage canvas")).filter(({ clientWidth, clientHeight }) => clientWidth > 0 && clientHeight > 0);
  /** @type {Map<Element, HTMLCanvasElement[]>} */
  const groups = new Map();
  for (const canvas of canvases) {
    const owner = ownerOf(canvas);
    groups.set(owner, [...groups.get(owner) ?? [], canvas]);
  }
  const painted = [...groups].map(([owner, own]) => ({ label: labelOf(owner, own[0]), image: together(own) }));
  const drawn = /** @type {SVGSVGElement[]} */ (all("#stage svg:not(.icon)")).filter(svg => !svg.parentElement?.closest("svg") && svg.clientWidth > 40).map(svg => ({ label: labelOf(ownerOf(svg), svg), image: written(svg) }));
  return [...painted, ...drawn].filter(({ image }) => image.length <= LARGEST).slice(0, MOST);
}

/** The element of the figure that something belongs to. @param {Element} part @returns {Element} */
function ownerOf(part) {
  let owner = /** @type {Element} */ (part.parentElement);
  for (let above = part.parentElement; above && above.id !== "stage"; above = above.parentElement) if (above.localName.includes("-")) owner = above;
  return owner;
}

/** @param {Element} owner @param {Element} part */
function labelOf(owner, part) {
  const named = [part, ...owner.querySelectorAll("[aria-label]"), owner].find(element => element.getAttribute("aria-label"));
  const caption = owner.closest("figure")?.querySelector("figcaption")?.textContent?.trim();
  return (named?.getAttribute("aria-label") || caption || document.title).slice(0, 1000);
}

/** Pictures stand on the page's own paper, which may be dark. */
const background = () => getComputedStyle(document.body).backgroundColor;

/** Canvases of one element as they lie above each other. @param {HTMLCanvasElement[]} canvases */
function together(canvases) {
  const boxes = canvases.map(canvas => canvas.getBoundingClientRect());
  const left = Math.min(...boxes.map(box => box.left)), top = Math.min(...boxes.map(box => box.top));
  const width = Math.max(...boxes.map(box => box.right)) - left, height = Math.max(...boxes.map(box => box.bottom)) - top;
  const scale = Math.min(devicePixelRatio || 1, WIDEST / width);
  const whole = make("canvas", { width: Math.round(width * scale), height: Math.round(height * scale) });
  const context = /** @type {CanvasRenderingContext2D} */ (whole.getContext("2d"));
  context.fillStyle = background();
  context.fillRect(0, 0, whole.width, whole.height);
  canvases.forEach((canvas, k) => {
    context.imageSmoothingEnabled = getComputedStyle(canvas).imageRendering !== "pixelated";
    context.drawImage(canvas, (boxes[k].left - left) * scale, (boxes[k].top - top) * scale, boxes[k].width * scale, boxes[k].height * scale);
  });
  return whole.toDataURL("image/png");
}

/** A drawing with the colours and letters that its style sheet gives it. @param {SVGSVGElement} svg */
function written(svg) {
  const copy = /** @type {SVGSVGElement} */ (svg.cloneNode(true)), parts = [copy, ...copy.querySelectorAll("*")];
  [svg, ...svg.querySelectorAll("*")].forEach((part, k) => {
    const used = getComputedStyle(part);
    for (const property of DRAWN) parts[k].setAttribute(property, used.getPropertyValue(property));
  });
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", String(svg.clientWidth));
  copy.setAttribute("height", String(svg.clientHeight));
  const paper = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [name, value] of Object.entries({ x: "-100%", y: "-100%", width: "300%", height: "300%", fill: background() })) paper.setAttribute(name, value);
  copy.prepend(paper);
  const bytes = new TextEncoder().encode(new XMLSerializer().serializeToString(copy));
  return `data:image/svg+xml;base64,${btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(""))}`;
}

/** A digit of 28×28 bytes as ink without paper, so that what lies under it can be seen. */

import { fromBase64 } from "./frames.js";
import { colour } from "./palette.js";

const SIDE = 28;

/** @param {HTMLCanvasElement} canvas @param {string} base64 784 bytes, 255 for full ink */
export function paintDigit(canvas, base64) {
  canvas.width = canvas.height = SIDE;
  const image = new ImageData(SIDE, SIDE);
  fromBase64(base64).forEach((ink, place) => { image.data[4 * place + 3] = ink; });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.putImageData(image, 0, 0);
  context.globalCompositeOperation = "source-in";
  context.fillStyle = colour("ink");
  context.fillRect(0, 0, SIDE, SIDE);
}

/**
 * Somebody's picture of a digit -> ink. Decoded by the browser itself, so that any format it knows will do.
 */

export const SIDE = 140; // pixels of the drawing that is sent; the server takes 28 to 280

/**
 * @param {Blob} file
 * @returns {Promise<Uint8Array>} SIDE × SIDE, 0 = paper, 255 = ink
 * @throws {Error} with a sentence for the person, when this is no picture
 */
export async function inkOf(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error("This file is not a picture that the browser can read. Try a PNG or a JPEG.");
  }
  const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * scale)), height = Math.max(1, Math.round(bitmap.height * scale));
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true }));
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff"; // what is transparent is paper
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const grey = Uint8Array.from({ length: width * height }, (_, i) => Math.round(0.2126 * data[4 * i] + 0.7152 * data[4 * i + 1] + 0.0722 * data[4 * i + 2]));
  return centred(stretched(grey, width, height), width, height);
}

/**
 * Light paper is turned round; then the paper becomes 0 and the strongest ink 255, so that a photographed pencil line counts
 * as ink and the shade of the paper does not. The paper is the median of the border.
 * @param {Uint8Array} grey @param {number} width @param {number} height
 */
function stretched(grey, width, height) {
  const border = [];
  for (let x = 0; x < width; x++) border.push(grey[x], grey[(height - 1) * width + x]);
  for (let y = 0; y < height; y++) border.push(grey[y * width], grey[y * width + width - 1]);
  const paper = border.sort((a, b) => a - b)[border.length >> 1];
  const distance = grey.map(v => paper > 127 ? Math.max(0, paper - v) : Math.max(0, v - paper));
  const strongest = distance.reduce((a, b) => Math.max(a, b), 0);
  // Less than this apart from the paper: noise of the camera, an empty sheet.
  if (strongest < 24) return new Uint8Array(grey.length);
  const floor = 0.25 * strongest;
  return distance.map(v => v <= floor ? 0 : Math.round(255 * (v - floor) / (strongest - floor)));
}

/** @param {Uint8Array} ink @param {number} width @param {number} height @returns {Uint8Array} SIDE × SIDE */
function centred(ink, width, height) {
  const square = new Uint8Array(SIDE * SIDE), left = (SIDE - width) >> 1, top = (SIDE - height) >> 1;
  for (let y = 0; y < height; y++) square.set(ink.subarray(y * width, (y + 1) * width), (top + y) * SIDE + left);
  return square;
}

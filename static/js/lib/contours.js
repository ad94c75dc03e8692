/**
 * Lines of equal value on a grid, by marching squares. A grid's numbers stand at the centres of its cells; lines come as
 * flat lists x1, y1, x2, y2, … in cells, (0, 0) being the centre of the first one.
 */

/**
 * Where a grid has the value `level`.
 * @param {ArrayLike<number>} values row-major @param {number} width @param {number} height @param {number} level
 * @returns {number[]}
 */
export function contour(values, width, height, level) {
  /** @type {number[]} */ const lines = [];
  for (let y = 0; y + 1 < height; y++) {
    for (let x = 0, i = y * width; x + 1 < width; x++, i++) {
      cross(lines, x, y, values[i] - level, values[i + 1] - level, values[i + width + 1] - level, values[i + width] - level);
    }
  }
  return lines;
}

/**
 * Where another class becomes the most probable one.
 * @param {Float32Array[]} maps one grid of probabilities a class @param {number} width @param {number} height
 * @returns {number[]}
 */
export function boundaries(maps, width, height) {
  /** @type {number[]} */ const lines = [];
  const { winner, first, second } = ranking(maps);
  /** @param {number} k @param {number} i by how much class k is ahead of all others */
  const margin = (k, i) => maps[k][i] - (winner[i] === k ? second[i] : first[i]);
  /** @param {number} k @param {number} x @param {number} y @param {number} i */
  const edge = (k, x, y, i) => cross(lines, x, y, margin(k, i), margin(k, i + 1), margin(k, i + width + 1), margin(k, i + width));
  for (let y = 0; y + 1 < height; y++) {
    for (let x = 0, i = y * width; x + 1 < width; x++, i++) {
      const a = winner[i], b = winner[i + 1], c = winner[i + width + 1], d = winner[i + width];
      if (a === b && a === c && a === d) continue;
      edge(a, x, y, i);
      if (b !== a) edge(b, x, y, i);
      if (c !== a && c !== b) edge(c, x, y, i);
      if (d !== a && d !== b && d !== c) edge(d, x, y, i);
    }
  }
  return lines;
}

/**
 * The most probable class everywhere, its probability and that of the next one.
 * @param {Float32Array[]} maps
 */
export function ranking(maps) {
  const size = maps[0].length, winner = new Uint8Array(size), first = Float32Array.from(maps[0]), second = new Float32Array(size).fill(-Infinity);
  for (let k = 1; k < maps.length; k++) {
    const map = maps[k];
    for (let i = 0; i < size; i++) {
      const p = map[i];
      if (p > first[i]) {
        second[i] = first[i];
        first[i] = p;
        winner[i] = k;
      } else if (p > second[i]) second[i] = p;
    }
  }
  return { winner, first, second };
}

/**
 * One square of four numbers, clockwise from its upper left; zero is to be found. Where two corners that are not neighbours
 * differ from the other two, the mean decides which of them belong together.
 * @param {number[]} lines @param {number} x @param {number} y @param {number} a @param {number} b @param {number} c @param {number} d
 */
function cross(lines, x, y, a, b, c, d) {
  const sides = (a > 0 ? 1 : 0) | (b > 0 ? 2 : 0) | (c > 0 ? 4 : 0) | (d > 0 ? 8 : 0);
  if (sides === 0 || sides === 15) return;
  const top = x + a / (a - b), right = y + b / (b - c), bottom = x + d / (d - c), left = y + a / (a - d);
  switch (sides < 8 ? sides : 15 - sides) {
    case 1: lines.push(x, left, top, y); break;
    case 2: lines.push(top, y, x + 1, right); break;
    case 3: lines.push(x, left, x + 1, right); break;
    case 4: lines.push(x + 1, right, bottom, y + 1); break;
    case 6: lines.push(top, y, bottom, y + 1); break;
    case 7: lines.push(x, left, bottom, y + 1); break;
    case 5:
      if (a + b + c + d > 0 === sides < 8) lines.push(x, left, bottom, y + 1, top, y, x + 1, right);
      else lines.push(x, left, top, y, x + 1, right, bottom, y + 1);
  }
}

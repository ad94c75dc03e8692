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
  for (let y = 0; y + 1 < height; y++) {
    for (let x = 0, i = y * width; x + 1 < width; x++, i++) {
      const corners = [i, i + 1, i + width + 1, i + width], here = new Set(corners.map(j => winner[j]));
      if (here.size === 1) continue;
      for (const k of here) {
        const [a, b, c, d] = corners.map(j => margin(k, j));
        cross(lines, x, y, a, b, c, d);
      }
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
  const top = [x + a / (a - b), y], right = [x + 1, y + b / (b - c)], bottom = [x + d / (d - c), y + 1], left = [x, y + a / (a - d)];
  switch (sides < 8 ? sides : 15 - sides) {
    case 1: lines.push(...left, ...top); break;
    case 2: lines.push(...top, ...right); break;
    case 3: lines.push(...left, ...right); break;
    case 4: lines.push(...right, ...bottom); break;
    case 6: lines.push(...top, ...bottom); break;
    case 7: lines.push(...left, ...bottom); break;
    case 5:
      if (a + b + c + d > 0 === sides < 8) lines.push(...left, ...bottom, ...top, ...right);
      else lines.push(...left, ...top, ...right, ...bottom);
  }
}

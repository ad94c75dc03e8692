/** What a network can be told about a point (engine/specs/datasets.py, `Feature`), for pictures of what it is not told yet. */

/** @type {Record<string, (x: number, y: number) => number>} */
const FEATURES = {
  x: x => x, y: (_, y) => y, x_squared: x => x * x, y_squared: (_, y) => y * y, xy: (x, y) => x * y,
  sin_x: x => Math.sin(x), sin_y: (_, y) => Math.sin(y), cos_x: x => Math.cos(x), cos_y: (_, y) => Math.cos(y),
};

/**
 * A feature over the plane, row 0 = largest y.
 * @param {string} name @param {PlaneFrame["domain"]} domain @param {number} side pixels
 */
export function featureMap(name, [[left, right], [bottom, top]], side) {
  const feature = FEATURES[name], map = new Float32Array(side * side);
  for (let row = 0; row < side; row++) for (let column = 0; column < side; column++) {
    map[row * side + column] = feature(left + (right - left) * (column + 0.5) / side, top - (top - bottom) * (row + 0.5) / side);
  }
  return map;
}

/**
 * The lines between two columns of a network diagram: one for each weight, blue adds, orange subtracts, thicker counts more.
 *
 * They are strokes of a canvas: 2,000 of them are drawn twice as fast as 2,000 elements of an SVG change. What is under the
 * pointer is therefore computed, which is easy: all lines of a gap are one curve, stretched to different heights.
 */

const THINNEST = 0.75, THICKEST = 6; // CSS pixels
const FULL = 4; // a weight of this size has the thickest line; Playground's reach to 5
const FAINTEST = 0.22, CLEAREST = 0.92; // opacity
const HAIRLINE = 1.3; // what is thinner is drawn one pixel wide, which is three times as fast; its opacity still tells
const REACH = 6; // CSS pixels between the pointer and the line it means

/** @param {number} weight @returns {number} 0..1 */
const strength = weight => Math.min(1, Math.abs(weight) / FULL);
/** @param {number} weight @returns {number} CSS pixels */
const thickness = weight => THINNEST + (THICKEST - THINNEST) * strength(weight);
/** Rises at once, so that new networks can be seen. @param {number} weight */
const opacity = weight => FAINTEST + (CLEAREST - FAINTEST) * Math.sqrt(strength(weight));

/** Where a weight's line runs. @typedef {{ unit: number, input: number, path: Path2D }} Link */
/** @typedef {{ link: Link, weight: number }} Line */
/** @typedef {{ positive: string, negative: string, ink: string, edge: string }} Colours */

export class Gap {
  /**
   * @param {number} left @param {number} right where the lines begin and end
   * @param {number[]} from heights of the inputs @param {number[]} to heights of the units
   */
  constructor(left, right, from, to) {
    this.left = left;
    this.right = right;
    this.from = from;
    this.to = to;
    const middle = (left + right) / 2;
    /** @type {Link[]} */
    this.links = to.flatMap((below, unit) => from.map((above, input) => {
      const path = new Path2D();
      path.moveTo(left, above);
      path.bezierCurveTo(middle, above, middle, below, right, below);
      return { unit, input, path };
    }));
  }

  /**
   * The line that is meant by a place: the nearest that is near enough, measured from its edge.
   * @param {number} x @param {number} y @param {(link: Link) => number | null} weightOf null: no line is drawn
   * @returns {Link | null}
   */
  nearest(x, y, weightOf) {
    if (x < this.left || x > this.right) return null;
    const t = this.#along(x), risen = (3 - 2 * t) * t * t, steepness = 6 * t * (1 - t) / ((this.right - this.left) * pace(t));
    let found = null, least = REACH;
    for (const link of this.links) {
      const weight = weightOf(link);
      if (weight === null) continue;
      const above = this.from[link.input], rise = this.to[link.unit] - above;
      const distance = Math.abs(y - above - rise * risen) / Math.hypot(1, rise * steepness) - thickness(weight) / 2;
      if (distance < least) [found, least] = [link, distance];
    }
    return found;
  }

  /** The curves' parameter at a place: they go 1.5t − 1.5t² + t³ of the width, whatever their ends. @param {number} x */
  #along(x) {
    const share = (x - this.left) / (this.right - this.left);
    let t = share;
    for (let i = 0; i < 4; i++) t -= (((t - 1.5) * t + 1.5) * t - share) / pace(t);
    return t;
  }
}

/** How fast a curve moves to the right, in widths a unit of its parameter. @param {number} t */
const pace = t => 1.5 - 3 * t + 3 * t * t;

/**
 * Draws lines, the strongest last, so that they lie on top.
 * @param {CanvasRenderingContext2D} context
 * @param {Line[]} lines sorted in place
 * @param {Colours} colours
 * @param {number} [dim] factor of their opacity
 */
export function drawLines(context, lines, colours, dim = 1) {
  context.lineCap = "butt";
  lines.sort((a, b) => Math.abs(a.weight) - Math.abs(b.weight));
  for (const { link, weight } of lines) {
    context.strokeStyle = weight < 0 ? colours.negative : colours.positive;
    const wide = thickness(weight);
    context.lineWidth = wide < HAIRLINE ? 1 : wide;
    context.globalAlpha = dim * opacity(weight);
    context.stroke(link.path);
  }
  context.globalAlpha = 1;
}

/** One line on top of all others, in full colour and with an edge of ink. @param {CanvasRenderingContext2D} context @param {Line} line @param {Colours} colours */
export function drawMeant(context, { link, weight }, colours) {
  context.strokeStyle = colours.ink;
  context.lineWidth = thickness(weight) + 3;
  context.stroke(link.path);
  context.strokeStyle = weight < 0 ? colours.negative : colours.positive;
  context.lineWidth = thickness(weight);
  context.stroke(link.path);
}

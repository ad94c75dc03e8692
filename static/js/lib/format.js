/**
 * Numbers as a person reads them: a true minus, a comma between thousands, a thin space before a unit, "–" for what is
 * not known yet. The same rules stand in app/templating.py, so that nothing changes when the page comes alive. Formatters are made once; `toLocaleString` makes a new one on every call and is 50 times slower.
 */

const MINUS = "−", THIN = "\u2009";
export const NONE = "–";

/** @type {Map<string, Intl.NumberFormat>} */
const formatters = new Map();

/** @param {number} low @param {number} high digits after the point */
function formatter(low, high) {
  const key = `${low} ${high}`;
  let found = formatters.get(key);
  if (!found) formatters.set(key, found = new Intl.NumberFormat("en", { minimumFractionDigits: low, maximumFractionDigits: high, roundingMode: "halfEven" }));
  return found;
}

/**
 * A number with a fixed count of digits after the point; −0.00 is written 0.00.
 * @param {number | null | undefined} value @param {number} [digits]
 */
export function fixed(value, digits = 2) {
  if (value == null || !Number.isFinite(value)) return NONE;
  const text = formatter(digits, digits).format(value);
  return text.startsWith("-") ? (/[1-9]/.test(text) ? MINUS + text.slice(1) : text.slice(1)) : text;
}

/** @param {number} power */
export const superscript = power => [...String(power)].map(c => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(c)]).join("");

/**
 * Three significant digits, as read-outs have them: 3,460 · 21.5 · 0.0683 · 1.2×10⁻⁵ · 3.4×10⁸.
 * @param {number | null | undefined} value
 */
export function significant(value) {
  if (value == null || !Number.isFinite(value)) return NONE;
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) {
    const power = Math.floor(Math.log10(size));
    return `${fixed(value / 10 ** power, 1)}×10${superscript(power)}`;
  }
  return fixed(value, size === 0 ? 0 : Math.max(0, Math.min(6, 2 - Math.floor(Math.log10(size)))));
}

/** @param {number | null | undefined} value */
export const integer = value => fixed(value, 0);

/** A share 0..1 in percent. @param {number | null | undefined} share @param {number} [digits] */
export const percent = (share, digits = 1) => share == null || !Number.isFinite(share) ? NONE : `${fixed(share * 100, digits)}${THIN}%`;

/** A length of time: 21.5 s · 3 min 20 s · 2 h 5 min. @param {number | null | undefined} value */
export function seconds(value) {
  if (value == null || !Number.isFinite(value)) return NONE;
  if (value < 60) return `${fixed(value, value < 10 ? 1 : 0)}${THIN}s`;
  const whole = Math.round(value), minutes = Math.floor(whole / 60);
  return minutes < 60 ? `${minutes}${THIN}min ${whole % 60}${THIN}s` : `${Math.floor(minutes / 60)}${THIN}h ${minutes % 60}${THIN}min`;
}

/** Both ends of a range: −3.72 … 3.43. @param {number} low @param {number} high */
export function range(low, high) {
  const size = Math.max(Math.abs(low), Math.abs(high));
  const digits = size === 0 ? 0 : Math.max(0, Math.min(6, 2 - Math.floor(Math.log10(size))));
  return size !== 0 && size < 1e-4 ? `${significant(low)} … ${significant(high)}` : `${fixed(low, digits)} … ${fixed(high, digits)}`;
}

/** @type {Record<string, (value: number | null, digits?: number) => string>} formats of `data-format` */
const FORMATS = {
  percent,
  number: (value, digits) => digits === undefined ? significant(value) : fixed(value, digits),
  integer,
  ms: (value, digits = 2) => value == null ? NONE : `${fixed(value, digits)}${THIN}ms`,
  seconds,
};

/** @param {number | null | undefined} value @param {string} format a key of FORMATS @param {number} [digits] */
export const format = (value, format, digits) => (FORMATS[format] ?? FORMATS.number)(value ?? null, digits);

/**
 * From values to pixels, where ticks go and how they read.
 *
 * @module
 */

/** A logarithmic axis: positive values between two ends, which pixels they become. */
export interface LogScale {
  readonly least: number;
  readonly most: number;
  /** Returns the pixel of a value. */
  at(value: number): number;
}

/** Returns a logarithmic scale from `least` at `start` to `most` at `end`, in pixels. */
export function logScale(
  [least, most]: readonly [number, number],
  [start, end]: readonly [number, number],
): LogScale {
  const span = Math.log(most / least);
  return {
    least,
    most,
    at: (value) => start + (end - start) * (Math.log(value / least) / span),
  };
}

/**
 * Returns the ends of an axis: the powers of `base` around some positive values, never the same.
 */
export function powerBounds(values: readonly number[], base: number): [number, number] {
  const exponent = (value: number) => Math.log(value) / Math.log(base);
  // A power of the base is its own bound, whatever the last digit of a logarithm says.
  const least = base ** Math.floor(exponent(minimum(values)) + 1e-9);
  const most = base ** Math.ceil(exponent(maximum(values)) - 1e-9);
  return most > least ? [least, most] : [least, least * base];
}

/** Returns the ends of an axis that is as long as its values, with room around a single one. */
export function valueBounds(values: readonly number[]): [number, number] {
  const [least, most] = [minimum(values), maximum(values)];
  return most > least ? [least, most] : [least / 2, most * 2];
}

/**
 * Returns powers of two within bounds, as far apart as it takes to have no more than `most`;
 * `values` instead, or some of them, where there are hardly any powers.
 */
export function powerTicks(
  [least, greatest]: readonly [number, number],
  most: number,
  { step = 1, values = [] }: { step?: number; values?: readonly number[] } = {},
): number[] {
  const first = Math.ceil(Math.log2(least) - 1e-9);
  const last = Math.floor(Math.log2(greatest) + 1e-9);
  if (last - first < 2 * step && values.length > 0) {
    const every = Math.ceil(values.length / most);
    return values.filter((_, index) => index % every === 0);
  }
  let stride = step;
  while (Math.floor((last - first) / stride) + 1 > most) stride += step;
  return Array.from(
    { length: Math.floor((last - first) / stride) + 1 },
    (_, index) => 2 ** (first + index * stride),
  );
}

/** Returns evenly spaced round numbers (1, 2 or 5 times a power of `base`) from 0 to `most`. */
export function roundTicks(most: number, count: number, base = 10): number[] {
  const rough = most / count;
  const power = base ** Math.floor(Math.log(Math.max(rough, 1)) / Math.log(base));
  const multiples = base === 10 ? [1, 2, 5, 10] : [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, base];
  const step = power * (multiples.find((multiple) => power * multiple >= rough) ?? base);
  return Array.from({ length: Math.floor(most / step) + 1 }, (_, index) => index * step);
}

/**
 * Returns round numbers (1, 2 or 5 times a power of ten) within bounds; powers alone where there
 * are more than `most`.
 */
export function decimalTicks(
  [least, greatest]: readonly [number, number],
  most: number,
): number[] {
  const first = Math.floor(Math.log10(least));
  const last = Math.ceil(Math.log10(greatest));
  const powers = Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
  const within = (value: number) => value >= least && value <= greatest;
  const all = powers.flatMap((power) => [power, 2 * power, 5 * power]).filter(within);
  return all.length <= most ? all : powers.filter(within);
}

/** Returns a count as an axis shows it: `64k` for 65536, digits where nothing divides. */
export function shortCount(value: number): string {
  if (value >= 2 ** 20 && value % 2 ** 20 === 0) return `${value / 2 ** 20}m`;
  return value >= 1024 && value % 1024 === 0 ? `${value / 1024}k` : `${value}`;
}

/** Returns a power of two of bytes as an axis shows it: `4 MiB`. */
export function shortBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
  let [value, unit] = [bytes, 0];
  while (value >= 1024 && unit < units.length - 1) [value, unit] = [value / 1024, unit + 1];
  return `${Number(value.toPrecision(3))} ${units[unit]}`;
}

/** Returns a rate with a decimal prefix, to three digits: `20 TFLOP/s`. */
export function shortRate(value: number, unit: string): string {
  const prefixes = ["", "k", "M", "G", "T", "P", "E"];
  const index = Math.min(prefixes.length - 1, Math.max(0, Math.floor(Math.log10(value) / 3)));
  return `${Number((value / 1000 ** index).toPrecision(3))} ${prefixes[index]}${unit}`;
}

/** Returns a FLOP per byte as an axis shows it: a power of two below one as a fraction. */
export function shortIntensity(value: number): string {
  return value < 1 && Number.isInteger(1 / value) ? `1/${1 / value}` : `${value}`;
}

function minimum(values: readonly number[]): number {
  return values.reduce((least, value) => Math.min(least, value));
}

function maximum(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value));
}

/**
 * Numbers as people write and read them: `2GiB`, `512 MB`, `4k`, `1.5 ms`, `44 TFLOP/s`.
 *
 * @module
 */
import { shown } from "./shown.ts";

const FACTORS: Record<string, number> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/**
 * Reads a size in bytes, with an optional unit: decimal (`kB`, `MB`, `GB`, `TB`)
 * or binary (`KiB`, `MiB`, `GiB`, `TiB`), in any case.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(parseBytes("2GiB"), 2 ** 31);
 * assert.equal(parseBytes("1.5 kB"), 1500);
 * ```
 *
 * @throws {SyntaxError} when the text is no positive number with a known unit.
 */
export function parseBytes(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text);
  const factor = match && FACTORS[(match[2] || "b").toLowerCase()];
  const bytes = match && factor ? Math.round(Number(match[1]) * factor) : NaN;
  if (!(bytes > 0 && Number.isSafeInteger(bytes))) {
    throw new SyntaxError(
      `Cannot read ${
        shown(text)
      } as a size: write a positive number of bytes, or a number with kB, MB, GB, KiB, MiB or GiB, such as 512MiB`,
    );
  }
  return bytes;
}

/** From which seconds on a unit of time is used, and how many seconds it is. */
const TIMES: readonly (readonly [from: number, seconds: number, unit: string])[] = [
  [7200, 3600, "h"],
  [120, 60, "min"],
  [0.9995, 1, "s"],
  [1e-4, 1e-3, "ms"],
  [0, 1e-6, "us"],
];

/**
 * Writes a time as people say it: `420 ms`, `22 s`, `1.5 h`; to two digits, or to as
 * many as told, and to the unit where it has more of them.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(formatSeconds(22.26), "22 s");
 * assert.equal(formatSeconds(22.26, 3), "22.3 s");
 * assert.equal(formatSeconds(0.0042), "4.2 ms");
 * ```
 */
export function formatSeconds(seconds: number, digits = 2): string {
  const [, factor, unit] = TIMES.find(([from]) => seconds >= from) ?? TIMES.at(-1)!;
  const rounded = Number((seconds / factor).toPrecision(digits));
  const before = rounded === 0 ? 1 : Math.floor(Math.log10(Math.abs(rounded))) + 1;
  const value = before >= digits ? seconds / factor : rounded;
  return `${value.toFixed(Math.max(0, digits - before))} ${unit}`;
}

/** Writes bytes with the largest binary unit below them, to three digits or more. */
export function formatBytes(bytes: number): string {
  const sign = bytes < 0 ? "-" : "";
  let value = Math.abs(bytes);
  if (value < 1024) return `${sign}${value} B`;
  const units = ["KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = "B";
  while (value >= 1024 && units.length > 0) {
    value /= 1024;
    unit = units.shift()!;
  }
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  return `${sign}${value.toFixed(digits)} ${unit}`;
}

/** Writes bytes to the last of them: `1 byte`, `4096 bytes`. */
export function exactBytes(bytes: number): string {
  return `${bytes} ${bytes === 1 ? "byte" : "bytes"}`;
}

/** What may follow a number: sizes of models are powers of two, and `128k` ids are 131072. */
const SUFFIXES: Readonly<Record<string, number>> = {
  k: 2 ** 10,
  ki: 2 ** 10,
  m: 2 ** 20,
  mi: 2 ** 20,
};

/**
 * Reads a number strictly: digits, a decimal part, an exponent; or digits before
 * `k` (1024) or `m` (1024 k), in any case, `Ki` and `Mi` alike.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(parseNumber("4k"), 4096);
 * assert.equal(parseNumber("1e4"), 10000);
 * assert.equal(parseNumber("-0.5"), -0.5);
 * ```
 *
 * @throws {SyntaxError} when the text is no such number, or larger than any that can be told apart.
 */
export function parseNumber(text: string): number {
  const match = /^(-?\d+(?:\.\d+)?)(e[+-]?\d+|[km]i?)?$/i.exec(text.trim());
  const suffix = SUFFIXES[match?.[2]?.toLowerCase() ?? ""];
  const value = !match ? NaN : suffix ? Number(match[1]) * suffix : Number(match[0]);
  if (Number.isFinite(value)) return value;
  throw new SyntaxError(
    match
      ? `${text.slice(0, 40)} is too large a number`
      : `${shown(text)} is no number: write 8192, 8k (k is 1024, m is 1024 k) or 1e4, say`,
  );
}

/**
 * Writes a count or a rate to three digits, with a decimal prefix: `17.2 TFLOP`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(formatCount(44.1e12, "FLOP/s"), "44.1 TFLOP/s");
 * assert.equal(formatCount(8.08, "FLOP/s"), "8.08 FLOP/s");
 * ```
 */
export function formatCount(value: number, unit: string): string {
  const prefixes = ["", "k", "M", "G", "T", "P", "E"];
  let index = 0;
  let scaled = value;
  // What would be rounded up to four digits takes the next prefix.
  while (scaled >= 999.5 && index < prefixes.length - 1) {
    scaled /= 1000;
    index++;
  }
  const digits = index === 0 && (Number.isInteger(scaled) || scaled < 1)
    ? `${Number(scaled.toPrecision(3))}`
    : scaled.toFixed(scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0);
  return `${digits} ${prefixes[index]}${unit}`;
}

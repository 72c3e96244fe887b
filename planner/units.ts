/**
 * Bytes as people write and read them: `2GiB`, `512 MB`, `1.5 MiB`.
 *
 * @module
 */

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
      `Cannot read "${text}" as a size: write a positive number of bytes, or a number with kB, MB, GB, KiB, MiB or GiB, such as 512MiB`,
    );
  }
  return bytes;
}

/**
 * Writes a time as people say it: `0.42 ms`, `22 s`, `1.5 h`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(formatSeconds(22.26), "22 s");
 * assert.equal(formatSeconds(0.0042), "4.2 ms");
 * ```
 */
export function formatSeconds(seconds: number): string {
  const [value, unit] = seconds < 1
    ? [seconds * 1000, "ms"]
    : seconds < 120
    ? [seconds, "s"]
    : seconds < 7200
    ? [seconds / 60, "min"]
    : [seconds / 3600, "h"];
  return `${value < 1 ? value.toPrecision(2) : value.toFixed(value < 10 ? 1 : 0)} ${unit}`;
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

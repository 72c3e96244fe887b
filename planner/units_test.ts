import assert from "node:assert/strict";
import { formatBytes, formatCount, formatSeconds, parseBytes, parseNumber } from "./units.ts";

Deno.test("parseBytes() reads decimal and binary units in any case", () => {
  assert.equal(parseBytes("4096"), 4096);
  assert.equal(parseBytes("2GiB"), 2147483648);
  assert.equal(parseBytes("512 mb"), 512000000);
  assert.equal(parseBytes("0.5KiB"), 512);
});

Deno.test("parseBytes() rejects what is no positive size", () => {
  for (const text of ["", "0", "-1MiB", "1e3", "12 parsecs", "MiB", "0x10", "1..5GB", "NaN"]) {
    assert.throws(() => parseBytes(text), SyntaxError, text);
  }
});

Deno.test("formatBytes() picks the largest unit below", () => {
  assert.equal(formatBytes(0), "0 B");
  assert.equal(formatBytes(1023), "1023 B");
  assert.equal(formatBytes(1024), "1.00 KiB");
  assert.equal(formatBytes(8388608000), "7.81 GiB");
  assert.equal(formatBytes(-2048), "-2.00 KiB");
});

Deno.test("parseNumber() reads digits, exponents, and k and m as powers of two", () => {
  const cases: [string, number][] = [
    ["8192", 8192],
    ["4k", 4096],
    ["4K", 4096],
    ["8Ki", 8192],
    ["1.5k", 1536],
    ["1m", 1048576],
    ["1e4", 10000],
    ["1.25e-3", 0.00125],
    ["-100", -100],
  ];
  for (const [text, value] of cases) assert.equal(parseNumber(text), value, text);
});

Deno.test("parseNumber() rejects what is no number, and what is none any more", () => {
  for (
    const text of ["", "k", "4kk", "4 k", "0x10", "1e", "4g", "twelve", "NaN", "1_000", "4e2k"]
  ) {
    assert.throws(() => parseNumber(text), /is no number: write .*k is 1024/, text);
  }
  assert.throws(() => parseNumber("1e400"), /1e400 is too large a number/);
});

Deno.test("formatCount() takes the prefix that leaves up to three digits", () => {
  assert.equal(formatCount(0, "FLOP"), "0 FLOP");
  assert.equal(formatCount(512, "FLOP"), "512 FLOP");
  assert.equal(formatCount(999.7, "FLOP/s"), "1.00 kFLOP/s");
  assert.equal(formatCount(999.96e9, "B/s"), "1.00 TB/s");
  assert.equal(formatCount(0.00808, "FLOP/s"), "0.00808 FLOP/s");
});

Deno.test("formatSeconds() takes the unit that people would", () => {
  const cases: [number, string, string?][] = [
    [0, "0.0 us"],
    [1.23e-5, "12 us", "12.3 us"],
    [0.00042, "0.42 ms", "0.420 ms"],
    [0.00996, "10 ms", "9.96 ms"],
    [0.1234, "123 ms", "123 ms"],
    [0.9999, "1.0 s", "1.00 s"],
    [22.26, "22 s", "22.3 s"],
    [119, "119 s"],
    [600, "10 min"],
    [7200, "2.0 h"],
  ];
  for (const [seconds, two, three] of cases) {
    assert.equal(formatSeconds(seconds), two);
    if (three) assert.equal(formatSeconds(seconds, 3), three);
  }
});

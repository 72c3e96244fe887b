import assert from "node:assert/strict";
import { formatBytes, parseBytes } from "./units.ts";

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

import assert from "node:assert/strict";
import fc from "fast-check";
import { indented, table, within } from "./table.ts";
import { wrap } from "./wrap.ts";

const ROWS = [
  ["name", "size", "why"],
  ["first", "12", "because it is the first of them, and so comes first"],
  ["second", "1,200", "second"],
];

Deno.test("a table is as wide as it takes, unless told", () => {
  assert.equal(
    table(ROWS, ["left", "right"]),
    "name     size  why\nfirst      12  because it is the first of them, and so comes first\nsecond  1,200  second",
  );
});

Deno.test("a column of words takes several lines where the width is less", () => {
  assert.equal(
    table(ROWS, ["left", "right"], { width: 45 }),
    [
      "name     size  why",
      "first      12  because it is the first of",
      "               them, and so comes first",
      "second  1,200  second",
    ].join("\n"),
  );
});

Deno.test("columns that cannot fit come in parts, each with its keys", () => {
  const rows = [["name", "first", "second"], ["x", "1".repeat(12), "2".repeat(12)]];
  assert.equal(
    table(rows, ["left", "right", "right"], { width: 24 }),
    ["name         first", "x     111111111111", "", "name        second", "x     222222222222"]
      .join("\n"),
  );
});

Deno.test("no line is wider than told, and every word is there, once", () => {
  const cell = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 9 }), {
    maxLength: 8,
  }).map((words) => words.filter((word) => word !== "").join(" "));
  const rows = fc.integer({ min: 1, max: 6 }).chain((columns) =>
    fc.array(fc.array(cell, { minLength: columns, maxLength: columns }), { minLength: 1 })
  );
  fc.assert(fc.property(rows, fc.integer({ min: 20, max: 120 }), (rows, width) => {
    const text = table(rows, ["left"], { width, keys: 0 });
    for (const line of text.split("\n")) assert(line.length <= width, line);
    const words = (text: string) => text.split(/\s+/).filter((word) => word !== "").toSorted();
    assert.deepEqual(words(text), words(rows.flat().join(" ")));
  }));
});

Deno.test("wrap() breaks at blanks, and within words only where it must", () => {
  assert.deepEqual(wrap("one two three", 7), ["one two", "three"]);
  assert.deepEqual(wrap("abcdefgh ij", 5), ["abcde", "fgh", "ij"]);
  assert.deepEqual(wrap("", 5), [""]);
});

Deno.test("what is shifted has so much less room", () => {
  const text = indented(table(ROWS, ["left", "right"], within({ width: 47 })));
  assert(text.split("\n").every((line) => line.length <= 47), text);
  assert.deepEqual(within({}), {});
});

import assert from "node:assert/strict";
import * as z from "zod";
import { withCache } from "../testing.ts";
import { Kept } from "./kept.ts";

/** Gives a test a file of numbers in a folder of its own. */
function withNumbers(use: (numbers: Kept<number>) => Promise<void>): Promise<void> {
  return withCache(() => use(new Kept("numbers.json", z.number())));
}

Deno.test("what others keep at the same time is kept too", () =>
  withNumbers(async (numbers) => {
    // Each opens the file for itself, as processes do.
    await Promise.all(Array.from({ length: 8 }, (_, i) => numbers.keep(`${i}`, i)));
    assert.equal(Object.keys(await numbers.readAll()).length, 8);
  }));

Deno.test("an entry that is none is missing, and takes no other with it", () =>
  withNumbers(async (numbers) => {
    await Deno.writeTextFile(numbers.path, '{"one": 1, "two": "2"}');
    assert.deepEqual(await numbers.readAll(), { one: 1 });
    await numbers.keep("three", 3);
    assert.deepEqual(await numbers.readAll(), { one: 1, three: 3 });
  }));

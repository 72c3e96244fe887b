import assert from "node:assert/strict";
import fc from "fast-check";
import { editDistance, suggestions, unknownName } from "./suggest.ts";

const DISTANCES: readonly [string, string, number][] = [
  ["", "", 0],
  ["", "abc", 3],
  ["kitten", "sitting", 3], // Levenshtein's own example
  ["ca", "ac", 1],
  ["gemma-2-2b", "gemma2-2b", 1],
];
for (const [from, to, edits] of DISTANCES) {
  Deno.test(`"${from}" and "${to}" are ${edits} edits apart`, () => {
    assert.equal(editDistance(from, to), edits);
  });
}

Deno.test("distance is symmetric, nothing to oneself, and at most the longer length", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 8 });
  fc.assert(fc.property(text, text, (a, b) => {
    const edits = editDistance(a, b);
    assert.equal(edits, editDistance(b, a));
    assert.equal(edits === 0, a === b);
    assert(edits >= Math.abs(a.length - b.length) && edits <= Math.max(a.length, b.length));
  }));
});

Deno.test("the nearest names are suggested, then those that begin alike, else none", () => {
  const known = ["gemma-2-2b", "gemma-2-9b", "gemma-3-27b", "llama-3.1-8b", "phi-4"];
  assert.equal(suggestions("gemma2-2b", known)[0], "gemma-2-2b");
  assert.deepEqual(suggestions("meta-llama/Llama-3.1-8B", known), ["llama-3.1-8b"]);
  assert.deepEqual(suggestions("gemma", known), ["gemma-2-2b", "gemma-2-9b", "gemma-3-27b"]);
  assert.deepEqual(suggestions("mixtral", known), []);
  assert.deepEqual(suggestions("", known), []);
  assert.equal(
    unknownName("model", "phi4", known, "lce model"),
    'there is no model "phi4". Did you mean phi-4? "lce model" lists them.',
  );
});

import assert from "node:assert/strict";
import { coefficients, crossEntropy } from "../planner/objective.ts";
import { packParams } from "../planner/params.ts";
import { literal, WGSL } from "./wgsl.ts";

Deno.test("literal() writes f32 values that WGSL reads back exactly", () => {
  assert.equal(literal(2), "2f");
  assert.equal(literal(-0.5), "(-0.5f)");
  assert.equal(literal(0.1), "0.10000000149011612f");
  assert.equal(literal(1e-9), "9.999999717180685e-10f");
});

Deno.test("WGSL drops terms that are zero", () => {
  assert.equal(WGSL.add("0f", "x"), "x");
  assert.equal(WGSL.sub("x", "0f"), "x");
  assert.equal(WGSL.sub("0f", "x"), "(-x)");
  assert.equal(WGSL.mul("x", "0f"), "0f");
  assert.equal(WGSL.mul("1f", "x"), "x");
});

Deno.test("plain cross-entropy becomes plain shader text", () => {
  const { loss, derivatives } = crossEntropy(
    WGSL,
    { logprob: "logprob", lse: "lse", entropy: "h", smoothed: "s", targetWeight: "1f" },
    { nllScale: "1f", zScale: "1f", upstream: "g" },
    { labelSmoothing: 0, zLoss: 0, vocab: 5 },
  );
  assert.equal(loss, "((-1f) * logprob)");
  assert.deepEqual(
    coefficients(WGSL, { lse: "lse", entropy: "h" }, derivatives, "u"),
    { a: "(-(g * (-1f)))", b: "(g * (-1f))", c: "0f", d: "0f" },
  );
});

Deno.test("packParams() fills twelve words, the ninth a NaN", () => {
  const words = packParams({
    tokenStart: 1,
    tokens: 2,
    block: 3,
    vocabStart: 4,
    vocab: 5,
    column: 6,
    vocabTile: 7,
    first: 1,
  });
  assert.deepEqual([...words.subarray(0, 8)], [1, 2, 3, 4, 5, 6, 7, 1]);
  assert.equal(words.length, 12);
  assert(Number.isNaN(new Float32Array(words.buffer)[8]));
});

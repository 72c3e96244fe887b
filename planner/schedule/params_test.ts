import assert from "node:assert/strict";
import { packParams, PARAM_FIELDS, type Params, PARAMS_BYTES, paramsKey } from "./params.ts";

const PARAMS: Params = {
  tokenStart: 1,
  tokens: 2,
  block: 3,
  vocabStart: 4,
  vocab: 5,
  column: 6,
  vocabTile: 7,
  first: 1,
};

Deno.test("packParams() lays the fields out in their order, and a NaN after them", () => {
  const words = packParams(PARAMS);
  assert.deepEqual([...words.subarray(0, PARAM_FIELDS.length)], [1, 2, 3, 4, 5, 6, 7, 1]);
  assert(Number.isNaN(new Float32Array(words.buffer)[PARAM_FIELDS.length]));
  assert.equal(words.byteLength, PARAMS_BYTES);
  assert.equal(PARAMS_BYTES % 16, 0);
});

Deno.test("paramsKey() tells params apart that differ in any field", () => {
  for (const field of PARAM_FIELDS) {
    const other = { ...PARAMS, [field]: field === "first" ? 0 : PARAMS[field] + 1 };
    assert.notEqual(paramsKey(other), paramsKey(PARAMS), field);
  }
  assert.equal(paramsKey({ ...PARAMS }), paramsKey(PARAMS));
});

import assert from "node:assert/strict";
import { draw, gumbel, mixed, rowSeeds } from "./sampling.ts";

/**
 * What a chi-square exceeds once in ten thousand times, by Wilson and Hilferty (1931): its cube
 * root is all but normal.
 */
function rarely(freedom: number): number {
  const variance = 2 / (9 * freedom);
  return freedom * (1 - variance + 3.719 * Math.sqrt(variance)) ** 3;
}

/** Asserts that counts are as probabilities say. */
function assertDistributed(counts: ArrayLike<number>, probabilities: readonly number[]) {
  const total = Array.from(counts).reduce((sum, count) => sum + count, 0);
  const chi = probabilities.reduce((sum, p, index) => {
    assert(total * p >= 5, "enough are expected of each");
    return sum + (counts[index]! - total * p) ** 2 / (total * p);
  }, 0);
  assert(chi < rarely(probabilities.length - 1), `${chi}`);
  // Nor better than chance has it.
  assert(chi > 0.2 * probabilities.length, `${chi}`);
}

function softmax(logits: readonly number[], temperature: number): number[] {
  const e = logits.map((z) => Math.exp(z / temperature));
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((each) => each / sum);
}

const LOGITS = [1.2, -0.7, 0.3, 2.1, 0, -1.4, 0.9, 1.7];

Deno.test("words are mixed as MurmurHash3 mixes them", () => {
  // The hashes of nothing under the seeds 0 and 1, as published with it.
  assert.equal(mixed(0), 0);
  assert.equal(mixed(1), 0x514e28b7);
});

Deno.test("ids are drawn as often as the softmax at the temperature says", () => {
  for (const temperature of [0.5, 1, 3]) {
    for (const seed of [0, 1, 0xffffffff]) {
      const counts = new Uint32Array(LOGITS.length);
      for (const each of rowSeeds(seed, 20000)) counts[draw(LOGITS, each, temperature)]!++;
      assertDistributed(counts, softmax(LOGITS, temperature));
    }
  }
});

Deno.test("what is drawn of a token says nothing of the next, nor of another seed's", () => {
  const [here, there] = [rowSeeds(5, 40001), rowSeeds(6, 40001)]
    .map((seeds) => Array.from(seeds, (seed) => draw(LOGITS, seed, 2))) as [number[], number[]];
  const p = softmax(LOGITS, 2);
  const pairs = p.flatMap((a) => p.map((b) => a * b));
  for (const other of [here.slice(1), there]) {
    const counts = new Uint32Array(64);
    for (let token = 0; token < 40000; token++) counts[8 * here[token]! + other[token]!]!++;
    assertDistributed(counts, pairs);
  }
});

Deno.test("ids of a large vocabulary are as likely as one another, wherever they are", () => {
  const flat = new Float64Array(3000);
  const counts = new Uint32Array(30);
  for (const seed of rowSeeds(9, 3000)) counts[Math.floor(draw(flat, seed, 1) / 100)]!++;
  assertDistributed(counts, Array<number>(30).fill(1 / 30));
});

Deno.test("the largest Gumbel number is finite, and so is the smallest", () => {
  // Permutations reach every word: the smallest and the largest are those of some id.
  const extreme = (word: number) => -Math.log(-Math.log1p(-(word + 0.5) / 2 ** 32));
  assert(extreme(0) < 23 && extreme(2 ** 32 - 1) > -4);
  assert(Number.isFinite(gumbel(0, 0)));
});

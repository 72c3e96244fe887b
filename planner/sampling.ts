/**
 * Drawing an id of each token from its softmax, without the softmax: the largest of
 * `z / temperature + g`, with a Gumbel number `g` of its own for each token and id, has the
 * distribution of the softmax at that temperature (the Gumbel-max trick; Gumbel 1954, Maddison et
 * al., arXiv 1411.0030, section 2). The number is a function of the token's seed and of the id
 * alone, so what is drawn does not depend on tiles, windows, rounds or ranks.
 *
 * Here are the seeds, and the numbers in float64; kernels have them in f32.
 *
 * @module
 */

/** What seeds and ids are told apart by before they are mixed: thirds of a turn, and odd. */
export const SALT = { row: 0x9e3779b9, id: 0x7f4a7c15 } as const;

/** Returns a number of 32 bits, mixed: the last steps of MurmurHash3 (Appleby), a permutation. */
export function mixed(word: number): number {
  let x = word >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/**
 * Returns the seed of each of some tokens, one after the other: what `seeds` of a problem's inputs
 * holds where one number is to decide what is drawn.
 *
 * @param first the row of the first of them.
 *
 * @example A token's seed does not depend on those around it
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(rowSeeds(7, 5).subarray(2), rowSeeds(7, 3, 2));
 * ```
 *
 * @example A step of generation
 * ```ts
 * import assert from "node:assert/strict";
 * import { deviceProfile, draw, LinearCrossEntropy, parseProblem, plan } from "../mod.ts";
 *
 * const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
 * const problem = parseProblem({ tokens: 2, hidden: 4, vocab: 8, sampleTemperature: 1 });
 * const head = await LinearCrossEntropy.create(device, plan(problem, deviceProfile(device)));
 *
 * const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
 * const buffer = (size: number) => device.createBuffer({ size, usage });
 * const seeds = buffer(2 * 4);
 * const weight = buffer(8 * 4 * 4);
 * device.queue.writeBuffer(seeds, 0, rowSeeds(3, 2)); // another number in the next step
 * head.forward({ hidden: buffer(2 * 4 * 4), weight, targets: buffer(2 * 4), seeds });
 * const { sampled } = await head.readResults();
 * assert.deepEqual([...sampled!], Array.from(rowSeeds(3, 2), (seed) => draw(Array(8).fill(0), seed, 1)));
 *
 * head.destroy();
 * device.destroy();
 * ```
 */
export function rowSeeds(seed: number, tokens: number, first = 0): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(
    { length: tokens },
    (_, token) => mixed(seed ^ mixed(first + token + SALT.row)),
  );
}

/**
 * Returns the Gumbel number of an id of a token with some seed.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const numbers = Array.from({ length: 10000 }, (_, id) => gumbel(1, id));
 * const mean = numbers.reduce((sum, each) => sum + each, 0) / numbers.length;
 * assert(Math.abs(mean - 0.5772) < 0.05); // Euler's constant
 * ```
 */
export function gumbel(seed: number, id: number): number {
  // Between 0 and 1, and fine near 0, which decides which is the largest.
  const v = (mixed(seed ^ mixed(id + SALT.id)) + 0.5) / 2 ** 32;
  return -Math.log(-Math.log1p(-v));
}

/** Returns what an id of a token is drawn by: the largest is. */
export function keyOf(logit: number, seed: number, id: number, temperature: number): number {
  return logit / temperature + gumbel(seed, id);
}

/**
 * Returns the id that is drawn from some logits: the smaller of two that are equally good.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const [seed] = rowSeeds(1, 1);
 * assert.equal(draw([0, 100, 0], seed!, 1), 1); // all but certain
 * ```
 */
export function draw(logits: ArrayLike<number>, seed: number, temperature: number): number {
  let [best, most] = [0, -Infinity];
  for (let id = 0; id < logits.length; id++) {
    const key = keyOf(logits[id]!, seed, id, temperature);
    if (key > most) [best, most] = [id, key];
  }
  return best;
}

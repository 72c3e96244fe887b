/**
 * Dynamic logit fusion (Fan et al., arXiv 2406.15480): a large model guided by what a
 * small expert has learned over its base, `z = large + a (expert - base)`, with a
 * strength `a` of its own for each token.
 *
 * The strength is the one of {@linkcode STRENGTHS} at which the fused softmax is about as
 * far from the large model's as the expert's is from its base's, in both directions:
 * it minimises
 *
 * `(KL(fused || large) - KL(expert || base))^2 + (KL(large || fused) - KL(base || expert))^2`.
 *
 * With `d = expert - base` all of these follow from log-sum-exps and means of `d`:
 * `KL(fused || large) = a E_fused[d] - lse_fused + lse_large`, and so on. So one pass over
 * the vocabulary that keeps max, sum and weighted sum of a few {@linkcode DISTRIBUTIONS} is
 * enough for every strength at once, and the pass that finds a strength has the loss and
 * the most likely id at it too. Several experts are looked at one after the other, the
 * others left out, as in the paper; the head that they make together is a sum of heads.
 *
 * @module
 */
import type { Arithmetic } from "../objective.ts";

/**
 * The strengths that are tried, from 0 to 2, as in the paper.
 *
 * @example The strengths of tokens, and what is most likely at them
 * ```ts
 * import assert from "node:assert/strict";
 * import { deviceProfile, LinearCrossEntropy, parseProblem, plan } from "@lce/lce";
 *
 * const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
 * const [tokens, vocab] = [2, 9];
 * const widths = { large: 8, expert: 4, base: 4 };
 * const heads = Object.entries(widths).map(([name, hidden]) => ({ name, hidden, vocab }));
 * const problem = parseProblem({ tokens, heads, fusion: true, statistics: ["predicted"] });
 * const search = await LinearCrossEntropy.create(device, plan(problem, deviceProfile(device)));
 *
 * const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
 * const buffer = (elements: number) => device.createBuffer({ size: 4 * elements, usage });
 * search.forward({
 *   targets: buffer(tokens), // any ids: where a text is generated, none is known
 *   largeHidden: buffer(tokens * widths.large),
 *   largeWeight: buffer(vocab * widths.large),
 *   expertHidden: buffer(tokens * widths.expert),
 *   expertWeight: buffer(vocab * widths.expert),
 *   baseHidden: buffer(tokens * widths.base),
 *   baseWeight: buffer(vocab * widths.base),
 * });
 * const { strength, predicted } = await search.readResults();
 * // All logits are zero: no strength is better than another, nor an id.
 * assert.deepEqual([...strength!, ...predicted!], [0, 0, 0, 0]);
 *
 * search.destroy();
 * device.destroy();
 * ```
 */
export const STRENGTHS: readonly number[] = Array.from({ length: 21 }, (_, step) => step / 10);

/** A softmax over what the three heads' logits make: of `large`, `expert - base` and `base` so much. */
export interface Distribution {
  readonly large: number;
  readonly difference: number;
  readonly base: number;
}

/** The distributions that a search looks at: one for each strength, the expert's and its base's. */
export const DISTRIBUTIONS: readonly Distribution[] = [
  ...STRENGTHS.map((difference) => ({ large: 1, difference, base: 0 })),
  { large: 0, difference: 1, base: 1 },
  { large: 0, difference: 0, base: 1 },
];

/** Which of {@linkcode DISTRIBUTIONS} are the large model's, the expert's and its base's. */
export const INDICES = { large: 0, expert: STRENGTHS.length, base: STRENGTHS.length + 1 } as const;

/** What is known of a distribution: its log-sum-exp, and the mean of `expert - base` under it. */
export interface Moments<T> {
  readonly lse: T;
  readonly mean: T;
}

/** What is known of those that the search compares at one strength. */
export interface Compared<T> {
  readonly fused: Moments<T>;
  readonly large: Moments<T>;
  readonly expert: Moments<T>;
  readonly base: Moments<T>;
}

/**
 * Returns how far a strength is from what is sought, 0 at best.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { FLOAT64 } from "../objective.ts";
 *
 * // Where the large model is the base, the expert itself is as far from it as the expert is.
 * const expert = { lse: 3, mean: 0.5 };
 * const base = { lse: 2.8, mean: 0.1 };
 * assert.equal(mismatch(FLOAT64, 1, { fused: expert, large: base, expert, base }), 0);
 * assert(mismatch(FLOAT64, 0, { fused: base, large: base, expert, base }) > 0);
 * ```
 */
export function mismatch<T>(
  { add, sub, mul }: Arithmetic<T>,
  strength: T,
  { fused, large, expert, base }: Compared<T>,
): T {
  const square = (value: T) => mul(value, value);
  const fusedLarge = sub(mul(strength, fused.mean), sub(fused.lse, large.lse));
  const expertBase = sub(expert.mean, sub(expert.lse, base.lse));
  const largeFused = sub(sub(fused.lse, large.lse), mul(strength, large.mean));
  const baseExpert = sub(sub(expert.lse, base.lse), base.mean);
  return add(square(sub(fusedLarge, expertBase)), square(sub(largeFused, baseExpert)));
}

/**
 * Returns what each head of a sum is multiplied by, for each token, where several experts share a
 * base: the large model, the experts in their order, the base.
 *
 * @param strengths of each expert, for each token, as searches with the others left out found them.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const [large, law, poetry, base] = factorsOf([[0.5, 1], [0, 0.25]]);
 * assert.deepEqual([[...large!], [...law!]], [[1, 1], [0.5, 1]]);
 * assert.deepEqual([[...poetry!], [...base!]], [[0, 0.25], [-0.5, -1.25]]);
 * ```
 *
 * @throws {RangeError} where there is no expert, or one has strengths of fewer tokens than another.
 */
export function factorsOf(strengths: readonly ArrayLike<number>[]): Float32Array[] {
  const [first] = strengths;
  if (first === undefined) throw new RangeError("There is nothing to fuse without an expert");
  const other = strengths.find(({ length }) => length !== first.length);
  if (other) {
    throw new RangeError(
      `One expert has strengths of ${first.length} tokens, another of ${other.length}`,
    );
  }
  const base = new Float32Array(first.length);
  for (const each of strengths) base.forEach((_, token) => base[token]! -= each[token]!);
  return [
    new Float32Array(first.length).fill(1),
    ...strengths.map((each) => Float32Array.from(each)),
    base,
  ];
}

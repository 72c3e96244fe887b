/**
 * A weight gradient of rank one in sub-tokens (VeLoRA, Miles et al., arXiv 2405.17991, by its
 * published code): each hidden state is cut into `G` sub-tokens of `D / G` numbers that follow each
 * other, and of each only what lies along one direction `v` is kept, `z = <h, v>`. With those in the
 * place of the states, `dW = s dzᵀ Ĥ = C ⊗ v`, of which `C = s dzᵀ Z` `[vocab, G]` is all that is
 * computed and stored. The gradient of the hidden states stays exact.
 *
 * @module
 */

/** How hidden states are cut. */
export interface SubTokenSizes {
  /** Columns of the hidden states. */
  readonly hidden: number;
  /** Sub-tokens of each, which divide its columns evenly. */
  readonly subTokens: number;
}

/**
 * Returns the numbers of one sub-token, which `direction` of a step's inputs has.
 *
 * @throws {RangeError} where sub-tokens do not divide a state evenly.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { subTokenLength } from "@lce/lce";
 *
 * assert.equal(subTokenLength({ hidden: 2304, subTokens: 32 }), 72);
 * assert.throws(() => subTokenLength({ hidden: 2304, subTokens: 31 }), /a whole number that divides/);
 * ```
 */
export function subTokenLength({ hidden, subTokens }: SubTokenSizes): number {
  if (Number.isInteger(subTokens) && subTokens >= 1 && hidden % subTokens === 0) {
    return hidden / subTokens;
  }
  throw new RangeError(
    `Cannot cut ${hidden} columns into ${subTokens} sub-tokens: a whole number that divides them is needed`,
  );
}

/**
 * Returns the direction that sub-tokens are taken along, of length 1: that of the mean of all
 * sub-tokens of a batch (`batch_average_once` of the published code, which takes the first batch of a
 * training and keeps it). A mean may be had in parts: that of some rows' sum is that of the rows.
 *
 * @param states `[tokens, hidden]`, of however many tokens.
 *
 * @throws {RangeError} where sub-tokens do not divide a state evenly, or their mean has no direction.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * // Two sub-tokens of two numbers: (1, 0) and (2, 4), whose sum is (3, 4).
 * const direction = subTokenDirection([1, 0, 2, 4], { hidden: 4, subTokens: 2 });
 * assert.deepEqual([...direction], [...Float32Array.of(0.6, 0.8)]);
 * ```
 */
export function subTokenDirection(
  states: ArrayLike<number>,
  sizes: SubTokenSizes,
): Float32Array<ArrayBuffer> {
  const length = subTokenLength(sizes);
  const sums = new Float64Array(length);
  for (let at = 0; at < states.length; at++) sums[at % length]! += states[at]!;
  const norm = Math.hypot(...sums);
  if (!(norm > 0 && norm < Infinity)) {
    throw new RangeError(
      `The mean of sub-tokens has no direction, its length is ${norm}: give a direction of your own`,
    );
  }
  return Float32Array.from(sums, (sum) => sum / norm);
}

/**
 * Returns a weight gradient of rank one in sub-tokens as wide as the weight, `C ⊗ v`.
 *
 * @param coefficients `[vocab, subTokens]`: what a plan with `subTokens` gives as the weight's gradient.
 * @param direction `[hidden / subTokens]`: what the plan was given.
 *
 * @throws {RangeError} unless the coefficients are of whole rows.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const gradient = expandSubTokens([2, -1], Float32Array.of(0.5, 1), 2);
 * assert.deepEqual([...gradient], [1, 2, -0.5, -1]);
 * ```
 */
export function expandSubTokens(
  coefficients: ArrayLike<number>,
  direction: ArrayLike<number>,
  subTokens: number,
): Float32Array<ArrayBuffer> {
  if (coefficients.length % subTokens !== 0) {
    throw new RangeError(
      `Cannot expand ${coefficients.length} coefficients: rows of ${subTokens} are needed`,
    );
  }
  const length = direction.length;
  const gradient = new Float32Array(coefficients.length * length);
  for (let at = 0; at < coefficients.length; at++) {
    for (let i = 0; i < length; i++) gradient[at * length + i] = coefficients[at]! * direction[i]!;
  }
  return gradient;
}

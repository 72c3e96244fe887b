/**
 * A weight gradient from some of the tokens (WTA-CRS, Liu et al., arXiv 2305.15265): of
 * `dW = Σ_t dz_tᵀ h_t`, the largest terms as they are, and the others drawn, each with a
 * probability in proportion to its norm, and divided by it, so that the mean over draws is `dW`.
 *
 * The norm of a term is `‖dz_t‖ ‖h_t‖`, and `‖dz_t‖` follows from numbers per token that a forward
 * pass has: no gradient is needed to know which matter.
 *
 * @module
 */
import { mixed, SALT } from "../sampling.ts";

/**
 * Returns the norm of a token's gradient by its logits, under a cross-entropy without label
 * smoothing, class weights, z-loss or softcap: `√(Σ p² - 2 p_y + 1)`, where `Σ p²` is
 * `exp(lse(2 z) - 2 lse(z))`.
 *
 * Without `lse(2 z)` it returns `√2 (1 - p_y)`, which is no less than the norm and at most
 * `√2` times it: what is drawn by it has the same mean, and the bound of its error holds.
 *
 * @param loss `-log p_y`, in nats.
 * @param squares what `Σ p²` follows from: the statistic `collision` of the same pass, or the
 *   log-sum-exps of the logits and of the logits times two, of a pass at twice the scale.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * // Four equal logits: p - y is (-3/4, 1/4, 1/4, 1/4).
 * const lse = { once: Math.log(4), twice: Math.log(4) };
 * assert(Math.abs(logitGradientNorm(Math.log(4), lse) - Math.sqrt(0.75)) < 1e-15);
 * assert(Math.abs(logitGradientNorm(Math.log(4), { collision: 1 / 4 }) - Math.sqrt(0.75)) < 1e-15);
 * assert(logitGradientNorm(Math.log(4)) > Math.sqrt(0.75));
 * ```
 */
export function logitGradientNorm(
  loss: number,
  squares?: { readonly collision: number } | { readonly once: number; readonly twice: number },
): number {
  // What is left to other ids, without the cancellation of `1 - p_y`.
  const others = -Math.expm1(-loss);
  if (!squares) return Math.SQRT2 * others;
  const all = "collision" in squares
    ? squares.collision
    : Math.exp(squares.twice - 2 * squares.once);
  // Theirs are positive, and no more than the square of their sum, whatever was rounded.
  const theirs = Math.min(Math.max(all - Math.exp(-2 * loss), 0), others ** 2);
  return Math.hypot(others, Math.sqrt(theirs));
}

/** What {@linkcode sampleRows} chose. */
export interface SampledRows {
  /** Tokens, in rising order, each once. */
  readonly rows: Uint32Array<ArrayBuffer>;
  /** What the term of each is times: 1 where it is there as it is. */
  readonly weights: Float32Array<ArrayBuffer>;
  /** How many are there as they are. */
  readonly exact: number;
  /**
   * What the root of the mean squared error, `√E‖estimate - dW‖²`, is no more than, where the
   * norms are no less than those of the terms; 0 where every term is there.
   */
  readonly errorBound: number;
}

/**
 * Returns the tokens that a weight gradient is estimated from: at most `count`, the largest as
 * they are and the others drawn with replacement, a token that is drawn twice with twice the
 * weight. With `r` draws from a rest whose norms sum to `S`, the mean squared error is
 * `(S² - ‖Σ rest‖²) / r` for exact norms; how many are largest is what makes `S² / r` least,
 * where the paper takes `S / r`.
 *
 * What is drawn depends on the norms and the seed alone. Draws are of 32 bits: a probability, and
 * with it the mean, is off by at most `2^-32`.
 *
 * @param norms of each token's term, `‖dz_t‖ ‖h_t‖`, or what is no less; 0 where it is ignored.
 *
 * @throws {RangeError} unless norms are finite and 0 or more, and `count` a whole number from 1 on.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const { rows, weights, exact } = sampleRows([1, 100, 1, 0, 1, 1], { count: 3, seed: 7 });
 * assert.equal(exact, 1);
 * assert.equal(weights[rows.indexOf(1)], 1);
 * assert(!rows.includes(3));
 * // Two draws from a rest of four.
 * assert.equal(weights.reduce((sum, each) => sum + each), 1 + 4);
 * ```
 */
export function sampleRows(
  norms: ArrayLike<number>,
  { count, seed }: { readonly count: number; readonly seed: number },
): SampledRows {
  if (!(Number.isInteger(count) && count >= 1)) {
    throw new RangeError(`Cannot choose ${count} tokens: a whole number from 1 on is needed`);
  }
  const wrong = Array.prototype.findIndex.call(norms, (n: number) => !(n >= 0 && n < Infinity));
  if (wrong >= 0) {
    throw new RangeError(
      `Token ${wrong} cannot have the norm ${norms[wrong]}: a finite number from 0 on is needed`,
    );
  }
  const order = Array.from({ length: norms.length }, (_, token) => token)
    .filter((token) => norms[token]! > 0)
    .sort((a, b) => norms[b]! - norms[a]! || a - b);
  // Sums of what follows, from the smallest on: `left[c]` without the `c` largest.
  const left = new Float64Array(order.length + 1);
  for (let c = order.length - 1; c >= 0; c--) left[c] = left[c + 1]! + norms[order[c]!]!;

  const exact = order.length <= count ? order.length : fewestErrors(left, count);
  const chosen = new Map(order.slice(0, exact).map((token) => [token, 1]));
  const draws = exact === order.length ? 0 : count - exact;
  for (let draw = 0; draw < draws; draw++) {
    const share = (mixed(seed ^ mixed(draw + SALT.row)) + 0.5) / 2 ** 32;
    const token = order[lastAbove(left, share * left[exact]!, exact)]!;
    const weight = left[exact]! / (draws * norms[token]!);
    chosen.set(token, (chosen.get(token) ?? 0) + weight);
  }
  const rows = Uint32Array.from(chosen.keys()).sort();
  return {
    rows,
    weights: Float32Array.from(rows, (token) => chosen.get(token)!),
    exact,
    errorBound: draws === 0 ? 0 : left[exact]! / Math.sqrt(draws),
  };
}

/**
 * Returns a sample as a plan with `sampledTokens` takes it: a weight for each of all tokens, 0 for
 * those that are not in it.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const sample = { rows: Uint32Array.of(1, 3), weights: Float32Array.of(1, 2.5) };
 * assert.deepEqual([...tokenWeights(sample, 5)], [0, 1, 0, 2.5, 0]);
 * ```
 *
 * @example A step whose weight gradient is from two of three tokens
 * ```ts
 * import assert from "node:assert/strict";
 * import {
 *   deviceProfile,
 *   LinearCrossEntropy,
 *   logitGradientNorm,
 *   parseProblem,
 *   plan,
 *   sampleRows,
 *   tokenWeights,
 * } from "@lce/lce";
 *
 * const device = await (await navigator.gpu.requestAdapter())!.requestDevice();
 * const problem = parseProblem({
 *   ...{ tokens: 3, hidden: 4, vocab: 8, pass: "train" },
 *   ...{ statistics: ["collision"], sampledTokens: 2 },
 * });
 * const options = { strategy: "windowed" } as const;
 * const head = await LinearCrossEntropy.create(
 *   device,
 *   plan(problem, deviceProfile(device), options),
 * );
 *
 * const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
 * const buffer = (size: number) => device.createBuffer({ size, usage });
 * const weights = buffer(3 * 4);
 * const inputs = {
 *   ...{ hidden: buffer(3 * 4 * 4), weight: buffer(8 * 4 * 4), targets: buffer(3 * 4) },
 *   tokenWeights: weights,
 * };
 * const states = [1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0];
 * device.queue.writeBuffer(inputs.hidden, 0, Float32Array.from(states));
 *
 * // Which tokens matter follows from the forward pass: they are chosen before the backward one.
 * head.forward(inputs);
 * const { perToken, collision } = await head.readResults();
 * const norms = Array.from(
 *   perToken!,
 *   (loss, token) =>
 *     logitGradientNorm(loss, { collision: collision![token]! }) *
 *     Math.hypot(...states.slice(4 * token, 4 * token + 4)),
 * );
 * const sample = sampleRows(norms, { count: 2, seed: 1 });
 * device.queue.writeBuffer(weights, 0, tokenWeights(sample, 3));
 * head.backward(inputs, { hidden: buffer(3 * 4 * 4), weight: buffer(8 * 4 * 4) });
 * assert(await head.readLoss() !== undefined);
 *
 * head.destroy();
 * device.destroy();
 * ```
 */
export function tokenWeights(
  { rows, weights }: Pick<SampledRows, "rows" | "weights">,
  tokens: number,
): Float32Array<ArrayBuffer> {
  const all = new Float32Array(tokens);
  rows.forEach((row, at) => all[row] = weights[at]!);
  return all;
}

/** Returns how many of the largest to keep, at least one place being left to draws. */
function fewestErrors(left: Float64Array, count: number): number {
  const bound = (exact: number) => left[exact]! ** 2 / (count - exact);
  let best = 0;
  for (let exact = 1; exact < count; exact++) if (bound(exact) < bound(best)) best = exact;
  return best;
}

/** Returns the last place from `first` on whose sum is above a value: sums fall. */
function lastAbove(left: Float64Array, value: number, first: number): number {
  let [low, high] = [first, left.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (left[middle]! > value) low = middle;
    else high = middle;
  }
  return low;
}

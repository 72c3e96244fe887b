/**
 * A low-rank adapter on a head (LoRA, Hu et al., arXiv 2106.09685): logits `H (W + B A)^T`
 * with `A` `[rank, hidden]` and `B` `[vocab, rank]`, of which only `A` and `B` are trained.
 *
 * As `H (W + B A)^T = [H A^T, H] [B, W]^T`, it is a head of `rank + hidden` columns, the
 * adapter's first: no kernel knows of it but for how many columns have gradients. Those are
 * `B`'s, `[vocab, rank]`, and those by `H A^T`, `[tokens, rank]`, from which `A`'s follow:
 * {@linkcode adapterGradient}. Neither is ever as wide as the weight.
 *
 * @module
 */
import { headOf, type Problem } from "../problem.ts";

/**
 * Returns the problem of a head with an adapter.
 *
 * Its hidden states are `[tokens, rank + hidden]`, those times `A^T` first, and its weight is
 * `[vocab, rank + hidden]`, `B` first.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseProblem, plan, SPECIFICATION_DEFAULTS } from "@lce/lce";
 *
 * const whole = parseProblem({ tokens: 1024, hidden: 2048, vocab: 32000, pass: "train" });
 * const memory = (problem: typeof whole) => plan(problem, SPECIFICATION_DEFAULTS).memory;
 * const output = memory(withAdapter(whole, 8)).byCategory.output;
 * // The gradients of B and of H A^T, the loss and results per token.
 * assert(output < 4 * 8 * (1024 + 32000) + 64 * 1024);
 * assert(memory(whole).byCategory.output > 200 * output);
 * ```
 *
 * @throws {RangeError} unless the rank is a whole number from 1 on, or where the head is frozen or its
 *   gradient is in sub-tokens.
 */
export function withAdapter(problem: Problem, rank: number): Problem {
  const head = headOf(problem);
  if (!(Number.isInteger(rank) && rank >= 1)) {
    throw new RangeError(`An adapter cannot have the rank ${rank}: 1 or more is needed`);
  }
  if (head.frozen) throw new RangeError("An adapter cannot be trained where the head is frozen");
  if (problem.subTokens !== undefined) {
    throw new RangeError("An adapter's gradient is narrow already: leave subTokens out");
  }
  return { ...problem, heads: [{ ...head, hidden: rank + head.hidden, adapter: rank }] };
}

/** Sizes of an adapter's gradient. */
export interface AdapterSizes {
  /** Rows of the hidden states. */
  readonly tokens: number;
  /** Columns of the hidden states, the adapter's left out. */
  readonly hidden: number;
  /** Columns of the adapter. */
  readonly rank: number;
}

/**
 * Returns the gradient of `A`, `[rank, hidden]`, from that by `H A^T`: `dU^T H`, summed in
 * float64. Programs that train have it from their own chain rule.
 *
 * @param byProducts `[tokens, rank]`: the gradient of the hidden states of a head with an adapter.
 * @param states `[tokens, hidden]`: the hidden states, those of the adapter left out.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 *
 * const sizes = { tokens: 2, hidden: 3, rank: 1 };
 * const gradient = adapterGradient(Float32Array.of(2, -1), Float32Array.of(1, 2, 3, 4, 5, 6), sizes);
 * assert.deepEqual([...gradient], [-2, -1, 0]);
 * ```
 */
export function adapterGradient(
  byProducts: ArrayLike<number>,
  states: ArrayLike<number>,
  { tokens, hidden, rank }: AdapterSizes,
): Float64Array {
  const gradient = new Float64Array(rank * hidden);
  for (let token = 0; token < tokens; token++) {
    for (let row = 0; row < rank; row++) {
      const by = byProducts[token * rank + row]!;
      for (let d = 0; d < hidden; d++) {
        gradient[row * hidden + d]! += by * states[token * hidden + d]!;
      }
    }
  }
  return gradient;
}

/**
 * Decoupled clip and dynamic sampling policy optimisation: the part of it that is a loss.
 *
 * @module
 */
import type { Differentiated, Objective, TokenValues } from "./objective.ts";
import { clippedSurrogate, type PolicyBatch, type PolicyOptions } from "./policy.ts";

/**
 * Returns the loss of DAPO (Yu et al., arXiv 2503.14476, equation 8), with its derivatives:
 *
 * `-1/Σ|o_i| Σ_i Σ_t min(r A_i, clip(r, 1 - clipLow, 1 + clipHigh) A_i)`
 *
 * The clip is higher than it is low, so that what was unlikely may become likely; every token
 * counts the same; nothing pulls towards a reference. Which groups are sampled, and what an answer
 * that is too long is worth, is for the caller: advantages and weights say it.
 *
 * @throws {RangeError} when something is not given of each token, or a span is none.
 *
 * @example A ratio of 1.25 is within the higher clip, and not within that of GRPO
 * ```ts
 * import assert from "node:assert/strict";
 * import { grpo } from "@lce/lce";
 * const logprob = [-1 + Math.log(1.25)];
 * const batch = { answers: [{ tokens: [0, 1], advantage: 1 }], sampled: [-1] } as const;
 * assert(Math.abs(dapo({ logprob }, batch).upstream.logprob[0]! + 1.25) < 1e-12);
 * assert.equal(Math.abs(grpo({ logprob }, batch, { beta: 0 }).upstream.logprob[0]!), 0);
 * ```
 */
export function dapo(
  values: TokenValues,
  batch: PolicyBatch,
  { clipLow = 0.2, clipHigh = 0.28, beta = 0, entropyBonus = 0 }: PolicyOptions = {},
): Differentiated {
  return clippedSurrogate(values, batch, { clipLow, clipHigh, beta, entropyBonus }, "tokens");
}

dapo satisfies Objective<PolicyBatch, PolicyOptions>;

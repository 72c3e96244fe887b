/**
 * Group-relative policy optimisation.
 *
 * @module
 */
import type { Differentiated, Objective, TokenValues } from "./objective.ts";
import { clippedSurrogate, type PolicyBatch, type PolicyOptions } from "./policy.ts";

/**
 * Returns the loss of group-relative policy optimisation (Shao et al., arXiv 2402.03300, equation
 * 3), with its derivatives:
 *
 * `-1/G Σ_i 1/|o_i| Σ_t (min(r A_i, clip(r, 1 - clipLow, 1 + clipHigh) A_i) - beta KL)`
 *
 * over `G` answers `o_i`, with `r = π(o_t) / π_sampled(o_t)` and the divergence of equation 4,
 * `KL = π_ref/π - log(π_ref/π) - 1`. An answer's mean comes before that over answers: tokens of
 * short answers count more, see {@linkcode dapo}.
 *
 * @throws {RangeError} when something is not given of each token, or a span is none.
 *
 * @example On the policy that sampled, the loss is minus the mean advantage
 * ```ts
 * import assert from "node:assert/strict";
 * const logprob = [-1.5, -0.5, -2];
 * const answers = [
 *   { tokens: [0, 2], advantage: 1 },
 *   { tokens: [2, 3], advantage: -0.5 },
 * ] as const;
 * const { loss, upstream } = grpo({ logprob }, { answers, sampled: logprob, reference: logprob });
 * assert.equal(loss, -0.25);
 * assert.deepEqual([...upstream.logprob], [-0.25, -0.25, 0.25]); // up, up, down
 * ```
 */
export function grpo(
  values: TokenValues,
  batch: PolicyBatch,
  { clipLow = 0.2, clipHigh = 0.2, beta = 0.04, entropyBonus = 0 }: PolicyOptions = {},
): Differentiated {
  return clippedSurrogate(values, batch, { clipLow, clipHigh, beta, entropyBonus }, "answers");
}

grpo satisfies Objective<PolicyBatch, PolicyOptions>;

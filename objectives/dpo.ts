/**
 * Direct preference optimisation.
 *
 * @module
 */
import { logisticLoss, sigmoid } from "./logistic.ts";
import type { Differentiated, Objective, TokenValues } from "./objective.ts";
import { overPairs, type Pair } from "./pairs.ts";

/** A pair with what the reference policy makes of it. */
export interface ReferredPair extends Pair {
  /** Log-probability of the whole answer that was preferred, under the reference policy. */
  readonly referenceChosen: number;
  /** Of the other. */
  readonly referenceRejected: number;
}

/** How direct preference optimisation is set. */
export interface DpoOptions {
  /** How strongly the policy is held to the reference. */
  readonly beta?: number;
}

/**
 * Returns the loss of direct preference optimisation (Rafailov et al., arXiv 2305.18290, equation
 * 7), with its derivatives, averaged over pairs:
 *
 * `-log σ(beta (log π(w)/π_ref(w) - log π(l)/π_ref(l)))` with `w` preferred to `l`.
 *
 * @throws {RangeError} when a span is none.
 *
 * @example On the reference policy, nothing is preferred: the loss is log 2
 * ```ts
 * import assert from "node:assert/strict";
 * const reference = { referenceChosen: -2, referenceRejected: -2 };
 * const pair = { chosen: [0, 2], rejected: [2, 3], ...reference } as const;
 * const { loss, upstream } = dpo({ logprob: [-1.5, -0.5, -2] }, [pair]);
 * assert.equal(loss, Math.LN2);
 * assert.deepEqual([...upstream.logprob], [-0.05, -0.05, 0.05]);
 * ```
 */
export function dpo(
  values: TokenValues,
  pairs: readonly ReferredPair[],
  { beta = 0.1 }: DpoOptions = {},
): Differentiated {
  return overPairs(values, pairs, (chosen, rejected, { referenceChosen, referenceRejected }) => {
    const margin = beta * ((chosen.sum - referenceChosen) - (rejected.sum - referenceRejected));
    const slope = beta * sigmoid(-margin);
    return { loss: logisticLoss(margin), chosen: -slope, rejected: slope };
  });
}

dpo satisfies Objective<readonly ReferredPair[], DpoOptions>;

/**
 * Simple preference optimisation.
 *
 * @module
 */
import { logisticLoss, sigmoid } from "./logistic.ts";
import type { Differentiated, Objective, TokenValues } from "./objective.ts";
import { overPairs, type Pair } from "./pairs.ts";

/** How simple preference optimisation is set. */
export interface SimpoOptions {
  /** What a nat of mean log-probability counts. */
  readonly beta?: number;
  /** By how much the answer that was preferred is to lead. */
  readonly gamma?: number;
}

/**
 * Returns the loss of simple preference optimisation (Meng et al., arXiv 2405.14734, equation 6),
 * with its derivatives, averaged over pairs:
 *
 * `-log σ(beta/|w| log π(w) - beta/|l| log π(l) - gamma)` with `w` preferred to `l`.
 *
 * There is no reference. Defaults are those of the authors' code, `gamma = beta / 4`.
 *
 * @throws {RangeError} when a span is none.
 *
 * @example An answer that leads by `gamma` has a loss of log 2
 * ```ts
 * import assert from "node:assert/strict";
 * const pair = { chosen: [0, 2], rejected: [2, 3] } as const;
 * const { loss } = simpo({ logprob: [-0.5, -1.5, -1.5] }, [pair], { beta: 2, gamma: 1 });
 * assert.equal(loss, Math.LN2);
 * ```
 */
export function simpo(
  values: TokenValues,
  pairs: readonly Pair[],
  { beta = 2, gamma = beta / 4 }: SimpoOptions = {},
): Differentiated {
  return overPairs(values, pairs, (chosen, rejected) => {
    const margin = beta * (chosen.sum / chosen.length - rejected.sum / rejected.length) - gamma;
    const slope = beta * sigmoid(-margin);
    return {
      loss: logisticLoss(margin),
      chosen: -slope / chosen.length,
      rejected: slope / rejected.length,
    };
  });
}

simpo satisfies Objective<readonly Pair[], SimpoOptions>;

/**
 * Odds ratio preference optimisation.
 *
 * @module
 */
import { logisticLoss } from "./logistic.ts";
import type { Differentiated, Objective, TokenValues } from "./objective.ts";
import { overPairs, type Pair } from "./pairs.ts";

/** How odds ratio preference optimisation is set. */
export interface OrpoOptions {
  /** What the ratio of odds counts beside the likelihood of what was preferred. */
  readonly lambda?: number;
}

/**
 * Returns the loss of odds ratio preference optimisation (Hong et al., arXiv 2403.07691, equations
 * 6 and 7), with its derivatives, averaged over pairs:
 *
 * `-log P(w) - lambda log σ(log(odds(w) / odds(l)))` with `w` preferred to `l`, where
 * `log P(y) = 1/|y| Σ_t log π(y_t)` and `odds(y) = P(y) / (1 - P(y))`.
 *
 * There is no reference. The loss is infinite where an answer that was rejected is certain.
 *
 * @throws {RangeError} when a span is none.
 *
 * @example Two answers at the same odds
 * ```ts
 * import assert from "node:assert/strict";
 * const pair = { chosen: [0, 2], rejected: [2, 3] } as const;
 * const { loss } = orpo({ logprob: [-0.5, -1.5, -1] }, [pair], { lambda: 0.1 });
 * assert.equal(loss, 1 + 0.1 * Math.LN2);
 * ```
 */
export function orpo(
  values: TokenValues,
  pairs: readonly Pair[],
  { lambda = 0.1 }: OrpoOptions = {},
): Differentiated {
  return overPairs(values, pairs, (chosen, rejected) => {
    const [w, l] = [chosen.sum / chosen.length, rejected.sum / rejected.length];
    // One less a probability, which may be all but 1.
    const [notW, notL] = [-Math.expm1(w), -Math.expm1(l)];
    const ratio = w - l - Math.log(notW) + Math.log(notL);
    // σ(-ratio) / (1 - P(w)), in which a P(w) of 1 does no harm.
    const slope = lambda / (notW + Math.exp(w - l) * notL);
    return {
      loss: -w + lambda * logisticLoss(ratio),
      chosen: -(1 + slope) / chosen.length,
      rejected: slope * notW / notL / rejected.length,
    };
  });
}

orpo satisfies Objective<readonly Pair[], OrpoOptions>;

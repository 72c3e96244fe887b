/**
 * Kahneman-Tversky optimisation.
 *
 * @module
 */
import { sigmoid } from "./logistic.ts";
import { type Differentiated, type Objective, overAnswers, type Span } from "./objective.ts";
import type { TokenValues } from "./objective.ts";

/** An answer that was liked or not, by itself. */
export interface JudgedAnswer {
  /** Its tokens. */
  readonly tokens: Span;
  /** Whether it was liked. */
  readonly desirable: boolean;
  /** Log-probability of the whole answer under the reference policy. */
  readonly reference: number;
}

/** What Kahneman-Tversky optimisation must know besides log-probabilities. */
export interface KtoBatch {
  /** The answers. */
  readonly answers: readonly JudgedAnswer[];
  /**
   * Divergence of the policy from the reference, beside which answers gain or lose: a constant, not
   * differentiated. {@linkcode referencePoint} estimates it.
   */
  readonly divergence: number;
}

/** How Kahneman-Tversky optimisation is set. */
export interface KtoOptions {
  /** How fast gains and losses saturate. */
  readonly beta?: number;
  /** What answers that were liked count. */
  readonly desirable?: number;
  /** What the others do. */
  readonly undesirable?: number;
}

/**
 * Returns the loss of Kahneman-Tversky optimisation (Ethayarajh et al., arXiv 2402.01306, section
 * 4), with its derivatives, averaged over answers:
 *
 * `λ - λ σ(beta (r - z))` of an answer that was liked, `λ - λ σ(beta (z - r))` of another, with
 * `r = log π(y)/π_ref(y)`, the divergence `z`, and a weight `λ` for each kind.
 *
 * @throws {RangeError} when a span is none.
 *
 * @example Neither gained nor lost
 * ```ts
 * import assert from "node:assert/strict";
 * const answers = [{ tokens: [0, 2], desirable: true, reference: -2.5 }] as const;
 * const { loss } = kto({ logprob: [-0.5, -1.5] }, { answers, divergence: 0.5 });
 * assert.equal(loss, 0.5);
 * ```
 */
export function kto(
  values: TokenValues,
  { answers, divergence }: KtoBatch,
  { beta = 0.1, desirable = 1, undesirable = 1 }: KtoOptions = {},
): Differentiated {
  return overAnswers(values, answers, ({ tokens }) => [tokens], ([value], answer) => {
    const [weight, sign] = answer.desirable ? [desirable, 1] : [undesirable, -1];
    const gain = sign * beta * (value!.sum - answer.reference - divergence);
    // One less the gain's σ, without the difference.
    const missed = sigmoid(-gain);
    return { loss: weight * missed, slopes: [-weight * sign * beta * missed * sigmoid(gain)] };
  });
}

kto satisfies Objective<KtoBatch, KtoOptions>;

/**
 * Returns the estimate of the divergence that Kahneman-Tversky optimisation uses: the mean of
 * `log π(y')/π_ref(y')` over answers `y'` to other prompts of the batch, or 0 where that is below.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.equal(referencePoint([0.5, -0.25]), 0.125);
 * assert.equal(referencePoint([-1]), 0);
 * ```
 */
export function referencePoint(logRatios: readonly number[]): number {
  if (logRatios.length === 0) return 0;
  return Math.max(0, logRatios.reduce((sum, each) => sum + each, 0) / logRatios.length);
}

/**
 * The clipped surrogate of policies (Schulman et al., PPO, arXiv 1707.06347, equation 7) that
 * objectives of this kind share: what they differ in is how far a ratio may go, what pulls
 * towards a reference, and over what is averaged.
 *
 * @module
 */
import {
  type Differentiated,
  overTokens,
  perToken,
  type Span,
  type TokenValues,
} from "./objective.ts";

/** An answer that a policy sampled, and how good it was. */
export interface SampledAnswer {
  /** Its tokens. */
  readonly tokens: Span;
  /** How much better than expected it was: one number, as {@linkcode groupAdvantages} has it. */
  readonly advantage: number;
}

/** What a policy's objective must know besides log-probabilities. */
export interface PolicyBatch {
  /** The answers. */
  readonly answers: readonly SampledAnswer[];
  /** `[tokens]`: log-probabilities under the policy that sampled. */
  readonly sampled: ArrayLike<number>;
  /** `[tokens]`: log-probabilities under the reference policy, where one is pulled towards it. */
  readonly reference?: ArrayLike<number> | undefined;
  /**
   * `[tokens]`: what each token's term is multiplied by, 1 where it is left out. A token of weight
   * 0, such as one that a tool wrote, does not count in averages either.
   */
  readonly weight?: ArrayLike<number> | undefined;
}

/** How a policy's objective is set. */
export interface PolicyOptions {
  /** How far below 1 the ratio of probabilities counts. */
  readonly clipLow?: number;
  /** How far above 1 it does. */
  readonly clipHigh?: number;
  /** What the divergence from the reference policy counts. */
  readonly beta?: number;
  /** What is added to the objective per nat of entropy, so that it stays up. */
  readonly entropyBonus?: number;
}

/** Over what terms are averaged: tokens of an answer and then answers, or all tokens alike. */
type Average = "answers" | "tokens";

/**
 * Returns the negative of the clipped surrogate
 * `min(ratio A, clip(ratio, 1 - clipLow, 1 + clipHigh) A) - beta KL + entropyBonus H`, averaged,
 * with `ratio = exp(logprob - sampled)` and the divergence from the reference estimated without
 * bias as `exp(d) - d - 1`, `d = reference - logprob`.
 */
export function clippedSurrogate(
  values: TokenValues,
  { answers, ...batch }: PolicyBatch,
  { clipLow, clipHigh, beta, entropyBonus }: Required<PolicyOptions>,
  average: Average,
): Differentiated {
  const { logprob } = values;
  const tokens = logprob.length;
  const sampled = perToken("log-probabilities that were sampled by", batch.sampled, tokens);
  const weight = batch.weight && perToken("weights", batch.weight, tokens);
  const reference = beta === 0
    ? undefined
    : perToken("a reference's log-probabilities", batch.reference, tokens);
  const entropy = entropyBonus === 0 ? undefined : perToken("entropies", values.entropy, tokens);

  const counts = answers.map(({ tokens: span }) => counted(span, weight));
  const all = counts.reduce((sum, count) => sum + count, 0);
  const each = counts.filter((count) => count > 0).length;
  const shared = answers.map((answer, index) => ({
    ...answer,
    share: average === "tokens" ? 1 / all : 1 / (each * counts[index]!),
  }));

  return overTokens(values, shared, (token, answer) => {
    const factor = weight?.[token] ?? 1;
    if (factor === 0) return { loss: 0, logprob: 0 };
    const { advantage } = answer;
    const share = factor * answer.share;
    const ratio = Math.exp(logprob[token]! - sampled[token]!);
    const free = ratio * advantage;
    const clipped = Math.min(Math.max(ratio, 1 - clipLow), 1 + clipHigh) * advantage;
    const behind = reference ? reference[token]! - logprob[token]! : 0;
    const divergence = Math.expm1(behind) - behind;
    return {
      loss: -share *
        (Math.min(free, clipped) - beta * divergence + entropyBonus * (entropy?.[token] ?? 0)),
      logprob: -share * ((free <= clipped ? free : 0) + beta * Math.expm1(behind)),
      entropy: -share * entropyBonus,
    };
  });
}

function counted([start, end]: Span, weight: ArrayLike<number> | undefined): number {
  if (!weight) return end - start;
  let count = 0;
  for (let token = start; token < end; token++) count += weight[token] === 0 ? 0 : 1;
  return count;
}

/**
 * Returns how much better each answer of a group is than the group: rewards less their mean, over
 * their standard deviation (Shao et al., arXiv 2402.03300, section 4.1.2), that of the group and
 * not an estimate of a larger one's. Answers that are all as good have an advantage of 0.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(groupAdvantages([1, 0, 0, 1]), [1, -1, -1, 1]);
 * assert.deepEqual(groupAdvantages([1, 1]), [0, 0]);
 * ```
 */
export function groupAdvantages(rewards: readonly number[]): number[] {
  const mean = rewards.reduce((sum, reward) => sum + reward, 0) / rewards.length;
  const away = rewards.map((reward) => reward - mean);
  const deviation = Math.sqrt(away.reduce((sum, each) => sum + each * each, 0) / rewards.length);
  return away.map((each) => deviation === 0 ? 0 : each / deviation);
}

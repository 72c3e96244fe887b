/**
 * Two objectives of the caller's own, a few lines each: losses on the
 * log-probabilities of tokens, with their derivatives. A plan with the objective
 * `statistics` gives the log-probabilities in `forward()` and turns the
 * derivatives into gradients in `backward()`; no kernel knows either objective.
 *
 * @module
 */

/** A loss with its derivative by each token's log-probability. */
export interface LossOnLogprobs {
  readonly loss: number;
  readonly byLogprob: Float64Array;
}

/** What GRPO needs to know of each token besides its log-probability. */
export interface PolicyTokens {
  /** Log-probabilities under the policy that sampled, and under the reference policy. */
  readonly sampled: ArrayLike<number>;
  readonly reference: ArrayLike<number>;
  readonly advantage: ArrayLike<number>;
}

/**
 * Group-relative policy optimisation (Shao et al., arXiv 2402.03300, equation 3),
 * averaged over tokens: the clipped surrogate of PPO, less `beta` times an
 * unbiased estimate of the divergence from the reference policy.
 */
export function grpo(
  logprob: ArrayLike<number>,
  { sampled, reference, advantage }: PolicyTokens,
  { clip = 0.2, beta = 0.04 } = {},
): LossOnLogprobs {
  const count = logprob.length;
  const byLogprob = new Float64Array(count);
  let loss = 0;
  for (let t = 0; t < count; t++) {
    const ratio = Math.exp(logprob[t]! - sampled[t]!);
    const gain = advantage[t]!;
    const clipped = Math.min(Math.max(ratio, 1 - clip), 1 + clip) * gain;
    const behind = reference[t]! - logprob[t]!;
    const divergence = Math.exp(behind) - behind - 1;
    loss -= (Math.min(ratio * gain, clipped) - beta * divergence) / count;
    const surrogate = ratio * gain <= clipped ? ratio * gain : 0;
    byLogprob[t] = -(surrogate - beta * (1 - Math.exp(behind))) / count;
  }
  return { loss, byLogprob };
}

/** Answers of a preference pair: the tokens of each, as ranges, and the reference's log-probability. */
export interface PreferencePair {
  readonly chosen: readonly [start: number, end: number];
  readonly rejected: readonly [start: number, end: number];
  readonly referenceChosen: number;
  readonly referenceRejected: number;
}

/** Direct preference optimisation (Rafailov et al., arXiv 2305.18290, equation 7), averaged over pairs. */
export function dpo(
  logprob: ArrayLike<number>,
  pairs: readonly PreferencePair[],
  { beta = 0.1 } = {},
): LossOnLogprobs {
  const byLogprob = new Float64Array(logprob.length);
  const sum = ([start, end]: PreferencePair["chosen"]) => {
    let total = 0;
    for (let t = start; t < end; t++) total += logprob[t]!;
    return total;
  };
  let loss = 0;
  for (const { chosen, rejected, referenceChosen, referenceRejected } of pairs) {
    const margin = beta *
      ((sum(chosen) - referenceChosen) - (sum(rejected) - referenceRejected));
    loss += Math.log1p(Math.exp(-margin)) / pairs.length;
    const slope = -beta / (1 + Math.exp(margin)) / pairs.length;
    for (let t = chosen[0]; t < chosen[1]; t++) byLogprob[t]! += slope;
    for (let t = rejected[0]; t < rejected[1]; t++) byLogprob[t]! -= slope;
  }
  return { loss, byLogprob };
}

/**
 * A case of every objective for tests, and what its paper says the loss is, in probabilities
 * rather than logarithms.
 *
 * @module
 */
import { dapo } from "./dapo.ts";
import { dpo } from "./dpo.ts";
import { grpo } from "./grpo.ts";
import { kto } from "./kto.ts";
import type { Differentiated, Span, TokenValues } from "./objective.ts";
import { orpo } from "./orpo.ts";
import { simpo } from "./simpo.ts";
import { Random } from "../fixtures/random.ts";

/** An objective on a batch of its own. */
export interface Case {
  readonly loss: (values: TokenValues) => Differentiated;
  /** The loss as its paper defines it. */
  readonly defined: (values: TokenValues) => number;
}

const probability = ({ logprob }: TokenValues, [start, end]: Span) =>
  Array.from(logprob).slice(start, end).reduce((product, each) => product * Math.exp(each), 1);
const logistic = (x: number) => 1 / (1 + Math.exp(-x));
const mean = (values: readonly number[]) =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/**
 * Returns a case of every objective, near log-probabilities of 24 tokens: ratios on both sides of
 * what is clipped, tokens that are in no answer, and pairs of unequal lengths.
 */
export function casesNear(logprob: ArrayLike<number>): Readonly<Record<string, Case>> {
  const random = new Random(5);
  const near = (scale: number) =>
    Float64Array.from(logprob, (value) => value + scale * random.normal());
  const answers = [
    { tokens: [0, 5], advantage: 1.3 },
    { tokens: [6, 15], advantage: -0.7 },
    { tokens: [15, 24], advantage: 0.4 },
  ] as const;
  const [sampled, reference] = [near(0.3), near(0.3)];
  const weight = Float64Array.from(
    logprob,
    (_, token) => token % 7 === 3 ? 0 : 0.5 + random.uniform(),
  );
  const policy = { answers, sampled, reference };
  const weighted = { ...policy, weight };

  const term = (values: TokenValues, token: number, gain: number, low: number, high: number) => {
    const ratio = Math.exp(values.logprob[token]!) / Math.exp(sampled[token]!);
    return Math.min(ratio * gain, Math.min(Math.max(ratio, 1 - low), 1 + high) * gain);
  };
  const divergence = (values: TokenValues, token: number) => {
    const ratio = Math.exp(reference[token]!) / Math.exp(values.logprob[token]!);
    return ratio - Math.log(ratio) - 1;
  };
  const tokensOf = ([start, end]: Span) => Array.from({ length: end - start }, (_, i) => start + i);

  const pairs = [
    { chosen: [0, 5], rejected: [5, 11], referenceChosen: -9, referenceRejected: -14 },
    { chosen: [15, 24], rejected: [11, 15], referenceChosen: -30, referenceRejected: -8 },
  ] as const;
  const judged = {
    answers: [
      { tokens: [0, 5], desirable: true, reference: -9 },
      { tokens: [5, 11], desirable: false, reference: -14 },
      { tokens: [11, 24], desirable: true, reference: -41 },
    ],
    divergence: 0.3,
  } as const;

  return {
    GRPO: {
      loss: (values) => grpo(values, policy),
      defined: (values) =>
        -mean(answers.map(({ tokens, advantage }) =>
          mean(
            tokensOf(tokens).map((token) =>
              term(values, token, advantage, 0.2, 0.2) - 0.04 * divergence(values, token)
            ),
          )
        )),
    },
    "GRPO with weights and entropy": {
      loss: (values) => grpo(values, weighted, { beta: 0.1, entropyBonus: 0.2 }),
      defined: (values) =>
        -mean(answers.map(({ tokens, advantage }) =>
          mean(
            tokensOf(tokens).filter((token) => weight[token] !== 0).map((token) =>
              weight[token]! *
              (term(values, token, advantage, 0.2, 0.2) - 0.1 * divergence(values, token) +
                0.2 * values.entropy![token]!)
            ),
          )
        )),
    },
    DAPO: {
      loss: (values) => dapo(values, policy),
      defined: (values) =>
        -mean(
          answers.flatMap(({ tokens, advantage }) =>
            tokensOf(tokens).map((token) => term(values, token, advantage, 0.2, 0.28))
          ),
        ),
    },
    DPO: {
      loss: (values) => dpo(values, pairs, { beta: 0.2 }),
      defined: (values) =>
        mean(pairs.map((pair) => {
          const chosen = probability(values, pair.chosen) / Math.exp(pair.referenceChosen);
          const rejected = probability(values, pair.rejected) / Math.exp(pair.referenceRejected);
          return -Math.log(logistic(0.2 * Math.log(chosen) - 0.2 * Math.log(rejected)));
        })),
    },
    KTO: {
      loss: (values) => kto(values, judged, { beta: 0.2, desirable: 1.5, undesirable: 0.8 }),
      defined: (values) =>
        mean(judged.answers.map(({ tokens, desirable, reference }) => {
          const reward = Math.log(probability(values, tokens) / Math.exp(reference));
          return desirable
            ? 1.5 - 1.5 * logistic(0.2 * (reward - 0.3))
            : 0.8 - 0.8 * logistic(0.2 * (0.3 - reward));
        })),
    },
    ORPO: {
      loss: (values) => orpo(values, pairs, { lambda: 0.5 }),
      defined: (values) =>
        mean(pairs.map(({ chosen, rejected }) => {
          const [w, l] = [chosen, rejected].map((span) =>
            probability(values, span) ** (1 / (span[1] - span[0]))
          ) as [number, number];
          const odds = (p: number) => p / (1 - p);
          return -Math.log(w) - 0.5 * Math.log(logistic(Math.log(odds(w) / odds(l))));
        })),
    },
    SimPO: {
      loss: (values) => simpo(values, pairs, { beta: 2.5, gamma: 0.6 }),
      defined: (values) =>
        mean(pairs.map(({ chosen, rejected }) => {
          const [w, l] = [chosen, rejected].map((span) =>
            2.5 / (span[1] - span[0]) * Math.log(probability(values, span))
          ) as [number, number];
          return -Math.log(logistic(w - l - 0.6));
        })),
    },
  };
}

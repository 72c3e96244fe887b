/**
 * Pairs of answers to one prompt, of which one was preferred.
 *
 * @module
 */
import {
  type AnswersTerm,
  type AnswerValue,
  type Differentiated,
  overAnswers,
  type Span,
  type TokenValues,
} from "./objective.ts";

/** Two answers, of which one was preferred. */
export interface Pair {
  /** Tokens of the answer that was preferred. */
  readonly chosen: Span;
  /** Tokens of the other. */
  readonly rejected: Span;
}

/** The derivative of a pair's term by the log-probability of each answer. */
interface PairTerm {
  readonly loss: number;
  readonly chosen: number;
  readonly rejected: number;
}

/** Returns the loss that is a mean over pairs, of a term that goes by the log-probability of both. */
export function overPairs<Each extends Pair>(
  values: TokenValues,
  pairs: readonly Each[],
  term: (chosen: AnswerValue, rejected: AnswerValue, pair: Each) => PairTerm,
): Differentiated {
  return overAnswers(
    values,
    pairs,
    ({ chosen, rejected }) => [chosen, rejected],
    ([first, second], pair): AnswersTerm => {
      const { loss, chosen, rejected } = term(first!, second!, pair);
      return { loss, slopes: [chosen, rejected] };
    },
  );
}

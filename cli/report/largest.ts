/**
 * The largest problem that fits, as text and as JSON.
 *
 * @module
 */
import type { Largest, LargestDimension } from "../../planner/largest.ts";

/** What fits, in words. */
const WORDS: Readonly<Record<LargestDimension, (value: number) => string>> = {
  tokens: (value) => value === 1 ? "1 token fits" : `${value} tokens fit`,
  vocab: (value) => `A vocabulary of ${value} fits`,
  hidden: (value) => `A hidden size of ${value} fits`,
};

/** Returns what `lce plan --largest --json` says besides the plan. */
export function largestJson({ dimension, value, limit }: Largest<unknown>) {
  return { largest: { dimension, value, limit: limit ?? null } };
}

/** Returns the same for people: a line or two above the plan. */
export function largestText({ dimension, value, limit }: Largest<unknown>): string {
  return [
    `${WORDS[dimension](value)} at the most.`,
    ...(limit ? [`With one more: ${limit}`] : []),
  ].join("\n");
}

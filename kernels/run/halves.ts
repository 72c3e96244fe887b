/**
 * What became of values in bf16 where products are of halves: how many these do not hold, and whether
 * that matters.
 *
 * @module
 */
import { type Halved, halvesWord, MOST_MOVED } from "../../planner/schedule/layout.ts";
import type { Head, Problem } from "../../planner/problem.ts";
import { tensorName } from "../../planner/schedule/tensors.ts";

/** What became of values in bf16 where products are of halves. */
export interface Halves {
  /** Values of the hidden states of kept tokens that halves do not hold exactly. */
  readonly hidden: number;
  /** The same of the weight. */
  readonly weight: number;
  /** Most by which that moves a logit, from what it would be of the values themselves. */
  readonly moved: number;
}

/**
 * Halves do not hold the values in bf16 that they were made of: the results of products in
 * subgroup matrices are not those of the values. The tier of f32 takes any.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { HalvesError } from "@lce/lce";
 * const error = new HalvesError({ hidden: 3, weight: 0, moved: 0.5 });
 * assert.match(error.message, /3 values of the hidden states .* by up to 5.0e-1/);
 * ```
 */
export class HalvesError extends Error {
  /** Tells this error from others without `instanceof`. */
  override name = "HalvesError";

  /** Takes what halves do not hold. */
  constructor(readonly halves: Halves) {
    const { hidden, weight, moved } = halves;
    super(
      `Halves do not hold ${hidden} values of the hidden states and ${weight} of the weight, which may move a logit by up to ${
        moved.toExponential(1)
      }, more than ${MOST_MOVED}: take the tier f32 instead of that of matrices`,
    );
  }
}

/** Returns the names of the records of what became of values, of a problem's heads in their order. */
export function halvesRecords(problem: Problem): string[] {
  return problem.heads.map((head) => tensorName(problem, head, "halves"));
}

/** Decodes what became of values of all heads whose values became halves, if there are any. */
export function decodeHalves(
  problem: Problem,
  outputs: Readonly<Record<string, Uint8Array>>,
): { halves?: Halves } {
  const ofHeads = problem.heads.map((head) => {
    const record = outputs[tensorName(problem, head, "halves")];
    return record && decodeRecord(head, record);
  });
  return halvesTogether(ofHeads, ofHeads);
}

/**
 * Decodes a record of a head. By how much a row's values are off, times the largest value that it
 * may meet, is the most that a logit is moved by that row.
 */
function decodeRecord({ logitScale }: Head, record: Uint8Array): Halves {
  const words = new Uint32Array(record.buffer, record.byteOffset, record.byteLength / 4);
  const floats = new Float32Array(words.buffer, words.byteOffset, words.length);
  const of = (matrix: Halved) => ({
    rounded: words[halvesWord(matrix, "rounded")]!,
    error: floats[halvesWord(matrix, "error")]!,
    largest: floats[halvesWord(matrix, "largest")]!,
  });
  const [hidden, weight] = [of("hidden"), of("weight")];
  const moved = Math.abs(logitScale) *
    (hidden.error * weight.largest + (hidden.largest + hidden.error) * weight.error);
  // Of what is infinite, nobody knows.
  return {
    hidden: hidden.rounded,
    weight: weight.rounded,
    moved: Number.isNaN(moved) ? Infinity : moved,
  };
}

/** Checks that halves hold what they were made of, as far as results may tell. @throws {HalvesError} */
export function checkHalves({ halves }: { readonly halves?: Halves }): void {
  if (halves && halves.moved > MOST_MOVED) throw new HalvesError(halves);
}

/**
 * Returns what became of values in several runs, or of several heads: of other tokens, or of other
 * rows of the weight.
 *
 * @param everywhere in all runs, where there are more, of other tokens and other rows.
 */
export function halvesTogether(
  byTokens: readonly (Halves | undefined)[],
  byRows: readonly (Halves | undefined)[] = byTokens.slice(0, 1),
  everywhere: readonly (Halves | undefined)[] = [...byTokens, ...byRows],
): { halves?: Halves } {
  const all = everywhere.filter((each) => each !== undefined);
  if (all.length === 0) return {};
  const sum = (of: readonly (Halves | undefined)[], what: "hidden" | "weight") =>
    of.reduce((sum, each) => sum + (each?.[what] ?? 0), 0);
  return {
    halves: {
      hidden: sum(byTokens, "hidden"),
      weight: sum(byRows, "weight"),
      moved: Math.max(...all.map(({ moved }) => moved)),
    },
  };
}

/**
 * What there is to say of a statistic as text, a record for each of the planner's table: how it
 * takes in logits, how two of it become one, and what follows from it.
 *
 * @module
 */
import type { StatisticName } from "../../planner/schedule/statistics.ts";

/** The id of a logit that does not exist: no target's. */
export const NO_ID = "0xffffffffu";

/**
 * A logit that enters the statistics: its value, its id, its smoothing weight.
 * One that does not exist is {@linkcode LOWEST}, with {@linkcode NO_ID} and no
 * weight: it adds nothing to a set that holds one that does.
 */
export interface Entry {
  readonly logit: string;
  readonly id: string;
  readonly weight: string;
  /** The teacher's logit of the same id, where there is a teacher. */
  readonly teacher?: string;
}

/**
 * The text of one statistic. `at(name)` is a statistic of the set that changes;
 * those further up in the table still are what they were.
 */
export interface StatisticText {
  /** What an empty set holds. */
  readonly empty: string;
  /** Before logits are taken in: the max will be `top`, and what was relative to it is rescaled. */
  readonly rescale?: (at: At, entries: readonly Entry[]) => string[];
  /** Takes in a logit, of which `share` is the exponential relative to `top`. */
  readonly take?: (at: At, entry: Entry, share: string, target: string) => string;
  /** Functions that taking in alone calls. */
  readonly taking?: readonly string[];
  /** Functions that taking in and folding call. */
  readonly functions?: (width: number) => readonly string[];
  /**
   * Folds in another set, or so many words of its list; `mine` and `theirs` rescale, and `top` is
   * the max of both.
   */
  readonly fold: (at: At, other: At, count: number) => string[];
  /** Before that: names the largest and what rescales, where it is a max of its own. */
  readonly top?: (at: At, entries: readonly Entry[]) => string[];
  /** Names the exponential of a logit that others take in. */
  readonly share?: (entry: Entry, index: number) => string[];
  /** Names what rescales both sets that are folded, where others go by it. */
  readonly factors?: (at: At, other: At) => string[];
  /** Statements that name the results that follow, and may use those of statistics further up. */
  readonly finish?: (at: At, width: number) => string[];
  /** Functions that these call. */
  readonly finishing?: readonly string[];
}

/** The variable of a statistic in some set, an array where it is a list, or one word of that. */
export type At = (name: StatisticName, word?: number) => string;

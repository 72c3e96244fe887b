/**
 * The statistics that a streamed pass keeps per token and set, in one table:
 * for which problems, in which type and how many words, how those of several
 * ranks become one, and which results per token follow. How a statistic takes in
 * logits is in `kernels/wgsl/statistics.ts`, a record for each of these.
 *
 * @module
 */
import type { Problem } from "../problem.ts";
import { remembered } from "../remembered.ts";
import type { CollectiveOp } from "./schedule.ts";

/** One statistic of a row of logits. */
export interface Statistic {
  readonly name: string;
  readonly type: "f32" | "u32";
  /** Words that it takes in a set: one, or as many as a list is long. */
  readonly width: (problem: Problem) => number;
  /** Whether a problem needs it. */
  readonly wanted: (problem: Problem) => boolean;
  /** How that of all ranks follows from theirs, once all are relative to the same max. */
  readonly acrossRanks: Extract<CollectiveOp, `all-reduce-${string}`> | undefined;
  /** Results per token that it is kept for. */
  readonly results: readonly string[];
}

/** Returns whether a problem needs the entropy of each token. */
export function wantsEntropy(problem: Problem): boolean {
  return problem.objective === "statistics" || problem.statistics.includes("entropy");
}

const always = () => true;
const one = () => 1;
const listed = ({ topK }: Problem) => topK;
const lists = ({ topK }: Problem) => topK > 0;

/**
 * The table, in the order of the rows in memory. A statistic may follow from
 * those above it and what they were before a change: they are brought up to date
 * from the last to the first.
 */
export const STATISTICS = [
  // The largest logit so far: all sums are relative to it.
  {
    name: "max",
    type: "f32",
    width: one,
    wanted: always,
    acrossRanks: "all-reduce-max",
    results: [],
  },
  // Sum of exp(z - max).
  {
    name: "sum",
    type: "f32",
    width: one,
    wanted: always,
    acrossRanks: "all-reduce-sum",
    results: ["lse"],
  },
  // The target's logit: a sum of which one term is not zero.
  {
    name: "target",
    type: "f32",
    width: one,
    wanted: always,
    acrossRanks: "all-reduce-sum",
    results: ["logprob"],
  },
  // Sum of the logits, weighted by class.
  {
    name: "smoothed",
    type: "f32",
    width: one,
    wanted: (problem) => problem.labelSmoothing > 0,
    acrossRanks: "all-reduce-sum",
    results: [],
  },
  // The sum without the logits that equal the max. Beside a 1, f32 drops what is below 6e-8, and
  // with it most of a small entropy.
  {
    name: "rest",
    type: "f32",
    width: one,
    wanted: wantsEntropy,
    acrossRanks: "all-reduce-sum",
    results: [],
  },
  // Sum of exp(z - max) (z - max).
  {
    name: "weighted",
    type: "f32",
    width: one,
    wanted: wantsEntropy,
    acrossRanks: "all-reduce-sum",
    results: ["entropy"],
  },
  // Id of the largest logit. A rank that does not hold it has the largest number there is.
  {
    name: "argmax",
    type: "u32",
    width: one,
    wanted: (problem) => problem.statistics.includes("predicted"),
    acrossRanks: "all-reduce-min",
    results: ["predicted"],
  },
  // The largest logits, in falling order, the smaller id first among equals; and their ids. Ranks
  // cannot put them together word by word.
  {
    name: "topLogit",
    type: "f32",
    width: listed,
    wanted: lists,
    acrossRanks: undefined,
    results: ["topk_logprobs"],
  },
  {
    name: "topId",
    type: "u32",
    width: listed,
    wanted: lists,
    acrossRanks: undefined,
    results: ["topk_ids"],
  },
  // How strong an expert is in the softmax that the others are of.
  {
    name: "strength",
    type: "f32",
    width: one,
    wanted: (problem) => problem.fusion,
    acrossRanks: "all-reduce-max",
    results: ["strength"],
  },
  // At a temperature T beside a teacher: sum of exp((z - max) / T), unless T is 1.
  {
    name: "soft_sum",
    type: "f32",
    width: one,
    wanted: ({ distill }) => distill !== undefined && distill.temperature !== 1,
    acrossRanks: "all-reduce-sum",
    results: ["soft_lse"],
  },
  // The teacher's largest logit so far.
  {
    name: "teacher_max",
    type: "f32",
    width: one,
    wanted: ({ distill }) => distill !== undefined,
    acrossRanks: "all-reduce-max",
    results: [],
  },
  // Sum of the teacher's exp((z - max) / T).
  {
    name: "teacher_sum",
    type: "f32",
    width: one,
    wanted: ({ distill }) => distill !== undefined,
    acrossRanks: "all-reduce-sum",
    results: ["teacher_lse"],
  },
  // The terms of one of these two sums, each times how much nearer its logit is to its head's max
  // than the other head's logit is to that head's, over T.
  {
    name: "gap",
    type: "f32",
    width: one,
    wanted: ({ distill }) => distill !== undefined,
    acrossRanks: "all-reduce-sum",
    results: ["divergence"],
  },
] as const satisfies readonly Statistic[];

/** Name of a statistic. */
export type StatisticName = typeof STATISTICS[number]["name"];

/** A result per token that follows from statistics. */
export type StatisticResult = typeof STATISTICS[number]["results"][number];

/** A statistic of a problem, how many words it takes, and the row of a set at which it begins. */
export interface PlacedStatistic extends Omit<Statistic, "width"> {
  readonly name: StatisticName;
  readonly results: readonly StatisticResult[];
  readonly row: number;
  readonly width: number;
}

/** The statistics that a problem needs, one after the other in a set. */
export const statisticsOf: (problem: Problem) => readonly PlacedStatistic[] = remembered(
  (problem) => {
    let row = 0;
    return STATISTICS.filter(({ wanted }) => wanted(problem)).map((statistic) => {
      const placed = { ...statistic, row, width: statistic.width(problem) };
      row += placed.width;
      return placed;
    });
  },
);

/** Returns the words of one set of a problem's statistics. */
export function statisticRows(problem: Problem): number {
  return statisticsOf(problem).reduce((sum, { width }) => sum + width, 0);
}

/** Returns the results per token of a problem that are ids of the vocabulary. */
export function idResults(problem: Problem): StatisticResult[] {
  return statisticsOf(problem).filter(({ type }) => type === "u32")
    .flatMap(({ results }) => results);
}

/**
 * The statistics that a streamed pass keeps per token and set, in one table:
 * for which problems, in which type and how many words, how those of several
 * ranks become one, which result per token follows, what programs and files call it,
 * and how it is compared. How a statistic takes in logits is in
 * `kernels/wgsl/logit_statistics.ts`, a record for each of these; what the reference finds
 * in its place, in `fixtures/reference/rows_task.ts`.
 *
 * @module
 */
import { keptOf } from "../heads/distill.ts";
import type { Problem } from "../problem.ts";
import { remembered } from "../remembered.ts";
import type { CollectiveOp } from "./schedule.ts";

/** What f32 rounding moves a result per token by: what its comparison with a reference allows for. */
export type Rounding =
  | "loss"
  | "logit"
  | "entropy"
  | "collision"
  | "listed"
  | "drawn"
  | "tempered"
  | "teacher"
  | "divergence";

/** The result per token that a statistic is kept for. */
interface Outcome {
  /** Its row among the results of a token, and what files call it. */
  readonly row: string;
  /** What programs call its array; none where kernels alone read it. */
  readonly name?: string;
  /** By what rounding moves it; none where no reference of one head has it. */
  readonly rounding?: Rounding;
}

/** One statistic of a row of logits. */
export interface Statistic {
  readonly name: string;
  readonly type: "f32" | "u32";
  /** How long it is, where it is a list; else it is one word. */
  readonly length?: (problem: Problem) => number;
  /** Whether a problem needs it. */
  readonly wanted: (problem: Problem) => boolean;
  /**
   * How that of all ranks follows from theirs, once all are relative to the same max: word by word,
   * or from all of them by folding, as sets are.
   */
  readonly acrossRanks: Exclude<CollectiveOp, "reduce-scatter-sum">;
  readonly result?: Outcome;
}

/** Returns whether a problem needs the entropy of each token. */
export function wantsEntropy(problem: Problem): boolean {
  return problem.objective === "statistics" || problem.statistics.includes("entropy");
}

/**
 * The longest list that is kept with the other statistics of a row, in registers: by 16 compilers
 * take seconds for it, by 32 half a minute (`docs/heads.md`).
 */
export const LONGEST_KEPT = 8;

/** Returns whether a problem's lists are longer than that: they are made of rows of stored logits. */
export function listsRows({ topK }: Problem): boolean {
  return topK > LONGEST_KEPT;
}

const always = () => true;

/** What is listed of the most likely ids. */
const listed = {
  length: ({ topK }: Problem) => topK,
  wanted: ({ topK }: Problem) => topK > 0,
  acrossRanks: "all-gather",
} as const;

/** What is kept of an id that is drawn. */
const drawn = {
  wanted: ({ sampleTemperature }: Problem) => sampleTemperature !== undefined,
  acrossRanks: "all-gather",
} as const;

/** Returns whether a problem has a teacher whose divergence asks for a statistic. */
function taught(name: ReturnType<typeof keptOf>["statistics"][number]) {
  return ({ distill }: Problem) =>
    distill !== undefined && keptOf(distill).statistics.includes(name);
}

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
    wanted: always,
    acrossRanks: "all-reduce-max",
  },
  // Sum of exp(z - max).
  {
    name: "sum",
    type: "f32",
    wanted: always,
    acrossRanks: "all-reduce-sum",
    result: { row: "lse", name: "lse", rounding: "logit" },
  },
  // The target's logit: a sum of which one term is not zero.
  {
    name: "target",
    type: "f32",
    wanted: always,
    acrossRanks: "all-reduce-sum",
    result: { row: "logprob", name: "logprob", rounding: "logit" },
  },
  // Sum of the logits, weighted by class.
  {
    name: "smoothed",
    type: "f32",
    wanted: (problem) => problem.labelSmoothing > 0,
    acrossRanks: "all-reduce-sum",
  },
  // The sum without the logits that equal the max. Beside a 1, f32 drops what is below 6e-8, and
  // with it most of a small entropy.
  {
    name: "rest",
    type: "f32",
    wanted: wantsEntropy,
    acrossRanks: "all-reduce-sum",
  },
  // Sum of exp(z - max) (z - max).
  {
    name: "weighted",
    type: "f32",
    wanted: wantsEntropy,
    acrossRanks: "all-reduce-sum",
    result: { row: "entropy", name: "entropy", rounding: "entropy" },
  },
  // Sum of exp(2 (z - max)).
  {
    name: "squares",
    type: "f32",
    wanted: (problem) => problem.statistics.includes("collision"),
    acrossRanks: "all-reduce-sum",
    result: { row: "collision", name: "collision", rounding: "collision" },
  },
  // Id of the largest logit. A rank that does not hold it has the largest number there is.
  {
    name: "argmax",
    type: "u32",
    wanted: (problem) => problem.statistics.includes("predicted"),
    acrossRanks: "all-reduce-min",
    result: { row: "predicted", name: "predicted", rounding: "logit" },
  },
  // The ids of the largest logits, in falling order of these, the smaller first among equals; and
  // the logits.
  {
    name: "topId",
    type: "u32",
    ...listed,
    result: { row: "topk_ids", name: "topIds", rounding: "listed" },
  },
  {
    name: "topLogit",
    type: "f32",
    ...listed,
    result: { row: "topk_logprobs", name: "topLogprobs", rounding: "listed" },
  },
  // An id that is drawn, and the key by which it was: the largest.
  { name: "drawnKey", type: "f32", ...drawn },
  {
    name: "drawnId",
    type: "u32",
    ...drawn,
    result: { row: "sampled", name: "sampled", rounding: "drawn" },
  },
  // Its logit.
  {
    name: "drawnLogit",
    type: "f32",
    ...drawn,
    result: { row: "sampled_logprob", name: "sampledLogprob", rounding: "listed" },
  },
  // At a temperature T it is drawn at: sum of exp((z - max) / T), unless T is 1.
  {
    name: "drawnSum",
    type: "f32",
    wanted: ({ sampleTemperature = 1 }: Problem) => sampleTemperature !== 1,
    acrossRanks: "all-reduce-sum",
    result: { row: "sampling_logprob", name: "samplingLogprob", rounding: "tempered" },
  },
  // How strong an expert is in the softmax that the others are of.
  {
    name: "strength",
    type: "f32",
    wanted: (problem) => problem.fusion,
    acrossRanks: "all-reduce-max",
    result: { row: "strength", name: "strength" },
  },
  // At a temperature T beside a teacher: sum of exp((z - max) / T), unless T is 1.
  {
    name: "soft_sum",
    type: "f32",
    wanted: taught("soft_sum"),
    acrossRanks: "all-reduce-sum",
    result: { row: "soft_lse" },
  },
  // The teacher's largest logit so far.
  {
    name: "teacher_max",
    type: "f32",
    wanted: taught("teacher_max"),
    acrossRanks: "all-reduce-max",
  },
  // Sum of the teacher's exp((z - max) / T).
  {
    name: "teacher_sum",
    type: "f32",
    wanted: taught("teacher_sum"),
    acrossRanks: "all-reduce-sum",
    result: { row: "teacher_lse", name: "teacherLse", rounding: "teacher" },
  },
  // What a divergence is found from. Of softmaxes: the terms of one of these two sums, each times how
  // much nearer its logit is to its head's max than the other head's logit is to that head's, over
  // T. Of each id by itself: the sum of what they add.
  {
    name: "gap",
    type: "f32",
    wanted: taught("gap"),
    acrossRanks: "all-reduce-sum",
    result: { row: "divergence", name: "divergence", rounding: "divergence" },
  },
  // What of it the student's distance from a mixture is.
  {
    name: "student_part",
    type: "f32",
    wanted: taught("student_part"),
    acrossRanks: "all-reduce-sum",
    result: { row: "student_part" },
  },
] as const satisfies readonly Statistic[];

/** Name of a statistic. */
export type StatisticName = typeof STATISTICS[number]["name"];

/** A statistic that is kept for a result. */
export type Resulting = Extract<typeof STATISTICS[number], { readonly result: Outcome }>;

/** A result per token that follows from statistics. */
export type StatisticResult = Resulting["result"]["row"];

/** A statistic of a problem, how many words it takes, and the row of a set at which it begins. */
export interface PlacedStatistic extends Omit<Statistic, "length"> {
  readonly name: StatisticName;
  readonly result?: Outcome & { readonly row: StatisticResult };
  readonly row: number;
  readonly width: number;
  readonly list: boolean;
}

/** The statistics that a problem's results follow from, in the order of the table. */
const wantedOf = remembered((problem: Problem) =>
  STATISTICS.filter(({ wanted }) => wanted(problem)).map((statistic) => {
    const { length } = statistic as Statistic;
    return { ...statistic, width: length?.(problem) ?? 1, list: length !== undefined };
  })
);

/** The statistics that a problem needs, one after the other in a set: but for lists of whole rows. */
export const statisticsOf: (problem: Problem) => readonly PlacedStatistic[] = remembered(
  (problem) => placed(wantedOf(problem).filter(({ list }) => !(list && listsRows(problem)))),
);

/** Returns the results per token of a problem, of how many numbers each. */
export function statisticResults(
  problem: Problem,
): { readonly row: StatisticResult; readonly width: number; readonly type: "f32" | "u32" }[] {
  return wantedOf(problem).flatMap((statistic) =>
    "result" in statistic
      ? [{ row: statistic.result.row, width: statistic.width, type: statistic.type }]
      : []
  );
}

/** Returns the words of one set of a problem's statistics. */
export function statisticRows(problem: Problem): number {
  return rowsOf(statisticsOf(problem));
}

/**
 * The statistics that each rank gathers from all, and the row at which each begins in the words of
 * one rank.
 */
export const gatheredOf: (problem: Problem) => readonly PlacedStatistic[] = remembered(
  (problem) =>
    placed(statisticsOf(problem).filter(({ acrossRanks }) => acrossRanks === "all-gather")),
);

/** Returns the words of a token that each rank gathers from one of them. */
export function gatheredRows(problem: Problem): number {
  return rowsOf(gatheredOf(problem));
}

function rowsOf(statistics: readonly PlacedStatistic[]): number {
  return statistics.reduce((sum, { width }) => sum + width, 0);
}

/** Returns statistics one after the other, from row 0 on. */
function placed<Each extends { readonly width: number }>(
  statistics: readonly Each[],
): (Each & { readonly row: number })[] {
  let row = 0;
  return statistics.map((statistic) => {
    const each = { ...statistic, row };
    row += statistic.width;
    return each;
  });
}

/** Returns the results per token of a problem that are ids of the vocabulary. */
export function idResults(problem: Problem): StatisticResult[] {
  return statisticResults(problem).flatMap(({ type, row }) => type === "u32" ? [row] : []);
}

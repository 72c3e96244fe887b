/**
 * Plans over ranges: the points of a grid, and one plan for each, with what does
 * not fit as data rather than as an error.
 *
 * @module
 */
import type { DeviceProfile } from "./device.ts";
import type { MemoryPrediction } from "./schedule/memory.ts";
import { type Parallelism, ParallelismError, rankPart } from "./parallel.ts";
import { bytesOf, type Size, sizes } from "./peers/sizes.ts";
import { DoesNotFitError, FixedSizeError, makePlan, type Plan, type PlanOptions } from "./plan.ts";
import { headOf, type Problem, resized } from "./problem.ts";
import { problemSchema } from "./problem_schema.ts";
import { STRATEGIES, type StrategyName } from "./schedule/schedule.ts";
import { issuesLine } from "./issues.ts";

/** What can be swept: dimensions of the problem, and sizes that the caller may fix. */
export const SWEPT = ["tokens", "hidden", "vocab", "window", "block", "budget"] as const;

/** Something that can be swept. Budgets are bytes, all else are counts. */
export type Swept = typeof SWEPT[number];

/** One direction of a grid. */
export interface Axis {
  readonly name: Swept;
  /** Positive whole numbers. */
  readonly values: readonly number[];
}

/** A value for each axis of a grid. */
export type Values = Readonly<Partial<Record<Swept, number>>>;

/** A point of a sweep: a plan, or why there is none. */
export type SweepPoint = PlannedPoint | FailedPoint;

/** A point that fits. */
export interface PlannedPoint {
  readonly values: Values;
  /** The whole job, whoever does which part of it. */
  readonly problem: Problem;
  /** The plan of one device, or of the largest of several ranks. */
  readonly plan: Plan;
}

/** A point that does not fit, or whose sizes are no job at all. */
export interface FailedPoint {
  readonly values: Values;
  /**
   * `undefined` where the sizes together are out of range, cannot be split over the
   * ranks, or have a window or a block that no schedule can have.
   */
  readonly problem: Problem | undefined;
  readonly plan: undefined;
  /** Why, for people to read. */
  readonly reason: string;
  /** The smallest budget that would do, in bytes, where only the budget forbids it. */
  readonly smallestBudget: number | undefined;
}

/**
 * `from` and its doublings up to `to`; none where `from` is larger.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(doublings(1000, 5000), [1000, 2000, 4000]);
 * ```
 */
export function doublings(from: number, to: number): number[] {
  const values = [];
  for (let value = from; value <= to; value *= 2) values.push(value);
  return values;
}

/**
 * Returns whole numbers evenly spaced on a logarithmic scale, both ends included. Where rounding
 * makes two the same there are fewer than `count`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert.deepEqual(logSpaced(1, 1000, 4), [1, 10, 100, 1000]);
 * assert.deepEqual(logSpaced(1, 3, 9), [1, 2, 3]);
 * ```
 */
export function logSpaced(from: number, to: number, count: number): number[] {
  const step = count > 1 ? Math.log(to / from) / (count - 1) : 0;
  const values = Array.from({ length: count }, (_, index) =>
    // The last is `to` itself, whatever exp and log make of it.
    index > 0 && index === count - 1 ? to : Math.round(from * Math.exp(index * step)));
  return [...new Set(values)];
}

/** Returns how many points a grid has. */
export function gridSize(axes: readonly Axis[]): number {
  return axes.reduce((size, { values }) => size * values.length, 1);
}

/** Yields every combination of the axes' values; the last axis varies fastest. */
export function* grid(axes: readonly Axis[]): Generator<Values> {
  const [axis, ...rest] = axes;
  if (!axis) return yield {};
  for (const value of axis.values) {
    for (const others of grid(rest)) yield { [axis.name]: value, ...others };
  }
}

/** A job that one device does by itself. */
const ONE_DEVICE: Parallelism = { tensor: 1, data: 1, sequence: false };

/**
 * Plans each point of a grid, one at a time: a plan holds all its steps, so
 * whoever walks a large grid keeps numbers, not plans. Where several devices do
 * each point's job together, its plan is that of rank 0, whose part is the largest.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { SPECIFICATION_DEFAULTS } from "./device.ts";
 * import { parseProblem } from "./problem_schema.ts";
 *
 * const problem = parseProblem({ hidden: 64, vocab: 5000 });
 * const axes = [{ name: "tokens", values: doublings(256, 1024) }] as const;
 * const points = [...sweep(problem, SPECIFICATION_DEFAULTS, {}, axes)];
 * assert.deepEqual(points.map(({ values }) => values.tokens), [256, 512, 1024]);
 * assert(points.every(({ plan }) => plan !== undefined));
 * ```
 */
export function* sweep(
  problem: Problem,
  device: DeviceProfile,
  options: PlanOptions,
  axes: readonly Axis[],
  parallelism: Parallelism = ONE_DEVICE,
): Generator<SweepPoint> {
  for (const values of grid(axes)) {
    const { tokens, hidden, vocab, ...choices } = values;
    const candidate = resized(problem, { tokens, hidden, vocab });
    yield planPoint(values, candidate, device, { ...options, ...choices }, parallelism);
  }
}

function planPoint(
  values: Values,
  candidate: Problem,
  device: DeviceProfile,
  options: PlanOptions,
  parallelism: Parallelism,
): SweepPoint {
  const noJob = (reason: string): FailedPoint => ({
    values,
    problem: undefined,
    plan: undefined,
    reason,
    smallestBudget: undefined,
  });
  const parsed = problemSchema().safeParse(candidate);
  if (!parsed.success) {
    return noJob(issuesLine(parsed.error.issues));
  }
  const problem = parsed.data;
  try {
    const { part, share } = rankPart(problem, parallelism);
    return { values, problem, plan: makePlan(part, device, { ...options, share }) };
  } catch (error) {
    if (error instanceof ParallelismError || error instanceof FixedSizeError) {
      return noJob(error.message);
    }
    if (!(error instanceof DoesNotFitError)) throw error;
    const { message: reason, smallestBudget } = error;
    return { values, problem, plan: undefined, reason, smallestBudget };
  }
}

/**
 * Returns what each strategy would need if it alone were allowed: those that fit the device and the
 * budget, in the order in which strategies are listed.
 */
export function memoryByStrategy(
  { problem, device, outline, alternatives }: Plan,
  options: PlanOptions,
): Map<StrategyName, MemoryPrediction> {
  const fitting = new Set([
    outline.strategy,
    ...alternatives.filter(({ feasible }) => feasible).map(({ strategy }) => strategy),
  ]);
  return new Map(
    STRATEGIES.filter((name) => fitting.has(name)).map((strategy) => [
      strategy,
      makePlan(problem, device, { ...options, strategy, share: outline.share }).memory,
    ]),
  );
}

/**
 * Returns the bytes beyond inputs, as models of published methods count them: what the schedule
 * keeps for itself at the worst step, and results, which stay until the end.
 */
export function beyondInputs(
  { extraPeakBytes, byCategory }: Pick<MemoryPrediction, "extraPeakBytes" | "byCategory">,
): number {
  return extraPeakBytes + byCategory.output;
}

/**
 * Returns the bytes of the inputs that every method is given: hidden states, weight, targets, bias
 * and class weights. Padding and upstream gradients are not among them.
 */
export function inputBytes(problem: Problem): number {
  const { hidden, weight, tokens, vocab } = sizes(problem);
  const given: Size[] = [
    hidden(),
    weight(),
    tokens(4),
    ...(headOf(problem).bias ? [vocab(4)] : []),
    ...(problem.classWeight ? [vocab(4)] : []),
  ];
  return given.reduce((sum, size) => sum + bytesOf(size), 0);
}

/**
 * The largest problem that fits: what people ask before they rent a GPU.
 *
 * @module
 */
import type { DeviceProfile } from "./device.ts";
import {
  type Parallelism,
  ParallelismError,
  type ParallelPlan,
  planParallel,
  rankPart,
} from "./parallel.ts";
import { DoesNotFitError, makePlan, type Plan } from "./plan.ts";
import { dimensionsOf, MAX_DIMENSION, type Problem, resized } from "./problem.ts";
import type { PlanOptions } from "./search/question.ts";
import { fits } from "./search/search.ts";

/** Dimensions that can be made as large as fits. */
export const LARGEST_DIMENSIONS = ["tokens", "vocab", "hidden"] as const;

/** A dimension that can be made as large as fits. */
export type LargestDimension = typeof LARGEST_DIMENSIONS[number];

/** The largest value of a dimension, with its plan and what is in the way of the next. */
export interface Largest<Planned = Plan> {
  readonly dimension: LargestDimension;
  /** The value: no larger one fits. */
  readonly value: number;
  /** The plan at that value. */
  readonly plan: Planned;
  /** Why the next larger value does not fit; `undefined` where no problem may be larger. */
  readonly limit: string | undefined;
}

/**
 * Finds the largest value of a dimension whose plan fits the device and the budget.
 *
 * @param problem whose value of the dimension is not looked at.
 * @throws {DoesNotFitError} where nothing fits.
 */
export function planLargest(
  dimension: LargestDimension,
  problem: Problem,
  device: DeviceProfile,
  options: PlanOptions = {},
): Largest {
  return largest(dimension, problem, {
    fits: (at) => fits(at, device, options),
    plan: (at) => makePlan(at, device, options),
  });
}

/**
 * Finds the same for a job that several devices do together: the budget is each device's.
 *
 * @throws {DoesNotFitError} where nothing fits.
 * @throws {ParallelismError} where no job can be split that way.
 */
export function planLargestParallel(
  dimension: LargestDimension,
  problem: Problem,
  device: DeviceProfile,
  parallelism: Parallelism,
  options: PlanOptions = {},
): Largest<ParallelPlan> {
  const { tensor, data, sequence } = parallelism;
  // Every rank has a row or a token at least, and under sequence parallelism as many as any other.
  const step = dimension === "tokens" && sequence ? tensor * data : 1;
  const least = dimension === "tokens" ? data : dimension === "vocab" ? tensor : 1;
  return largest(dimension, problem, {
    least: Math.max(step, least),
    step,
    fits: (at) => {
      try {
        const { part, share } = rankPart(at, parallelism);
        return fits(part, device, { ...options, share });
      } catch (error) {
        if (error instanceof ParallelismError) return false;
        throw error;
      }
    },
    plan: (at) => planParallel(at, device, parallelism, options),
  });
}

/** A search for the largest value: what may be tried, and what fits. */
interface Search<Planned> {
  /** The least value, and the distance from one to the next. */
  readonly least?: number;
  readonly step?: number;
  fits(problem: Problem): boolean;
  plan(problem: Problem): Planned;
}

/**
 * Rows are aligned by what their width divides by: of widths that share their
 * factor of two, a larger one needs more, while one of another factor may need
 * less. From this factor on, rows of every storage type are aligned.
 */
const ALIGNED_WIDTH = 128;

function largest<Planned>(
  dimension: LargestDimension,
  problem: Problem,
  { least = 1, step = 1, fits, plan }: Search<Planned>,
): Largest<Planned> {
  const at = (value: number): Problem => resized(problem, { [dimension]: value });
  const fitsAt = (value: number) => fits(at(value));
  const most = largestCountable(dimension, problem);
  let value: number | undefined;
  if (dimension === "hidden") {
    for (let factor = ALIGNED_WIDTH; factor >= 1; factor /= 2) {
      // The odd multiples of the factor; of the largest one, all.
      const stride = factor === ALIGNED_WIDTH ? factor : 2 * factor;
      const from = value === undefined ? factor : firstPast(value, factor, stride);
      value = climb(from, stride, most, fitsAt) ?? value;
    }
  } else value = climb(least, step, most, fitsAt);
  if (value === undefined) {
    return { dimension, value: least, plan: plan(at(least)), limit: "" };
  }
  const next = value + step;
  return {
    dimension,
    value,
    plan: plan(at(value)),
    limit: next > most ? undefined : obstacle(() => plan(at(next))),
  };
}

/** Returns the first value past another of those that begin at `first` and are `stride` apart. */
function firstPast(value: number, first: number, stride: number): number {
  return value < first ? first : first + (Math.floor((value - first) / stride) + 1) * stride;
}

/**
 * Returns the largest of some values that fits, by doubling and then by halving the interval:
 * what is larger than a value that does not fit does not fit either.
 */
function climb(
  from: number,
  stride: number,
  most: number,
  fits: (value: number) => boolean,
): number | undefined {
  const count = Math.floor((most - from) / stride) + 1;
  const fitsAt = (index: number) => fits(from + index * stride);
  if (count < 1 || !fitsAt(0)) return undefined;
  let good = 0;
  let reach = 1;
  while (good + reach < count && fitsAt(good + reach)) {
    good += reach;
    reach *= 2;
  }
  let bad = Math.min(good + reach, count);
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2);
    if (fitsAt(middle)) good = middle;
    else bad = middle;
  }
  return from + good * stride;
}

/** Returns the largest value at which every matrix can still be counted exactly (`problem.ts`). */
function largestCountable(dimension: LargestDimension, problem: Problem): number {
  const { tokens, vocab, hidden } = dimensionsOf(problem);
  const beside = {
    tokens: Math.max(hidden, vocab),
    vocab: Math.max(hidden, tokens),
    hidden: Math.max(tokens, vocab),
  }[dimension];
  return Math.min(MAX_DIMENSION, Math.floor(Number.MAX_SAFE_INTEGER / (4 * beside)));
}

/** Returns why there is no plan. */
function obstacle(plan: () => unknown): string {
  try {
    plan();
  } catch (error) {
    if (error instanceof DoesNotFitError) return error.message;
    throw error;
  }
  throw new Error("What the search found not to fit has a plan");
}

/**
 * The largest problem that fits: what people ask before they rent a GPU.
 *
 * @module
 */
import type { DeviceProfile } from "./device.ts";
import { DoesNotFitError, makePlan, type Plan } from "./plan.ts";
import { MAX_DIMENSION, type Problem } from "./problem.ts";
import type { PlanOptions } from "./question.ts";
import { fits } from "./search.ts";

/** Dimensions that can be made as large as fits. */
export const LARGEST_DIMENSIONS = ["tokens", "vocab", "hidden"] as const;

/** A dimension that can be made as large as fits. */
export type LargestDimension = typeof LARGEST_DIMENSIONS[number];

/** The largest value of a dimension, with its plan and what is in the way of the next. */
export interface Largest {
  readonly dimension: LargestDimension;
  /** The value: the next larger one does not fit. */
  readonly value: number;
  /** The plan at that value. */
  readonly plan: Plan;
  /** Why the next larger value does not fit; `undefined` where no problem may be larger. */
  readonly limit: string | undefined;
}

/**
 * Finds the largest value of a dimension whose plan fits the device and the
 * budget, by doubling and then halving the interval.
 *
 * @param problem whose value of the dimension is not looked at.
 * @throws {DoesNotFitError} where not even 1 fits.
 */
export function planLargest(
  dimension: LargestDimension,
  problem: Problem,
  device: DeviceProfile,
  options: PlanOptions = {},
): Largest {
  const at = (value: number): Problem => ({ ...problem, [dimension]: value });
  const canBe = (value: number) => fits(at(value), device, options);
  const most = largestCountable(dimension, problem);
  let value = 1;
  if (!canBe(value)) return { dimension, value, plan: makePlan(at(1), device, options), limit: "" };
  let beyond = 2;
  while (beyond <= most && canBe(beyond)) {
    value = beyond;
    beyond *= 2;
  }
  beyond = Math.min(beyond, most + 1);
  while (beyond - value > 1) {
    const middle = Math.floor((value + beyond) / 2);
    if (canBe(middle)) value = middle;
    else beyond = middle;
  }
  const limit = value === most
    ? undefined
    : obstacle(() => makePlan(at(value + 1), device, options));
  return { dimension, value, plan: makePlan(at(value), device, options), limit };
}

/** The largest value at which every matrix can still be counted exactly (`problem.ts`). */
function largestCountable(dimension: LargestDimension, problem: Problem): number {
  const { tokens, vocab, hidden } = problem;
  const beside = {
    tokens: Math.max(hidden, vocab),
    vocab: Math.max(hidden, tokens),
    hidden: Math.max(tokens, vocab),
  }[dimension];
  return Math.min(MAX_DIMENSION, Math.floor(Number.MAX_SAFE_INTEGER / (4 * beside)));
}

function obstacle(plan: () => Plan): string {
  try {
    plan();
  } catch (error) {
    if (error instanceof DoesNotFitError) return error.message;
    throw error;
  }
  throw new Error("What the search found not to fit has a plan");
}

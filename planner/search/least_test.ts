import assert from "node:assert/strict";
import fc from "fast-check";
import { type DeviceProfile, SPECIFICATION_DEFAULTS } from "../device.ts";
import { DoesNotFitError, makePlan } from "../plan.ts";
import { headOf, type Problem, resized } from "../problem.ts";
import type { PlanOptions } from "./question.ts";
import { granulesOf } from "../strategies/limits.ts";
import { problems } from "../testing.ts";

/** A device whose limits are small enough that every size of a small problem can be tried. */
const SMALL: DeviceProfile = {
  name: "small",
  limits: {
    ...SPECIFICATION_DEFAULTS.limits,
    maxBufferSize: 2 ** 20,
    maxStorageBufferBindingSize: 2 ** 19,
  },
};

/**
 * Returns the bytes of the smallest schedule that the search finds; infinite where there is none.
 */
function smallest(problem: Problem, options: PlanOptions): number {
  try {
    makePlan(problem, SMALL, { ...options, budget: 1 });
  } catch (error) {
    if (error instanceof DoesNotFitError) return error.smallestBudget ?? Infinity;
    throw error;
  }
  throw new Error("A schedule in one byte");
}

/** Yields the multiples of a granule below a total, and the total; about forty of them. */
function* sizes(granule: number, total: number): Iterable<number> {
  const step = granule * Math.ceil(total / granule / 40);
  for (let size = granule; size < total; size += step) yield size;
  yield total;
}

for (const weights of ["resident", "streamed"] as const) {
  Deno.test(`no sizes need less than the smallest that is found, with the weight ${weights}, by trying them`, () => {
    let smaller = 0;
    fc.assert(
      fc.property(problems, (random) => {
        const problem = resized(random, {
          tokens: 1 + random.tokens % 400,
          vocab: 1 + headOf(random).vocab % 900,
        });
        const found = smallest(problem, { weights });
        const granules = granulesOf(problem, SMALL);
        for (const block of sizes(granules.block, problem.tokens)) {
          for (const window of sizes(granules.window, headOf(problem).vocab)) {
            const fixed = smallest(problem, { weights, block, window });
            assert(found <= fixed, `${block} x ${window}: ${fixed}, ${found} was found`);
            smaller += Number(fixed > found && fixed < Infinity);
          }
        }
      }),
      { seed: 11, numRuns: 80 },
    );
    assert(smaller > 0, "sizes matter");
  });
}

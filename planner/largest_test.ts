import assert from "node:assert/strict";
import fc from "fast-check";
import { type DeviceProfile, SPECIFICATION_DEFAULTS } from "./device.ts";
import { LARGEST_DIMENSIONS, planLargest } from "./largest.ts";
import { DoesNotFitError, makePlan } from "./plan.ts";
import { dimensionsOf, headOf, type ProblemInput, resized } from "./problem.ts";
import { parseProblem, problemSchema } from "./problem_schema.ts";
import type { PlanOptions } from "./search/question.ts";
import { STRATEGIES } from "./schedule/schedule.ts";
import { problems } from "./testing.ts";

Deno.test("the largest that fits fits, and the next does not", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("tokens", "vocab", "hidden"),
      fc.constantFrom("forward", "train"),
      fc.integer({ min: 8, max: 60 }),
      (dimension, pass, mebibytes) => {
        const problem = parseProblem({ tokens: 300, hidden: 96, vocab: 5000, pass });
        const budget = mebibytes * 2 ** 20;
        // Streamed, a forward pass would hold any vocabulary.
        const options = { budget, weights: "resident" } as const;
        const { value, plan, limit } = planLargest(
          dimension,
          problem,
          SPECIFICATION_DEFAULTS,
          options,
        );
        assert.equal(dimensionsOf(plan.problem)[dimension], value);
        assert(plan.memory.peakBytes <= budget);
        assert.match(limit!, /Nothing fits a budget/);
        assert.throws(
          () =>
            makePlan(resized(problem, { [dimension]: value + 1 }), SPECIFICATION_DEFAULTS, options),
          DoesNotFitError,
        );
      },
    ),
    { seed: 5, numRuns: 12 },
  );
});

Deno.test("where not even one fits, the error says what would", () => {
  const problem = parseProblem({ hidden: 1 << 20, vocab: 4 });
  assert.throws(
    () => planLargest("tokens", problem, SPECIFICATION_DEFAULTS, { budget: 1 << 20 }),
    (error: unknown) => error instanceof DoesNotFitError && error.smallestBudget! > 1 << 20,
  );
});

/** A device whose limits are small enough that every size of a small problem can be tried. */
const SMALL: DeviceProfile = {
  name: "small",
  limits: {
    ...SPECIFICATION_DEFAULTS.limits,
    maxBufferSize: 2 ** 20,
    maxStorageBufferBindingSize: 2 ** 19,
  },
};

Deno.test("no larger value fits, by trying them", () => {
  fc.assert(
    fc.property(
      problems,
      fc.constantFrom(...LARGEST_DIMENSIONS),
      fc.integer({ min: 15, max: 21 }),
      fc.integer({ min: 0, max: 1 << 15 }),
      (random, dimension, exponent, more) => {
        const problem = resized(random, {
          tokens: 1 + random.tokens % 300,
          vocab: 1 + headOf(random).vocab % 900,
        });
        const options = { budget: 2 ** exponent + more, weights: "resident" } as const;
        const at = (value: number) => resized(problem, { [dimension]: value });
        const fits = (value: number) => {
          try {
            return makePlan(at(value), SMALL, options);
          } catch (error) {
            if (error instanceof DoesNotFitError) return undefined;
            throw error;
          }
        };
        let value = 0;
        try {
          const found = planLargest(dimension, problem, SMALL, options);
          value = found.value;
          assert(found.plan.memory.peakBytes <= options.budget);
        } catch (error) {
          if (!(error instanceof DoesNotFitError)) throw error;
        }
        for (let beyond = value + 1; beyond <= value + 70; beyond++) {
          assert(!fits(beyond), `${dimension} ${beyond} fits, ${value} was called the largest`);
        }
      },
    ),
    { seed: 7, numRuns: 12 },
  );
});

Deno.test("on large problems no larger value of any size fits", () => {
  const sizes = fc.record({
    tokens: fc.integer({ min: 1, max: 1 << 20 }),
    hidden: fc.integer({ min: 1, max: 16384 }),
    vocab: fc.integer({ min: 1, max: 1 << 19 }),
    dtype: fc.constantFrom("f32", "bf16"),
    pass: fc.constantFrom("forward", "train"),
  });
  fc.assert(
    fc.property(
      sizes,
      fc.constantFrom(...LARGEST_DIMENSIONS),
      fc.integer({ min: 28, max: 37 }),
      fc.array(fc.double({ min: 1, max: 3, noNaN: true }), { minLength: 4, maxLength: 4 }),
      (input, dimension, exponent, factors) => {
        const problem = parseProblem(input as ProblemInput);
        const options = { budget: 2 ** exponent, weights: "resident" } as const;
        let value: number;
        try {
          value = planLargest(dimension, problem, SPECIFICATION_DEFAULTS, options).value;
        } catch (error) {
          if (error instanceof DoesNotFitError) return;
          throw error;
        }
        for (const factor of factors) {
          const beyond = Math.max(value + 1, Math.floor(value * factor));
          const larger = resized(problem, { [dimension]: beyond });
          if (!problemSchema().safeParse(larger).success) continue;
          assert.throws(
            () => makePlan(larger, SPECIFICATION_DEFAULTS, options),
            DoesNotFitError,
            `${dimension} ${beyond} fits, ${value} was called the largest`,
          );
        }
      },
    ),
    { seed: 9, numRuns: 100 },
  );
});

Deno.test("no window, block or strategy that a caller could fix finds more", () => {
  const budget = 80 * 2 ** 30;
  const problem = parseProblem({ hidden: 2304, vocab: 256000, softcap: 30, pass: "train" });
  const most = (options: PlanOptions) => {
    try {
      return planLargest("tokens", problem, SPECIFICATION_DEFAULTS, {
        budget,
        weights: "resident",
        ...options,
      }).value;
    } catch (error) {
      if (error instanceof DoesNotFitError) return 0;
      throw error;
    }
  };
  const value = most({});
  const fixed: PlanOptions[] = [
    ...[64, 128, 256, 512, 576, 640, 704, 768, 1024, 2048].map((window) => ({ window })),
    ...[64, 1024, 4096, 8192, 14464, 14528, 16384].map((block) => ({ block })),
    ...STRATEGIES.map((strategy) => ({ strategy })),
  ];
  for (const options of fixed) {
    assert(
      most(options) <= value,
      `${JSON.stringify(options)}: ${most(options)}, ${value} without`,
    );
  }
  assert(value >= 1903168, "a fixed window of 512 ids once did better");
});

Deno.test("a width whose rows need no padding fits where an odd one does not", () => {
  const problem = parseProblem({
    ...{ tokens: 300, vocab: 777, hidden: 1, dtype: "bf16", pass: "train", bias: true },
  });
  const options = { budget: 89233, weights: "resident" } as const;
  const fitting = Array.from({ length: 64 }, (_, index) => index + 1).filter((hidden) => {
    try {
      return makePlan(resized(problem, { hidden }), SPECIFICATION_DEFAULTS, options);
    } catch (error) {
      if (error instanceof DoesNotFitError) return false;
      throw error;
    }
  });
  assert(!fitting.includes(1) && fitting.length > 0, "the least width is no measure of the rest");
  const { value } = planLargest("hidden", problem, SPECIFICATION_DEFAULTS, options);
  assert.equal(value, fitting.at(-1));
});

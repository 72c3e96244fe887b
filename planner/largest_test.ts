import assert from "node:assert/strict";
import fc from "fast-check";
import { SPECIFICATION_DEFAULTS } from "./device.ts";
import { planLargest } from "./largest.ts";
import { DoesNotFitError, makePlan } from "./plan.ts";
import { parseProblem } from "./problem.ts";

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
        assert.equal(plan.problem[dimension], value);
        assert(plan.memory.peakBytes <= budget);
        assert.match(limit!, /Nothing fits a budget/);
        assert.throws(
          () => makePlan({ ...problem, [dimension]: value + 1 }, SPECIFICATION_DEFAULTS, options),
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

import assert from "node:assert/strict";
import fc from "fast-check";
import { SPECIFICATION_DEFAULTS } from "./device.ts";
import { planParallel } from "./parallel.ts";
import { DoesNotFitError, makePlan, type PlanOptions } from "./plan.ts";
import { resized } from "./problem.ts";
import { parseProblem } from "./problem_schema.ts";
import {
  doublings,
  grid,
  gridSize,
  inputBytes,
  logSpaced,
  memoryByStrategy,
  sweep,
} from "./sweep.ts";

const PROBLEM = parseProblem({ tokens: 512, hidden: 64, vocab: 5000 });

Deno.test("values on a logarithmic scale rise strictly between their ends, both included", () => {
  const ends = fc.tuple(fc.integer({ min: 1, max: 2 ** 31 - 1 }), fc.integer({ min: 0, max: 1e6 }));
  fc.assert(fc.property(ends, fc.integer({ min: 2, max: 300 }), ([from, more], count) => {
    const to = from + more;
    const values = logSpaced(from, to, count);
    assert.equal(values[0], from);
    assert.equal(values.at(-1), to);
    assert(values.length <= count);
    values.forEach((value, index) => {
      assert(Number.isInteger(value));
      if (index > 0) assert(value > values[index - 1]!);
    });
  }));
  assert.deepEqual(logSpaced(7, 9000, 1), [7]);
});

Deno.test("values are evenly spaced in their logarithms, up to rounding", () => {
  const values = logSpaced(1000, 64000, 7);
  assert.deepEqual(values, [1000, 2000, 4000, 8000, 16000, 32000, 64000]);
});

Deno.test("doublings end at the last that is not past the end", () => {
  assert.deepEqual(doublings(3, 24), [3, 6, 12, 24]);
  assert.deepEqual(doublings(3, 23), [3, 6, 12]);
  assert.deepEqual(doublings(5, 4), []);
});

Deno.test("a grid has every combination once", () => {
  const axes = [{ name: "tokens", values: [1, 2] }, { name: "vocab", values: [5, 6, 7] }] as const;
  const points = [...grid(axes)];
  assert.equal(points.length, gridSize(axes));
  assert.equal(new Set(points.map((point) => JSON.stringify(point))).size, 2 * 3);
  assert.deepEqual(points[1], { tokens: 1, vocab: 6 });
});

Deno.test("each point of a sweep is the plan of its values, or the error of planning them", () => {
  const axes = [
    { name: "tokens", values: [256, 4096] },
    { name: "block", values: [128, 1024] },
    { name: "budget", values: [2 ** 10, 2 ** 22, 2 ** 30] },
  ] as const;
  const problem = { ...PROBLEM, pass: "train" } as const;
  let failed = 0;
  for (const { values, ...point } of sweep(problem, SPECIFICATION_DEFAULTS, {}, axes)) {
    const { tokens, ...choices } = values;
    const direct = () => makePlan({ ...problem, tokens: tokens! }, SPECIFICATION_DEFAULTS, choices);
    if (point.plan) {
      const { schedule, memory } = direct();
      assert.deepEqual(point.plan.memory, memory);
      assert.equal(point.plan.schedule.strategy, schedule.strategy);
      assert(memory.peakBytes <= values.budget!);
    } else {
      failed++;
      assert.throws(direct, (error: DoesNotFitError) => {
        assert(error instanceof DoesNotFitError);
        assert.equal(error.message, point.reason);
        assert.equal(error.smallestBudget, point.smallestBudget);
        return true;
      });
    }
  }
  assert(failed > 0 && failed < 12, `${failed} failed`);
});

Deno.test("sizes that are out of range together are a failed point, not an error", () => {
  const most = 2 ** 31 - 1;
  const axes = [{ name: "vocab", values: [100, most] }] as const;
  const [fine, wrong] = sweep(resized(PROBLEM, { hidden: most }), SPECIFICATION_DEFAULTS, {
    strategy: "two-stage",
  }, axes);
  assert.equal(fine!.values.vocab, 100);
  assert(wrong!.plan === undefined && wrong!.problem === undefined);
  assert.match(wrong!.reason, /2\^53 bytes/);
});

Deno.test("each strategy's memory is that of planning with it alone", () => {
  const problem = parseProblem({ tokens: 1024, hidden: 64, vocab: 20000, pass: "train" });
  const plan = makePlan(problem, SPECIFICATION_DEFAULTS);
  const byStrategy = memoryByStrategy(plan, {});
  assert.deepEqual([...byStrategy.keys()], ["two-stage", "windowed", "chunked"]);
  for (const [strategy, memory] of byStrategy) {
    assert.deepEqual(memory, makePlan(problem, SPECIFICATION_DEFAULTS, { strategy }).memory);
  }
});

Deno.test("inputs that every method is given are the inputs of a schedule", () => {
  // Multiples of the alignment, so that no buffer is padded.
  const sizes = { tokens: 512, hidden: 64, vocab: 4096 };
  for (const dtype of ["f32", "f16", "bf16"] as const) {
    for (const options of [{}, { bias: true }, { bias: true, classWeight: true }]) {
      const problem = parseProblem({ ...sizes, dtype, ...options });
      const plan = makePlan(problem, SPECIFICATION_DEFAULTS);
      assert.equal(inputBytes(problem), plan.memory.byCategory.input);
    }
  }
});

Deno.test("a sweep of a thousand points has a plan for each", () => {
  const axes = [
    { name: "tokens", values: logSpaced(256, 4096, 10) },
    { name: "hidden", values: logSpaced(256, 2048, 10) },
    { name: "vocab", values: logSpaced(8192, 32768, 10) },
  ] as const;
  let points = 0;
  for (const { plan } of sweep(PROBLEM, SPECIFICATION_DEFAULTS, {}, axes)) if (plan) points++;
  assert.equal(points, 1000);
});

Deno.test("over ranks, points and strategies are those of the largest part", () => {
  const problem = parseProblem({ tokens: 512, hidden: 64, vocab: 5000, pass: "train" });
  const parallelism = { tensor: 3, data: 2, sequence: true };
  const axes = [{ name: "tokens", values: [600, 601, 1200] }] as const;
  const points = [...sweep(problem, SPECIFICATION_DEFAULTS, {}, axes, parallelism)];
  assert.deepEqual(points.map(({ plan }) => plan !== undefined), [true, false, true]);
  for (const { plan, values } of points) {
    if (!plan) continue;
    const whole = resized(problem, { tokens: values.tokens });
    const split = (options: PlanOptions) =>
      planParallel(whole, SPECIFICATION_DEFAULTS, parallelism, options).largest.memory;
    assert.deepEqual(plan.memory, split({}));
    for (const [strategy, memory] of memoryByStrategy(plan, {})) {
      assert.deepEqual(memory, split({ strategy }), strategy);
    }
  }
});

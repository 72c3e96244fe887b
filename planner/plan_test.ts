import assert from "node:assert/strict";
import fc from "fast-check";
import { SPECIFICATION_DEFAULTS } from "./device.ts";
import { predictMemory } from "./schedule/memory.ts";
import { DoesNotFitError, FixedSizeError, makePlan, type Plan } from "./plan.ts";
import { headOf, ownedBytes, type Problem, resized } from "./problem.ts";
import { parseProblem, problemSchema } from "./problem_schema.ts";
import {
  type Dispatch,
  type Schedule,
  type Step,
  type StrategyName,
  visitBuffers,
} from "./schedule/schedule.ts";
import { devices, problems, SEED } from "./testing.ts";
import { registerTile, workgroupBytes, workgroupSize } from "./schedule/tile.ts";

/** Returns a plan, or undefined where the device cannot hold the problem at all. */
function tryPlan(...args: Parameters<typeof makePlan>): Plan | undefined {
  try {
    return makePlan(...args);
  } catch (error) {
    if (error instanceof DoesNotFitError) return undefined;
    throw error;
  }
}

function dispatches(schedule: Schedule, ...kernels: string[]): Dispatch[] {
  return schedule.steps.filter((step: Step): step is Dispatch =>
    step.kind === "dispatch" && kernels.includes(step.kernel)
  );
}

/** Block-window rectangles of some kernels: they must tile tokens x vocab exactly once. */
function assertCoversOnce(schedule: Schedule, problem: Problem, kernels: string[]) {
  const rectangles = dispatches(schedule, ...kernels).map(({ params }) => schedule.params[params]!);
  const area = rectangles.reduce((sum, { tokens, vocab }) => sum + tokens * vocab, 0);
  assert.equal(area, problem.tokens * headOf(problem).vocab, `${kernels} cover the logits once`);
  const corners = new Set(
    rectangles.map(({ tokenStart, vocabStart }) => `${tokenStart},${vocabStart}`),
  );
  assert.equal(corners.size, rectangles.length, `${kernels} repeat no rectangle`);
  for (const { tokenStart, tokens, vocabStart, vocab } of rectangles) {
    assert(tokenStart + tokens <= problem.tokens && vocabStart + vocab <= headOf(problem).vocab);
  }
}

Deno.test("every schedule covers each pair of token and vocabulary id exactly once", () => {
  fc.assert(
    fc.property(problems, devices, (problem, device) => {
      const strategies: StrategyName[] = problem.pass === "forward"
        ? ["two-stage", "fused"]
        : ["two-stage", "windowed", "chunked"];
      for (const strategy of strategies) {
        const plan = tryPlan(problem, device, { strategy });
        if (!plan) continue;
        const { schedule } = plan;
        assertCoversOnce(schedule, problem, ["forward", "project"]);
        if (problem.pass === "forward") continue;
        for (const kernel of ["weight-gradient", "hidden-gradient"]) {
          assertCoversOnce(schedule, problem, [kernel]);
        }
        if (strategy === "windowed") assertCoversOnce(schedule, problem, ["logit-gradient"]);
      }
    }),
    SEED,
  );
});

Deno.test("every schedule respects the device's limits", () => {
  fc.assert(
    fc.property(problems, devices, (problem, device) => {
      const plan = tryPlan(problem, device);
      if (!plan) return;
      const { limits } = device;
      const { schedule } = plan;
      assert(workgroupSize(schedule.tile) <= limits.maxComputeInvocationsPerWorkgroup);
      assert(workgroupBytes(schedule.tile) <= limits.maxComputeWorkgroupStorageSize);
      const sizes = new Map(schedule.buffers.map(({ name, bytes }) => [name, bytes]));
      for (const bytes of sizes.values()) {
        assert(bytes > 0 && bytes <= limits.maxBufferSize && bytes % 4 === 0);
      }
      for (const step of schedule.steps) {
        if (step.kind !== "dispatch") continue;
        assert(step.bindings.length <= limits.maxStorageBuffersPerShaderStage, step.kernel);
        assert(Math.max(...step.grid) <= limits.maxComputeWorkgroupsPerDimension);
        for (const { slice } of step.bindings) {
          assert(slice.bytes <= limits.maxStorageBufferBindingSize);
          assert.equal(slice.offset % limits.minStorageBufferOffsetAlignment, 0);
          assert(slice.offset + slice.bytes <= sizes.get(slice.buffer)!);
        }
      }
    }),
    SEED,
  );
});

Deno.test("a peak lies between the largest step and the sum of all buffers", () => {
  fc.assert(
    fc.property(problems, devices, (problem, device) => {
      const plan = tryPlan(problem, device);
      if (!plan) return;
      const { schedule, memory } = plan;
      const sizes = new Map(schedule.buffers.map(({ name, bytes }) => [name, bytes]));
      const total = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
      const largest = Math.max(...schedule.steps.map((step) => {
        const names = new Set<string>();
        visitBuffers(step, (name) => names.add(name));
        return [...names].reduce((sum, name) => sum + sizes.get(name)!, 0);
      }));
      assert(memory.peakBytes >= largest && memory.peakBytes <= total);
      assert.deepEqual(predictMemory(schedule), memory);
    }),
    SEED,
  );
});

Deno.test("under a budget a plan fits, and more budget is never slower", () => {
  fc.assert(
    fc.property(problems, devices, (problem, device) => {
      const free = tryPlan(problem, device, { weights: "resident" });
      if (!free) return;
      let before = Infinity;
      let fitted = false;
      for (const factor of [0.5, 0.8, 1, 1.5, 4]) {
        const budget = Math.floor(free.memory.peakBytes * factor);
        const plan = tryPlan(problem, device, { budget, weights: "resident" });
        assert(plan || !fitted, "what fits a budget fits a larger one");
        if (!plan) continue;
        fitted = true;
        assert(plan.memory.peakBytes <= budget);
        assert(plan.cost.seconds <= before * (1 + 1e-12));
        before = plan.cost.seconds;
      }
    }),
    { ...SEED, numRuns: 60 },
  );
});

Deno.test("a budget too small names the smallest that would do", () => {
  const problem = parseProblem({ tokens: 512, hidden: 64, vocab: 9000, pass: "train" });
  let smallest = 0;
  assert.throws(
    () => makePlan(problem, SPECIFICATION_DEFAULTS, { budget: 1000 }),
    (error: unknown) => {
      assert(error instanceof DoesNotFitError);
      smallest = error.smallestBudget!;
      assert.match(error.message, new RegExp(`${smallest} bytes`));
      return true;
    },
  );
  assert(
    makePlan(problem, SPECIFICATION_DEFAULTS, { budget: smallest }).memory.peakBytes <= smallest,
  );
  assert.throws(
    () => makePlan(problem, SPECIFICATION_DEFAULTS, { budget: smallest - 1 }),
    DoesNotFitError,
  );
});

Deno.test("the strategies' extra memory follows the published formulas", () => {
  const tokens = 4096;
  const vocab = 32768;
  const dimensions = { tokens, vocab, hidden: 256 };
  const device = {
    ...SPECIFICATION_DEFAULTS,
    limits: {
      ...SPECIFICATION_DEFAULTS.limits,
      maxBufferSize: 2 ** 32,
      maxStorageBufferBindingSize: 2 ** 32,
    },
  };
  const train = parseProblem({ ...dimensions, pass: "train" });
  const extra = (problem: Problem, options: Parameters<typeof makePlan>[2]) =>
    // As published: no buffer is kept longer than it is used.
    makePlan(problem, device, { ...options, hostIo: true }).memory.extraPeakBytes;
  const perToken = 64 * tokens; // statistics, coefficients, kept rows and params
  const near = (actual: number, formula: number) =>
    assert(actual >= formula && actual <= formula + perToken, `${actual} for ${formula}`);
  // The published ones know no parts of the hidden gradient: a gradient less, none of them.
  const weights = { ...train, gradients: ["weight" as const] };
  near(extra(weights, { strategy: "two-stage" }), 4 * tokens * vocab);
  near(extra(weights, { strategy: "chunked", block: 512 }), 4 * 512 * vocab);
  near(extra(weights, { strategy: "windowed", window: 1024, block: tokens }), 4 * tokens * 1024);
  const parts = extra(train, { strategy: "chunked", block: 512 }) -
    extra(weights, { strategy: "chunked", block: 512 });
  assert(parts > 0 && parts <= 16 * 4 * 512 * dimensions.hidden, `${parts} bytes of parts`);
  const forward = makePlan(parseProblem(dimensions), device, { strategy: "fused", hostIo: true });
  near(forward.memory.extraPeakBytes, 4 * 3 * tokens * forward.schedule.splits);
});

Deno.test("two stages are recommended where the logits are the smaller part", () => {
  const problem = parseProblem({ tokens: 4096, hidden: 2048, vocab: 16 });
  assert.equal(makePlan(problem, SPECIFICATION_DEFAULTS).schedule.strategy, "two-stage");
});

Deno.test("windowed training of a Gemma-sized head takes under 2 % of two-stage's extra memory", () => {
  const problem = parseProblem({ tokens: 8192, hidden: 2304, vocab: 256000, pass: "train" });
  const plan = makePlan(problem, SPECIFICATION_DEFAULTS, { strategy: "windowed" });
  assert(plan.memory.extraPeakBytes < 0.02 * plan.twoStage.extraPeakBytes);
});

Deno.test("logits are not recommended for their speed, where they take more than next to nothing", () => {
  for (const sizes of [[524288, 4096, 128256], [8388608, 64, 1000]] as const) {
    const [tokens, hidden, vocab] = sizes;
    const problem = parseProblem({ tokens, hidden, vocab });
    const { outline, memory, twoStage } = makePlan(problem, SPECIFICATION_DEFAULTS);
    assert.equal(outline.strategy, "fused");
    // Statistics of all tokens fit one binding, 128 MiB; what else there is is small.
    assert(memory.extraPeakBytes < 200 * 2 ** 20, `${memory.extraPeakBytes}`);
    assert(twoStage.extraPeakBytes >= 4 * tokens * vocab);
  }
});

Deno.test("a plan is of buffers that the caller owns throughout, and so is its baseline", () => {
  fc.assert(
    fc.property(problems, devices, (problem, device) => {
      const plan = tryPlan(problem, device, { weights: "resident" });
      if (!plan) return;
      const { memory, twoStage, schedule } = plan;
      assert.equal(schedule.residency, "caller");
      assert(memory.peakBytes >= ownedBytes(problem), "hidden states, weight and gradients");
      const total = schedule.buffers.reduce((sum, { bytes }) => sum + bytes, 0);
      assert.equal(memory.peakBytes, total, "every buffer, from the first step to the last");
      assert.equal(twoStage.byCategory.input >= ownedBytes({ ...problem, pass: "forward" }), true);
      assert(schedule.steps.every(({ kind }) => kind !== "upload" && kind !== "readback"));
    }),
    { ...SEED, numRuns: 60 },
  );
});

Deno.test("the baseline keeps logits, and little else, in training too", () => {
  for (const [tokens, hidden, vocab] of [[8192, 4096, 256000], [96, 64, 1000]] as const) {
    const problem = parseProblem({ tokens, hidden, vocab, pass: "train" });
    const { twoStage } = makePlan(problem, SPECIFICATION_DEFAULTS);
    // Logits become their gradient in place; what there is beside them is a few words a token.
    const logits = 4 * tokens * vocab;
    assert(twoStage.extraPeakBytes >= logits);
    assert(twoStage.extraPeakBytes < logits + 128 * tokens, `${twoStage.extraPeakBytes - logits}`);
  }
});

Deno.test("flags of tiles are ours: they count in extra memory", () => {
  const problem = parseProblem({ tokens: 512, hidden: 64, vocab: 9000, pass: "train" });
  const extra = (gradientFilter: number | "auto") =>
    makePlan({ ...problem, gradientFilter }, SPECIFICATION_DEFAULTS, { strategy: "windowed" })
      .outline.buffers.find(({ name }) => name === "tile_flags")?.category;
  assert.equal(extra("auto"), "state");
  assert.equal(extra(0), undefined);
});

Deno.test("a weight is streamed where nothing else fits, in windows that let the peak fall", () => {
  const problem = parseProblem({ tokens: 512, hidden: 64, vocab: 50000 });
  const weightBytes = 4 * 64 * 50000;
  const budget = weightBytes / 2;
  const plan = makePlan(problem, SPECIFICATION_DEFAULTS, { budget });
  assert.equal(plan.outline.residency, "windows");
  assert(plan.memory.peakBytes <= budget);
  assert.match(plan.reason, /nothing fits/);
  assert.throws(
    () => makePlan(problem, SPECIFICATION_DEFAULTS, { budget, weights: "resident" }),
    DoesNotFitError,
  );
  const streamed = makePlan(problem, SPECIFICATION_DEFAULTS, { weights: "streamed" });
  assert(streamed.outline.window.count >= 8 && streamed.memory.peakBytes < weightBytes / 2);
  // A library's plan, and one without a budget, keep it.
  assert.equal(makePlan(problem, SPECIFICATION_DEFAULTS).outline.residency, "caller");
});

Deno.test("no plan is made that the device refuses", () => {
  const problem = parseProblem({ tokens: 512, hidden: 64, vocab: 9000, bias: true });
  const tile = registerTile([256, 256, 64], [8, 8]);
  assert.throws(
    () => makePlan(problem, SPECIFICATION_DEFAULTS, { tile }),
    (error: unknown) =>
      error instanceof DoesNotFitError && /256x256x64.*needs 1024/.test(error.message),
  );
  const { limits } = SPECIFICATION_DEFAULTS;
  const few = { name: "few", limits: { ...limits, maxStorageBuffersPerShaderStage: 4 } };
  assert.throws(
    () => makePlan(problem, few),
    (error: unknown) =>
      error instanceof DoesNotFitError && /maxStorageBuffersPerShaderStage/.test(error.message),
  );
  // A bias is bound whole, unlike a weight: of 40 million ids it is past 128 MiB.
  assert.throws(
    () => makePlan(resized(problem, { tokens: 8, vocab: 40e6, hidden: 4 }), SPECIFICATION_DEFAULTS),
    (error: unknown) =>
      error instanceof DoesNotFitError &&
      /binds 160000000 bytes of bias.*maxStorageBufferBindingSize/.test(error.message),
  );
  // Buffers smaller than a binding may be.
  const train = { ...problem, pass: "train" } as const;
  for (const [strategy, maxBufferSize] of [["windowed", 2 ** 17], ["chunked", 2 ** 22]] as const) {
    const odd = { name: "odd", limits: { ...limits, maxBufferSize } };
    const { schedule } = makePlan(train, odd, { strategy });
    assert(schedule.buffers.every(({ bytes }) => bytes <= maxBufferSize));
  }
});

Deno.test("a size that no binding can begin at is the caller's mistake", () => {
  const problem = parseProblem({ tokens: 512, hidden: 64, vocab: 9000 });
  for (
    const [options, message] of [[{ window: 7 }, /window of 7 ids/], [
      { block: 1 },
      /block of 1 /,
    ]] as const
  ) {
    assert.throws(
      () => makePlan(problem, SPECIFICATION_DEFAULTS, options),
      (error: unknown) => error instanceof FixedSizeError && message.test(error.message),
    );
  }
});

Deno.test("sizes of every order are planned, or refused with a reason", () => {
  const size = fc.integer({ min: 0, max: 31 * 16 }).map((exponent) =>
    Math.min(2 ** 31 - 1, Math.floor(2 ** (exponent / 16)))
  );
  fc.assert(
    fc.property(
      fc.record({ tokens: size, hidden: size, vocab: size }),
      fc.constantFrom("forward", "train"),
      fc.constantFrom("f32", "bf16"),
      fc.integer({ min: 17, max: 32 }),
      (sizes, pass, dtype, buffer) => {
        const parsed = problemSchema().safeParse({ ...sizes, pass, dtype });
        if (!parsed.success) return;
        const limits = { ...SPECIFICATION_DEFAULTS.limits, maxBufferSize: 2 ** buffer };
        tryPlan(parsed.data, { name: "random", limits });
      },
    ),
    { ...SEED, numRuns: 300 },
  );
});

Deno.test("chunked works on windows that a caller fixes, under a budget too; two stages do not", () => {
  const problem = parseProblem({ tokens: 96, hidden: 32, vocab: 1000, pass: "train" });
  for (const budget of [undefined, 2 ** 30]) {
    const fixed = { window: 64, block: 64, budget };
    const { schedule, candidates } = makePlan(problem, SPECIFICATION_DEFAULTS, {
      ...fixed,
      strategy: "chunked",
    });
    assert.deepEqual(schedule.window, { vocab: 64, count: 16 });
    assert(candidates.every(({ shape }) => shape.window === 64));
    assert.throws(
      () => makePlan(problem, SPECIFICATION_DEFAULTS, { ...fixed, strategy: "two-stage" }),
      /works on the whole vocabulary/,
    );
  }
});

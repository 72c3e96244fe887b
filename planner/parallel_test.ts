import assert from "node:assert/strict";
import fc from "fast-check";
import { SPECIFICATION_DEFAULTS } from "./device.ts";
import { predictMemory } from "./schedule/memory.ts";
import {
  collectivesOf,
  type Parallelism,
  ParallelismError,
  type ParallelPlan,
  planParallel,
  rankSchedule,
  sentBytes,
} from "./parallel.ts";
import { DoesNotFitError, makePlan } from "./plan.ts";
import { headOf, type Problem } from "./problem.ts";
import { parseProblem } from "./problem_schema.ts";
import { devices, problems, SEED } from "./testing.ts";

const ALONE: Parallelism = { tensor: 1, data: 1, sequence: false };

/** Returns a plan for ranks, or undefined where there can be none. */
function tryPlan(...args: Parameters<typeof planParallel>): ParallelPlan | undefined {
  try {
    return planParallel(...args);
  } catch (error) {
    if (error instanceof DoesNotFitError || error instanceof ParallelismError) return undefined;
    throw error;
  }
}

const splits = fc.record({
  tensor: fc.integer({ min: 1, max: 5 }),
  data: fc.integer({ min: 1, max: 3 }),
  sequence: fc.boolean(),
  overlap: fc.boolean(),
});

/** Returns problems that every split of {@linkcode splits} can have, now and then. */
function divisible(problem: Problem, { tensor, data, sequence }: Parallelism): Problem {
  return sequence ? { ...problem, tokens: problem.tokens * tensor * data } : problem;
}

const few = { ...SEED, numRuns: 40 };

Deno.test("heads of a student and its teacher are not split over ranks, and why not is said", () => {
  const sizes = { hidden: 8, vocab: 40 };
  const problem = parseProblem({
    tokens: 16,
    heads: [{ name: "student", ...sizes }, { name: "teacher", ...sizes }],
    distill: { divergence: "forward-kl" },
  });
  assert.throws(
    () => planParallel(problem, SPECIFICATION_DEFAULTS, { tensor: 2, data: 1, sequence: false }),
    /student, teacher over ranks: these agree on the largest logit of one head/,
  );
});

Deno.test("every pair of token and vocabulary id belongs to one rank, in one dispatch", () => {
  fc.assert(
    fc.property(problems, devices, splits, (random, device, split) => {
      const problem = divisible(random, split);
      const plan = tryPlan(problem, device, split);
      if (!plan) return;
      let area = 0;
      const corners = new Set<string>();
      for (const rank of plan.ranks) {
        const { steps, params } = rankSchedule(plan, rank);
        for (const step of steps) {
          if (step.kind !== "dispatch" || !["forward", "project"].includes(step.kernel)) continue;
          const { tokenStart, tokens, vocabStart, vocab } = params[step.params]!;
          const token = rank.tokens.start + tokenStart;
          assert(token + tokens <= problem.tokens && vocabStart + vocab <= headOf(problem).vocab);
          area += tokens * vocab;
          corners.add(`${token},${vocabStart}`);
          assert(vocabStart >= rank.vocab.start, "ids are global");
        }
      }
      assert.equal(area, problem.tokens * headOf(problem).vocab);
      const dispatches = plan.ranks.reduce(
        (sum, rank) =>
          sum +
          rankSchedule(plan, rank).steps.filter((step) =>
            step.kind === "dispatch" && ["forward", "project"].includes(step.kernel)
          ).length,
        0,
      );
      assert.equal(corners.size, dispatches);
    }),
    few,
  );
});

Deno.test("ranks come to the same collectives, on as much where they must agree", () => {
  fc.assert(
    fc.property(problems, devices, splits, (random, device, split) => {
      const plan = tryPlan(divisible(random, split), device, split);
      if (!plan) return;
      const all = plan.ranks.map((rank) => collectivesOf(rankSchedule(plan, rank)));
      for (const [index, { tensorRank, dataRank }] of plan.ranks.entries()) {
        const size = (group: string, steps: typeof all[number]) =>
          steps.filter((step) => step.group === group)
            .map(({ op, what, elements, bytes }) => ({ op, what, elements, bytes }));
        // The first of the same replica, and the first that holds the same rows.
        assert.deepEqual(
          size("tensor", all[index]!),
          size("tensor", all[dataRank * split.tensor]!),
        );
        assert.deepEqual(size("data", all[index]!), size("data", all[tensorRank]!));
      }
    }),
    few,
  );
});

Deno.test("each rank's memory is that of its schedule, and rank 0's is the most", () => {
  fc.assert(
    fc.property(problems, devices, splits, (random, device, split) => {
      const plan = tryPlan(divisible(random, split), device, split);
      if (!plan) return;
      assert.deepEqual(plan.largest.memory, plan.ranks[0]!.memory);
      for (const rank of plan.ranks) {
        assert.deepEqual(predictMemory(rankSchedule(plan, rank)), rank.memory);
        assert(rank.memory.peakBytes <= plan.ranks[0]!.memory.peakBytes);
      }
    }),
    few,
  );
});

Deno.test("a rank that is alone has the plan of a job that is not split", () => {
  fc.assert(
    fc.property(problems, devices, (problem, device) => {
      const plan = tryPlan(problem, device, ALONE);
      if (!plan) return;
      assert.deepEqual(plan.largest, makePlan(problem, device));
      assert.equal(plan.largest.schedule.share, undefined);
      assert.deepEqual(plan.collectives, []);
    }),
    few,
  );
});

Deno.test("ranks tell each other three floats per token, and the hidden gradient", () => {
  // Megatron-LM's and verl's kernels: a max, a sum and a target logit per token, then [N, D].
  const problem = parseProblem({ tokens: 4096, hidden: 512, vocab: 32003, pass: "train" });
  const strategies = ["windowed", "two-stage"] as const;
  for (const strategy of strategies) {
    const plan = planParallel(problem, SPECIFICATION_DEFAULTS, { ...ALONE, tensor: 3 }, {
      strategy,
      block: 1024,
    });
    assert(plan.largest.schedule.block.count > 1, "blocks do not add collectives");
    assert.deepEqual(
      plan.collectives.map((
        { op, what, pass, elements, bytes },
      ) => [op, what, pass, elements, bytes]),
      [
        ["all-reduce-max", "max", "forward", 4096, 16384],
        ["all-reduce-sum", "sum", "forward", 4096, 16384],
        ["all-reduce-sum", "target", "forward", 4096, 16384],
        ["all-reduce-sum", "grad_hidden", "backward", 4096 * 512, 4096 * 512 * 4],
      ],
    );
    assert.deepEqual(plan.ranks.map(({ vocab }) => vocab.count), [10668, 10668, 10667]);
  }
});

Deno.test("other statistics meet only where the problem needs them", () => {
  const what = (more: Partial<Problem>) =>
    planParallel(
      parseProblem({ tokens: 64, hidden: 16, vocab: 100, ...more }),
      SPECIFICATION_DEFAULTS,
      { ...ALONE, tensor: 2 },
    ).collectives.map(({ what }) => what);
  assert.deepEqual(what({}), ["max", "sum", "target"]);
  assert.deepEqual(what({ labelSmoothing: 0.1 }), ["max", "sum", "target", "smoothed"]);
  assert.deepEqual(what({ statistics: ["entropy", "predicted"] }), [
    "max",
    "sum",
    "target",
    "rest",
    "weighted",
    "argmax",
  ]);
});

Deno.test("with sequence parallelism a rank begins and ends with its own tokens", () => {
  const problem = parseProblem({
    tokens: 1024,
    hidden: 96,
    vocab: 5000,
    dtype: "bf16",
    pass: "train",
  });
  const split = { tensor: 4, data: 2, sequence: true };
  const { collectives, largest } = planParallel(problem, SPECIFICATION_DEFAULTS, split);
  const bytesOf = (tensor: string) =>
    largest.schedule.buffers
      .filter(({ holds }) => holds?.tensor === tensor)
      .reduce((sum, { bytes }) => sum + bytes, 0);
  assert.equal(bytesOf("hidden"), 128 * 96 * 2);
  assert.equal(bytesOf("grad_hidden"), 128 * 96 * 4);
  const ends = [collectives[0]!, collectives.find(({ what }) => what === "grad_hidden")!];
  assert.deepEqual(ends.map(({ op, bytes }) => [op, bytes]), [
    ["all-gather", 512 * 96 * 2],
    ["reduce-scatter-sum", 512 * 96 * 4],
  ]);
});

Deno.test("the ring algorithm sends a whole tensor twice, less a part, or once", () => {
  const problem = parseProblem({ tokens: 1000, hidden: 10, vocab: 500, pass: "train" });
  for (const sequence of [false, true]) {
    const split = { tensor: 5, data: 1, sequence };
    const { collectives } = planParallel(problem, SPECIFICATION_DEFAULTS, split);
    const sent = Object.fromEntries(
      collectives.map((step) => [step.what, sentBytes(step, split)]),
    );
    // Reduce-scatter, then all-gather: four times a fifth each.
    assert.equal(sent.max, 2 * 4 * 800);
    assert.equal(sent.grad_hidden, (sequence ? 1 : 2) * 4 * 8000);
    assert.equal(sent.hidden, sequence ? 4 * 8000 : undefined);
  }
});

Deno.test("an impossible split says why, and what would do", () => {
  const problem = parseProblem({ tokens: 100, hidden: 8, vocab: 50 });
  const fails = (split: Partial<Parallelism>, message: RegExp) =>
    assert.throws(
      () => planParallel(problem, SPECIFICATION_DEFAULTS, { ...ALONE, ...split }),
      (error: unknown) => error instanceof ParallelismError && message.test(error.message),
    );
  fails({ tensor: 51 }, /50 vocabulary rows over 51 tensor-parallel ranks.*50 at most/);
  fails({ data: 101 }, /100 tokens over 101 data-parallel replicas.*100 at most/);
  fails({ sequence: true }, /only one: ask for 2 or more/);
  fails({ tensor: 8, sequence: true }, /100 do not divide: pad them to 104/);
  fails({ tensor: 3, data: 7, sequence: true }, /all 21 ranks.*pad them to 105/);
});

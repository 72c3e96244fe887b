/**
 * Runs on a real device: jobs split over simulated ranks against the float64
 * reference and PyTorch, with each rank's memory and traffic measured against its plan.
 */
import assert from "node:assert/strict";
import { type Fixture, uploads } from "../fixtures/fixture.ts";
import { openCase } from "../fixtures/oracle.ts";
import { makeSynthetic } from "../fixtures/synthetic.ts";
import type { AcquiredDevice } from "../kernels/device.ts";
import { execute } from "../kernels/execute.ts";
import { LinearCrossEntropy } from "../kernels/linear_cross_entropy.ts";
import { type Parallelism, planParallel } from "../planner/parallel.ts";
import type { PlanOptions } from "../planner/plan.ts";
import { parseProblem, type ProblemInput } from "../planner/problem.ts";
import { openDevice } from "./gpu.ts";
import { verify } from "./verify.ts";
import { verifyRanks } from "./verify_ranks.ts";

async function withDevice(use: (acquired: AcquiredDevice) => Promise<void>): Promise<void> {
  const acquired = await openDevice();
  try {
    await use(acquired);
  } finally {
    acquired.device.destroy();
  }
}

const ALONE: Parallelism = { tensor: 1, data: 1, sequence: false };

/** Runs a fixture on ranks and asserts that numbers agree, and memory and traffic to the byte. */
async function assertRanksVerify(
  fixture: Fixture,
  acquired: AcquiredDevice,
  parallelism: Partial<Parallelism>,
  options: PlanOptions = {},
) {
  const verification = await verifyRanks(
    fixture,
    acquired,
    { ...ALONE, ...parallelism },
    options,
  );
  const { agreement, plan, ranks } = verification;
  const what = `${fixture.name} ${plan.largest.schedule.strategy} ${JSON.stringify(parallelism)} ${
    JSON.stringify(fixture.problem)
  }`;
  const wrong = agreement.checks.filter(({ ok }) => !ok);
  assert(agreement.ok, `${what}: ${JSON.stringify(wrong)}`);
  for (const rank of ranks) {
    const which = `rank ${rank.rank} of ${what}`;
    assert.equal(rank.measuredPeakBytes, rank.memory.peakBytes, which);
    assert.equal(rank.measuredExtraPeakBytes, rank.memory.extraPeakBytes, which);
    assert.equal(rank.measuredTraffic, rank.plannedTraffic, which);
    assert.equal(rank.leakedBytes, 0, which);
    assert(rank.sameResults, which);
  }
  assert(verification.ok);
  return verification;
}

/** Odd sizes, a vocabulary that divides by neither 3 nor 4, ignored tokens. */
const ODD = { tokens: 75, hidden: 21, vocab: 1501 } as const;

const VARIANTS: readonly ProblemInput[] = [
  ODD,
  { ...ODD, bias: true, softcap: 20, labelSmoothing: 0.1 },
  { ...ODD, classWeight: true, labelSmoothing: 0.2, zLoss: 1e-3, reduction: "sum" },
  { ...ODD, reduction: "none", bias: true, classWeight: true, logitScale: 0.5 },
  { ...ODD, objective: "statistics", statistics: ["entropy", "predicted"], bias: true },
  { ...ODD, dtype: "bf16", hidden: 23, statistics: ["predicted"] },
];

Deno.test("a vocabulary split unevenly gives the results of the whole, in every strategy", {
  ignore: Deno.env.has("LCE_SLOW_DEVICE"),
}, async (t) => {
  await withDevice(async (acquired) => {
    for (const variant of VARIANTS) {
      await t.step(JSON.stringify(variant), async () => {
        for (const pass of ["forward", "train"] as const) {
          const problem = parseProblem({ ...variant, pass });
          const fixture = makeSynthetic(problem, 9);
          for (
            const options of pass === "forward" ? [{ strategy: "fused", window: 256 }] as const : [
              { strategy: "windowed", window: 256, block: 64 },
              { strategy: "chunked", block: 64 },
              { strategy: "two-stage" },
            ] as const
          ) {
            const tensor = options.strategy === "two-stage" ? 4 : 3;
            const { ranks } = await assertRanksVerify(fixture, acquired, { tensor }, options);
            assert.equal(new Set(ranks.map(({ vocab }) => vocab.count)).size, 2, "uneven shards");
          }
        }
      });
    }
  });
});

Deno.test("hidden states split by tokens are gathered, and their gradient is scattered", async () => {
  await withDevice(async (acquired) => {
    for (const dtype of ["f32", "bf16"] as const) {
      // 25 x 21 elements of 16 bits on each rank: half a word is left over.
      const problem = parseProblem({ ...ODD, dtype, pass: "train", labelSmoothing: 0.1 });
      for (const strategy of ["windowed", "chunked", "two-stage"] as const) {
        const { plan } = await assertRanksVerify(
          makeSynthetic(problem, 4),
          acquired,
          { tensor: 3, sequence: true },
          { strategy },
        );
        const ops = plan.collectives.map(({ op }) => op);
        assert.equal(ops[0], "all-gather");
        assert.equal(ops.at(-1), "reduce-scatter-sum");
      }
    }
  });
});

Deno.test("replicas share the divisor of the mean, the loss and the weight's gradient", async () => {
  await withDevice(async (acquired) => {
    for (const [tensor, data, sequence] of [[1, 2, false], [2, 3, false], [2, 2, true]] as const) {
      for (const reduction of ["mean", "sum", "none"] as const) {
        const problem = parseProblem({
          ...ODD,
          tokens: sequence ? 76 : 76 + 1,
          bias: true,
          classWeight: true,
          zLoss: 1e-3,
          reduction,
          pass: "train",
        });
        await assertRanksVerify(makeSynthetic(problem, 3), acquired, { tensor, data, sequence });
      }
    }
  });
});

Deno.test("a replica whose tokens are all ignored counts for nothing", async () => {
  await withDevice(async (acquired) => {
    const problem = parseProblem({ ...ODD, tokens: 64, pass: "train" });
    const fixture = makeSynthetic(problem, 3);
    const targets = fixture.tensors.targets.map((id, token) => token < 32 ? -100 : id);
    const half = { ...fixture, tensors: { ...fixture.tensors, targets } };
    await assertRanksVerify(half, acquired, { tensor: 2, data: 2 });
    const none = { ...half, tensors: { ...half.tensors, targets: targets.map(() => -100) } };
    const { results } = await verifyRanks(none, acquired, { ...ALONE, tensor: 2, data: 2 }, {});
    assert(Number.isNaN(results.loss));
    assert(results.gradWeight!.every((value) => value === 0));
  });
});

Deno.test("one rank alone runs the plan of a run without ranks, bit for bit", async () => {
  await withDevice(async (acquired) => {
    const fixture = makeSynthetic(parseProblem({ ...ODD, pass: "train" }), 5);
    const alone = await verifyRanks(fixture, acquired, ALONE, {});
    const plain = await verify(fixture, acquired, {});
    assert.deepEqual(alone.plan.largest, plain.plan);
    assert.deepEqual(alone.results, plain.results);
  });
});

Deno.test("a matrix that spans buffers goes through a collective whole", async () => {
  await withDevice(async (acquired) => {
    const { profile } = acquired;
    const limits = {
      ...profile.limits,
      maxBufferSize: 24 * 1024,
      maxStorageBufferBindingSize: 24 * 1024,
    };
    const problem = parseProblem({ tokens: 768, hidden: 20, vocab: 301, pass: "train" });
    const { plan } = await assertRanksVerify(
      makeSynthetic(problem, 8),
      { ...acquired, profile: { ...profile, limits } },
      { tensor: 2, data: 2 },
      { strategy: "windowed", window: 64, block: 64 },
    );
    const sum = plan.collectives.find(({ what }) => what === "grad_hidden")!;
    assert(sum.source.length > 1);
    assert.equal(sum.elements, 384 * 20);
  });
});

Deno.test("PyTorch's answers hold for ranks as well", async () => {
  await withDevice(async (acquired) => {
    for (
      const name of [
        "class-weight-smoothing",
        "z-loss-smoothing-softcap",
        "none-weighted-grad",
        "vjp-logprob-lse-entropy",
        "trap-large-positive-rows",
        "trap-all-negative-rows",
      ]
    ) {
      const path = new URL(`../fixtures/oracle/${name}.safetensors`, import.meta.url).pathname;
      const fixture = await openCase(decodeURIComponent(path));
      const problem = parseProblem({ ...fixture.problem, pass: "train" });
      const { agreement } = await assertRanksVerify({ ...fixture, problem }, acquired, {
        tensor: 3,
      });
      assert(agreement.checks.every(({ against }) => against === "oracle"));
      assert(agreement.checks.some(({ name }) => name === "gradWeight"));
    }
  });
});

Deno.test("one rank's schedule does not run without the others", async () => {
  await withDevice(async ({ device, profile }) => {
    const fixture = makeSynthetic(parseProblem(ODD), 5);
    const split = { ...ALONE, tensor: 2 };
    const { largest, ranks } = planParallel(fixture.problem, profile, split, { hostIo: true });
    const weight = fixture.tensors.weight.subarray(0, 4 * ODD.hidden * ranks[0]!.vocab.count);
    const inputs = { ...uploads(fixture), weight };
    await assert.rejects(
      execute(largest.schedule, device, { inputs }),
      /one rank alone: all-reduce-max of max needs the others/,
    );
    const kept = planParallel(fixture.problem, profile, split);
    await assert.rejects(LinearCrossEntropy.create(device, kept.largest), /one rank's plan alone/);
  });
});

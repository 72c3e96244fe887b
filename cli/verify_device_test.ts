/**
 * Runs on a real device: every strategy and option against PyTorch and the
 * float64 reference, with memory measured against its prediction.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Fixture } from "../fixtures/fixture.ts";
import { findFixtures, openFixture } from "../fixtures/open.ts";
import { UnsupportedCaseError } from "../fixtures/oracle.ts";
import { makeSynthetic } from "../fixtures/synthetic.ts";
import type { AcquiredDevice } from "../kernels/device.ts";
import type { PlanOptions } from "../planner/plan.ts";
import { parseProblem, type Problem, type ProblemInput } from "../planner/problem.ts";
import type { StrategyName } from "../planner/schedule.ts";
import { formatTile, tileProblem, TILES } from "../planner/tile.ts";
import { openDevice } from "./gpu.ts";
import { verify } from "./verify.ts";

const ORACLE = decodeURIComponent(new URL("../fixtures/oracle", import.meta.url).pathname);

const STRATEGIES = {
  forward: ["fused", "two-stage"],
  train: ["windowed", "chunked", "two-stage"],
} as const satisfies Record<Problem["pass"], readonly StrategyName[]>;

/** Gives a device to a test and takes it back. */
async function withDevice(
  limits: "adapter" | "default",
  use: (acquired: AcquiredDevice) => Promise<void>,
): Promise<void> {
  const acquired = await openDevice({ limits });
  try {
    await use(acquired);
  } finally {
    acquired.device.destroy();
  }
}

function withPass(fixture: Fixture, pass: Problem["pass"]): Fixture {
  return { ...fixture, problem: parseProblem({ ...fixture.problem, pass }) };
}

/** Runs a fixture and asserts that numbers agree and memory is as predicted, to the byte. */
async function assertVerifies(
  fixture: Fixture,
  acquired: AcquiredDevice,
  options: PlanOptions,
) {
  const verification = await verify(fixture, acquired, options);
  const { agreement, memory, plan } = verification;
  const what = `${fixture.name} ${plan.schedule.strategy} ${JSON.stringify(options)} ${
    JSON.stringify(fixture.problem)
  }`;
  const wrong = agreement.checks.filter(({ ok }) => !ok);
  assert(agreement.ok, `${what}: ${JSON.stringify(wrong)}`);
  assert.equal(memory.measuredPeakBytes, plan.memory.peakBytes, what);
  assert.equal(memory.measuredExtraPeakBytes, plan.memory.extraPeakBytes, what);
  assert.equal(memory.leakedBytes, 0, what);
  return verification;
}

async function oracleCases(): Promise<Fixture[]> {
  const fixtures: Fixture[] = [];
  for (const path of await findFixtures(ORACLE)) {
    try {
      fixtures.push(await openFixture(path));
    } catch (error) {
      if (!(error instanceof UnsupportedCaseError)) throw error;
    }
  }
  return fixtures;
}

Deno.test("every oracle case agrees with PyTorch in every strategy", async (t) => {
  const cases = await oracleCases();
  assert.equal(cases.length, 34);
  await withDevice("adapter", async (acquired) => {
    for (const fixture of cases) {
      await t.step(fixture.name, async () => {
        for (const pass of ["forward", "train"] as const) {
          for (const strategy of STRATEGIES[pass]) {
            const { agreement } = await assertVerifies(withPass(fixture, pass), acquired, {
              strategy,
            });
            assert(agreement.checks.every(({ against }) => against === "oracle"));
            const gradients = agreement.checks.filter(({ name }) => name.startsWith("grad"));
            assert.equal(gradients.length > 0, pass === "train");
          }
        }
      });
    }
  });
});

Deno.test("the specification's default limits are enough", async (t) => {
  await withDevice("default", async (acquired) => {
    for (const fixture of await oracleCases()) {
      await t.step(fixture.name, async () => {
        for (const pass of ["forward", "train"] as const) {
          await assertVerifies(withPass(fixture, pass), acquired, {});
        }
      });
    }
  });
});

/** A device that allows little: matrices must span buffers, and be bound by windows and blocks. */
function confined({ device, profile, software }: AcquiredDevice): AcquiredDevice {
  return {
    device,
    software,
    profile: {
      name: `${profile.name}, confined`,
      limits: {
        ...profile.limits,
        maxBufferSize: 96 * 1024,
        maxStorageBufferBindingSize: 72 * 1024,
        minStorageBufferOffsetAlignment: 256,
        maxComputeWorkgroupStorageSize: 16384,
        maxComputeInvocationsPerWorkgroup: 128,
      },
    },
  };
}

Deno.test("a weight larger than a buffer and a binding works, in every storage type", async (t) => {
  await withDevice("adapter", async (acquired) => {
    for (const dtype of ["f32", "f16", "bf16"] as const) {
      for (const pass of ["forward", "train"] as const) {
        await t.step(`${dtype} ${pass}`, async () => {
          const problem = parseProblem({ tokens: 203, hidden: 61, vocab: 1501, dtype, pass });
          const strategy = pass === "forward" ? "fused" : "windowed";
          const { plan } = await assertVerifies(
            makeSynthetic(problem, 21),
            confined(acquired),
            { strategy, window: 128 },
          );
          const parts = plan.schedule.buffers.filter(({ holds }) => holds?.tensor === "weight");
          assert(parts.length > 1, "the weight spans buffers");
          assert(plan.schedule.window.count > parts.length, "a buffer holds several windows");
        });
      }
    }
  });
});

const problems = fc.record({
  tokens: fc.integer({ min: 1, max: 150 }),
  hidden: fc.integer({ min: 1, max: 70 }),
  vocab: fc.integer({ min: 1, max: 700 }),
  dtype: fc.constantFrom("f32", "f16", "bf16"),
  bias: fc.boolean(),
  classWeight: fc.boolean(),
  labelSmoothing: fc.constantFrom(0, 0.1),
  zLoss: fc.constantFrom(0, 1e-3),
  softcap: fc.constantFrom(undefined, 20),
  logitScale: fc.constantFrom(1, 0.5),
  reduction: fc.constantFrom("mean", "sum", "none"),
  objective: fc.constantFrom("cross-entropy", "cross-entropy", "statistics"),
  statistics: fc.subarray(["entropy", "predicted"]),
}).map((input) => parseProblem({ ...input, pass: "train" } as ProblemInput));

Deno.test("random problems agree with the reference, whatever the windows and blocks", {
  ignore: Deno.env.has("LCE_SLOW_DEVICE"),
}, async () => {
  await withDevice("adapter", async (acquired) => {
    await fc.assert(
      fc.asyncProperty(
        problems,
        fc.nat(),
        fc.constantFrom(256, 512),
        async (problem, seed, window) => {
          const fixture = makeSynthetic(problem, seed);
          for (
            const options of [
              { strategy: "windowed", window, block: 64 },
              { strategy: "chunked", block: 128 },
            ] as const
          ) {
            await assertVerifies(fixture, acquired, {
              ...options,
              window: "window" in options ? options.window : undefined,
            });
          }
        },
      ),
      { seed: 8, numRuns: 12 },
    );
  });
});

Deno.test("windows that end within a tile do not count the next one's ids", async () => {
  await withDevice("adapter", async (acquired) => {
    for (const dtype of ["f32", "bf16"] as const) {
      const problem = parseProblem({ tokens: 90, hidden: 128, vocab: 1003, dtype, pass: "train" });
      for (const window of [100, 140, 260]) {
        const { plan } = await assertVerifies(makeSynthetic(problem, window), acquired, {
          strategy: "windowed",
          window,
          block: 64,
        });
        assert(window % plan.schedule.tile.cols !== 0);
      }
    }
  });
});

Deno.test({
  name: "every shipped tile gives right results, whatever its edges cut",
  ignore: Deno.env.has("LCE_SLOW_DEVICE"),
  fn: async (t) => {
    await withDevice("adapter", async (acquired) => {
      const tiles = TILES.filter((tile) => !tileProblem(tile, acquired.profile.limits));
      assert(tiles.length >= 3);
      for (const [index, tile] of tiles.entries()) {
        await t.step(formatTile(tile), async () => {
          // One row and one column more than tiles hold, and a depth that is no multiple of theirs.
          const problem = parseProblem({
            tokens: tile.rows + 1,
            hidden: 37 + 4 * index,
            vocab: 3 * tile.cols + 1,
            pass: "train",
            labelSmoothing: index % 2 === 0 ? 0 : 0.1,
            statistics: ["entropy", "predicted"],
          });
          for (const strategy of ["windowed", "chunked"] as const) {
            await assertVerifies(makeSynthetic(problem, 31 + index), acquired, { strategy, tile });
          }
        });
      }
    });
  },
});

Deno.test("a streamed weight gives the same results, a window of it at a time on the device", async () => {
  await withDevice("adapter", async (acquired) => {
    for (const pass of ["forward", "train"] as const) {
      const problem = parseProblem({ tokens: 203, hidden: 61, vocab: 1501, pass, softcap: 20 });
      const options = { window: 256, block: 128 };
      const resident = await assertVerifies(makeSynthetic(problem, 5), acquired, options);
      const streamed = await assertVerifies(makeSynthetic(problem, 5), acquired, {
        ...options,
        weights: "streamed",
      });
      assert.equal(streamed.plan.schedule.residency, "windows");
      assert.equal(resident.plan.schedule.residency, "host");
      // One window of the weight, and one of its gradient, in place of the whole.
      const windowBytes = 4 * 256 * 61;
      const { input, output } = streamed.plan.memory.byCategory;
      const { byCategory: whole } = resident.plan.memory;
      // At the one's peak the targets are still there; at the other's nobody needs them any more.
      assert.equal(whole.input - input, 4 * 1501 * 61 - windowBytes + 4 * 203);
      if (pass === "train") assert.equal(whole.output - output, 4 * 1501 * 61 - windowBytes);
    }
  });
});

Deno.test("only the gradients asked for are computed, and paid for", async () => {
  await withDevice("adapter", async (acquired) => {
    const all = { tokens: 40, hidden: 24, vocab: 300, bias: true, pass: "train" } as const;
    const full = await assertVerifies(makeSynthetic(parseProblem(all), 2), acquired, {});
    for (const wanted of ["hidden", "weight", "bias"] as const) {
      const problem = parseProblem({ ...all, gradients: [wanted] });
      const { results, plan } = await assertVerifies(makeSynthetic(problem, 2), acquired, {
        strategy: full.plan.schedule.strategy,
      });
      assert.equal(results.gradHidden !== undefined, wanted === "hidden");
      assert.equal(results.gradWeight !== undefined, wanted === "weight");
      assert.equal(results.gradBias !== undefined, wanted === "bias");
      assert(plan.memory.peakBytes < full.plan.memory.peakBytes);
      assert(plan.cost.flops < full.plan.cost.flops);
    }
  });
});

Deno.test("a gradient filter skips tiles, and what it leaves out is below its threshold", async () => {
  await withDevice("adapter", async (acquired) => {
    const dimensions = { tokens: 64, hidden: 32, vocab: 4096, pass: "train", bias: true } as const;
    // Rare words are as good as impossible, so that only their targets' tiles are worth a thing.
    const skewed = (problem: Problem): Fixture => {
      const fixture = makeSynthetic(problem, 3);
      const bias = fixture.tensors.bias!.map((value, id) => id < 1000 ? value : value - 40);
      return { ...fixture, tensors: { ...fixture.tensors, bias } };
    };
    for (const strategy of STRATEGIES.train) {
      const exact = await assertVerifies(skewed(parseProblem(dimensions)), acquired, { strategy });
      assert.equal(exact.results.skippedTiles, undefined);
      const filtered = await assertVerifies(
        skewed(parseProblem({ ...dimensions, gradientFilter: 2 ** -12 })),
        acquired,
        { strategy },
      );
      const { skippedTiles } = filtered.results;
      assert(skippedTiles! > 0.5 && skippedTiles! < 1, `${strategy} skipped ${skippedTiles}`);
      assert.notDeepEqual(filtered.results.gradWeight, exact.results.gradWeight);
      const nothing = await assertVerifies(
        skewed(parseProblem({ ...dimensions, gradientFilter: 1e-37 })),
        acquired,
        { strategy },
      );
      assert.equal(nothing.results.skippedTiles, 0);
      assert.deepEqual(nothing.results.gradWeight, exact.results.gradWeight);
    }
  });
});

Deno.test("results are the same, bit for bit, from run to run", async () => {
  await withDevice("adapter", async (acquired) => {
    const problem = parseProblem({ tokens: 130, hidden: 40, vocab: 900, pass: "train" });
    const fixture = makeSynthetic(problem, 5);
    for (const strategy of STRATEGIES.train) {
      const [first, second] = [
        await verify(fixture, acquired, { strategy }),
        await verify(fixture, acquired, { strategy }),
      ];
      assert.deepEqual(first.results, second.results);
    }
  });
});

Deno.test("a mean over no tokens is not a number, and its gradients are zero", async () => {
  await withDevice("adapter", async (acquired) => {
    const problem = parseProblem({ tokens: 9, hidden: 8, vocab: 30, pass: "train" });
    const fixture = makeSynthetic(problem, 5);
    const ignored = {
      ...fixture,
      tensors: { ...fixture.tensors, targets: new Int32Array(9).fill(-100) },
    };
    const { results } = await verify(ignored, acquired, {});
    assert(Number.isNaN(results.loss));
    assert.equal(results.kept, 0);
    assert(results.gradHidden!.every((value) => value === 0));
    assert(results.gradWeight!.every((value) => value === 0));
  });
});

import assert from "node:assert/strict";
import { SPECIFICATION_DEFAULTS } from "./device.ts";
import { findDevice } from "./devices/profiles.ts";
import { makePlan } from "./plan.ts";
import { parseProblem } from "./problem_schema.ts";
import { dispatchesTogether } from "./schedule/cost.ts";
import { DISPATCH_SECONDS } from "./tuning.ts";

/** Speeds from a software device's to a large GPU's. */
const SPEEDS = [1e10, 1e11, 1e12, 1e13];

Deno.test("no dispatch of a plan takes longer than it may, by the device's measured rates", () => {
  for (const flopsPerSecond of SPEEDS) {
    const device = {
      ...SPECIFICATION_DEFAULTS,
      rates: {
        flopsPerSecond,
        bytesPerSecond: flopsPerSecond / 20,
        secondsPerDispatch: 1e-5,
        parallelInvocations: flopsPerSecond / 1e9,
      },
    };
    for (const pass of ["forward", "train"] as const) {
      for (const [tokens, hidden, vocab] of [[8192, 4096, 128256], [1023, 777, 50257]] as const) {
        const problem = parseProblem({ tokens, hidden, vocab, pass, dtype: "bf16" });
        for (const options of [{}, { hostIo: true, weights: "streamed" as const }]) {
          const { cost, shape } = makePlan(problem, device, options);
          const what = `${flopsPerSecond} ${pass} ${tokens} ${JSON.stringify(shape)}`;
          assert(cost.longestDispatch! <= DISPATCH_SECONDS, `${cost.longestDispatch} ${what}`);
          assert(
            cost.longestDispatch! * cost.dispatches >= cost.seconds / 2 || options.hostIo,
            what,
          );
        }
      }
    }
  }
});

Deno.test("what is handed to a device together takes no longer than one dispatch may", () => {
  for (const [longestDispatch, together] of [[0.2, 1], [0.09, 1], [0.04, 2], [1e-4, 16]]) {
    assert.equal(dispatchesTogether({ longestDispatch }), together);
  }
  assert.equal(dispatchesTogether({ longestDispatch: undefined }), 16);
});

Deno.test("who fixes sizes gets them, however long a dispatch takes", () => {
  const rates = {
    flopsPerSecond: 1e9,
    bytesPerSecond: 1e9,
    secondsPerDispatch: 1e-5,
    parallelInvocations: 64,
  };
  const device = { ...SPECIFICATION_DEFAULTS, rates };
  const problem = parseProblem({ tokens: 512, hidden: 512, vocab: 4096 });
  const { shape, cost } = makePlan(problem, device, { window: 4096, block: 512 });
  assert.deepEqual([shape.window, shape.block], [4096, 512]);
  assert(cost.longestDispatch! > DISPATCH_SECONDS);
  assert(makePlan(problem, device).cost.longestDispatch! <= DISPATCH_SECONDS);
  // So it is of products in subgroup matrices.
  const { matrix, split, ...others } = findDevice("h100-dawn")!.profile.rates!;
  const slow = { ...split!, flopsPerSecond: 1e9 };
  const chip = {
    ...findDevice("h100-dawn")!.profile,
    rates: { ...others, matrix: { ...matrix!, flopsPerSecond: 1e9 }, split: slow },
  };
  for (const [tier, dtype] of [["matrix", "f16"], ["split", "f32"]] as const) {
    const sizes = { window: 8192, block: 2048 };
    const asked = parseProblem({ tokens: 2048, hidden: 1024, vocab: 8192, dtype });
    const { shape } = makePlan(asked, chip, { ...sizes, tier });
    assert.deepEqual({ window: shape.window, block: shape.block }, sizes);
  }
  // Where nothing was measured, nothing is said.
  assert.equal(makePlan(problem, SPECIFICATION_DEFAULTS).cost.longestDispatch, undefined);
});

/** A software device's rates. */
const SLOW = {
  ...SPECIFICATION_DEFAULTS,
  rates: {
    flopsPerSecond: 1e9,
    bytesPerSecond: 5e8,
    secondsPerDispatch: 1e-5,
    parallelInvocations: 256,
  },
};

Deno.test("what is cut for time's sake is no narrower than a tile, which would cost time", () => {
  for (const pass of ["forward", "train"] as const) {
    const problem = parseProblem({ tokens: 1024, hidden: 768, vocab: 51200, pass });
    const { cost, shape } = makePlan(problem, SLOW);
    assert(shape.window >= shape.tile.cols, JSON.stringify(shape));
    const whole = makePlan(problem, SLOW, { window: 10240, block: 1024 });
    // In 100 ms it does two waves, of which the end and the idle part cost one and a half more.
    assert(cost.seconds <= 2.5 * whole.cost.seconds, `${cost.seconds} ${whole.cost.seconds}`);
  }
});

Deno.test("a job of more short dispatches than schedules have takes longer ones, and a plan there is", () => {
  for (const pass of ["forward", "train"] as const) {
    const problem = parseProblem({ tokens: 8192, hidden: 4096, vocab: 128256, pass });
    const { cost } = makePlan(problem, SLOW);
    assert(cost.longestDispatch! > DISPATCH_SECONDS && cost.longestDispatch! < 1);
  }
});

import assert from "node:assert/strict";
import { SPECIFICATION_DEFAULTS } from "../device.ts";
import { findDevice } from "../devices/profiles.ts";
import { makePlan } from "../plan.ts";
import { parseProblem } from "../problem_schema.ts";
import { productSeconds } from "./cost.ts";
import type { Dispatch } from "./schedule.ts";
import { registerTile, TILES } from "./tile.ts";
import { Products, runOf, tileOrder } from "./products.ts";

const tile = registerTile([32, 32, 16], [4, 4]);

Deno.test("tiles come in bands where caches cannot hold what all token tiles read", () => {
  const limits = { caches: 4096, band: 2 };
  assert.deepEqual(tileOrder(96, 64, tile, limits), { order: { band: 2 } });
  // As much as the caches hold, and as high as a band: no more.
  assert.deepEqual(tileOrder(64, 64, tile, limits), {});
  assert.deepEqual(tileOrder(96, 42, tile, limits), {});
  assert.deepEqual(tileOrder(64, 640, tile, limits), {});
});

Deno.test("the order of a projection's tiles is in the schedule, and one for all of its blocks", () => {
  const orders = (tokens: number) => {
    const problem = parseProblem({ tokens, hidden: 4096, vocab: 128256, pass: "train" });
    const device = {
      ...SPECIFICATION_DEFAULTS,
      limits: {
        ...SPECIFICATION_DEFAULTS.limits,
        maxBufferSize: 2 ** 34,
        maxStorageBufferBindingSize: 2 ** 32,
        maxComputeWorkgroupStorageSize: 2 ** 15,
      },
    };
    const { schedule } = makePlan(problem, device, {
      strategy: "windowed",
      tile: TILES[0],
      block: tokens,
    });
    const steps = schedule.steps.filter((step): step is Dispatch => step.kind === "dispatch");
    return new Map(steps.map(({ kernel, order }) => [kernel, order?.band]));
  };
  const high = orders(16384);
  assert.equal(high.get("forward"), 16);
  assert.equal(high.get("logit-gradient"), 16);
  assert.equal(high.get("weight-gradient"), undefined);
  assert.equal(orders(4096).get("forward"), undefined);
});

Deno.test("parts of a depth that run at once are in the tile that is fastest for all of them", () => {
  const device = findDevice("h100-deno")!.profile;
  const [tokens, hidden] = [512, 4096];
  const problem = parseProblem({ tokens, hidden, vocab: 128256, pass: "train" });
  const { schedule } = makePlan(problem, device, { strategy: "two-stage" });
  const { tile, span, workgroupFlops } = schedule.steps.find((step): step is Dispatch =>
    step.kind === "dispatch" && step.kernel === "hidden-gradient"
  )!;
  const parts = Math.ceil(128256 / span!);
  assert(parts > 1);
  const seconds = TILES.map((each) => {
    const workgroups = parts * Math.ceil(tokens / each.rows) * Math.ceil(hidden / each.cols);
    return productSeconds(each, workgroups, 2 * each.rows * each.cols * span!, device.rates);
  });
  assert.equal(TILES[seconds.indexOf(Math.min(...seconds))], tile);
  assert.equal(workgroupFlops, 2 * tile!.rows * tile!.cols * span!);
});

Deno.test("a workgroup in matrices takes as many tiles as fill whole waves, and no more than 64", () => {
  const subgroups = { rows: 4, cols: 2, size: 32 };
  const body = { kind: "matrix", subgroups, fragment: { m: 16, n: 16, k: 16 } } as const;
  const tile = { rows: 256, cols: 128, depth: 32, body };
  const rates = (workgroups: number) => ({
    ...{ flopsPerSecond: 1e12, bytesPerSecond: 1e12, secondsPerDispatch: 1e-5 },
    parallelInvocations: 1,
    matrix: { flopsPerSecond: 1e14, parallelInvocations: workgroups * 8 * 32 },
  });
  // bench/matrix.md: 33 windows of 32 token tiles are 8 waves of 132.
  assert.equal(runOf(tile, 8192 / 256, 256000 / 128, rates(132)), 61);
  assert.equal(runOf(tile, 1, 64 * 17, rates(1)), 64);
  assert.equal(runOf(registerTile([128, 128, 16], [8, 8]), 32, 2000, rates(132)), 1);
});

Deno.test("a depth is cut into as few parts as are about as fast as any, none of them long, nor their sums large", () => {
  const { limits, rates } = findDevice("h100-deno")!.profile;
  const [each] = TILES;
  const products = new Products([each!], rates);
  const shapes: [number, number, number][] = [
    [4096, 4096, 128256],
    [128, 4096, 16384],
    [512, 768, 50257],
    // Its waves are so many that nothing but the length of its depth is worth a cut.
    [24576, 8192, 65536],
  ];
  for (const [rows, cols, depth] of shapes) {
    const secondsOf = (parts: number) => {
      const span = Math.ceil(depth / parts);
      const workgroups = parts * Math.ceil(rows / 128) * Math.ceil(cols / 128);
      const moved = parts === 1 ? 0 : 2 * 4 * parts * rows * cols / rates!.bytesPerSecond;
      return productSeconds(each!, workgroups, 2 * 128 * 128 * span, rates) + moved;
    };
    const chosen = Math.ceil(depth / products.fittingSpan({ rows, cols, depth, unit: 1 }, limits));
    // Sums take half of what the logits take at most.
    const most = Math.min(32, Math.floor(depth / 2 / cols));
    const least = Math.ceil(depth / 32768);
    const others = Array.from({ length: most - least + 1 }, (_, index) => least + index);
    const fastest = Math.min(...others.map(secondsOf));
    const few = others.find((parts) => secondsOf(parts) <= 1.02 * fastest);
    assert.equal(chosen, few, `${rows} x ${cols} over ${depth}`);
  }
});

import assert from "node:assert/strict";
import { SPECIFICATION_DEFAULTS } from "../device.ts";
import { findDevice } from "../devices/profiles.ts";
import { makePlan } from "../plan.ts";
import { parseProblem } from "../problem_schema.ts";
import { productSeconds } from "./cost.ts";
import type { Dispatch } from "./schedule.ts";
import { registerTile, TILES } from "./tile.ts";
import { tileOrder } from "./products.ts";

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

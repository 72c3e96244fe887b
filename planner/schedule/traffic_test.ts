import assert from "node:assert/strict";
import { type DeviceProfile, SPECIFICATION_DEFAULTS } from "../device.ts";
import type { ProblemInput } from "../problem.ts";
import { parseProblem } from "../problem_schema.ts";
import { makePlan, type PlanOptions } from "../plan.ts";
import type { KernelName } from "./schedule.ts";
import { MATRIX_FEATURES } from "./tile.ts";

/** Sizes that are cut into three blocks, and into windows of which the last is shorter and no whole vector. */
const [TOKENS, BLOCK, HIDDEN, VOCAB] = [192, 64, 896, 1507];

/** A device that binds the logits of one block, and of the weight's gradient so many rows. */
const WINDOW = 104;
const DEVICE: DeviceProfile = {
  ...SPECIFICATION_DEFAULTS,
  features: MATRIX_FEATURES,
  matrices: [{ m: 16, n: 16, k: 16, component: "f16", result: "f32" }],
  limits: {
    ...SPECIFICATION_DEFAULTS.limits,
    maxComputeWorkgroupStorageSize: 2 ** 15,
    maxStorageBufferBindingSize: 4 * BLOCK * 1508,
  },
};

/** Returns the bytes that the dispatches of each kernel read and write, in the order of the schedule. */
function trafficOf(
  input: Partial<ProblemInput>,
  options: PlanOptions,
  device = DEVICE,
): Map<KernelName, number[]> {
  const sizes = { tokens: TOKENS, hidden: HIDDEN, vocab: VOCAB, pass: "train" };
  const problem = parseProblem({ ...sizes, ...input } as ProblemInput);
  const found = new Map<KernelName, number[]>();
  for (const step of makePlan(problem, device, options).schedule.steps) {
    if (step.kind !== "dispatch") continue;
    found.set(step.kernel, [...found.get(step.kernel) ?? [], step.traffic]);
  }
  return found;
}

const windows = Array.from(
  { length: Math.ceil(VOCAB / WINDOW) },
  (_, index) => Math.min(WINDOW, VOCAB - index * WINDOW),
);
const blocks = Array.from({ length: TOKENS / BLOCK }, (_, index) => index);

/** Each window of each block, in order, with what is counted of it. */
function each(count: (ids: number, block: number) => number): number[] {
  return blocks.flatMap((block) => windows.map((ids) => count(ids, block)));
}

/** Rows of a block's kept tokens, behind a count for each of up to 64 blocks. */
const KEPT = 4 * (64 + BLOCK);
/** The six numbers of each token that logit gradients are made of. */
const COEFFICIENTS = 4 * 6 * BLOCK;

Deno.test("a window of stored logits is read and written, not the rows that it lies in", () => {
  const options = { strategy: "chunked", block: BLOCK, tier: "f32" } as const;
  const traffic = trafficOf({ dtype: "f32" }, options);
  const floats = (ids: number) => 4 * BLOCK * (ids + (ids % 4 && 4 - ids % 4));
  const hidden = 4 * BLOCK * HIDDEN;
  assert.deepEqual(
    traffic.get("project"),
    each((ids) => KEPT + hidden + 4 * ids * HIDDEN + floats(ids)),
  );
  assert.deepEqual(
    traffic.get("stored-logit-gradient"),
    each((ids) => KEPT + COEFFICIENTS + 2 * floats(ids)),
  );
  // The first block begins the weight's gradient, the others add to it.
  assert.deepEqual(
    traffic.get("weight-gradient"),
    each((ids, block) => KEPT + hidden + floats(ids) + (block === 0 ? 1 : 2) * 4 * ids * HIDDEN),
  );
  assert.deepEqual(
    traffic.get("hidden-gradient"),
    each((ids) => KEPT + 4 * ids * HIDDEN + floats(ids) + 2 * hidden),
  );
  // A row's statistics are of all windows at once: whole rows are read.
  const statistics = 4 * 3 * BLOCK;
  assert.deepEqual(
    traffic.get("row-statistics"),
    blocks.map(() => KEPT + 4 * BLOCK + 4 * BLOCK * 1508 + statistics),
  );
});

Deno.test("gradients of stored logits in 16 bits are written once, in a window of their own", () => {
  const options = { strategy: "chunked", block: BLOCK, tier: "matrix" } as const;
  const traffic = trafficOf({ dtype: "f16" }, options);
  const bound = 4;
  const floats = (ids: number) => 4 * BLOCK * (ids + (ids % 4 && 4 - ids % 4));
  const halves = (ids: number) => 2 * BLOCK * (ids + (ids % 8 && 8 - ids % 8));
  assert.deepEqual(
    traffic.get("stored-logit-gradient"),
    each((ids) => KEPT + COEFFICIENTS + bound + floats(ids) + halves(ids)),
  );
  assert.deepEqual(
    traffic.get("weight-gradient"),
    each((ids, block) =>
      KEPT + 2 * BLOCK * HIDDEN + halves(ids) + bound + (block === 0 ? 1 : 2) * 4 * ids * HIDDEN
    ),
  );
});

Deno.test("of statistics that are bound whole, those of the block count", () => {
  const options = { strategy: "windowed", block: BLOCK, window: 64, tier: "f32" } as const;
  const tile = { rows: 32, cols: 32 };
  const forward = trafficOf({ dtype: "f32" }, options).get("forward")!;
  const sets = 4 * 3 * BLOCK * (64 / tile.cols);
  const product = KEPT + 4 * BLOCK + 4 * HIDDEN * (BLOCK + 64);
  // One window after the other, each of all blocks: the first begins the sets, the others add to them.
  assert.deepEqual(forward.slice(0, 3), blocks.map(() => product + sets));
  assert.deepEqual(forward.slice(3, 6), blocks.map(() => product + 2 * sets));
});

Deno.test("a gradient that is added up from several sums is written by each, and read by all but the first", () => {
  const tokens = 4096 + 64;
  const { limits } = SPECIFICATION_DEFAULTS;
  const device = {
    ...DEVICE,
    limits: { ...limits, maxComputeWorkgroupStorageSize: 2 ** 15 },
  };
  const options = { strategy: "windowed", block: tokens, window: 512, tier: "split" } as const;
  const traffic = trafficOf({ tokens, hidden: 256, vocab: 1024, dtype: "f32" }, options, device);
  const [first] = traffic.get("weight-gradient")!;
  const bounds = 4 + 8;
  // Sums over 2048, 2048 and 64 tokens.
  const result = (3 + 2) * 4 * 512 * 256;
  assert.equal(first, 4 * (64 + tokens) + 4 * tokens * (256 + 512) + bounds + result);
});

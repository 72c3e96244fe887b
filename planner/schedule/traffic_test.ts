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
  const sizes = "heads" in input ? {} : { hidden: HIDDEN, vocab: VOCAB };
  const problem = parseProblem(
    { tokens: TOKENS, pass: "train", ...sizes, ...input } as ProblemInput,
  );
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

/** Heads of the same width for problems of several. */
function heads(...names: string[]) {
  return { heads: names.map((name) => ({ name, hidden: HIDDEN, vocab: VOCAB })) };
}

/** Returns the traffic of a problem of several heads, in windows. */
function trafficOfHeads(input: Partial<ProblemInput>, strategy: PlanOptions["strategy"]) {
  return trafficOf(input, { strategy, block: BLOCK, window: WINDOW, tier: "f32" });
}

/** A window's logits of one head: all windows are of whole vectors but the last. */
const logitsOf = (ids: number) => 4 * BLOCK * (ids + (ids % 4 && 4 - ids % 4));

Deno.test("statistics beside a teacher's begin in the first window, those of their mixture are all there", () => {
  const distill = { divergence: "jsd" } as const;
  const traffic = trafficOfHeads({ ...heads("student", "teacher"), distill }, "windowed");
  // Max, sum and target of the student, max and sum of the teacher, and two distances.
  const statistics = 4 * 7 * BLOCK;
  const sorted = (bytes: number[]) => bytes.toSorted((a, b) => a - b);
  const looked = each((ids) => KEPT + 2 * logitsOf(ids));
  assert.deepEqual(
    sorted(traffic.get("distill-statistics")!),
    sorted(
      looked.map((bytes, index) =>
        bytes + 4 * BLOCK + (index % windows.length === 0 ? 1 : 2) * statistics
      ),
    ),
  );
  assert.deepEqual(
    sorted(traffic.get("distill-mixture")!),
    sorted(looked.map((bytes) => bytes + 2 * statistics)),
  );
});

Deno.test("moments of what is fused begin in the first window, and are added to in the others", () => {
  const traffic = trafficOfHeads(
    { ...heads("large", "expert", "base"), fusion: true, pass: "forward" },
    undefined,
  );
  // Four of each of 21 strengths, of the expert and of its base, and two logits of the target.
  const moments = 4 * (4 * 23 + 2) * BLOCK;
  const sorted = (bytes: number[]) => bytes.toSorted((a, b) => a - b);
  assert.deepEqual(
    sorted(traffic.get("fusion-moments")!),
    sorted(
      each((ids) => KEPT + 4 * BLOCK + 3 * logitsOf(ids)).map((bytes, index) =>
        bytes + (index % windows.length === 0 ? 1 : 2) * moments
      ),
    ),
  );
});

Deno.test("a gradient that is rounded is read in f32 and written in 16 bits", () => {
  const options = { strategy: "windowed", block: BLOCK, window: WINDOW, tier: "f32" } as const;
  const traffic = trafficOf({}, { ...options, gradientDtype: "bf16" });
  assert.deepEqual(
    traffic.get("round-gradient"),
    windows.map((ids) => (4 + 2) * ids * HIDDEN),
  );
});

Deno.test("a block half as long has half of the parts' sums", () => {
  const [hidden, vocab] = [64, 4096];
  const sizes = { tokens: BLOCK + BLOCK / 2, hidden, vocab };
  const options = { strategy: "windowed", block: BLOCK, window: vocab, tier: "f32" } as const;
  const [whole, half] = trafficOf(sizes, options, SPECIFICATION_DEFAULTS).get("hidden-sum")!;
  // Besides which rows are kept, a row's sums, of which there are some, and its gradient, read and
  // written.
  assert(whole! - KEPT >= (2 + 2) * 4 * BLOCK * hidden);
  assert.equal(2 * (half! - KEPT + 4 * BLOCK / 2), whole! - KEPT);
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
  // So is a block's hidden gradient over a window of so many ids, where its tiles alone fill the
  // device; and that was cleared before.
  const [block, hidden, ids] = [2048, 1024, tokens];
  const sizes = { tokens: block, hidden, vocab: ids, dtype: "f32" } as const;
  const [summed] = trafficOf(sizes, { ...options, block, window: ids }, device)
    .get("hidden-gradient")!;
  const read = 4 * (64 + block) + 4 * ids * (hidden + block) + bounds;
  assert.equal(summed, read + (3 + 3) * 4 * block * hidden);
});

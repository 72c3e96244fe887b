import assert from "node:assert/strict";
import { peakStepOf, predictMemory } from "./memory.ts";
import { parseProblem } from "../problem_schema.ts";
import type { BufferSpec, Schedule, Step } from "./schedule.ts";
import { TILES } from "./tile.ts";

/**
 * Returns a schedule of clears, each touching one buffer, beside an input that lives throughout.
 */
function scheduleOf(buffers: BufferSpec[], touched: string[]): Schedule {
  const steps: Step[] = touched.map((buffer) => ({
    kind: "clear",
    slice: { buffer, offset: 0, bytes: 4 },
  }));
  return {
    strategy: "fused",
    problem: parseProblem({ hidden: 1, vocab: 1 }),
    tile: TILES[0]!,
    window: { vocab: 1, count: 1 },
    block: { tokens: 1, count: 1 },
    splits: 1,
    logitStride: 0,
    gradientStride: 0,
    buffers,
    params: [],
    paramsStride: 256,
    steps,
    backwardStart: undefined,
    residency: "host",
  };
}

Deno.test("predictMemory() counts a buffer from its first use to its last", () => {
  const schedule = scheduleOf([
    { name: "x", bytes: 1000, category: "input" },
    { name: "a", bytes: 100, category: "scratch" },
    { name: "b", bytes: 30, category: "scratch" },
    { name: "c", bytes: 7, category: "state" },
  ], ["x", "a", "c", "a", "b", "b", "x", "c"]);
  assert.deepEqual(predictMemory(schedule), {
    peakBytes: 1107,
    extraPeakBytes: 107,
    byCategory: { input: 1000, output: 0, state: 7, scratch: 100, staging: 0 },
  });
  assert.equal(peakStepOf(schedule), 2);
  // The caller's stay, and so do ours from step to step.
  assert.deepEqual(predictMemory({ ...schedule, residency: "caller" }), {
    peakBytes: 1137,
    extraPeakBytes: 137,
    byCategory: { input: 1000, output: 0, state: 7, scratch: 130, staging: 0 },
  });
});

Deno.test("predictMemory() refuses a buffer that no step uses", () => {
  const schedule = scheduleOf([{ name: "a", bytes: 1, category: "scratch" }], []);
  assert.throws(() => predictMemory(schedule), /"a"/);
});

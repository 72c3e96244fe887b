import assert from "node:assert/strict";
import { openDevice } from "../../cli/request/device.ts";
import { makeSynthetic } from "../../fixtures/synthetic.ts";
import { uploads } from "../../fixtures/fixture.ts";
import { makePlan } from "../../planner/plan.ts";
import { parseProblem } from "../../planner/problem.ts";
import type { Schedule } from "../../planner/schedule/schedule.ts";
import { execute } from "./execute.ts";
import { Ledger } from "../measure/ledger.ts";

/**
 * Runs something while `performance.now()` counts dispatches in place of milliseconds,
 * so that a time says which of them it spans.
 */
async function countingDispatches<T>(run: () => Promise<T>): Promise<T> {
  const { dispatchWorkgroups } = GPUComputePassEncoder.prototype;
  const { now } = performance;
  let dispatches = 0;
  GPUComputePassEncoder.prototype.dispatchWorkgroups = function (...grid) {
    dispatches++;
    return dispatchWorkgroups.apply(this, grid);
  };
  performance.now = () => dispatches;
  try {
    return await run();
  } finally {
    performance.now = now;
    GPUComputePassEncoder.prototype.dispatchWorkgroups = dispatchWorkgroups;
  }
}

Deno.test("the time of a run spans its first dispatch to its last, whatever is read back between", async () => {
  const { device, profile } = await openDevice();
  const problem = parseProblem({ tokens: 70, hidden: 20, vocab: 900, pass: "train" });
  const inputs = uploads(makeSynthetic(problem, 3));
  for (const weights of ["resident", "streamed"] as const) {
    const { schedule } = makePlan(problem, profile, { weights, window: 256, hostIo: true });
    const dispatches = schedule.steps.filter(({ kind }) => kind === "dispatch").length;
    const { milliseconds } = await countingDispatches(() => execute(schedule, device, { inputs }));
    assert.equal(milliseconds, dispatches, weights);
  }
  device.destroy();
});

/** A schedule by hand, of a few steps on one buffer that is as large as its host tensor. */
function byHand(plain: Schedule, bytes: number, steps: Schedule["steps"]): Schedule {
  const holds = { tensor: "hidden", offset: 0 };
  return {
    ...plain,
    buffers: [
      { name: "hidden", bytes, category: "input", holds },
      { name: "staging", bytes: 256, category: "staging" },
    ].filter(({ name }) =>
      steps.some((step) => name === "hidden" || step.kind === "readback")
    ) as Schedule["buffers"],
    steps,
  };
}

Deno.test("a large tensor is uploaded in pieces, each to its place", async () => {
  const { device, profile } = await openDevice();
  const problem = parseProblem({ tokens: 8, hidden: 4, vocab: 9 });
  const bytes = 64 * 2 ** 20 + 512;
  const hidden = new Uint8Array(bytes);
  hidden.fill(1, 0, 256).fill(2, 64 * 2 ** 20 - 256, 64 * 2 ** 20).fill(3, bytes - 256);
  const slice = (offset: number, length = 256) => ({ buffer: "hidden", offset, bytes: length });
  const places = [0, 64 * 2 ** 20 - 256, bytes - 256];
  const schedule = byHand(makePlan(problem, profile, { hostIo: true }).schedule, bytes, [
    { kind: "upload", tensor: "hidden", sourceOffset: 0, slice: slice(0, bytes) },
    ...places.map((offset, index) => ({
      kind: "readback" as const,
      tensor: "hidden",
      targetOffset: 256 * index,
      slice: slice(offset),
      staging: { buffer: "staging", offset: 0, bytes: 256 },
    })),
  ]);
  const { outputs } = await execute(schedule, device, { inputs: { hidden } });
  for (const index of [0, 1, 2]) {
    const piece = outputs["hidden"]!.subarray(256 * index, 256 * (index + 1));
    assert(piece.every((byte) => byte === index + 1), `piece ${index} begins with ${piece[0]}`);
  }
  device.destroy();
});

Deno.test("what the device reports is thrown, and nothing stays allocated", async () => {
  const { device, profile } = await openDevice();
  const problem = parseProblem({ tokens: 8, hidden: 4, vocab: 9 });
  const schedule = byHand(makePlan(problem, profile, { hostIo: true }).schedule, 512, [
    // Offsets of clears are multiples of 4.
    { kind: "clear", slice: { buffer: "hidden", offset: 2, bytes: 4 } },
    { kind: "clear", slice: { buffer: "hidden", offset: 0, bytes: 4 } },
  ]);
  const ledger = new Ledger(device);
  await assert.rejects(execute(schedule, device), { name: "GpuError", message: /device reports/ });
  assert.equal(ledger.peakBytes, 512);
  assert.equal(ledger.liveBytes, 0);
  const missing = makePlan(problem, profile, { hostIo: true }).schedule;
  await assert.rejects(execute(missing, device), /No host tensor \w+ to upload/);
  assert.equal(ledger.liveBytes, 0, "a run that breaks off gives its buffers back");
  ledger.detach();
  device.destroy();
});

import assert from "node:assert/strict";
import { openDevice } from "../cli/gpu.ts";
import { makeSynthetic } from "../fixtures/synthetic.ts";
import { uploads } from "../fixtures/fixture.ts";
import { makePlan } from "../planner/plan.ts";
import { parseProblem } from "../planner/problem.ts";
import { execute } from "./execute.ts";

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

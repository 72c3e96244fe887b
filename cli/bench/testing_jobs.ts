/**
 * What `lce bench` and `lce tune` give a device, as small jobs that it may fail at.
 *
 * @module
 */
import { calibrate } from "../../kernels/measure/calibrate.ts";
import { measurePeaks } from "../../kernels/measure/peaks.ts";
import type { Job } from "../../kernels/testing/every_fault.ts";
import type { DeviceProfile } from "../../planner/device.ts";
import { makePlan } from "../../planner/plan.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import { measure } from "./measure.ts";
import { timeStaging } from "./tune_links.ts";

/** Returns every job by name. What they measure is the machine's business, and not their result. */
export function measuringJobs(profile: DeviceProfile): Map<string, Job> {
  const problem = parseProblem({ tokens: 5, hidden: 8, vocab: 150, pass: "train" });
  const plan = makePlan(problem, profile, { strategy: "windowed", window: 64 });
  return new Map<string, Job>([
    ["peaks, copies for other ranks, and windowed, train, timed", async (device) => {
      await measurePeaks({ device, software: true }, { seconds: 0 });
      await timeStaging(device, { sizes: [20, 36], seconds: 0, repeats: 2 });
      const how = { repeats: 1, budgetMs: 1, warmUpMs: 0 };
      const { repeats } = await measure(plan, { device, profile, software: true }, how);
      return repeats;
    }],
    ["a calibration", async (device) => {
      const { parallelInvocations } = await calibrate(device, profile, { software: true });
      return parallelInvocations;
    }],
  ]);
}

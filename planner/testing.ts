/**
 * Random problems and devices, for tests of properties.
 *
 * @module
 */
import fc from "fast-check";
import { type DeviceProfile, SPECIFICATION_DEFAULTS } from "./device.ts";
import type { ProblemInput } from "./problem.ts";
import { parseProblem } from "./problem_schema.ts";

/** How often, from where. */
export const SEED = { seed: 3, numRuns: 150 };

/** Problems of all kinds, small enough to be planned many times. */
export const problems = fc.record({
  tokens: fc.integer({ min: 1, max: 3000 }),
  hidden: fc.integer({ min: 1, max: 700 }),
  vocab: fc.integer({ min: 1, max: 40000 }),
  dtype: fc.constantFrom("f32", "f16", "bf16"),
  pass: fc.constantFrom("forward", "train"),
  bias: fc.boolean(),
  labelSmoothing: fc.constantFrom(0, 0.1),
  classWeight: fc.boolean(),
  reduction: fc.constantFrom("mean", "none"),
}).map((input) => parseProblem(input as ProblemInput));

/** Devices with limits from a twentieth of the specification's up. */
export const devices = fc.record({
  buffer: fc.integer({ min: 20, max: 30 }),
  binding: fc.integer({ min: 20, max: 28 }),
  workgroup: fc.constantFrom(8192, 16384, 32768),
  invocations: fc.constantFrom(64, 128, 256, 1024),
}).map(({ buffer, binding, workgroup, invocations }): DeviceProfile => ({
  name: "random",
  limits: {
    ...SPECIFICATION_DEFAULTS.limits,
    maxBufferSize: 2 ** Math.max(buffer, binding),
    maxStorageBufferBindingSize: 2 ** binding,
    maxComputeWorkgroupStorageSize: workgroup,
    maxComputeInvocationsPerWorkgroup: invocations,
    maxComputeWorkgroupSizeX: invocations,
  },
}));

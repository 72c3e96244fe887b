/**
 * Measuring a plan's speed on a device: inputs made once, kernels warmed up,
 * the median of some repeats.
 *
 * @module
 */
import { encodeElements } from "../fixtures/elements.ts";
import { Random } from "../fixtures/random.ts";
import type { AcquiredDevice } from "../kernels/device.ts";
import { withErrorScopes } from "../kernels/execute.ts";
import { compileKernels } from "../kernels/pipelines.ts";
import { Stage } from "../kernels/stage.ts";
import { idleTime, type StepTimes, timeSteps } from "../kernels/timing.ts";
import type { Plan } from "../planner/plan.ts";
import type { Problem } from "../planner/problem.ts";
import type { BufferSpec } from "../planner/schedule.ts";

/** What was measured of one plan. */
export interface Measurement {
  readonly plan: Plan;
  /** Median milliseconds of one pass, and the fastest and slowest repeat. */
  readonly ms: number;
  readonly fastest: number;
  readonly slowest: number;
  readonly repeats: number;
  /** TFLOP/s by convention: 2NDV forward, 6NDV training, whatever was recomputed. */
  readonly tflops: number;
  /** Milliseconds spent compiling, before the first repeat. */
  readonly compileMs: number;
  readonly clock: StepTimes["clock"];
  /** Milliseconds of each kernel in the median repeat. */
  readonly byKernel: ReadonlyMap<string, number>;
}

/** How often to measure. */
export interface MeasureOptions {
  readonly repeats: number;
  /** No further repeats once they took this many milliseconds together. */
  readonly budgetMs: number;
}

/**
 * Times a plan that works on the caller's buffers.
 *
 * @throws {GpuError} when memory runs out or the device fails.
 */
export async function measure(
  plan: Plan,
  { device }: AcquiredDevice,
  { repeats, budgetMs }: MeasureOptions,
): Promise<Measurement> {
  const { schedule, problem } = plan;
  const begun = performance.now();
  const kernels = await compileKernels(device, schedule);
  const compileMs = performance.now() - begun;
  const stage = new Stage(schedule, device, kernels);
  try {
    return await withErrorScopes(device, async () => {
      for (const spec of schedule.buffers) {
        stage.create(spec);
        if (spec.category === "input") fill(device, stage.buffer(spec.name), spec, problem);
      }
      const idle = await idleTime(device);
      await timeSteps(stage, schedule.steps, idle);
      const runs: StepTimes[] = [];
      let spent = 0;
      while (runs.length < repeats && (runs.length === 0 || spent < budgetMs)) {
        const run = await timeSteps(stage, schedule.steps, idle);
        runs.push(run);
        spent += run.milliseconds;
      }
      runs.sort((a, b) => a.milliseconds - b.milliseconds);
      const median = runs[Math.floor(runs.length / 2)]!;
      return {
        plan,
        ms: median.milliseconds,
        fastest: runs[0]!.milliseconds,
        slowest: runs.at(-1)!.milliseconds,
        repeats: runs.length,
        tflops: conventionalFlops(problem) / median.milliseconds / 1e9,
        compileMs,
        clock: median.clock,
        byKernel: median.byKernel,
      };
    });
  } finally {
    stage.destroyAll();
  }
}

/** FLOPs by the usual convention: 2NDV forward, 6NDV with gradients, whatever was recomputed. */
export function conventionalFlops({ tokens, hidden, vocab, pass }: Problem): number {
  return (pass === "train" ? 6 : 2) * tokens * hidden * vocab;
}

/** Elements of the random pattern that inputs are filled with, again and again. */
const PATTERN = 1 << 20;

/** Fills an input: small normal numbers, or ids within the vocabulary. */
function fill(device: GPUDevice, buffer: GPUBuffer, spec: BufferSpec, problem: Problem): void {
  const random = new Random(1);
  const bytes = spec.holds!.tensor === "targets"
    ? new Uint8Array(
      Int32Array.from({ length: problem.tokens }, () => random.below(problem.vocab)).buffer,
    )
    : encodeElements(
      ["hidden", "weight"].includes(spec.holds!.tensor) ? problem.dtype : "f32",
      Float32Array.from({ length: PATTERN }, () => random.normal() * problem.hidden ** -0.25),
    );
  for (let at = 0; at < buffer.size; at += bytes.length) {
    const size = Math.min(bytes.length, buffer.size - at);
    device.queue.writeBuffer(buffer, at, bytes as BufferSource, 0, size);
    if ((at / bytes.length) % 16 === 15) device.queue.submit([]);
  }
}

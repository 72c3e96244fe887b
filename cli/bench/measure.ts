/**
 * Measuring a plan's speed on a device: inputs made once, kernels warmed up,
 * the median of some repeats.
 *
 * @module
 */
import type { AcquiredDevice } from "../../kernels/run/device.ts";
import { OutOfMemoryError, withErrorScopes } from "../../kernels/run/errors.ts";
import { compileKernels } from "../../kernels/run/pipelines.ts";
import { Encoder } from "../../kernels/run/encoder.ts";
import { Warmth } from "../../kernels/measure/warmth.ts";
import { idleTime, type StepTimes, timeKernels, timeSteps } from "../../kernels/measure/timing.ts";
import { DoesNotFitError, type Plan } from "../../planner/plan.ts";
import { type Problem, projectionFlops, wantedGradients } from "../../planner/problem.ts";
import type { Step } from "../../planner/schedule/schedule.ts";
import { type InputKind, writeInputs } from "./inputs.ts";

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
  /** Milliseconds of each kernel in a pass in which each dispatch waits for the one before. */
  readonly byKernel: ReadonlyMap<string, number>;
}

/** How often to measure. */
export interface MeasureOptions {
  readonly repeats: number;
  /** No further repeats once they took this many milliseconds together. */
  readonly budgetMs: number;
  /** Least milliseconds of work before the first repeat: a GPU raises its clock under load. */
  readonly warmUpMs: number;
  /** Whether each kernel is timed too, once; so it is unless told. */
  readonly kernels?: boolean;
  /** What is computed on; `flat` unless told. */
  readonly inputs?: InputKind;
}

/** Two passes that differ by less than this share are as fast as each other. */
const SETTLED = 0.02;

/**
 * Least milliseconds of work that is timed at once. Between two measurements the
 * GPU waits for the host to notice, 10 ms under Deno: where passes are shorter than
 * that it lowers its clock again.
 */
const BATCH_MS = 30;

/** Most passes that are timed at once. */
const MAX_ROUNDS = 256;

/** How much longer than asked a warm-up may last when passes keep getting faster. */
const PATIENCE = 5;

/**
 * Times a plan that works on the caller's buffers.
 *
 * @throws {GpuError} when memory runs out or the device fails.
 */
export async function measure(
  plan: Plan,
  { device, software }: AcquiredDevice,
  { repeats, budgetMs, warmUpMs, kernels = true, inputs = "flat" }: MeasureOptions,
): Promise<Measurement> {
  const { schedule, problem } = plan;
  const begun = performance.now();
  const compiled = await compileKernels(device, schedule);
  const compileMs = performance.now() - begun;
  const encoder = new Encoder(schedule, device, compiled);
  try {
    return await withErrorScopes(device, async () => {
      for (const spec of schedule.buffers) encoder.create(spec);
      await encoder.allocated();
      writeInputs(encoder, plan, inputs);
      const idle = await idleTime(device);
      const warmth = new Warmth(device, software);
      const timed = (steps: readonly Step[]) => warmth.timed(() => timeSteps(encoder, steps, idle));
      const first = await timed(schedule.steps);
      const rounds = Math.min(MAX_ROUNDS, Math.ceil(BATCH_MS / Math.max(first.milliseconds, 0.01)));
      const batch = repeated(schedule.steps, rounds);
      const pass = async () => {
        const { milliseconds, clock } = await timed(batch);
        return { milliseconds: milliseconds / rounds, clock };
      };
      await warmUp(pass, warmUpMs);
      const runs: StepTimes[] = [];
      let spent = 0;
      while (runs.length < repeats && (runs.length === 0 || spent < budgetMs)) {
        const run = await pass();
        runs.push(run);
        spent += run.milliseconds * rounds;
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
        byKernel: kernels ? await timeKernels(encoder, schedule.steps) : new Map(),
      };
    });
  } finally {
    encoder.destroyAll();
  }
}

/** Returns whether an error says that a job is too large for a device, and not that it failed. */
export function isTooLarge(error: unknown): error is DoesNotFitError | OutOfMemoryError {
  return error instanceof DoesNotFitError || error instanceof OutOfMemoryError;
}

/** Returns steps repeated until they last long enough. */
function repeated(steps: readonly Step[], rounds: number): Step[] {
  return Array.from({ length: rounds }, () => steps).flat();
}

/** Runs passes until two in a row take the same time, for at least the time given. */
async function warmUp(pass: () => Promise<StepTimes>, leastMs: number): Promise<void> {
  const begun = performance.now();
  for (let before = Infinity;;) {
    const { milliseconds } = await pass();
    const spent = performance.now() - begun;
    const settled = Math.abs(milliseconds - before) <= SETTLED * milliseconds;
    if ((settled && spent >= leastMs) || spent >= PATIENCE * leastMs) return;
    before = milliseconds;
  }
}

/**
 * Returns the FLOPs by the usual convention: 2NDV forward, 6NDV with gradients, whatever was
 * recomputed; 2NDV of a head without gradients, such as a frozen teacher's.
 */
export function conventionalFlops(problem: Problem): number {
  const { tokens, heads } = problem;
  return heads.reduce((sum, head) => {
    const { hidden, vocab } = head;
    const learns = wantedGradients(problem, head).size > 0;
    return sum + (learns ? 3 : 1) * projectionFlops({ tokens, hidden, vocab });
  }, 0);
}

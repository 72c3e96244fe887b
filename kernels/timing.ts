/**
 * Time on the device: timestamp queries around every dispatch where the device
 * offers them, the wall clock where it does not.
 *
 * @module
 */
import type { Dispatch, KernelName, Step } from "../planner/schedule.ts";
import type { Stage } from "./stage.ts";

/** How long some steps took, in milliseconds. */
export interface StepTimes {
  /** From the beginning of the first dispatch to the end of the last. */
  readonly milliseconds: number;
  /** Time within the dispatches of each kernel; empty where only the wall clock was read. */
  readonly byKernel: ReadonlyMap<KernelName, number>;
  readonly clock: "timestamps" | "wall";
}

/** Queries that a WebGPU query set may hold; two for each dispatch. */
const MAX_QUERIES = 4096;

/** Bytes of one timestamp. */
const TIMESTAMP_BYTES = 8;

/**
 * Plays steps and waits for their end. Deno polls for it every 10 ms, so that
 * the wall clock is no use below some hundred: `idleMilliseconds` measures what
 * waiting for nothing takes, to be taken off.
 */
export async function timeSteps(
  stage: Stage,
  steps: readonly Step[],
  idleMilliseconds = 0,
): Promise<StepTimes> {
  const dispatches = steps.filter((step): step is Dispatch => step.kind === "dispatch");
  const queries = 2 * dispatches.length;
  if (!stage.device.features.has("timestamp-query") || queries > MAX_QUERIES) {
    return await byWallClock(stage, steps, idleMilliseconds);
  }
  const { device } = stage;
  const set = device.createQuerySet({ type: "timestamp", count: queries });
  const size = queries * TIMESTAMP_BYTES;
  const resolved = device.createBuffer({
    label: "staging/timestamps",
    size,
    usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
  });
  const staging = device.createBuffer({
    label: "staging/timestamps",
    size,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  try {
    let next = 0;
    stage.timestamps = () => ({
      querySet: set,
      beginningOfPassWriteIndex: next++,
      endOfPassWriteIndex: next++,
    });
    playAll(stage, steps);
    stage.encoder().resolveQuerySet(set, 0, queries, resolved, 0);
    stage.encoder().copyBufferToBuffer(resolved, 0, staging, 0, size);
    stage.submit();
    await staging.mapAsync(GPUMapMode.READ);
    const ticks = new BigUint64Array(staging.getMappedRange().slice(0));
    // WebGPU timestamps are nanoseconds.
    const between = (from: number, to: number) => Number(ticks[to]! - ticks[from]!) / 1e6;
    const byKernel = new Map<KernelName, number>();
    dispatches.forEach(({ kernel }, index) => {
      const time = between(2 * index, 2 * index + 1);
      byKernel.set(kernel, (byKernel.get(kernel) ?? 0) + time);
    });
    return { milliseconds: between(0, queries - 1), byKernel, clock: "timestamps" };
  } finally {
    stage.timestamps = undefined;
    resolved.destroy();
    staging.destroy();
    set.destroy();
  }
}

async function byWallClock(
  stage: Stage,
  steps: readonly Step[],
  idleMilliseconds: number,
): Promise<StepTimes> {
  const { queue } = stage.device;
  await queue.onSubmittedWorkDone();
  const begun = performance.now();
  playAll(stage, steps);
  stage.submit();
  await queue.onSubmittedWorkDone();
  const milliseconds = Math.max(0, performance.now() - begun - idleMilliseconds);
  return { milliseconds, byKernel: new Map(), clock: "wall" };
}

/** Milliseconds that waiting for an idle queue takes: the median of some. */
export async function idleTime({ queue }: GPUDevice): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    const begun = performance.now();
    await queue.onSubmittedWorkDone();
    times.push(performance.now() - begun);
  }
  return times.sort((a, b) => a - b)[2]!;
}

function playAll(stage: Stage, steps: readonly Step[]): void {
  for (const step of steps) {
    if (step.kind === "dispatch" || step.kind === "clear") stage.play(step);
  }
}

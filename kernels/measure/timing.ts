/**
 * Time on the device: timestamp queries where the device offers them, the wall
 * clock where it does not.
 *
 * @module
 */
import type { Dispatch, KernelName, Step } from "../../planner/schedule/schedule.ts";
import type { Encoder } from "../run/encoder.ts";
import { BufferUsage } from "../run/provider.ts";
import { mapped } from "../run/readback.ts";

/** How long some steps took, in milliseconds. */
export interface StepTimes {
  /** From the beginning of the first dispatch to the end of the last. */
  readonly milliseconds: number;
  readonly clock: "timestamps" | "wall";
}

/** Queries that a WebGPU query set may hold; two for each dispatch. */
const MAX_QUERIES = 4096;

/** Bytes of one timestamp. */
const TIMESTAMP_BYTES = 8;

/**
 * Plays steps and waits for their end. Two timestamps, so that dispatches that do
 * not depend on each other may overlap, as they do outside of measurements.
 *
 * Deno polls for the end of work every 10 ms, so that the wall clock is no use
 * below some hundred: `idleMilliseconds` measures what waiting for nothing takes,
 * to be taken off.
 */
export async function timeSteps(
  encoder: Encoder,
  steps: readonly Step[],
  idleMilliseconds = 0,
): Promise<StepTimes> {
  const last = dispatchesOf(steps).length - 1;
  if (!encoder.device.features.has("timestamp-query")) {
    return await byWallClock(encoder, steps, idleMilliseconds);
  }
  const [begun, ended] = await runTimed(encoder, steps, 2, (dispatch) => endsOf(dispatch, last));
  return { milliseconds: milliseconds(begun!, ended!), clock: "timestamps" };
}

/**
 * Returns the milliseconds within the dispatches of each kernel, every dispatch by itself; nothing
 * where the device has no timestamps, or the steps are too many.
 */
export async function timeKernels(
  encoder: Encoder,
  steps: readonly Step[],
): Promise<ReadonlyMap<KernelName, number>> {
  const dispatches = dispatchesOf(steps);
  const queries = 2 * dispatches.length;
  const byKernel = new Map<KernelName, number>();
  if (!encoder.device.features.has("timestamp-query") || queries > MAX_QUERIES) return byKernel;
  const ticks = await runTimed(encoder, steps, queries, (dispatch) => ({
    beginningOfPassWriteIndex: 2 * dispatch,
    endOfPassWriteIndex: 2 * dispatch + 1,
  }));
  dispatches.forEach(({ kernel }, index) => {
    const time = milliseconds(ticks[2 * index]!, ticks[2 * index + 1]!);
    byKernel.set(kernel, (byKernel.get(kernel) ?? 0) + time);
  });
  return byKernel;
}

/** Returns what a pass writes, of which the first tells when it begins and the last when it ends. */
export function endsOf(
  pass: number,
  last: number,
): Omit<GPUComputePassTimestampWrites, "querySet"> | undefined {
  if (pass !== 0 && pass !== last) return undefined;
  return {
    ...(pass === 0 ? { beginningOfPassWriteIndex: 0 } : {}),
    ...(pass === last ? { endOfPassWriteIndex: 1 } : {}),
  };
}

function dispatchesOf(steps: readonly Step[]): Dispatch[] {
  return steps.filter((step): step is Dispatch => step.kind === "dispatch");
}

/** Returns the time between two timestamps, which are nanoseconds. */
export function milliseconds(from: bigint, to: bigint): number {
  return Number(to - from) / 1e6;
}

/** Plays steps with timestamps where each dispatch is told to write them. */
async function runTimed(
  encoder: Encoder,
  steps: readonly Step[],
  queries: number,
  writesOf: (dispatch: number) => Omit<GPUComputePassTimestampWrites, "querySet"> | undefined,
): Promise<BigUint64Array> {
  try {
    return await ticksOf(encoder.device, queries, (set) => {
      let next = 0;
      encoder.timestamps = () => {
        const writes = writesOf(next++);
        return writes ? { querySet: set, ...writes } : undefined;
      };
      encodeAll(encoder, steps);
      return encoder;
    });
  } finally {
    encoder.timestamps = undefined;
  }
}

/**
 * Returns what some work wrote to a set of queries that it is given.
 *
 * @param play records the work, and returns the commands that it is in, to go on with.
 */
async function ticksOf(
  device: GPUDevice,
  queries: number,
  play: (set: GPUQuerySet) => Pick<Encoder, "commands" | "submit">,
): Promise<BigUint64Array> {
  const set = device.createQuerySet({ type: "timestamp", count: queries });
  const size = queries * TIMESTAMP_BYTES;
  const buffers: GPUBuffer[] = [];
  const create = (usage: number): GPUBuffer => {
    const buffer = device.createBuffer({ label: "staging/timestamps", size, usage });
    buffers.push(buffer);
    return buffer;
  };
  try {
    const resolved = create(BufferUsage.QUERY_RESOLVE | BufferUsage.COPY_SRC);
    const staging = create(BufferUsage.MAP_READ | BufferUsage.COPY_DST);
    const work = play(set);
    work.commands().resolveQuerySet(set, 0, queries, resolved, 0);
    work.commands().copyBufferToBuffer(resolved, 0, staging, 0, size);
    work.submit();
    const ticks = await mapped(staging, "timestamps", { offset: 0, bytes: size });
    return new BigUint64Array(ticks.slice(0));
  } finally {
    for (const buffer of buffers) buffer.destroy();
    set.destroy();
  }
}

/** Returns the milliseconds of some work in commands of its own, which writes to a set of two queries. */
export async function millisecondsOf(
  device: GPUDevice,
  record: (commands: GPUCommandEncoder, set: GPUQuerySet) => void,
): Promise<number> {
  const [from, to] = await ticksOf(device, 2, (set) => {
    const commands = device.createCommandEncoder();
    record(commands, set);
    const submit = () => device.queue.submit([commands.finish()]);
    return { commands: () => commands, submit };
  });
  return milliseconds(from!, to!);
}

async function byWallClock(
  encoder: Encoder,
  steps: readonly Step[],
  idleMilliseconds: number,
): Promise<StepTimes> {
  const { queue } = encoder.device;
  await queue.onSubmittedWorkDone();
  const begun = performance.now();
  encodeAll(encoder, steps);
  encoder.submit();
  await queue.onSubmittedWorkDone();
  const spent = Math.max(0, performance.now() - begun - idleMilliseconds);
  return { milliseconds: spent, clock: "wall" };
}

/** Returns the milliseconds that waiting for an idle queue takes: the median of some. */
export async function idleTime({ queue }: GPUDevice): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    const begun = performance.now();
    await queue.onSubmittedWorkDone();
    times.push(performance.now() - begun);
  }
  return times.sort((a, b) => a - b)[2]!;
}

function encodeAll(encoder: Encoder, steps: readonly Step[]): void {
  for (const step of steps) {
    if (step.kind === "dispatch" || step.kind === "clear") encoder.encode(step);
  }
}

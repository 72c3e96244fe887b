/**
 * What a device can do at best: arithmetic in registers, reading from memory,
 * and how long a dispatch takes that does nothing. The roof over every kernel.
 *
 * @module
 */
import type { AcquiredDevice } from "../run/device.ts";
import { withErrorScopes } from "../run/errors.ts";
import { type Effort, Stopwatch } from "./stopwatch.ts";
import { ARITHMETIC, NOTHING, READING, withData, WORKGROUP_FLOPS, workOf } from "./work.ts";

/** A device's measured peaks. */
export interface Peaks extends Traffic {
  /** f32 multiply-adds in registers, counted as two. */
  readonly flopsPerSecond: number;
}

/** What a device's dispatches take besides arithmetic. */
export interface Traffic {
  /** Reading a buffer much larger than caches, one vec4 at a time. */
  readonly bytesPerSecond: number;
  /** From the start of one empty dispatch to the start of the next. */
  readonly secondsPerDispatch: number;
}

/**
 * Bytes read at a time, where the device allows it: five times what the caches of an H100 hold, and
 * less than the 1 GiB for which SwiftShader has no memory.
 */
const MOST_READ = 2 ** 28;

/** Most dispatches of one pass: enough that those which do nothing can be timed. */
export const MOST_DISPATCHES = 1 << 16;

/** Workgroups that fill a device. A software device wants far fewer than a GPU does. */
const GROUPS = { software: 64, arithmetic: 8192, reading: 2048 } as const;

/**
 * Measures a device's peaks, in about `seconds` for each.
 *
 * @throws {OutOfMemoryError} when memory runs out.
 * @throws {GpuError} when the device reports an error or is lost.
 */
export function measurePeaks(
  acquired: Pick<AcquiredDevice, "device" | "software">,
  how: { readonly seconds: number },
): Promise<Peaks> {
  return withErrorScopes(acquired.device, () => measureAll(acquired, how));
}

async function measureAll(
  { device, software }: Pick<AcquiredDevice, "device" | "software">,
  { seconds }: { readonly seconds: number },
): Promise<Peaks> {
  const effort = { timed: seconds, patience: Infinity, most: MOST_DISPATCHES };
  const watch = await Stopwatch.of(device, software);
  return await withData(device, async (data) => {
    const groups = software ? GROUPS.software : GROUPS.arithmetic;
    const taken = await secondsOf(watch, ARITHMETIC, data, groups, effort);
    const flopsPerSecond = groups * WORKGROUP_FLOPS / taken;
    return { flopsPerSecond, ...await trafficOf(watch, data, effort) };
  }, MOST_READ);
}

/** Measures how fast a device reads, and what a dispatch takes, with some memory. */
export async function measureTraffic(
  watch: Stopwatch,
  { bytes, ...effort }: Effort & { readonly bytes: number },
): Promise<Traffic> {
  return await withData(watch.device, (data) => trafficOf(watch, data, effort), bytes);
}

async function trafficOf(
  watch: Stopwatch,
  data: GPUBuffer,
  effort: Effort,
): Promise<Traffic> {
  const groups = watch.software ? GROUPS.software : GROUPS.reading;
  return {
    bytesPerSecond: data.size / await secondsOf(watch, READING, data, groups, effort),
    secondsPerDispatch: await secondsOf(watch, NOTHING, data, 1, effort),
  };
}

/** Returns the seconds of one dispatch of some text. */
async function secondsOf(
  watch: Stopwatch,
  code: string,
  data: GPUBuffer,
  groups: number,
  effort: Effort,
): Promise<number> {
  return await watch.secondsOfOne(await workOf(watch.device, code, data, groups), effort);
}

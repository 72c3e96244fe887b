/**
 * Cost of a schedule: a fold over its steps.
 *
 * @module
 */
import type { BodyRates, DeviceProfile, DeviceRates } from "../device.ts";
import type { Dispatch, Schedule } from "./schedule.ts";
import {
  ASSUMED_RATES,
  DISPATCH_SECONDS,
  DISPATCHES_TOGETHER,
  HALVING,
  HOST_BYTES_PER_SECOND,
  WAVES,
} from "../tuning.ts";
import { kindOf, relativeRate, type Tile, workgroupSize } from "./tile.ts";

/** What a schedule costs to run. */
export interface Cost {
  /** Multiply-adds of the matrix products, counted as two. */
  readonly flops: number;
  /** Bytes that the dispatches read and write, each once per dispatch. */
  readonly bytesMoved: number;
  /** Dispatches in the schedule. */
  readonly dispatches: number;
  /** Bytes between host and device. */
  readonly transferred: number;
  /** Estimated seconds. Only for ranking unless `measuredRates`. */
  readonly seconds: number;
  /** Estimated seconds of the longest dispatch, which a watchdog may end, where rates were measured. */
  readonly longestDispatch: number | undefined;
  /** Whether the estimates rest on rates measured on the device. */
  readonly measuredRates: boolean;
}

/** Adds up FLOPs, bytes and estimated seconds of a schedule on a device. */
export function predictCost(
  schedule: Pick<Schedule, "steps" | "residency"> & { readonly transferred?: number },
  device: DeviceProfile,
): Cost {
  const streamed = schedule.residency === "windows";
  let flops = 0;
  let bytesMoved = 0;
  let dispatches = 0;
  let seconds = 0;
  let longestDispatch = 0;
  // The transfers of a sketch are no steps of it.
  let transferred = schedule.transferred ?? 0;
  let measured = device.rates !== undefined && !streamed;
  for (const step of schedule.steps) {
    if (step.kind === "upload" || step.kind === "readback") {
      transferred += step.slice.bytes;
    }
    if (step.kind !== "dispatch") continue;
    const { times = 1 } = step;
    if (step.tile && measured) measured = kindOf(step.tile).measured(device.rates!) !== undefined;
    dispatches += times;
    flops += times * step.flops;
    bytesMoved += times * step.traffic;
    const each = dispatchSeconds(step, device);
    longestDispatch = Math.max(longestDispatch, each);
    seconds += times * each;
  }
  // What stays on the device is moved once for many passes; what is streamed, in each of them.
  if (streamed) {
    seconds += transferred / (device.rates?.hostBytesPerSecond ?? HOST_BYTES_PER_SECOND);
  }
  return {
    flops,
    bytesMoved,
    dispatches,
    transferred,
    seconds,
    longestDispatch: device.rates && longestDispatch,
    measuredRates: measured,
  };
}

/**
 * Returns how many dispatches of a schedule may be handed to a device together: so many that they
 * take no longer than one may, as far as that was measured, and never more than some.
 */
export function dispatchesTogether({ longestDispatch }: Pick<Cost, "longestDispatch">): number {
  const timely = longestDispatch ? Math.floor(DISPATCH_SECONDS / longestDispatch) : Infinity;
  return Math.max(1, Math.min(DISPATCHES_TOGETHER, timely));
}

/** Returns the waves of a grid in terms of whole ones; the last is rarely full. */
function wavesOf(workgroups: number, parallel: number, drain: number): number {
  const waves = workgroups / parallel;
  const whole = Math.ceil(waves);
  return waves + WAVES.unfilled * (whole - waves) + drain * (1 - 1 / whole);
}

/** Returns the rates of products in a tile's body: measured, or a guess from the device's others. */
export function bodyRates(tile: Tile, rates: DeviceRates = ASSUMED_RATES): BodyRates {
  const kind = kindOf(tile);
  return kind.measured(rates) ?? kind.guessed(rates);
}

/** Returns how many workgroups of a tile run at the same time. */
export function parallelWorkgroups(tile: Tile, rates: DeviceRates | undefined): number {
  return atOnce(tile, bodyRates(tile, rates).parallelInvocations);
}

function atOnce(tile: Tile, parallelInvocations: number): number {
  return Math.max(1, Math.floor(parallelInvocations / workgroupSize(tile)));
}

/** Returns the FLOPs of a workgroup that sums a tile over a depth. */
export function flopsOver({ rows, cols }: Tile, depth: number): number {
  return 2 * rows * cols * depth;
}

/** Returns the seconds of the arithmetic of a matrix product in a grid of workgroups. */
export function productSeconds(
  tile: Tile,
  workgroups: number,
  workgroupFlops: number,
  rates: DeviceRates = ASSUMED_RATES,
): number {
  const { flopsPerSecond, parallelInvocations, tiles } = bodyRates(tile, rates);
  const parallel = atOnce(tile, parallelInvocations);
  const { drain, endsDepth, everyWave } = kindOf(tile).times;
  const waves = wavesOf(workgroups, parallel, drain);
  // Other workgroups hide a workgroup's ends, unless each of them has much to do.
  const ends = flopsOver(tile, endsDepth);
  const flops = everyWave ? waves * (workgroupFlops + ends) : waves * workgroupFlops + ends;
  return (flops * parallel) / (flopsPerSecond * relativeRate(tile, tiles));
}

/**
 * Returns the seconds of the arithmetic of a product of `rows x cols` results over a depth in a tile,
 * where `parts` of it run at once.
 */
export function tiledSeconds(
  tile: Tile,
  rows: number,
  cols: number,
  depth: number,
  rates: DeviceRates | undefined,
  parts = 1,
): number {
  const workgroups = parts * Math.ceil(rows / tile.rows) * Math.ceil(cols / tile.cols);
  return productSeconds(tile, workgroups, flopsOver(tile, depth), rates);
}

/**
 * Returns the rate at which an estimate is what was measured. The cost model is turned round, so
 * that waves, ends and traffic are not mistaken for slowness of a product.
 *
 * @param estimate the seconds at so many FLOP/s: the more of these, the fewer.
 */
export function rateAt(estimate: (flopsPerSecond: number) => number, seconds: number): number {
  let [low, high] = [1e6, 1e16];
  // Halves the interval, on a scale of ratios.
  for (let i = 0; i < 60; i++) {
    const middle = Math.sqrt(low * high);
    if (estimate(middle) > seconds) low = middle;
    else high = middle;
  }
  return Math.sqrt(low * high);
}

/** Returns the roofline of one dispatch. */
export function dispatchSeconds(step: Dispatch, device: DeviceProfile): number {
  const rates = device.rates ?? ASSUMED_RATES;
  const arithmetic = step.tile
    ? productSeconds(step.tile, step.grid[0] * step.grid[1], step.workgroupFlops, rates) *
      (1 + HALVING * (step.halving ?? 0) + kindOf(step.tile).times.listedId * (step.listed ?? 0))
    : 0;
  const traffic = step.traffic / rates.bytesPerSecond;
  const both = step.tile && !kindOf(step.tile).times.hidesTraffic
    ? arithmetic + traffic
    : Math.max(arithmetic, traffic);
  return both + rates.secondsPerDispatch;
}

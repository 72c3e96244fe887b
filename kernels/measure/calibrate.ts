/**
 * Calibration: a device's rates from a few seconds with one product of each kind that
 * it has. Work begins tiny and grows until it can be timed, in some tens of MiB, so that
 * neither a phone's memory nor a software device's patience is asked for much.
 *
 * @module
 */
import type { BodyRates, DeviceProfile, DeviceRates } from "../../planner/device.ts";
import { DoesNotFitError, makePlan } from "../../planner/plan.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import { dispatchSeconds, rateAt } from "../../planner/schedule/cost.ts";
import {
  type Dispatch,
  PARAMS_BUFFER,
  type Schedule,
  visitBuffers,
} from "../../planner/schedule/schedule.ts";
import {
  feasibleTiles,
  tierOf,
  type Tile,
  type TileBody,
  workgroupSize,
} from "../../planner/schedule/tile.ts";
import { ASSUMED_RATES } from "../../planner/tuning.ts";
import { Encoder } from "../run/encoder.ts";
import { CompileError, GpuError, withErrorScopes } from "../run/errors.ts";
import { compileKernels } from "../run/pipelines.ts";
import { measureTraffic, MOST_DISPATCHES, type Traffic } from "./peaks.ts";
import { type Effort, passes, Stopwatch } from "./stopwatch.ts";

/** A kind of products. */
export type Kind = TileBody["kind"];

/** The type of operands of each kind of products. */
export const OPERANDS = { registers: "f32", matrix: "f16", split: "f32" } as const satisfies Record<
  Kind,
  string
>;

/** Kinds of products in the order in which they are measured. */
export const KINDS = Object.keys(OPERANDS) as readonly Kind[];

/** How a device is calibrated. */
export interface CalibrateOptions {
  /** Whether it is a CPU in disguise, which few workgroups fill. */
  readonly software: boolean;
  /** The tiles to measure products in: the device's preferred of each kind, unless told. */
  readonly tiles?: readonly Tile[];
  /** Is told what is measured. */
  readonly onProgress?: (what: string) => void;
}

/**
 * The product: 8 and 32 MiB of operands in f32, or half of that, and workgroups enough for four
 * waves on an H100, which reach the rates of longer products.
 */
const PRODUCT = { tokens: 2048, hidden: 1024, vocab: 8192 } as const;

/** Rates of a device on which workgroups without end run at once. */
const ENDLESS: BodyRates = { flopsPerSecond: 1e13, parallelInvocations: 2 ** 24 };

/** Bytes that are read: twice what the caches of an H100 hold. */
const READ_BYTES = 96 * 2 ** 20;

/**
 * What is spent on each figure: about two seconds in all, where there are three kinds of products,
 * of which one and a half are for a GPU's clock to rise after each kernel is compiled.
 */
const RATE: Effort = { timed: 0.03, patience: 0.4, most: 1 << 10 };
const FILL: Effort = { timed: 0.01, patience: 0.1, most: 1 << 10 };
const TRAFFIC: Effort = { timed: 0.02, patience: 0.25, most: MOST_DISPATCHES };

/** Seconds of one dispatch from which more workgroups are not tried: far below a watchdog. */
const LONG = 0.02;

/** Share of the best throughput from which a device counts as busy. */
const BUSY = 0.8;

/** Returns the tiles that a device is calibrated in: the preferred one of each kind that it can run. */
function preferredTiles(profile: DeviceProfile): Tile[] {
  return KINDS.flatMap((kind) => feasibleTiles(kind, profile).slice(0, 1));
}

/**
 * Measures a device's rates.
 *
 * @throws {GpuError} when memory runs out or the device fails.
 * @throws {DoesNotFitError} when its limits do not hold the product.
 */
export function calibrate(
  device: GPUDevice,
  profile: DeviceProfile,
  { software, tiles = preferredTiles(profile), onProgress = () => {} }: CalibrateOptions,
): Promise<DeviceRates> {
  return withErrorScopes(device, async () => {
    const watch = await Stopwatch.of(device, software);
    onProgress("reading");
    const traffic = await measureTraffic(watch, { bytes: READ_BYTES, ...TRAFFIC });
    const rates: Partial<Record<Kind, BodyRates>> = {};
    for (const tile of tiles) {
      onProgress(nameOfProducts(tile));
      const { kind } = tile.body;
      try {
        rates[kind] = await measureProduct(watch, profile, tile, traffic);
      } catch (error) {
        // Whoever plans products in matrices is told why there are none; others have theirs.
        const missing = error instanceof CompileError || error instanceof DoesNotFitError;
        if (kind === "registers" || !missing) throw error;
      }
    }
    const { registers, ...others } = rates;
    if (!registers) throw new GpuError(`No product in f32 runs on ${profile.name}`);
    return { ...registers, ...rounded(traffic), ...others };
  });
}

/** Returns what the products of a tile are in, for people. */
export function nameOfProducts(tile: Tile): string {
  const tier = tierOf(tile);
  return tier === "f32" ? "products in f32" : `products in subgroup matrices, ${tier}`;
}

/** Returns rates by which products of every kind are like one. */
export function alike(
  one: BodyRates,
  { bytesPerSecond, secondsPerDispatch }: Traffic,
): DeviceRates {
  return { ...one, bytesPerSecond, secondsPerDispatch, matrix: one, split: one };
}

/** Returns figures with as many digits as they are worth. */
function rounded<Figures extends object>(figures: Figures): Figures {
  const entries = Object.entries(figures).map(([name, value]) => [
    name,
    Number((value as number).toPrecision(4)),
  ]);
  return Object.fromEntries(entries) as Figures;
}

/**
 * Measures the rate of products in a tile, and how many workgroups of it keep a device busy, by
 * one kernel in grids of several sizes.
 */
export async function measureProduct(
  watch: Stopwatch,
  profile: DeviceProfile,
  tile: Tile,
  traffic: Traffic,
): Promise<BodyRates> {
  const { device } = watch;
  const { schedule, forward } = productOf(profile, tile);
  const encoder = new Encoder(schedule, device, await compileKernels(device, schedule), Infinity);
  try {
    createBuffers(encoder);
    await encoder.allocated();
    // Lists the tokens, and whatever else the product rests on.
    for (const step of schedule.steps) {
      if (step.kind === "dispatch" || step.kind === "clear") {
        encoder.encode(step === forward ? partOf(forward, 1) : step);
      }
    }
    encoder.submit();
    const recordOf = (workgroups: number) => {
      const part = partOf(forward, workgroups);
      return passes((commands, writes) => {
        encoder.timestamps = () => writes;
        encoder.encode(part, { commands });
      });
    };
    const all = forward.grid[0] * forward.grid[1];
    let most = 1;
    while (most < all && await watch.seconds(recordOf(most), 1) < LONG) {
      most = Math.min(all, 2 * most);
    }
    const seconds = await watch.secondsOfOne(recordOf(most), RATE);
    let busy = most;
    while (busy > 1) {
      const half = busy / 2;
      const taken = await watch.secondsOfOne(recordOf(half), FILL);
      if (half / taken < BUSY * most / seconds) break;
      busy = half;
    }
    const parallelInvocations = busy * workgroupSize(tile);
    const part = partOf(forward, most);
    const others = withinHalf(traffic, part, seconds, profile);
    const estimate = (flopsPerSecond: number) => {
      const one = { flopsPerSecond, parallelInvocations, tiles: [{ ...tile, rate: 1 }] };
      return dispatchSeconds(part, { ...profile, rates: alike(one, others) });
    };
    return { ...rounded({ flopsPerSecond: rateAt(estimate, seconds) }), parallelInvocations };
  } finally {
    encoder.destroyAll();
  }
}

/** Returns the steps of a pass up to a product in a tile, each workgroup of which computes one tile. */
function productOf(
  profile: DeviceProfile,
  tile: Tile,
): { schedule: Schedule; forward: Dispatch } {
  const dtype = OPERANDS[tile.body.kind];
  // Each workgroup then takes one tile.
  const device = { ...profile, rates: alike(ENDLESS, ASSUMED_RATES) };
  const problem = parseProblem({ ...PRODUCT, dtype });
  const { schedule } = makePlan(problem, device, {
    strategy: "fused",
    tile,
    window: PRODUCT.vocab,
    block: PRODUCT.tokens,
  });
  const at = schedule.steps.findIndex((step) =>
    step.kind === "dispatch" && step.kernel === "forward"
  );
  return {
    schedule: { ...schedule, steps: schedule.steps.slice(0, at + 1) },
    forward: schedule.steps[at] as Dispatch,
  };
}

/** Returns the first workgroups of a dispatch, a power of two of them: they move a share of its bytes. */
function partOf(dispatch: Dispatch, workgroups: number): Dispatch {
  const [rows, columns] = dispatch.grid;
  return {
    ...dispatch,
    grid: [Math.min(rows, workgroups), Math.max(1, workgroups / rows)],
    traffic: dispatch.traffic * workgroups / (rows * columns),
  };
}

/**
 * Returns rates at which all but arithmetic takes no more than half of a product's time: where it
 * seems to take more, others kept the memory busy when it was measured, and the product shows it.
 */
function withinHalf(
  traffic: Traffic,
  product: Dispatch,
  seconds: number,
  profile: DeviceProfile,
): Traffic {
  const { tile: _, ...moved } = product;
  const taken = dispatchSeconds(moved, { ...profile, rates: alike(ENDLESS, traffic) });
  const times = Math.max(1, 2 * taken / seconds);
  return {
    bytesPerSecond: times * traffic.bytesPerSecond,
    secondsPerDispatch: traffic.secondsPerDispatch / times,
  };
}

/** Creates the buffers of some steps, and fills inputs with numbers between a half and one, of either sign. */
function createBuffers(encoder: Encoder): void {
  const { schedule, device } = encoder;
  const used = new Set([PARAMS_BUFFER]);
  for (const step of schedule.steps) visitBuffers(step, (name) => used.add(name));
  for (const spec of schedule.buffers) {
    if (!used.has(spec.name)) continue;
    encoder.create(spec);
    if (spec.category !== "input" || spec.holds?.tensor === "targets") continue;
    const pattern = patternOf(OPERANDS[schedule.tile.body.kind]);
    for (let at = 0; at < spec.bytes; at += pattern.byteLength) {
      const bytes = Math.min(pattern.byteLength, spec.bytes - at);
      device.queue.writeBuffer(encoder.buffer(spec.name), at, pattern.buffer, 0, bytes);
    }
    // Lets go of the copies that the queue keeps until it is told to go on.
    device.queue.submit([]);
  }
}

/** Bytes of the pattern that operands repeat. */
const PATTERN_BYTES = 2 ** 21;

/** Bits of a word that is left as it is drawn, sign and mantissa, and what the others are: exponents. */
const DRAWN = { f32: [0x807fffff, 0x3f000000], f16: [0x83ff83ff, 0x38003800] } as const;

const PATTERNS = new Map<keyof typeof DRAWN, Uint32Array<ArrayBuffer>>();

/** Returns random numbers, drawn once, as a generator by Marsaglia (2003, Xorshift RNGs) has them. */
function patternOf(dtype: keyof typeof DRAWN): Uint32Array<ArrayBuffer> {
  let words = PATTERNS.get(dtype);
  if (words) return words;
  const [mask, exponents] = DRAWN[dtype];
  PATTERNS.set(dtype, words = new Uint32Array(PATTERN_BYTES / 4));
  let state = 2463534242;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = (state & mask) | exponents;
  }
  return words;
}

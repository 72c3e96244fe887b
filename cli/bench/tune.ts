/**
 * Tuning: a device's rates from timed passes. The cost model is turned round: a
 * rate is whatever makes the model's estimate equal to what was measured, so
 * that waves, tails and traffic are not mistaken for slowness of a tile.
 *
 * @module
 */
import type { AcquiredDevice } from "../../kernels/run/device.ts";
import type { Peaks } from "../../kernels/measure/peaks.ts";
import { CompileError, GpuError } from "../../kernels/run/errors.ts";
import { predictCost, rateAt } from "../../planner/schedule/cost.ts";
import type { DeviceProfile, DeviceRates } from "../../planner/device.ts";
import { DoesNotFitError, makePlan, type Plan } from "../../planner/plan.ts";
import { type Dtype, headOf, type Problem, projectionFlops } from "../../planner/problem.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import { type RatedTile, type Tile, workgroupSize } from "../../planner/schedule/tile.ts";
import { isTooLarge, measure, type Measurement, type MeasureOptions } from "./measure.ts";

/** What tuning tells of its progress, and how much time it may take. */
export interface TuneOptions extends MeasureOptions {
  readonly tiles: readonly Tile[];
  readonly onProgress: (what: string) => void;
}

/** A tile with what was measured, or why nothing was. */
export interface TileResult {
  readonly tile: Tile;
  /** Rate of long dispatches, FLOP/s; `undefined` where the tile does not run. */
  readonly flopsPerSecond: number | undefined;
  readonly missing: string | undefined;
}

/** The rates of a device, and each tile's result, the fastest first. */
export interface Tuning {
  readonly rates: DeviceRates;
  readonly results: readonly TileResult[];
}

/** Share of the best throughput from which a device counts as busy. */
const BUSY = 0.8;

/** Tiles slower than this, relative to the fastest, are not kept. */
const KEPT = 0.2;

/** Measures every tile on a problem and how many workgroups keep the device busy. */
export async function tune(
  problem: Problem,
  acquired: AcquiredDevice,
  peaks: Peaks,
  options: TuneOptions,
): Promise<Tuning> {
  const { profile } = acquired;
  const first: DeviceRates = {
    flopsPerSecond: peaks.flopsPerSecond,
    bytesPerSecond: peaks.bytesPerSecond,
    secondsPerDispatch: peaks.secondsPerDispatch,
    parallelInvocations: await busyInvocations(problem, acquired, peaks, options),
  };
  const results: TileResult[] = [];
  for (const [index, tile] of options.tiles.entries()) {
    options.onProgress(`tile ${index + 1} of ${options.tiles.length}`);
    results.push(await timeTile(problem, tile, acquired, first, options));
  }
  results.sort((a, b) => (b.flopsPerSecond ?? 0) - (a.flopsPerSecond ?? 0));
  const best = results[0]?.flopsPerSecond;
  if (best === undefined) {
    throw new GpuError(`No tile runs on ${profile.name}: ${results[0]?.missing ?? "none given"}`);
  }
  const tiles = results.flatMap(({ tile, flopsPerSecond = 0 }): RatedTile[] =>
    flopsPerSecond < KEPT * best
      ? []
      : [{ ...tile, rate: Number((flopsPerSecond / best).toPrecision(3)) }]
  );
  return { rates: { ...first, flopsPerSecond: Number(best.toPrecision(4)), tiles }, results };
}

/**
 * Checks that at least one tile works on a problem, before anything is measured.
 *
 * @param memory bytes that there are, where the device's are known: its limits do not say.
 * @throws {DoesNotFitError} saying why the first does not.
 */
export function checkTunable(
  problem: Problem,
  profile: DeviceProfile,
  tiles: readonly Tile[],
  memory?: number,
): void {
  let first: DoesNotFitError | undefined;
  for (const tile of tiles) {
    try {
      planOn(problem, profile, tile, memory);
      return;
    } catch (error) {
      if (!(error instanceof DoesNotFitError)) throw error;
      first ??= error;
    }
  }
  if (first) throw first;
}

/** Returns what is timed of a tile. */
function planOn(problem: Problem, device: DeviceProfile, tile: Tile, budget?: number): Plan {
  return makePlan(problem, device, { strategy: "windowed", tile, budget });
}

async function timeTile(
  problem: Problem,
  tile: Tile,
  acquired: AcquiredDevice,
  rates: DeviceRates,
  options: TuneOptions,
): Promise<TileResult> {
  const device = { ...acquired.profile, rates };
  try {
    const plan = planOn(problem, device, tile);
    const { ms } = await measure(plan, acquired, { ...options, kernels: false });
    return { tile, flopsPerSecond: rateFor(plan, device, rates, ms / 1000), missing: undefined };
  } catch (error) {
    // Any other failure is not the tile's.
    if (!(error instanceof CompileError || error instanceof DoesNotFitError)) throw error;
    return { tile, flopsPerSecond: undefined, missing: error.message };
  }
}

/** Returns the rate at which the model's estimate of a plan is the time that was measured. */
function rateFor(
  { schedule }: Plan,
  device: DeviceProfile,
  rates: DeviceRates,
  seconds: number,
): number {
  const tiles = [{ ...schedule.tile, rate: 1 }];
  return rateAt(
    (flopsPerSecond) =>
      predictCost(schedule, { ...device, rates: { ...rates, flopsPerSecond, tiles } }).seconds,
    seconds,
  );
}

/** Returns the invocations from which more no longer raise the throughput of a product by much. */
async function busyInvocations(
  asked: Problem,
  acquired: AcquiredDevice,
  peaks: Peaks,
  options: TuneOptions,
): Promise<number> {
  const { hidden } = headOf(asked);
  const tile = options.tiles[0]!;
  const throughputs: { workgroups: number; rate: number }[] = [];
  // A product that would take longer than this at the peak says nothing new.
  const longEnough = 0.02 * peaks.flopsPerSecond;
  for (let workgroups = 1; workgroups <= 1 << 11; workgroups *= 2) {
    const dimensions = { tokens: tile.rows, hidden, vocab: workgroups * tile.cols };
    const problem = parseProblem(dimensions);
    if (projectionFlops(dimensions) > longEnough && workgroups > 4) break;
    options.onProgress(`${workgroups} workgroups at once`);
    let measured: Measurement;
    try {
      const fixed = { strategy: "fused", window: dimensions.vocab, tile } as const;
      measured = await measure(makePlan(problem, acquired.profile, fixed), acquired, options);
    } catch (error) {
      // A weight of so many rows cannot be bound as one, or is more than there is room for.
      if (isTooLarge(error) && throughputs.length > 0) break;
      throw error;
    }
    const { byKernel, ms } = measured;
    throughputs.push({ workgroups, rate: workgroups / (byKernel.get("forward") ?? ms) });
  }
  const best = Math.max(...throughputs.map(({ rate }) => rate));
  const { workgroups } = throughputs.find(({ rate }) => rate >= BUSY * best)!;
  return workgroups * workgroupSize(tile);
}

/** Returns a problem that keeps a device busy for about `seconds`, by its peak. */
export function tuningProblem(
  { flopsPerSecond }: Peaks,
  seconds: number,
  dtype?: Dtype,
): Problem {
  // Kernels reach a part of the peak; the pass takes 8 NDV.
  const flops = seconds * 0.3 * flopsPerSecond;
  const fast = flopsPerSecond > 1e12;
  const [tokens, hidden] = fast ? [2048, 2048] : [256, 256];
  const vocab = Math.max(1024, Math.floor(flops / (8 * tokens * hidden) / 1024) * 1024);
  return parseProblem({ tokens, hidden, vocab: Math.min(vocab, 131072), dtype, pass: "train" });
}

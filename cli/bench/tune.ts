/**
 * Tuning: a device's rates from timed passes. The cost model is turned round: a
 * rate is whatever makes the model's estimate equal to what was measured, so
 * that waves, tails and traffic are not mistaken for slowness of a tile.
 *
 * @module
 */
import type { AcquiredDevice } from "../../kernels/run/device.ts";
import {
  alike,
  type Kind,
  KINDS,
  measureProduct,
  nameOfProducts,
  OPERANDS,
} from "../../kernels/measure/calibrate.ts";
import type { Peaks, Traffic } from "../../kernels/measure/peaks.ts";
import { Stopwatch } from "../../kernels/measure/stopwatch.ts";
import { CompileError, GpuError, withErrorScopes } from "../../kernels/run/errors.ts";
import { predictCost, rateAt } from "../../planner/schedule/cost.ts";
import type { BodyRates, DeviceProfile, DeviceRates } from "../../planner/device.ts";
import { DoesNotFitError, makePlan, type Plan } from "../../planner/plan.ts";
import { type Dtype, headOf, type Problem } from "../../planner/problem.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import {
  feasibleTiles,
  type RatedTile,
  type Tile,
  tunableTiles,
  unsuitedTo,
} from "../../planner/schedule/tile.ts";
import { measure, type MeasureOptions } from "./measure.ts";

/** What tuning tells of its progress, and how much time it may take. */
export interface TuneOptions extends MeasureOptions {
  /** Of each kind of body that is to be measured, those in registers among them. */
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

/** The rates of a device, and each tile's result: of each kind of body, the fastest first. */
export interface Tuning {
  readonly rates: DeviceRates;
  readonly results: readonly TileResult[];
}

/** Tiles slower than this, relative to the fastest, are not kept. */
const KEPT = 0.2;

/**
 * Returns the tiles to measure on a device: in registers every shape worth it, or the shipped ones,
 * and in subgroup matrices the shipped ones that it can run.
 */
export function tilesToTune(
  profile: DeviceProfile,
  { quick }: { readonly quick: boolean },
): { readonly registers: readonly Tile[]; readonly others: readonly Tile[] } {
  const [first, ...inMatrices] = KINDS;
  return {
    registers: quick ? feasibleTiles(first!, profile) : tunableTiles(profile),
    others: inMatrices.flatMap((kind) => feasibleTiles(kind, profile)),
  };
}

/**
 * Measures every tile on a problem, and how many workgroups keep the device busy: in f32, and in
 * subgroup matrices where some tiles are of these.
 */
export async function tune(
  problem: Problem,
  acquired: AcquiredDevice,
  peaks: Peaks,
  options: TuneOptions,
): Promise<Tuning> {
  const { profile } = acquired;
  const { bytesPerSecond, secondsPerDispatch } = peaks;
  const traffic = { bytesPerSecond, secondsPerDispatch };
  const results: TileResult[] = [];
  const rates: Partial<Record<Kind, BodyRates>> = {};
  for (const kind of KINDS) {
    const tiles = options.tiles.filter(({ body }) => body.kind === kind);
    if (tiles.length === 0) continue;
    const found = await tuneKind(problem, tiles, acquired, traffic, options);
    results.push(...found.results);
    if (found.rates) rates[kind] = found.rates;
  }
  const { registers, ...others } = rates;
  if (!registers) {
    throw new GpuError(`No tile runs on ${profile.name}: ${results[0]?.missing ?? "none given"}`);
  }
  return { rates: { ...registers, ...traffic, ...others }, results };
}

/** Measures the tiles with one kind of body; no rates where none of them runs. */
async function tuneKind(
  asked: Problem,
  tiles: readonly Tile[],
  acquired: AcquiredDevice,
  traffic: Traffic,
  options: TuneOptions,
): Promise<{ results: readonly TileResult[]; rates: BodyRates | undefined }> {
  const { device, profile } = acquired;
  const [first] = tiles;
  const problem = suitedTo(first!, asked);
  const what = nameOfProducts(first!);
  options.onProgress(`${what}: workgroups at once`);
  let busy: BodyRates;
  try {
    const watch = await Stopwatch.of(device, acquired.software);
    busy = await withErrorScopes(device, () => measureProduct(watch, profile, first!, traffic));
  } catch (error) {
    const missing = notItsFault(error);
    return { results: tiles.map((tile) => ({ tile, ...missing })), rates: undefined };
  }
  const results: TileResult[] = [];
  for (const [index, tile] of tiles.entries()) {
    options.onProgress(`${what}: tile ${index + 1} of ${tiles.length}`);
    results.push(await timeTile(problem, tile, acquired, alike(busy, traffic), options));
  }
  results.sort((a, b) => (b.flopsPerSecond ?? 0) - (a.flopsPerSecond ?? 0));
  const best = results[0]!.flopsPerSecond;
  if (best === undefined) return { results, rates: undefined };
  const rated = results.flatMap(({ tile, flopsPerSecond = 0 }): RatedTile[] =>
    flopsPerSecond < KEPT * best
      ? []
      : [{ ...tile, rate: Number((flopsPerSecond / best).toPrecision(3)) }]
  );
  return {
    results,
    rates: { ...busy, flopsPerSecond: Number(best.toPrecision(4)), tiles: rated },
  };
}

/** Returns a problem with operands that a tile's products can have: those that are asked for, if they are. */
function suitedTo({ body: { kind } }: Tile, asked: Problem): Problem {
  if (unsuitedTo(kind, asked) === undefined) return asked;
  const { tokens, pass } = asked;
  const { hidden, vocab } = headOf(asked);
  return parseProblem({ tokens, hidden, vocab, pass, dtype: OPERANDS[kind] });
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
    return { tile, ...notItsFault(error) };
  }
}

/** Returns what is said of a tile that does not run. @throws any other failure: it is not the tile's. */
function notItsFault(error: unknown) {
  if (!(error instanceof CompileError || error instanceof DoesNotFitError)) throw error;
  return { flopsPerSecond: undefined, missing: error.message };
}

/** Returns the rate at which the model's estimate of a plan is the time that was measured. */
function rateFor(
  { schedule }: Plan,
  device: DeviceProfile,
  rates: DeviceRates,
  seconds: number,
): number {
  const { parallelInvocations } = rates;
  const tiles = [{ ...schedule.tile, rate: 1 }];
  return rateAt((flopsPerSecond) => {
    const one = { flopsPerSecond, parallelInvocations, tiles };
    return predictCost(schedule, { ...device, rates: alike(one, rates) }).seconds;
  }, seconds);
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

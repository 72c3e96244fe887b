/**
 * The search: every shape that every strategy may take on a device, with what
 * its schedule would need and cost. Shapes are compared by sketches of their
 * schedules; only the chosen one is written out.
 *
 * @module
 */
import type { Candidate, Prediction } from "./candidate.ts";
import { paretoFront, withinBudget } from "./choice.ts";
import { predictCost, productSeconds } from "./cost.ts";
import type { DeviceProfile } from "./device.ts";
import { withHostIo } from "./host_io.ts";
import { predictMemory } from "./memory.ts";
import type { Problem } from "./problem.ts";
import type { Schedule, Share, StrategyName } from "./schedule.ts";
import { type Detail, ScheduleDraft } from "./strategies/draft.ts";
import { ALL_STRATEGIES } from "./strategies/mod.ts";
import { Infeasible, type Shape } from "./strategies/shape.ts";
import type { FixedSizes, Strategy } from "./strategies/strategy.ts";
import { feasibleTiles, type Tile } from "./tile.ts";
import { formatBytes } from "./units.ts";

/** Where a weight can be kept while a schedule runs. */
export const WEIGHT_PLACEMENTS = ["resident", "streamed"] as const satisfies WeightPlacement[];

/** Where a weight is kept. */
export type WeightPlacement = "resident" | "streamed";

/** What the caller decides; everything left out is the planner's choice. */
export interface PlanOptions extends FixedSizes {
  /** The only strategy to consider. */
  readonly strategy?: StrategyName | undefined;
  /** Tile of the matrix kernels, instead of those that waste least. */
  readonly tile?: Tile | undefined;
  /** Most bytes of GPU buffers alive at once, inputs and outputs included. */
  readonly budget?: number | undefined;
  /** Where the weight is kept: on the device, or on the host and sent window by window. */
  readonly weights?: WeightPlacement | undefined;
  /**
   * Whether inputs come from the host and results go back to it. On by default;
   * off, the schedule works on the caller's buffers and keeps its own in between.
   */
  readonly hostIo?: boolean | undefined;
  /** The part of a larger job that the problem is: `planParallel()` says which. */
  readonly share?: Share | undefined;
}

/** What one strategy has to offer: candidates, or the reason for having none. */
export interface Offer {
  /** Whose candidates they are. */
  readonly strategy: Strategy;
  /** Every shape that fits the device's limits. */
  readonly candidates: readonly Candidate[];
  /** Why some shape, or every one, cannot be. */
  readonly reason: string;
}

/** Tiles slower than the fastest by more than this are not tried. */
const WORTH_TRYING = 1.1;

/** Tiles by the estimate for one pass over all logits, the fastest first, and how many are worth trying. */
function tilesBySpeed(problem: Problem, device: DeviceProfile, tiles: readonly Tile[]) {
  const { tokens, hidden, vocab } = problem;
  const seconds = new Map(tiles.map((tile) => [
    tile,
    productSeconds(
      tile,
      Math.ceil(tokens / tile.rows) * Math.ceil(vocab / tile.cols),
      2 * tile.rows * tile.cols * hidden,
      device.rates,
    ),
  ]));
  const fastest = Math.min(...seconds.values());
  const sorted = [...tiles].sort((a, b) => seconds.get(a)! - seconds.get(b)!);
  const promising = sorted.filter((tile) => seconds.get(tile)! <= WORTH_TRYING * fastest);
  return { sorted, promising };
}

/** The tiles that a schedule may use. */
export function tilesOf(device: DeviceProfile, { tile }: PlanOptions): readonly Tile[] {
  return tile ? [tile] : feasibleTiles(device);
}

function strategiesOf({ strategy }: PlanOptions): Strategy[] {
  return ALL_STRATEGIES.filter(({ name }) => strategy === undefined || name === strategy);
}

/** Every strategy's candidates; none where the device can run no tile. */
export function search(problem: Problem, device: DeviceProfile, options: PlanOptions): Offer[] {
  const all = (how: Effort) =>
    strategiesOf(options).map((strategy) => offer(strategy, problem, device, options, how));
  const offers = all({ skipLarge: true });
  const fits = offers.some(({ candidates }) => withinBudget(candidates, options.budget).length > 0);
  // Where nothing fits, the smallest is asked for: it may be of a strategy that was passed over.
  return fits || options.budget === undefined ? offers : all({ skipLarge: false });
}

/** Whether some schedule fits the device and the budget: the search, up to the first that does. */
export function fits(problem: Problem, device: DeviceProfile, options: PlanOptions): boolean {
  let found = false;
  const until = (candidate: Candidate) =>
    found ||= withinBudget([candidate], options.budget).length > 0;
  // Those that need least first.
  const strategies = strategiesOf(options).sort((a, b) => Number(b.streams) - Number(a.streams));
  for (const strategy of strategies) {
    offer(strategy, problem, device, options, { skipLarge: true, until });
    if (found) return true;
  }
  return false;
}

/** How thorough a search is. */
interface Effort {
  /** Passes over strategies that plainly exceed the budget. */
  readonly skipLarge: boolean;
  /** Ends the search at the first candidate for which it holds. */
  readonly until?: (candidate: Candidate) => boolean;
}

function offer(
  strategy: Strategy,
  problem: Problem,
  device: DeviceProfile,
  options: PlanOptions,
  { skipLarge, until }: Effort,
): Offer {
  const tiles = tilesOf(device, options);
  const unsuited = strategy.unsuited(problem);
  if (unsuited) return { strategy, candidates: [], reason: unsuited };
  if (tiles.length === 0) {
    const reason =
      `finds no tile: the smallest needs more workgroup memory or invocations than ${device.name} has`;
    return { strategy, candidates: [], reason };
  }
  const least = strategy.least?.(problem) ?? 0;
  if (skipLarge && options.strategy === undefined && least > (options.budget ?? Infinity)) {
    const reason = `takes ${formatBytes(least)} at the least, over the budget`;
    return { strategy, candidates: [], reason };
  }
  const candidates: Candidate[] = [];
  let reason = options.weights === "streamed" && !strategy.streams
    ? "needs the whole weight at hand"
    : "";
  /** Goes on to the next shape, or tile, where one cannot be. */
  const attempt = (what: () => void) => {
    try {
      what();
    } catch (error) {
      if (!(error instanceof Infeasible)) throw error;
      reason ||= error.message;
    }
  };
  let done = false;
  const consider = (shape: Shape) =>
    attempt(() => {
      if (done) return;
      const schedule = emit(shape, problem, device, tiles, options, "sketch");
      const candidate = { shape, ...predict(schedule, device) };
      candidates.push(candidate);
      done = until?.(candidate) ?? false;
    });
  const { sorted, promising } = tilesBySpeed(problem, device, tiles);
  const { atOnce, later } = placements(strategy, options);
  for (const tile of sorted) {
    // A slower tile matters only where faster ones leave nothing that fits.
    if (withinBudget(candidates, options.budget).length > 0) break;
    attempt(() => {
      for (const shape of strategy.shapes(problem, device, tile, options)) {
        for (const streamed of atOnce) consider(streamed ? { ...shape, streamed } : shape);
        if (done) return;
      }
    });
  }
  if (done) return { strategy, candidates, reason };
  // Another tile, or streaming where nothing asks for it, is tried where the first choice did well.
  const front = paretoFront(candidates).map(({ shape }) => shape);
  for (const shape of front) {
    if (later) consider({ ...shape, streamed: true });
    for (const tile of promising) {
      if (tile === shape.tile) continue;
      attempt(() => retiled(strategy, problem, device, shape, tile, consider));
    }
  }
  return {
    strategy,
    candidates,
    reason: reason || "has no sizes that the device and the choices allow",
  };
}

/** A shape with another tile. */
function retiled(
  strategy: Strategy,
  problem: Problem,
  device: DeviceProfile,
  { block, window, streamed = false }: Shape,
  tile: Tile,
  consider: (shape: Shape) => void,
): void {
  const fixed = strategy.streams ? { block, window } : { block };
  for (const shape of strategy.shapes(problem, device, tile, fixed)) {
    consider(streamed ? { ...shape, streamed } : shape);
  }
}

/**
 * Where the weight is kept, as far as the caller leaves it open: `atOnce`, streamed
 * or not, for every shape; `later`, whether to stream the best of them too. Only a
 * budget makes streaming worth as much attention as keeping the weight.
 */
function placements(
  { streams }: Strategy,
  { weights, budget, hostIo = true, share }: PlanOptions,
): { atOnce: readonly boolean[]; later: boolean } {
  const streamable = streams && hostIo && !share && weights !== "resident";
  if (weights === "streamed") return { atOnce: streamable ? [true] : [], later: false };
  if (budget !== undefined && streamable) return { atOnce: [false, true], later: false };
  return { atOnce: [false], later: streamable };
}

/** What a schedule, or a sketch of one, needs and costs. */
export function predict(schedule: Schedule, device: DeviceProfile): Prediction {
  return { memory: predictMemory(schedule), cost: predictCost(schedule, device) };
}

/**
 * The schedule of a shape.
 *
 * @param tiles to choose from for products whose tile the shape leaves open.
 * @throws {Infeasible} when the shape cannot be cut to the device's limits.
 */
export function emit(
  shape: Shape,
  problem: Problem,
  device: DeviceProfile,
  tiles: readonly Tile[],
  { hostIo = true, share }: PlanOptions,
  detail: Detail,
): Schedule {
  const draft = new ScheduleDraft(problem, device, shape, tiles, detail, share);
  ALL_STRATEGIES.find(({ name }) => name === shape.strategy)!.emit(draft);
  const schedule = draft.finish();
  return hostIo ? withHostIo(schedule) : { ...schedule, retained: true };
}

/** The schedule of a candidate, every step of it. */
export function writeOut(
  { shape }: Candidate,
  problem: Problem,
  device: DeviceProfile,
  options: PlanOptions,
): Schedule {
  const tiles = tilesOf(device, options);
  return emit(shape, problem, device, tiles, options, "whole");
}

/**
 * The planner: every strategy's schedules for a problem on a device, one chosen,
 * the others with why they lost.
 *
 * @module
 */
import { type Cost, predictCost, productSeconds } from "./cost.ts";
import { type DeviceProfile, unlimited } from "./device.ts";
import { withHostIo } from "./host_io.ts";
import { type MemoryPrediction, predictMemory } from "./memory.ts";
import type { Problem } from "./problem.ts";
import type { Schedule, Share, StrategyName } from "./schedule.ts";
import { ScheduleDraft } from "./strategies/draft.ts";
import { ALL_STRATEGIES } from "./strategies/mod.ts";
import { Infeasible, type Shape } from "./strategies/shape.ts";
import type { FixedSizes, Strategy } from "./strategies/strategy.ts";
import { twoStage } from "./strategies/two_stage.ts";
import { feasibleTiles, type Tile, TILES } from "./tile.ts";
import { formatBytes } from "./units.ts";

/** What the caller decides; everything left out is the planner's choice. */
export interface PlanOptions extends FixedSizes {
  /** The only strategy to consider. */
  readonly strategy?: StrategyName | undefined;
  /** Tile of the matrix kernels, instead of the one that wastes least. */
  readonly tile?: Tile | undefined;
  /** Most bytes of GPU buffers alive at once, inputs and outputs included. */
  readonly budget?: number | undefined;
  /**
   * Whether inputs come from the host and results go back to it. On by default;
   * off, the schedule works on the caller's buffers and keeps its own in between.
   */
  readonly hostIo?: boolean | undefined;
  /** The part of a larger job that the problem is: `planParallel()` says which. */
  readonly share?: Share | undefined;
}

/** A schedule with what it needs and costs. */
export interface Candidate {
  /** Buffers and steps, as data. */
  readonly schedule: Schedule;
  /** Bytes of GPU buffers that the schedule keeps alive. */
  readonly memory: MemoryPrediction;
  /** FLOPs, traffic and estimated seconds of one run. */
  readonly cost: Cost;
}

/** A strategy that was not chosen, at its best. */
export interface Alternative {
  /** Which strategy lost. */
  readonly strategy: StrategyName;
  /** Extra peak of its best schedule; `undefined` where it has none. */
  readonly extraPeakBytes: number | undefined;
  /** Whether one of its schedules fits the device and the budget. */
  readonly feasible: boolean;
  /** Why it lost, for people to read. */
  readonly reason: string;
}

/** The chosen schedule, its prediction, and the alternatives. */
export interface Plan extends Candidate {
  /** What the schedule computes, defaults filled in. */
  readonly problem: Problem;
  /** Whose limits the schedule keeps to, and whose rates, if measured, it was chosen by. */
  readonly device: DeviceProfile;
  /** Why this schedule was chosen. */
  readonly reason: string;
  /** What two stages would take on a device without size limits. */
  readonly twoStage: MemoryPrediction;
  /** The other strategies considered: none where the caller fixed one. */
  readonly alternatives: readonly Alternative[];
}

/** No schedule fits: neither the device's limits nor the budget. */
export class DoesNotFitError extends Error {
  /** Tells this error from others without `instanceof`. */
  override name = "DoesNotFitError";
  /** The smallest budget that would do, in bytes; `undefined` where the device's limits forbid it. */
  readonly smallestBudget: number | undefined;

  /** Takes the message for people and the smallest budget that would do. */
  constructor(message: string, smallestBudget?: number) {
    super(message);
    this.smallestBudget = smallestBudget;
  }
}

/**
 * Two schedules whose estimates differ by less than this count as equally fast,
 * and the one that needs less memory wins.
 */
const AS_FAST = 1.03;

/**
 * A saving below this share of all memory is not worth a method of its own: two
 * stages, the simplest, win where the logits are that small.
 */
const WORTHWHILE = 0.01;

/** What one strategy has to offer: candidates, or the reason for having none. */
interface Offer {
  readonly strategy: Strategy;
  readonly candidates: readonly Candidate[];
  readonly reason: string;
}

/**
 * Plans a problem on a device: without a budget the smallest extra memory among
 * the schedules that are as fast as the fastest, under a budget the fastest
 * schedule that fits.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { SPECIFICATION_DEFAULTS } from "./device.ts";
 * import { parseProblem } from "./problem.ts";
 *
 * const problem = parseProblem({ hidden: 4096, vocab: 256000 });
 * const plan = makePlan(problem, SPECIFICATION_DEFAULTS);
 * assert.equal(plan.schedule.strategy, "fused");
 * assert(plan.memory.extraPeakBytes < 0.01 * plan.twoStage.extraPeakBytes);
 * ```
 *
 * @throws {DoesNotFitError} when no schedule fits, naming the smallest budget that would.
 */
export function makePlan(
  problem: Problem,
  device: DeviceProfile,
  options: PlanOptions = {},
): Plan {
  const tiles = tilesOf(device, options);
  const tile = chooseTile(problem, device, tiles);
  const strategies = ALL_STRATEGIES.filter(({ name }) =>
    options.strategy === undefined || name === options.strategy
  );
  const offers = strategies.map((strategy) =>
    offer(strategy, problem, device, { tile, tiles }, options)
  );
  const candidates = offers.flatMap((offer) => offer.candidates);
  if (candidates.length === 0) {
    const reasons = offers.map(({ strategy, reason }) => `${strategy.name} ${reason}`);
    throw new DoesNotFitError(`No schedule fits the device: ${reasons.join("; ")}`);
  }
  const chosen = choose(candidates, options.budget);
  const alternatives = offers
    .filter(({ strategy }) => strategy.name !== chosen.schedule.strategy)
    .map((offer) => compare(offer, chosen, options.budget));
  return {
    ...chosen,
    problem,
    device,
    reason: reasonFor(chosen, options),
    twoStage: twoStageMemory(problem, device, options.share),
    alternatives,
  };
}

/** The tiles that a schedule's products choose from. */
export function tilesOf({ limits }: DeviceProfile, { tile }: PlanOptions): readonly Tile[] {
  return tile ? [tile] : feasibleTiles(limits);
}

/** The tile that wastes least on this problem, by the estimate for one pass over all logits. */
function chooseTile(problem: Problem, device: DeviceProfile, tiles: readonly Tile[]): Tile {
  if (tiles.length === 0) {
    throw new DoesNotFitError(
      `No tile fits ${device.name}: the smallest needs more workgroup memory or invocations than the device has`,
    );
  }
  const { tokens, hidden, vocab } = problem;
  const seconds = tiles.map((tile) =>
    productSeconds(
      tile,
      Math.ceil(tokens / tile.rows) * Math.ceil(vocab / tile.cols),
      2 * tile.rows * tile.cols * hidden,
      device.rates,
    )
  );
  return tiles[seconds.indexOf(Math.min(...seconds))]!;
}

/**
 * The schedule of one shape, whatever it costs.
 *
 * @throws {Infeasible} when the shape cannot be cut to the device's limits.
 */
export function emit(
  strategy: Strategy,
  problem: Problem,
  device: DeviceProfile,
  shape: Shape,
  tiles: readonly Tile[],
  { hostIo = true, share }: Pick<PlanOptions, "hostIo" | "share">,
): Schedule {
  const draft = new ScheduleDraft(problem, device, shape, tiles, share);
  strategy.emit(draft);
  const schedule = draft.finish();
  return hostIo ? withHostIo(schedule) : { ...schedule, retained: true };
}

function offer(
  strategy: Strategy,
  problem: Problem,
  device: DeviceProfile,
  { tile, tiles }: { tile: Tile; tiles: readonly Tile[] },
  options: PlanOptions,
): Offer {
  const unsuited = strategy.unsuited(problem);
  if (unsuited) return { strategy, candidates: [], reason: unsuited };
  const candidates: Candidate[] = [];
  let reason = "";
  try {
    for (const shape of strategy.shapes(problem, device, tile, options)) {
      try {
        const schedule = emit(strategy, problem, device, shape, tiles, options);
        candidates.push({
          schedule,
          memory: predictMemory(schedule),
          cost: predictCost(schedule, device),
        });
      } catch (error) {
        if (!(error instanceof Infeasible)) throw error;
        reason ||= error.message;
      }
    }
  } catch (error) {
    if (!(error instanceof Infeasible)) throw error;
    reason ||= error.message;
  }
  return { strategy, candidates, reason };
}

/** The best of some candidates; under a budget the fastest that fits. */
function choose(candidates: readonly Candidate[], budget: number | undefined): Candidate {
  const fitting = candidates.filter(({ memory }) =>
    budget === undefined || memory.peakBytes <= budget
  );
  if (fitting.length === 0) {
    const smallest = Math.min(...candidates.map(({ memory }) => memory.peakBytes));
    throw new DoesNotFitError(
      `Nothing fits a budget of ${budget} bytes (${
        formatBytes(budget!)
      }): the smallest that would is ${smallest} bytes (${formatBytes(smallest)})`,
      smallest,
    );
  }
  const fastest = Math.min(...fitting.map(({ cost }) => cost.seconds));
  const slack = budget === undefined ? AS_FAST : 1;
  const smallestFirst = fitting
    .filter(({ cost }) => cost.seconds <= fastest * slack)
    .sort((a, b) => a.memory.extraPeakBytes - b.memory.extraPeakBytes);
  const smallest = smallestFirst[0]!;
  return smallestFirst.find(({ schedule, memory }) =>
    schedule.strategy === "two-stage" &&
    memory.peakBytes - smallest.memory.peakBytes < WORTHWHILE * smallest.memory.peakBytes
  ) ?? smallest;
}

/** Why a candidate was chosen, in a sentence. */
function reasonFor({ schedule }: Candidate, options: PlanOptions): string {
  if (options.budget !== undefined) return `fastest within ${formatBytes(options.budget)}`;
  if (schedule.strategy === "two-stage" && options.strategy === undefined) {
    return "the logits are small here: no other strategy saves 1 % of the memory and is as fast";
  }
  return "least extra memory among the schedules that are as fast as the fastest";
}

function compare(offer: Offer, chosen: Candidate, budget: number | undefined): Alternative {
  const { strategy, candidates } = offer;
  const fitting = candidates.filter(({ memory }) =>
    budget === undefined || memory.peakBytes <= budget
  );
  if (candidates.length === 0) {
    return {
      strategy: strategy.name,
      extraPeakBytes: undefined,
      feasible: false,
      reason: offer.reason,
    };
  }
  const best = choose(fitting.length ? fitting : candidates, undefined);
  const { extraPeakBytes, peakBytes } = best.memory;
  const reason = fitting.length === 0
    ? `needs ${formatBytes(peakBytes)}, over the budget`
    : best.cost.seconds > chosen.cost.seconds * AS_FAST
    ? `slower: about ${(best.cost.seconds / chosen.cost.seconds).toFixed(1)} times the estimate`
    : extraPeakBytes > chosen.memory.extraPeakBytes
    ? `needs ${formatBytes(extraPeakBytes - chosen.memory.extraPeakBytes)} more`
    : "no faster, and needs no less";
  return { strategy: strategy.name, extraPeakBytes, feasible: fitting.length > 0, reason };
}

/** Memory of two stages in one block and one window, whether or not the device could hold it. */
function twoStageMemory(
  problem: Problem,
  device: DeviceProfile,
  share: Share | undefined,
): MemoryPrediction {
  const { tokens, vocab } = problem;
  const shape = { strategy: "two-stage", block: tokens, window: vocab, splits: 1 } as const;
  const tile = TILES[0]!;
  return predictMemory(
    emit(twoStage, problem, unlimited(device), { ...shape, tile }, [tile], { share }),
  );
}

/**
 * The planner: one schedule chosen for a problem on a device, the others with
 * why they lost.
 *
 * @module
 */
import type { Candidate } from "./search/candidate.ts";
import { best, bestOf, paretoFront, timely, withinBudget } from "./search/choice.ts";
import { type DeviceProfile, unlimited } from "./device.ts";
import type { MemoryPrediction } from "./schedule/memory.ts";
import { type Problem, vocabOf } from "./problem.ts";
import { emit, evaluate } from "./search/evaluate.ts";
import { ask, type PlanOptions, type Question } from "./search/question.ts";
import type { Schedule, StrategyName } from "./schedule/schedule.ts";
import { search, type StrategyCandidates } from "./search/search.ts";
import { shapeOf } from "./search/shapes.ts";
import { granulesOf } from "./strategies/limits.ts";
import { strategyNamed } from "./strategies/mod.ts";
import { twoStage } from "./strategies/two_stage.ts";
import { formatTile, tierProblem, tileProblem, TILES, unsuitedTo } from "./schedule/tile.ts";
import { AS_FAST, WORTHWHILE } from "./tuning.ts";
import { exactBytes, formatBytes } from "./units.ts";

export type { Candidate, PlanOptions };

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

/** A schedule without its steps, which may be many. */
export type Outline = Omit<Schedule, "steps" | "params" | "backwardStart">;

/** The chosen candidate with its schedule, and the alternatives. */
export interface Plan extends Candidate {
  /** Buffers and steps, as data: written out when it is first asked for. */
  readonly schedule: Schedule;
  /** The same without its steps. */
  readonly outline: Outline;
  /** What the schedule computes, defaults filled in. */
  readonly problem: Problem;
  /** Whose limits the schedule keeps to, and whose rates, if measured, it was chosen by. */
  readonly device: DeviceProfile;
  /** Why this schedule was chosen. */
  readonly reason: string;
  /** What two stages would take on a device without size limits, on buffers of the same owners. */
  readonly twoStage: MemoryPrediction;
  /** The other strategies considered: none where the caller fixed one. */
  readonly alternatives: readonly Alternative[];
  /** Most bytes that the plan may take, where the caller said. */
  readonly budget: number | undefined;
  /** Every candidate that fits the device, whatever the budget. */
  readonly candidates: readonly Candidate[];
  /** Those that none beats in both memory and time, the smallest first. */
  readonly front: readonly Candidate[];
}

/**
 * No schedule fits: neither the device's limits nor the budget.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseProblem, plan, SPECIFICATION_DEFAULTS } from "@lce/lce";
 *
 * const problem = parseProblem({ tokens: 1024, hidden: 64, vocab: 5000 });
 * try {
 *   plan(problem, SPECIFICATION_DEFAULTS, { budget: 1000 });
 *   assert.fail("a kilobyte is not enough");
 * } catch (error) {
 *   assert(error instanceof DoesNotFitError);
 *   plan(problem, SPECIFICATION_DEFAULTS, { budget: error.smallestBudget });
 * }
 * ```
 */
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
 * A window or a block that the caller fixed and that no schedule can have, whatever the budget.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseProblem, plan, SPECIFICATION_DEFAULTS } from "@lce/lce";
 *
 * const problem = parseProblem({ tokens: 1024, hidden: 64, vocab: 5000 });
 * assert.throws(() => plan(problem, SPECIFICATION_DEFAULTS, { window: 7 }), FixedSizeError);
 * ```
 */
export class FixedSizeError extends DoesNotFitError {
  /** Tells this error from others without `instanceof`. */
  override name = "FixedSizeError";
}

/**
 * Plans a problem on a device: without a budget the smallest extra memory among
 * the schedules that are as fast as the fastest, under a budget the fastest
 * schedule that fits.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseProblem, SPECIFICATION_DEFAULTS } from "@lce/lce";
 *
 * const problem = parseProblem({ hidden: 4096, vocab: 256000 });
 * const plan = makePlan(problem, SPECIFICATION_DEFAULTS);
 * assert.equal(plan.schedule.strategy, "fused");
 * assert(plan.memory.extraPeakBytes < 0.01 * plan.twoStage.extraPeakBytes);
 * ```
 *
 * @throws {FixedSizeError} when a window or block that the caller fixed is not possible.
 * @throws {DoesNotFitError} when no schedule fits, naming the smallest budget that would.
 */
export function makePlan(
  problem: Problem,
  device: DeviceProfile,
  options: PlanOptions = {},
): Plan {
  const question = ask(problem, device, options);
  checkTile(question);
  checkTier(question);
  checkSizes(question);
  const found = search(problem, device, options);
  const candidates = found.flatMap((each) => each.candidates);
  if (candidates.length === 0) {
    const reasons = found.map(({ strategy, reason }) => `${strategy.name} ${reason}`);
    throw new DoesNotFitError(`No schedule fits the device: ${reasons.join("; ")}`);
  }
  const chosen = choose(candidates, options);
  const { shape } = chosen;
  let written: Schedule | undefined;
  let outlined: Outline | undefined;
  // Asked anew: a plan does not keep what the search has remembered.
  const schedule = () => written ??= emit(ask(problem, device, options), shape, "whole");
  return {
    ...chosen,
    get schedule() {
      return schedule();
    },
    get outline() {
      // Where buffers come and go, a sketch has some of them only.
      return outlined ??= outlineOf(
        shape.residency === "caller"
          ? emit(ask(problem, device, options), shape, "sketch")
          : schedule(),
      );
    },
    problem,
    device,
    reason: reasonFor(chosen, options),
    twoStage: twoStageMemory(question, chosen),
    alternatives: found
      .filter(({ strategy }) => strategy.name !== shape.strategy)
      .map((each) => compare(each, chosen, options.budget)),
    budget: options.budget,
    candidates,
    front: paretoFront(candidates),
  };
}

function outlineOf({ steps: _, params: __, backwardStart: ___, ...outline }: Schedule): Outline {
  return outline;
}

/** Refuses sizes of the caller's at which no binding may begin. */
function checkSizes({ problem, device, options }: Question): void {
  if (options.window === undefined && options.block === undefined) return;
  const granules = granulesOf(problem, device);
  const fixed = [
    ["window", options.window, granules.window, vocabOf(problem), "ids"],
    ["block", options.block, granules.block, problem.tokens, "tokens"],
  ] as const;
  for (const [what, size, granule, total, unit] of fixed) {
    if (size === undefined || size >= total || size % granule === 0) continue;
    throw new FixedSizeError(
      `Cannot work on a ${what} of ${size} ${unit}: as bindings must be aligned, it must be a multiple of ${granule}, or all ${total}`,
    );
  }
}

/** Refuses a tile of the caller's that the device cannot run, or the problem cannot have. */
function checkTile({ problem, device, options: { tile } }: Question): void {
  const fault = tile && (tileProblem(tile, device) ?? unsuitedTo(tile.body.kind, problem));
  if (fault === undefined) return;
  throw new DoesNotFitError(`No schedule fits the device: the tile ${formatTile(tile!)} ${fault}`);
}

/** Refuses a tier of the caller's that the device or the problem cannot have. */
function checkTier({ problem, device, options: { tier } }: Question): void {
  const fault = tier && tierProblem(tier, problem, device);
  if (fault === undefined) return;
  throw new DoesNotFitError(`No schedule fits the device: the tier ${tier} ${fault}`);
}

/** Returns the best of some candidates; under a budget the fastest that fits. */
function choose(
  candidates: readonly Candidate[],
  { budget, window, block }: Pick<PlanOptions, "budget" | "window" | "block">,
): Candidate {
  const fitting = withinBudget(candidates, budget);
  if (fitting.length === 0) {
    const smallest = candidates.reduce(
      (least, { memory }) => Math.min(least, memory.peakBytes),
      Infinity,
    );
    throw new DoesNotFitError(
      `Nothing fits a budget of ${exactBytes(budget!)} (${
        formatBytes(budget!)
      }): the smallest that would is ${exactBytes(smallest)} (${formatBytes(smallest)})`,
      smallest,
    );
  }
  const quick = window === undefined && block === undefined ? timely(fitting) : fitting;
  return budget === undefined ? bestOf(quick) : best(quick, 1);
}

/** Returns why a candidate was chosen, in a sentence. */
function reasonFor({ shape }: Candidate, options: PlanOptions): string {
  if (shape.residency === "windows" && options.weights === undefined) {
    return options.budget === undefined
      ? "with the whole weight on the device nothing fits its limits"
      : `with the whole weight on the device nothing fits ${
        formatBytes(options.budget)
      }; fastest that does`;
  }
  if (options.budget !== undefined) return `fastest within ${formatBytes(options.budget)}`;
  if (strategyNamed(shape.strategy).baseline && options.strategy === undefined) {
    return `the logits are small here: no other strategy is as fast and saves ${
      percent(WORTHWHILE.share)
    } of the memory, or ${formatBytes(WORTHWHILE.bytes)}`;
  }
  return `least memory (within ${
    percent(WORTHWHILE.share)
  }) of the schedules as fast as the fastest (within ${percent(AS_FAST - 1)})`;
}

/** Returns a share as `1 %`. */
function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

function compare(
  { strategy, candidates, reason }: StrategyCandidates,
  chosen: Candidate,
  budget: number | undefined,
): Alternative {
  const none = { strategy: strategy.name, extraPeakBytes: undefined, feasible: false, reason };
  if (candidates.length === 0) return none;
  const fitting = withinBudget(candidates, budget);
  const { memory, cost } = choose(fitting.length ? fitting : candidates, {});
  const { extraPeakBytes, peakBytes } = memory;
  const why = fitting.length === 0
    ? `needs ${formatBytes(peakBytes)}, over the budget`
    : cost.seconds > chosen.cost.seconds * AS_FAST
    ? `slower: about ${(cost.seconds / chosen.cost.seconds).toFixed(1)} times the estimate`
    : extraPeakBytes > chosen.memory.extraPeakBytes
    ? `needs ${formatBytes(extraPeakBytes - chosen.memory.extraPeakBytes)} more`
    : `no faster, and saves less than ${percent(WORTHWHILE.share)} of the memory`;
  return { strategy: strategy.name, extraPeakBytes, feasible: fitting.length > 0, reason: why };
}

/**
 * Returns the memory of plain two stages, whether or not the device could hold it: one block, one
 * window, and each gradient one sum, for parts of it serve a device's speed and no framework takes
 * them.
 */
function twoStageMemory(
  { problem, device, options: { share } }: Question,
  { shape: { residency } }: Candidate,
): MemoryPrediction {
  const question = ask(problem, unlimited(device), { share, tile: TILES[0]! });
  const sizes = { tile: TILES[0]!, block: problem.tokens, window: vocabOf(problem) };
  // Two stages need the whole weight at hand.
  const whole = residency === "windows" ? "host" : residency;
  const shape = shapeOf(problem, twoStage, sizes, { residency: whole, oneSum: true }, device);
  return evaluate(question, shape).memory;
}

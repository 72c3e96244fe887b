/**
 * What is asked of the search, and what one answer to it would need and cost.
 *
 * @module
 */
import type { Candidate } from "./candidate.ts";
import { predictCost } from "../schedule/cost.ts";
import type { DeviceProfile } from "../device.ts";
import { withHostIo } from "../schedule/host_io.ts";
import { type Problem, wantedGradients } from "../problem.ts";
import type { Schedule, Share, StrategyName } from "../schedule/schedule.ts";
import { type Detail, ScheduleDraft } from "../schedule/draft.ts";
import { strategyNamed } from "../strategies/mod.ts";
import { Products } from "../schedule/products.ts";
import { Infeasible, type Shape, type Sizes } from "../schedule/shape.ts";
import { type FixedSizes, splitsOf, type Strategy } from "../strategies/strategy.ts";
import { tilesFor } from "../schedule/tier.ts";
import type { Tile } from "../schedule/tile.ts";

/** Where a weight can be kept while a schedule runs; `auto` is whichever is better. */
export const WEIGHT_PLACEMENTS = ["resident", "streamed", "auto"] as const satisfies (
  WeightPlacement
)[];

/** Where a weight is kept. */
export type WeightPlacement = "resident" | "streamed" | "auto";

/** What the caller decides; everything left out is the planner's choice. */
export interface PlanOptions extends FixedSizes {
  /** The only strategy to consider. */
  readonly strategy?: StrategyName | undefined;
  /** Tile of the matrix kernels, instead of those that waste least. */
  readonly tile?: Tile | undefined;
  /** Most bytes of GPU buffers alive at once, inputs and outputs included. */
  readonly budget?: number | undefined;
  /**
   * Where the weight is kept: on the device, or on the host and sent window by window,
   * which `lce run` alone can do. Left out, it is streamed where nothing else fits.
   */
  readonly weights?: WeightPlacement | undefined;
  /**
   * Whether inputs come from the host and results go back to it, and buffers live no
   * longer than they are used. Off by default: the caller owns hidden states, weight,
   * targets and gradients throughout, and the schedule keeps its own buffers in between.
   */
  readonly hostIo?: boolean | undefined;
  /** The part of a larger job that the problem is: `planParallel()` says which. */
  readonly share?: Share | undefined;
}

/** What is asked, and what the evaluations of its answers share. */
export interface Question {
  readonly problem: Problem;
  readonly device: DeviceProfile;
  readonly options: PlanOptions;
  /** The tiles that schedules may use. */
  readonly tiles: readonly Tile[];
  readonly products: Products;
}

/** A question. */
export function ask(problem: Problem, device: DeviceProfile, options: PlanOptions): Question {
  const tiles = options.tile ? [options.tile] : tilesFor(problem, device);
  return { problem, device, options, tiles, products: new Products(tiles, device.rates) };
}

/** The choices of a shape that are no sizes. */
export type Choices = Pick<Shape, "residency" | "oneSum">;

/** The shape of a strategy in some sizes. */
export function shapeOf(
  { name, streams }: Pick<Strategy, "name" | "streams">,
  sizes: Sizes,
  { residency, oneSum }: Choices,
  { rates }: DeviceProfile,
): Shape {
  const { tile, block, window } = sizes;
  const splits = streams ? splitsOf(sizes, rates) : 1;
  return { strategy: name, tile, block, window, splits, residency, ...(oneSum ? { oneSum } : {}) };
}

/**
 * What a shape would need and cost, by a sketch of its schedule.
 *
 * @throws {Infeasible} when it cannot be cut to the device's limits.
 */
export function evaluate(
  question: Question,
  strategy: Strategy,
  sizes: Sizes,
  choices: Choices,
): Candidate {
  const shape = shapeOf(strategy, sizes, choices, question.device);
  const { memory, ...work } = drafted(question, shape, "sketch").total();
  const cost = predictCost({ ...work, residency: shape.residency }, question.device);
  return { shape, memory, cost };
}

/**
 * The schedule of a shape, with every step, or a sketch of it.
 *
 * @throws {Infeasible} when the shape cannot be cut to the device's limits.
 */
export function emit(question: Question, shape: Shape, detail: Detail): Schedule {
  const schedule = drafted(question, shape, detail).finish();
  return shape.residency === "caller" ? schedule : withHostIo(schedule);
}

function drafted(
  { problem, device, products, options: { share } }: Question,
  shape: Shape,
  detail: Detail,
): ScheduleDraft {
  const draft = new ScheduleDraft(problem, device, shape, products, detail, share);
  strategyNamed(shape.strategy).emit(draft);
  return draft;
}

/** Returns the outcome of something, or `undefined` where it is infeasible; `refuse` takes the reason. */
export function unlessInfeasible<T>(
  what: () => T,
  refuse: (reason: string) => void = () => {},
): T | undefined {
  try {
    return what();
  } catch (error) {
    if (!(error instanceof Infeasible)) throw error;
    refuse(error.message);
  }
}

/** Whether a problem's hidden gradient can be summed in parts. */
export function hasParts(problem: Problem): boolean {
  return wantedGradients(problem).has("hidden");
}

/**
 * What is asked of the search.
 *
 * @module
 */
import type { DeviceProfile } from "../device.ts";
import { ACCUMULATED, type Dtype } from "../dtype.ts";
import { type Problem, wantedGradients } from "../problem.ts";
import { Products } from "../schedule/products.ts";
import type { Residency, Share, StrategyName } from "../schedule/schedule.ts";
import { type Tier, type Tile, tilesFor } from "../schedule/tile.ts";
import type { Strategy } from "../strategies/strategy.ts";

/** Where a weight can be kept while a schedule runs; `auto` is whichever is better. */
export const WEIGHT_PLACEMENTS = ["resident", "streamed", "auto"] as const satisfies (
  WeightPlacement
)[];

/** Where a weight is kept. */
export type WeightPlacement = "resident" | "streamed" | "auto";

/** Sizes that the caller fixed, in vocabulary ids and in tokens. */
export interface FixedSizes {
  /** Vocabulary ids that one window holds. */
  readonly window?: number | undefined;
  /** Tokens that one block holds, ignored ones included. */
  readonly block?: number | undefined;
}

/** What the caller decides; everything left out is the planner's choice. */
export interface PlanOptions extends FixedSizes {
  /** The only strategy to consider. */
  readonly strategy?: StrategyName | undefined;
  /** Tile of the matrix kernels, instead of those that waste least. */
  readonly tile?: Tile | undefined;
  /** Arithmetic of products, instead of the fastest that the device has. */
  readonly tier?: Tier | undefined;
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
  /**
   * What the weight's gradient is stored as, in the caller's buffer: `f32` where it is left out. In 16
   * bits it takes half the memory, and one window of it in f32 besides: a window's gradient is added
   * up in f32 and rounded once. Only a strategy that is done with a window before the next can do so.
   */
  readonly gradientDtype?: Dtype | undefined;
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

/** Returns the question of the best schedule for a problem on a device. */
export function ask(problem: Problem, device: DeviceProfile, options: PlanOptions): Question {
  const tiles = options.tile ? [options.tile] : tilesFor(problem, device, options.tier);
  return { problem, device, options, tiles, products: new Products(tiles, device.rates) };
}

/** Returns what the weight's gradient is rounded to, where it is. */
export function rounding({ problem, options }: Question): { gradientDtype?: Dtype } {
  const { gradientDtype = ACCUMULATED } = options;
  return gradientDtype === ACCUMULATED || !wantedGradients(problem).has("weight")
    ? {}
    : { gradientDtype };
}

/** A branch of a search: one strategy, with its buffers in one place. */
export interface Branch {
  readonly question: Question;
  readonly strategy: Strategy;
  readonly residency: Residency;
}

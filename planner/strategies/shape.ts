/**
 * The free choices of a schedule, and what their sizes must be multiples of.
 *
 * @module
 */
import type { DeviceLimits } from "../device.ts";
import { bytesPerElement } from "../dtype.ts";
import { rowGranule } from "../matrix.ts";
import { type Problem, wantedGradients } from "../problem.ts";
import type { Range, StrategyName } from "../schedule.ts";
import type { Tile } from "../tile.ts";

/** Why a schedule cannot run on a device. The search reports it as a reason, not a failure. */
export class Infeasible extends Error {
  override name = "Infeasible";
}

/** The free choices of a schedule. */
export interface Shape {
  readonly strategy: StrategyName;
  readonly tile: Tile;
  /** Tokens of a block, vocabulary ids of a window. */
  readonly block: number;
  readonly window: number;
  /** Sets of partial statistics per token. */
  readonly splits: number;
}

/** A token block and its place among the others. */
export interface Block extends Range {
  readonly index: number;
}

/** Row counts that a window must be a multiple of, so that every matrix cut by windows is aligned. */
export function windowGranule(problem: Problem, limits: DeviceLimits): number {
  const { hidden, dtype } = problem;
  return Math.max(
    rowGranule(hidden * bytesPerElement(dtype), limits),
    wantedGradients(problem).has("weight") ? rowGranule(4 * hidden, limits) : 1,
    4,
  );
}

/** Row counts that a token block must be a multiple of. */
export function blockGranule(problem: Problem, limits: DeviceLimits): number {
  return Math.max(windowGranule(problem, limits), 64);
}

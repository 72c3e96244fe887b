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
  /** Which strategy it is a shape of. */
  readonly strategy: StrategyName;
  /** Tile of the kernels around the logits. */
  readonly tile: Tile;
  /** Tokens of a block. */
  readonly block: number;
  /** Vocabulary ids of a window. */
  readonly window: number;
  /** Sets of partial statistics per token. */
  readonly splits: number;
  /** Whether each window of the weight, and of its gradient, is a buffer of its own. */
  readonly streamed?: boolean;
}

/** A window of the vocabulary. */
export interface Window extends Range {
  /** How many windows of this size it stands for: 1 except in a sketch. */
  readonly stands: number;
}

/** A token block and its place among the others. */
export interface Block extends Window {
  readonly index: number;
}

/**
 * The ranges that a sketch needs of `[0, total)` cut into ranges of `size`: the
 * first two and the last, and those next to a `cut`, where one buffer ends and
 * another begins. Each stands for those like it that follow and are left out.
 * Buffers are first and last used in the same order as in the whole, so memory is
 * exact; costs are counted as often as they occur.
 */
export function sketch(total: number, size: number, cuts: ReadonlySet<number>): Window[] {
  const kept: { start: number; count: number; stands: number }[] = [];
  for (let start = 0; start < total; start += size) {
    const end = Math.min(start + size, total);
    // The first is like no other: what it adds to starts afresh.
    if (start <= size || end === total || cuts.has(start) || cuts.has(end)) {
      kept.push({ start, count: end - start, stands: 1 });
    } else kept[kept.length - 1]!.stands++;
  }
  return kept;
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

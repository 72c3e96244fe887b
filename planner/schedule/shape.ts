/**
 * The free choices of a schedule, and what their sizes must be multiples of.
 *
 * @module
 */
import type { DeviceLimits } from "../device.ts";
import { ACCUMULATED, bytesPerElement, type Dtype } from "../dtype.ts";
import { rowGranule } from "./matrix.ts";
import { type Problem, vocabOf, wantedGradients, weightColumns } from "../problem.ts";
import type { Range, Residency, StrategyName } from "./schedule.ts";
import type { Tile } from "./tile.ts";

/** Why a schedule cannot run on a device. The search reports it as a reason, not a failure. */
export class Infeasible extends Error {
  override name = "Infeasible";
}

/** Returns what something returns, or why it is infeasible. */
export function attempt<T>(what: () => T): T | Infeasible {
  try {
    return what();
  } catch (error) {
    if (error instanceof Infeasible) return error;
    throw error;
  }
}

/** Sizes that a schedule is cut into. */
export interface Sizes {
  /** Tile of the kernels around the logits. */
  readonly tile: Tile;
  /** Tokens of a block. */
  readonly block: number;
  /** Vocabulary ids of a window. */
  readonly window: number;
}

/** The free choices of a schedule. */
export interface Shape extends Sizes {
  /** Which strategy it is a shape of. */
  readonly strategy: StrategyName;
  /** Sets of partial statistics per token. */
  readonly splits: number;
  /** Who owns the buffers, and for how long. */
  readonly residency: Residency;
  /** What the weight's gradient is rounded to in the caller's buffer, where it is not kept in f32. */
  readonly gradientDtype?: Dtype;
  /** Whether the hidden gradient is summed in one go, even where parts would keep a device busier. */
  readonly oneSum?: boolean;
}

/** More block-window pairs than this make a schedule too long to be of use, or to be held as data. */
export const MAX_PAIRS = 1 << 16;

/** Pairs of a token block and a window that a job is cut into. */
export function pairsOf(
  problem: Problem,
  { block, window }: Pick<Sizes, "block" | "window">,
): number {
  return Math.ceil(problem.tokens / block) * Math.ceil(vocabOf(problem) / window);
}

/** A window of the vocabulary. */
export interface Window extends Range {
  /** How many windows of this size it stands for: 1 except in a sketch. */
  readonly times: number;
}

/** A token block and its place among the others. */
export interface Block extends Window {
  readonly index: number;
}

/** What a dispatch works on: all of the job where it names neither a block nor a window. */
export interface Region {
  readonly block?: Block;
  readonly window?: Window;
  /** Column of the logit matrix that holds the window's first id. */
  readonly column?: number;
  /** Row of the logit matrix that holds the block's first token. */
  readonly row?: number;
  /** Whether results start afresh. */
  readonly first?: boolean;
  /** Whether the caller may want them added to what the buffer holds, though they are the first. */
  readonly mayAdd?: boolean;
}

/**
 * Returns the ranges that a sketch needs of `[0, total)` cut into ranges of `size`: the
 * first, for it is like no other, as what it adds to starts afresh; the second, which
 * stands for all those like it that follow; and the last, which may be shorter.
 */
export function sketch(total: number, size: number): Window[] {
  const last = (Math.ceil(total / size) - 1) * size;
  const starts = [...new Set([0, Math.min(size, last), last])];
  return starts.map((start, index) => ({
    start,
    count: Math.min(size, total - start),
    times: index + 1 < starts.length ? (starts[index + 1]! - start) / size : 1,
  }));
}

/**
 * Returns the row counts that a window must be a multiple of, so that every matrix cut by windows is
 * aligned.
 */
export function windowGranule(problem: Problem, limits: DeviceLimits): number {
  const granules = problem.heads.map((head) =>
    Math.max(
      rowGranule(head.hidden * bytesPerElement(head.dtype), limits),
      wantedGradients(problem, head).has("weight")
        ? rowGranule(weightColumns(problem, head) * bytesPerElement(ACCUMULATED), limits)
        : 1,
    )
  );
  // All are powers of two.
  return Math.max(...granules, 4);
}

/** Returns the row counts that a token block must be a multiple of. */
export function blockGranule(problem: Problem, limits: DeviceLimits): number {
  return Math.max(windowGranule(problem, limits), 64);
}

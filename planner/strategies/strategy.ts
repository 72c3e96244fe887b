/**
 * What a strategy is: which shapes it may take on a device, and the order in
 * which it calls the draft's kernels. Also the sizes that several strategies
 * cut by.
 *
 * @module
 */
import { ASSUMED_RATES, type DeviceProfile } from "../device.ts";
import { bytesPerElement } from "../dtype.ts";
import type { Problem } from "../problem.ts";
import type { StrategyName } from "../schedule.ts";
import { type Tile, workgroupSize } from "../tile.ts";
import type { ScheduleDraft } from "./draft.ts";
import { blockGranule, Infeasible, type Shape, windowGranule } from "./shape.ts";

/** A way to do the job. */
export interface Strategy {
  readonly name: StrategyName;
  /** One line for people: what it does with the logits. */
  readonly summary: string;
  /** Why it cannot serve a problem at all, if so. */
  unsuited(problem: Problem): string | undefined;
  /** Shapes worth trying, given a tile and what the caller fixed. */
  shapes(problem: Problem, device: DeviceProfile, tile: Tile, fixed: FixedSizes): Iterable<Shape>;
  /** Whether it takes one window after the other, so that the weight can be streamed. */
  readonly streams: boolean;
  /** Bytes that it takes at the least, where they are plain to see: more than a budget, it is not tried. */
  least?(problem: Problem): number;
  /** Calls the draft's kernels in order. */
  emit(draft: ScheduleDraft): void;
}

/** Sizes that the caller fixed, in vocabulary ids and in tokens. */
export interface FixedSizes {
  /** Vocabulary ids that one window holds. */
  readonly window?: number | undefined;
  /** Tokens that one block holds, ignored ones included. */
  readonly block?: number | undefined;
}

/**
 * One dispatch should stay far below a watchdog (Windows resets a GPU after two
 * seconds, browsers sooner): windows are cut so that none takes much longer.
 */
const DISPATCH_SECONDS = 0.1;

/** The largest window that one binding holds and one dispatch gets through in good time. */
export function largestWindow(problem: Problem, device: DeviceProfile, tokens: number): number {
  const { hidden, vocab, dtype, pass } = problem;
  const granule = windowGranule(problem, device.limits);
  const rowBytes = hidden * (pass === "train" ? 4 : bytesPerElement(dtype));
  const rate = (device.rates ?? ASSUMED_RATES).flopsPerSecond;
  const timely = (DISPATCH_SECONDS * rate) / (2 * tokens * hidden);
  return cut(
    vocab,
    Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize) / rowBytes,
    granule,
    Math.max(timely, granule),
    "window",
  );
}

/** The largest token block whose hidden states one binding holds. */
export function largestBlock(problem: Problem, device: DeviceProfile, rowBytes = 0): number {
  const { hidden, tokens, dtype, pass } = problem;
  const widest = Math.max(rowBytes, hidden * (pass === "train" ? 4 : bytesPerElement(dtype)));
  const { limits } = device;
  return cut(
    tokens,
    Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize) / widest,
    blockGranule(problem, limits),
    // A grid has one workgroup for each row in the kernels that work on whole rows.
    limits.maxComputeWorkgroupsPerDimension,
    "token block",
  );
}

function cut(total: number, held: number, granule: number, wanted: number, what: string): number {
  if (total <= held && total <= wanted) return total;
  const size = Math.floor(Math.min(held, wanted) / granule) * granule;
  if (size >= granule) return Math.min(size, total);
  throw new Infeasible(
    `the smallest ${what}, ${granule} rows, exceeds maxStorageBufferBindingSize`,
  );
}

/** Waves of workgroups past which a longer dispatch is no faster: its end costs most of one (`cost.ts`). */
const WAVES = 40;

/** The window whose vocabulary tiles, times the block's token tiles, keep the device busy. */
export function busyWindow(device: DeviceProfile, tile: Tile, block: number): number {
  const { parallelInvocations } = device.rates ?? ASSUMED_RATES;
  const tokenTiles = Math.ceil(block / tile.rows);
  const workgroups = (WAVES * parallelInvocations) / workgroupSize(tile);
  return Math.ceil(workgroups / tokenTiles) * tile.cols;
}

/** Sets of partial statistics that a window needs: one for each vocabulary tile. */
export function splitsOf(window: number, tile: Tile): number {
  return Math.ceil(window / tile.cols);
}

/** Block-window pairs past which smaller sizes only cost time, unless the limits force them. */
const MANY_PAIRS = 2048;

/**
 * Whether a shape is short enough to be of use: as short as the limits allow, or
 * at least not long, or as the caller wants it.
 */
export function isShort(
  { tokens, vocab }: Problem,
  shape: FixedSizes & { block: number; window: number },
  largest: { block: number; window: number },
  fixed: FixedSizes,
): boolean {
  if (fixed.block !== undefined || fixed.window !== undefined) return true;
  const pairs = ({ block, window }: { block: number; window: number }) =>
    Math.ceil(tokens / block) * Math.ceil(vocab / window);
  return pairs(shape) <= Math.max(MANY_PAIRS, pairs(largest));
}

/** `most`, and the powers of two times `granule` below it, largest first. */
export function* halvings(most: number, granule: number): Iterable<number> {
  yield most;
  let size = granule * 2 ** Math.ceil(Math.log2(most / granule) - 1);
  for (; size >= granule; size /= 2) {
    if (size < most) yield size;
  }
}

/**
 * The sizes of {@linkcode halvings}, and eighths between them: a block a little
 * smaller may fill whole waves of workgroups where the larger one begins another.
 */
export function* eighths(most: number, granule: number): Iterable<number> {
  for (const size of halvings(most, granule)) {
    yield size;
    for (const share of [7 / 8, 6 / 8, 5 / 8]) {
      const between = Math.floor((size * share) / granule) * granule;
      if (between > size / 2 && between < size) yield between;
    }
  }
}

/** The size the caller fixed, or the candidates. @throws {Infeasible} where the fixed one cannot be. */
export function fixedOr(
  fixed: number | undefined,
  most: number,
  granule: number,
  total: number,
  what: string,
  candidates: Iterable<number>,
): Iterable<number> {
  if (fixed === undefined) return candidates;
  if (fixed >= total && total <= most) return [total];
  if (fixed > most) {
    throw new Infeasible(`a ${what} of ${fixed} exceeds the largest that can be bound, ${most}`);
  }
  if (fixed % granule !== 0) {
    throw new Infeasible(
      `a ${what} of ${fixed} is not a multiple of ${granule}, as bindings must be`,
    );
  }
  return [fixed];
}

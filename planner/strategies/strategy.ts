/**
 * What a strategy is: which shapes it may take on a device, and the order in
 * which it calls the draft's kernels. Also the sizes that several strategies
 * cut by.
 *
 * @module
 */
import type { DeviceProfile, DeviceRates } from "../device.ts";
import { ACCUMULATED, bytesPerElement } from "../dtype.ts";
import { bodyRates } from "../schedule/cost.ts";
import { roundUp } from "../schedule/matrix.ts";
import { headOf, ownedBytes, type Problem } from "../problem.ts";
import type { StrategyName } from "../schedule/schedule.ts";
import { runOf } from "../schedule/products.ts";
import { inMatrices, type Tile, workgroupSize } from "../schedule/tile.ts";
import { BUSY_WAVES, MANY_PAIRS } from "../tuning.ts";
import { worthwhile } from "../worthwhile.ts";
import type { ScheduleDraft } from "../schedule/draft.ts";
import { statisticRows } from "../schedule/statistics.ts";
import { logitRowBytes, tokenStride, WORD } from "../schedule/layout.ts";
import { blockGranule, Infeasible, pairsOf, type Sizes, windowGranule } from "../schedule/shape.ts";

/** A way to do the job. */
export interface Strategy {
  readonly name: StrategyName;
  /** One line for people: what it does with the logits. */
  readonly summary: string;
  /** What it can compute: the loss alone, or loss and gradients. */
  readonly passes: readonly Problem["pass"][];
  /** Whether it is what frameworks do, and what the others are compared with. */
  readonly baseline: boolean;
  /**
   * Whether it takes one window of the vocabulary after the other and keeps
   * statistics in between, so that the weight can be streamed; else it needs all of it.
   */
  readonly streams: boolean;
  /** Most tokens of a block. @throws {Infeasible} where not even the fewest can be. */
  mostTokens(problem: Problem, device: DeviceProfile): number;
  /** Most ids of a window beside a block of so many tokens. @throws {Infeasible} where none can be. */
  mostIds(problem: Problem, device: DeviceProfile, tile: Tile, block: number): number;
  /** Blocks worth trying, the largest first. */
  blocks(most: number, granule: number): Iterable<number>;
  /** Windows worth trying, the largest first: multiples of `granule` up to `most`. */
  windows(
    most: number,
    granule: number,
    device: DeviceProfile,
    tile: Tile,
    block: number,
  ): Iterable<number>;
  /** Bytes that go by the sizes: of stored logits, or else of statistics. */
  stored(problem: Problem, sizes: Sizes): number;
  /** Calls the draft's kernels in order. */
  emit(draft: ScheduleDraft): void;
}

/** Returns why a strategy cannot serve a problem at all, if so. */
export function unsuited({ passes }: Strategy, { heads, pass }: Problem): string | undefined {
  if (heads.length > 1) return `serves one head, and there are ${heads.length}`;
  if (passes.includes(pass)) return undefined;
  return pass === "train" ? "has no backward pass of its own" : "is a training strategy";
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

/** Bytes of the widest row that kernels bind whole blocks or windows of: of hidden states, weight or gradients. */
function widestRow(problem: Problem): number {
  const { hidden, dtype } = headOf(problem);
  return hidden * bytesPerElement(problem.pass === "train" ? ACCUMULATED : dtype);
}

/** Returns the largest window that one binding holds and one dispatch gets through in good time. */
export function largestWindow(
  problem: Problem,
  device: DeviceProfile,
  tile: Tile,
  tokens: number,
): number {
  const { hidden, vocab } = headOf(problem);
  const granule = windowGranule(problem, device.limits);
  const rate = bodyRates(tile, device.rates).flopsPerSecond;
  const timely = (DISPATCH_SECONDS * rate) / (2 * tokens * hidden);
  return cut(
    vocab,
    Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize) /
      widestRow(problem),
    granule,
    Math.max(timely, granule),
    "window",
  );
}

/** Returns the largest token block whose hidden states one binding holds. */
export function largestBlock(problem: Problem, device: DeviceProfile, rowBytes = 0): number {
  const { tokens } = problem;
  const widest = Math.max(rowBytes, widestRow(problem));
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

/** Returns the largest block of which one binding holds the logits. */
export function largestStored(problem: Problem, device: DeviceProfile): number {
  return largestBlock(problem, device, logitRowBytes(headOf(problem).vocab));
}

function cut(total: number, held: number, granule: number, wanted: number, what: string): number {
  if (total <= held && total <= wanted) return total;
  const size = Math.floor(Math.min(held, wanted) / granule) * granule;
  if (size >= granule) return Math.min(size, total);
  throw new Infeasible(
    `the smallest ${what}, ${granule} rows, exceeds maxStorageBufferBindingSize`,
  );
}

/**
 * Returns the window whose vocabulary tiles, times the block's token tiles, keep the device
 * busy.
 */
export function busyWindow(device: DeviceProfile, tile: Tile, block: number): number {
  // Where a workgroup takes many tiles, long windows cost no memory.
  if (inMatrices(tile)) return Infinity;
  const { parallelInvocations } = bodyRates(tile, device.rates);
  const tokenTiles = Math.ceil(block / tile.rows);
  const workgroups = (BUSY_WAVES * parallelInvocations) / workgroupSize(tile);
  return Math.ceil(workgroups / tokenTiles) * tile.cols;
}

/** Sets of partial statistics that a window needs: one for each run of vocabulary tiles. */
export function splitsOf(
  { window, block, tile }: Sizes,
  rates: DeviceRates | undefined,
): number {
  const tiles = Math.ceil(window / tile.cols);
  return Math.ceil(tiles / runOf(tile, Math.ceil(block / tile.rows), tiles, rates));
}

/** Bytes of one set of partial statistics for each token. */
export function statisticsBytes(problem: Problem): number {
  return WORD * tokenStride(problem) * statisticRows(problem);
}

/** Returns the largest window that a pass which keeps statistics between windows can take. */
export function largestStreamed(
  problem: Problem,
  device: DeviceProfile,
  tile: Tile,
  block: number,
): number {
  return Math.min(
    largestWindow(problem, device, tile, block),
    largestFolded(problem, device, tile, block),
  );
}

/** The largest window whose partial statistics one buffer and one binding hold. */
function largestFolded(
  problem: Problem,
  { limits, rates }: DeviceProfile,
  tile: Tile,
  block: number,
): number {
  const { vocab } = headOf(problem);
  const set = statisticsBytes(problem);
  const splits = Math.floor(
    Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize) / set,
  );
  if (splits >= splitsOf({ window: vocab, block, tile }, rates)) return vocab;
  const granule = windowGranule(problem, limits);
  const window = Math.floor((splits * tile.cols) / granule) * granule;
  if (window > 0) return window;
  throw new Infeasible(
    splits === 0
      ? `the statistics of ${problem.tokens} tokens, ${set} bytes, exceed maxStorageBufferBindingSize`
      : `the statistics of ${problem.tokens} tokens and ${granule} ids exceed maxStorageBufferBindingSize`,
  );
}

/** A weight that is streamed is cut into no fewer windows than this, where it can be: else little is saved. */
const STREAMED_WINDOWS = 8;

/**
 * Sizes worth trying with a tile, the largest first, within what the caller
 * fixed: as long as the schedule is short, or as short as the limits allow.
 *
 * @throws {Infeasible} where there are none.
 */
export function* sizesToTry(
  strategy: Strategy,
  problem: Problem,
  device: DeviceProfile,
  tile: Tile,
  fixed: FixedSizes,
  streamed: boolean,
): Generator<Sizes> {
  const { tokens } = problem;
  const { vocab } = headOf(problem);
  checkWindow(strategy, problem, fixed);
  const most = strategy.mostTokens(problem, device);
  const granules = granulesOf(problem, device);
  const blocks = strategy.blocks(most, granules.block);
  const asked = fixed.block !== undefined || fixed.window !== undefined;
  const negligible = worthwhile(ownedBytes(problem));
  let fewest = Infinity;
  for (const block of fixedOr(fixed.block, most, granules.block, tokens, "block", blocks)) {
    const ids = largestIds(strategy, problem, device, tile, block, streamed, fixed);
    if (ids === undefined || ids < Math.min(fixed.window ?? granules.window, vocab)) {
      // A smaller block may leave room for a window that this one does not.
      if (block > granules.block && fixed.block === undefined) continue;
      if (ids === undefined) {
        strategy.mostIds(problem, device, tile, block);
        continue;
      }
    }
    const windows = strategy.streams
      ? fixedOr(
        fixed.window,
        ids,
        granules.window,
        vocab,
        "window",
        strategy.windows(ids, granules.window, device, tile, block),
      )
      : [ids];
    let tried = 0;
    for (const window of windows) {
      const sizes = { tile, block, window };
      const pairs = pairsOf(problem, sizes);
      fewest = Math.min(fewest, pairs);
      if (!asked && pairs > Math.max(MANY_PAIRS, fewest)) break;
      yield sizes;
      tried++;
      // What is smaller saves nothing worth having.
      if (!asked && !streamed && strategy.stored(problem, sizes) <= negligible) break;
    }
    if (tried === 1 && strategy.stored(problem, { tile, block, window: ids }) <= negligible) break;
  }
}

/** Returns what sizes must be multiples of. */
export function granulesOf(problem: Problem, { limits }: DeviceProfile) {
  return { block: blockGranule(problem, limits), window: windowGranule(problem, limits) };
}

/**
 * Returns the largest window beside a block; `undefined` where there is none, or none as large
 * as asked for.
 */
export function largestIds(
  strategy: Strategy,
  problem: Problem,
  device: DeviceProfile,
  tile: Tile,
  block: number,
  streamed: boolean,
  fixed: FixedSizes,
): number | undefined {
  let most: number;
  try {
    most = strategy.mostIds(problem, device, tile, block);
  } catch (error) {
    if (error instanceof Infeasible) return undefined;
    throw error;
  }
  if (fixed.window !== undefined || !streamed) return most;
  const granule = windowGranule(problem, device.limits);
  return Math.min(most, roundUp(Math.ceil(headOf(problem).vocab / STREAMED_WINDOWS), granule));
}

/** @throws {Infeasible} where a strategy that needs the whole vocabulary is to work on windows. */
function checkWindow({ streams }: Strategy, problem: Problem, { window }: FixedSizes): void {
  if (streams || window === undefined || window >= headOf(problem).vocab) return;
  throw new Infeasible("works on the whole vocabulary, not on windows of it");
}

/** `most`, and the powers of two times `granule` below it, largest first. */
export function* halvings(most: number, granule: number): Iterable<number> {
  yield most;
  let size = granule * 2 ** Math.ceil(Math.log2(most / granule) - 1);
  for (; size >= granule; size /= 2) {
    if (size < most) yield size;
  }
}

/** Returns every other one of {@linkcode halvings}, and the smallest. */
export function quarterings(most: number, granule: number): Iterable<number> {
  const sizes = [...halvings(most, granule)];
  return sizes.filter((_, index) => index % 2 === 0 || index === sizes.length - 1);
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
function fixedOr(
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

/**
 * The largest blocks and windows that a device's limits allow, and what both must be
 * multiples of.
 *
 * @module
 */
import { type DeviceProfile, type DeviceRates, heldBytes } from "../device.ts";
import { ACCUMULATED, bytesPerElement } from "../dtype.ts";
import { logitsPerId, type Problem, vocabOf } from "../problem.ts";
import { bodyRates, tiledSeconds } from "../schedule/cost.ts";
import { roundDown, roundUp } from "../schedule/matrix.ts";
import { logitRowBytes, tokenStride, WORD } from "../schedule/layout.ts";
import { runOf } from "../schedule/products.ts";
import {
  blockGranule,
  Infeasible,
  MAX_PAIRS,
  type Sizes,
  windowGranule,
} from "../schedule/shape.ts";
import { statisticRows } from "../schedule/statistics.ts";
import { kindOf, type Tile, workgroupSize } from "../schedule/tile.ts";
import {
  ASSUMED_RATES,
  BUSY_WAVES,
  DISPATCH_SECONDS,
  DISPATCH_SHARE,
  NARROW_WINDOW,
} from "../tuning.ts";

/** Returns what sizes must be multiples of. */
export function granulesOf(problem: Problem, { limits }: DeviceProfile) {
  return { block: blockGranule(problem, limits), window: windowGranule(problem, limits) };
}

/** Returns the bytes of the widest row that kernels bind whole blocks or windows of: of hidden states, weight or gradients. */
function widestRow(problem: Problem): number {
  const rows = problem.heads.map(({ hidden, dtype }) =>
    hidden * bytesPerElement(problem.pass === "train" ? ACCUMULATED : dtype)
  );
  return Math.max(...rows);
}

/** Returns the largest window that one binding holds and one dispatch gets through in good time. */
export function largestWindow(
  problem: Problem,
  device: DeviceProfile,
  tile: Tile,
  tokens: number,
): number {
  const hidden = Math.max(...problem.heads.map((head) => head.hidden));
  const granule = windowGranule(problem, device.limits);
  const rate = bodyRates(tile, device.rates).flopsPerSecond;
  const timely = (DISPATCH_SECONDS * rate) / (2 * tokens * hidden);
  const narrowest = narrowestWindow(problem, tile, tokens, granule);
  const most = cut(
    vocabOf(problem),
    heldBytes(device.limits) / widestRow(problem),
    granule,
    Math.max(timely, narrowest),
    "window",
  );
  // What nobody measured is not worth a second look: the rate is a guess.
  return device.rates
    ? timelyPart(most, granule, narrowest, tile, tokens, hidden, device.rates)
    : most;
}

/**
 * Returns the narrowest window that may be cut for its time's sake: a part of a tile takes as long
 * as all of it, and a schedule has only so many steps.
 */
function narrowestWindow(problem: Problem, tile: Tile, block: number, granule: number): number {
  const windows = Math.floor(MAX_PAIRS / Math.ceil(problem.tokens / block));
  return roundUp(Math.max(tile.cols, vocabOf(problem) / Math.max(1, windows)), granule);
}

/** Returns the part of a window whose product is estimated to take good time: at least the narrowest. */
function timelyPart(
  window: number,
  granule: number,
  narrowest: number,
  tile: Tile,
  tokens: number,
  hidden: number,
  rates: DeviceRates,
): number {
  const seconds = (ids: number) => tiledSeconds(tile, tokens, ids, hidden, rates);
  // Gradients of the same block and window fill their tiles less well.
  const most = DISPATCH_SHARE * DISPATCH_SECONDS;
  let part = window;
  while (part > narrowest && seconds(part) > most) {
    const share = Math.min(0.9, most / seconds(part));
    part = Math.max(narrowest, roundDown(part * share, granule));
  }
  return part;
}

/**
 * Returns the device by whose limits sizes are cut. Who fixes a size may take their time: then
 * it is one without a hurry, which can do what it can bind.
 */
export function sizingDevice(
  device: DeviceProfile,
  { block, window }: { readonly block?: number | undefined; readonly window?: number | undefined },
): DeviceProfile {
  if (block === undefined && window === undefined) return device;
  const rates = device.rates ?? ASSUMED_RATES;
  const flopsPerSecond = Infinity;
  const [matrix, split] = [rates.matrix, rates.split].map((one) =>
    one && { ...one, flopsPerSecond }
  );
  return { ...device, rates: { ...rates, flopsPerSecond, matrix, split } };
}

/** Returns the largest token block whose hidden states one binding holds. */
export function largestBlock(problem: Problem, device: DeviceProfile, rowBytes = 0): number {
  const { tokens } = problem;
  const widest = Math.max(rowBytes, widestRow(problem));
  const { limits, rates } = device;
  const granule = blockGranule(problem, limits);
  const hidden = Math.max(...problem.heads.map((head) => head.hidden));
  // Beside the narrowest window that is worth a dispatch, in as many steps as there may be.
  const windows = Math.ceil(vocabOf(problem) / NARROW_WINDOW);
  const timely = rates
    ? Math.max(
      (DISPATCH_SHARE * DISPATCH_SECONDS * rates.flopsPerSecond) / (2 * hidden * NARROW_WINDOW),
      tokens / Math.floor(MAX_PAIRS / windows),
    )
    : Infinity;
  return cut(
    tokens,
    heldBytes(limits) / widest,
    granule,
    // A grid has one workgroup for each row in the kernels that work on whole rows.
    Math.min(limits.maxComputeWorkgroupsPerDimension, Math.max(granule, timely)),
    "token block",
  );
}

/** Returns the largest block of which one binding holds the logits. */
export function largestStored(problem: Problem, device: DeviceProfile): number {
  return largestBlock(problem, device, logitRowBytes(vocabOf(problem)));
}

function cut(total: number, held: number, granule: number, wanted: number, what: string): number {
  if (total <= held && total <= wanted) return total;
  const size = roundDown(Math.min(held, wanted), granule);
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
  if (kindOf(tile).runs) return Infinity;
  const { parallelInvocations } = bodyRates(tile, device.rates);
  const tokenTiles = Math.ceil(block / tile.rows);
  const workgroups = (BUSY_WAVES * parallelInvocations) / workgroupSize(tile);
  return Math.ceil(workgroups / tokenTiles) * tile.cols;
}

/**
 * Returns how many sets of partial statistics a window needs: one for each run of vocabulary
 * tiles; one for all of it where the logits of several heads are read from memory.
 */
export function splitsOf(
  problem: Problem,
  { window, block, tile }: Sizes,
  rates: DeviceRates | undefined,
): number {
  if (logitsPerId(problem) > 1) return 1;
  const tiles = Math.ceil(window / tile.cols);
  return Math.ceil(tiles / runOf(tile, Math.ceil(block / tile.rows), tiles, rates));
}

/** Returns the bytes of one set of partial statistics for each token. */
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

/** Returns the largest window whose partial statistics one buffer and one binding hold. */
function largestFolded(
  problem: Problem,
  { limits, rates }: DeviceProfile,
  tile: Tile,
  block: number,
): number {
  const vocab = vocabOf(problem);
  const set = statisticsBytes(problem);
  const splits = Math.floor(heldBytes(limits) / set);
  if (splits >= splitsOf(problem, { window: vocab, block, tile }, rates)) return vocab;
  const granule = windowGranule(problem, limits);
  const window = roundDown(splits * tile.cols, granule);
  if (window > 0) return window;
  throw new Infeasible(
    splits === 0
      ? `the statistics of ${problem.tokens} tokens, ${set} bytes, exceed maxStorageBufferBindingSize`
      : `the statistics of ${problem.tokens} tokens and ${granule} ids exceed maxStorageBufferBindingSize`,
  );
}

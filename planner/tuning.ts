/**
 * Constants of the cost model and of the choices that follow from it. Those that are
 * fits were made on one GPU, an H100, under Deno or, of subgroup matrices, under Dawn, and
 * hold for every device: each says to what, and how to fit it again. The others say that
 * they are choices. What differs from device to device is a field of
 * {@linkcode DeviceRates}, which `lce tune` measures or a profile states; where it may be
 * left out, its default is here. `bench/h100.md` and `bench/matrix.md` have the figures.
 *
 * To fit one again, tune first (`lce tune`), then time what its comment names with
 * `lce bench --kernels`, and choose the value by which estimate and time differ
 * least, or by which the passes are fastest.
 *
 * @module
 */
import type { DeviceRates } from "./device.ts";

/**
 * Rates to rank schedules by where none were measured: a choice, of a mid-range GPU. They
 * decide between plans; no time is ever reported from them.
 */
export const ASSUMED_RATES: DeviceRates = {
  flopsPerSecond: 2e12,
  bytesPerSecond: 1e11,
  secondsPerDispatch: 1e-5,
  parallelInvocations: 32768,
};

/**
 * How a grid's workgroups become time. They run in waves, as many at once as the
 * device holds. `unfilled` is the share of a whole wave's time that the idle part of
 * the last one takes, `drain` the share by which waves no longer finish together
 * when the next dispatch waits for the last of them.
 *
 * Fitted to single products of 0.3 to 62 waves, whose times it meets within 7 %.
 * Again: `lce bench --kernels --window W` for windows of so many waves, and least
 * squares over both.
 */
export const WAVES = { unfilled: 0.5, drain: 0.75 } as const;

/**
 * What a workgroup does before and after its sum, first loads and last stores, in
 * terms of the depth: other workgroups hide it, except where a dispatch begins and
 * ends. Fitted to dispatches of one wave. Again: `forward` on one wave of tiles with
 * hidden sizes that double; its time is a line in the hidden size, and meets zero at
 * this many below it.
 */
export const ENDS_DEPTH = 440;

/**
 * What each workgroup does before and after its sums in subgroup matrices, in terms of
 * the depth. Fitted to `forward` without runs at depths of 2304 and 4096, tiles of
 * 128x128. Again: the same, whose times are a line in the hidden size.
 */
export const MATRIX_ENDS_DEPTH = 130;

/**
 * Waves of workgroups past which a longer dispatch is no faster: its end costs most
 * of one. Again: `forward` over windows of 1 to 120 waves; 8 are 1 % slower, 120 are
 * 0.4 % faster and take three times the memory.
 */
export const BUSY_WAVES = 40;

/** How the depth of a product with few results is cut into parts that are summed at the same time. */
export const PARTS = {
  /** Most of them: a choice that bounds what is tried. */
  most: 32,
  /**
   * Longest stretch of the depth, where parts are possible: workgroups drift apart
   * over a longer one, and no longer find in the caches what others have loaded (16 %
   * slower over 116,000 ids than the waves alone explain). Again: `hidden-gradient`
   * of one token block over windows of 8,192 ids and more.
   */
  longest: 32768,
  /** Most that the parts' sums may take, relative to the logits that are multiplied: a choice, not a fit. */
  share: 0.5,
  /** Fewer parts that take less than this much longer are preferred, for they need less memory: a choice. */
  slack: 1.02,
} as const;

/**
 * The order of a projection's tiles. Workgroups that run at the same time should
 * share as many operands as they can: where no cache holds a block's hidden states, a
 * band of token tiles about as high as it is wide. Elsewhere the registers that it
 * takes cost more than it gains.
 */
export const BANDS = {
  /** Token tiles of a band. Again: `forward` at 16384 x 4096 x 128256 with 4 to 64. */
  tiles: 16,
  /**
   * Bytes of hidden states that are past what caches make up for, unless the device's
   * rates say ({@linkcode DeviceRates.cacheBytes}). Again: `forward` with and without
   * bands, tokens doubling, until bands win.
   */
  cacheBytes: 128 * 2 ** 20,
} as const;

/**
 * Vocabulary tiles that one workgroup takes one after the other, in subgroup matrices.
 * `ends` is what its beginning and end take, in terms of a tile; `longest` is how far
 * workgroups may drift apart, and `waves` how many are looked at: both are choices
 * (`bench/matrix.md` has 61 tiles in 8 waves).
 */
export const RUNS = { ends: 0.2, longest: 64, waves: 16 } as const;

/**
 * Bytes per second between host and device, where its rates do not say
 * ({@linkcode DeviceRates.hostBytesPerSecond}): half of what PCIe 3.0 x16 carries.
 * It decides between plans only.
 */
export const HOST_BYTES_PER_SECOND = 8e9;

/**
 * Tiles in registers, by rows, columns and depth, what an invocation keeps, and their
 * arithmetic rate relative to the first. The second is the largest that the
 * specification's default limits allow; the last two are for small problems and
 * weaker devices. Again: `lce tune` measures them, and more.
 */
export const REGISTER_TILES: readonly (readonly [
  extents: readonly [number, number, number],
  micro: readonly [number, number],
  rate: number,
])[] = [
  [[128, 128, 16], [8, 8], 1],
  [[64, 128, 16], [8, 8], 0.86],
  [[64, 64, 16], [8, 8], 0.87],
  [[32, 64, 16], [4, 8], 0.66],
  [[32, 32, 16], [4, 4], 0.55],
];

/**
 * Tiles in subgroup matrices, by rows, columns and depth, their subgroups, and their
 * rate relative to the first (`bench/matrix.md`); the last is for small problems.
 * Again: `forward` and both gradients in each.
 */
export const MATRIX_TILES: readonly (readonly [
  extents: readonly [number, number, number],
  subgroups: readonly [number, number],
  rate: number,
])[] = [
  [[128, 128, 32], [2, 2], 1],
  [[256, 128, 32], [4, 2], 0.93],
  [[64, 64, 32], [2, 2], 0.5],
];

/** The same of operands in f32, each split in two. */
export const SPLIT_TILES: typeof MATRIX_TILES = [
  [[128, 128, 16], [2, 2], 1],
  [[64, 64, 16], [2, 2], 0.5],
];

/**
 * Products in subgroup matrices where nobody measured them, relative to those in registers:
 * how much faster they are, a choice, so that plans prefer them (an H100 is 7 times as fast),
 * and how many invocations run at once, as each keeps more.
 */
export const MATRIX_GUESS = { gain: 4, parallel: 0.5 } as const;

/**
 * Depth that one sum of a gradient goes over in split operands, before it is added to the rest in
 * f32. A choice between the errors of long sums and the time of adding: `bench/matrix.md`.
 */
export const SPLIT_LONGEST_SUM = 2048;

/** Products of f32 that are split in two, relative to those of halves: three make up one. */
export const SPLIT_GUESS = 1 / 3;

/**
 * Share of a product's time in subgroup matrices that is added for each operand in bf16 that becomes
 * halves on its way to workgroup memory: both of logits, one of a gradient's. Fitted to products of
 * two shapes, which take 4.6 to 7 % longer for each, for some 65 instructions of each invocation in a
 * step of 128x128x32. Again: `lce bench --kernels --dtype bf16` beside `--dtype f16`.
 */
export const HALVING = 0.06;

/**
 * What of a product's time each id of a list adds that its results are taken into: of 4 and 8 ids, on
 * an H100, 0.22 and 0.19 in f32 and 0.07 and 0.06 in split f32 (`docs/heads.md`); in f16, whose
 * products take a third of the time of those, three times as much, which was not measured.
 */
export const LISTED_ID = { registers: 0.2, split: 0.065, matrix: 0.2 };

/** Rate of a tile that nobody measured: a choice, below every tile that was. */
export const UNKNOWN_TILE_RATE = 0.4;

/**
 * Two schedules whose estimates differ by less than this count as equally fast, and
 * the one that needs less memory wins: a choice.
 */
export const AS_FAST = 1.02;

/**
 * Tiles slower than the fastest by more than this are not tried on the shapes that
 * did well: a choice, of the search's time against the plan's.
 */
export const PROMISING_TILE = 1.1;

/**
 * Pairs of a token block and a window past which smaller sizes only cost time, unless
 * the limits force them: a choice.
 */
export const MANY_PAIRS = 2048;

/**
 * A saving of memory below both is worth neither time nor a method of its own: among
 * schedules that need no more than this beyond the smallest, the fastest wins, and two
 * stages, the simplest, win where they are among them. A choice; a share alone would not
 * do, as 1 % of a large job is more than other methods take in all.
 */
export const WORTHWHILE = { share: 0.01, bytes: 64 * 2 ** 20 } as const;

/**
 * Seconds that one dispatch of a product may take: windows and token blocks are cut by it, and of
 * what fits, schedules that keep to it are chosen. A choice, far below a watchdog: Windows resets a
 * GPU after two seconds, browsers sooner.
 */
export const DISPATCH_SECONDS = 0.1;

/** Dispatches that are handed to a device together, where each is short: a choice. */
export const DISPATCHES_TOGETHER = 16;

/** Share of that which the product of a block and a window takes at most, for gradients take longer: a choice. */
export const DISPATCH_SHARE = 0.75;

/**
 * Ids of the narrowest window beside which a token block is as long as it may be in that
 * time: a choice, of what tiles are about as wide as.
 */
export const NARROW_WINDOW = 128;

/**
 * A weight that is streamed is cut into no fewer windows than this, where it can be, or
 * little is saved: a choice.
 */
export const STREAMED_WINDOWS = 8;

/**
 * Sizes that a search for the smallest looks at with a tile where buffers come and go: a
 * choice, of its time. The bound on what sizes take is far below what they take at once
 * there and ends few searches; along a valley, where less of a block makes up for more of
 * a window, there would be thousands.
 */
export const MOST_TRIED = 32;

/**
 * Sets of partial statistics that are read before any of them is folded: an invocation
 * that waits for each in turn takes 3 times as long over a thousand of them. Again: `merge`
 * over windows of 128 ids, with 1 to 16.
 */
export const SPLITS_AT_ONCE = 4;

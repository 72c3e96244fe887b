/**
 * Matrix products cut to fill a device: into which tiles, and a long sum over a
 * small result into how many parts.
 *
 * @module
 */
import { productSeconds } from "../cost.ts";
import { ASSUMED_RATES, type DeviceLimits, type DeviceRates } from "../device.ts";
import { roundUp } from "../matrix.ts";
import { projectionFlops } from "../problem.ts";
import type { Dispatch, TileOrder } from "../schedule.ts";
import type { Tile } from "../tile.ts";

/** Most parts that the depth of a product is cut into. */
const MAX_PARTS = 32;

/**
 * Longest stretch of the depth, where parts are possible: workgroups drift apart
 * over a longer one, and no longer find in the caches what others have loaded
 * (16 % slower over 116,000 ids than the waves alone explain, `bench/h100.md`).
 */
const MAX_SPAN = 32768;

/** Most that the parts' sums may take, relative to the logits that are multiplied. */
const PARTS_SHARE = 0.5;

/** Fewer parts that take less than this much longer are preferred: they need less memory. */
const WORTH_PARTS = 1.02;

/**
 * Token tiles of a band. Workgroups that run at the same time should share as many
 * operands as they can: where no cache holds a block's hidden states, a band about
 * as high as it is wide (`bench/h100.md`). Elsewhere the registers that it takes
 * cost more than it gains.
 */
const BAND = 16;

/** Bytes of hidden states that are past what caches make up for. */
const PAST_CACHES = 128 * 2 ** 20;

/**
 * The order of a projection's tiles: bands where the hidden states of `rows`
 * tokens, `rowBytes` each, take more than `caches` bytes and are higher than one.
 */
export function tileOrder(
  rows: number,
  rowBytes: number,
  tile: Tile,
  { caches = PAST_CACHES, band = BAND } = {},
): { order?: TileOrder } {
  return rows * rowBytes > caches && rows > band * tile.rows ? { order: { band } } : {};
}

/** A product of `rows x cols` results over `depth`, cut into tiles. */
export interface TiledProduct {
  /** Tiles along the columns, and along the rows. */
  readonly grid: readonly [number, number];
  /** What a dispatch of it says of itself. */
  readonly work: Pick<Dispatch, "flops" | "workgroupFlops"> & { readonly tile: Tile };
}

/** A product in the tile given. */
export function tiledProduct(rows: number, cols: number, depth: number, tile: Tile): TiledProduct {
  return {
    grid: [Math.ceil(cols / tile.cols), Math.ceil(rows / tile.rows)],
    work: {
      tile,
      flops: projectionFlops({ tokens: rows, vocab: cols, hidden: depth }),
      workgroupFlops: 2 * tile.rows * tile.cols * depth,
    },
  };
}

/** The products of one schedule, in whichever of some tiles suits each. */
export class Products {
  readonly #fitting = new Map<string, TiledProduct & { readonly seconds: number }>();

  constructor(
    readonly tiles: readonly Tile[],
    readonly rates: DeviceRates | undefined,
  ) {}

  /** A product in the tile that leaves least of the device idle when `parts` of it run at once. */
  fitting(rows: number, cols: number, depth: number, parts = 1) {
    const key = `${rows} ${cols} ${depth} ${parts}`;
    const known = this.#fitting.get(key);
    if (known) return known;
    const products = this.tiles.map((tile) => {
      const product = tiledProduct(rows, cols, depth, tile);
      const workgroups = parts * product.grid[0] * product.grid[1];
      const { workgroupFlops } = product.work;
      return { ...product, seconds: productSeconds(tile, workgroups, workgroupFlops, this.rates) };
    });
    const best = products.reduce((least, other) => other.seconds < least.seconds ? other : least);
    this.#fitting.set(key, best);
    return best;
  }

  /**
   * The longest stretch of the depth, a multiple of `unit`, whose parts keep the
   * device about as busy as it can be.
   */
  fittingSpan(
    { rows, cols, depth, unit }: { rows: number; cols: number; depth: number; unit: number },
    { maxBufferSize, maxStorageBufferBindingSize }: DeviceLimits,
  ): number {
    const room = Math.min(
      maxBufferSize,
      maxStorageBufferBindingSize,
      PARTS_SHARE * 4 * rows * depth,
    );
    const most = Math.min(MAX_PARTS, Math.max(1, Math.floor(room / (4 * rows * cols))));
    const spans = Array.from(
      { length: most },
      (_, index) => Math.min(depth, roundUp(Math.ceil(depth / (index + 1)), unit)),
    );
    const close = spans.filter((span) => span <= MAX_SPAN);
    const candidates = (close.length ? close : spans).map((span) => {
      const parts = Math.ceil(depth / span);
      const moved = parts === 1 ? 0 : 8 * parts * rows * cols;
      const { bytesPerSecond } = this.rates ?? ASSUMED_RATES;
      const { seconds } = this.fitting(rows, cols, span, parts);
      return { span, seconds: seconds + moved / bytesPerSecond };
    });
    const fastest = Math.min(...candidates.map(({ seconds }) => seconds));
    return candidates.find(({ seconds }) => seconds <= WORTH_PARTS * fastest)!.span;
  }
}

/**
 * Matrix products cut to fill a device: into which tiles, and a long sum over a
 * small result into how many parts.
 *
 * @module
 */
import { flopsOver, parallelWorkgroups, tiledSeconds } from "./cost.ts";
import { type DeviceLimits, type DeviceRates, heldBytes } from "../device.ts";
import { ACCUMULATED, bytesPerElement } from "../dtype.ts";
import { logitBytes } from "./layout.ts";
import { roundUp } from "./matrix.ts";
import { projectionFlops } from "../problem.ts";
import type { Dispatch, TileOrder } from "./schedule.ts";
import { ASSUMED_RATES, BANDS, PARTS, RUNS } from "../tuning.ts";
import { kindOf, type Tile } from "./tile.ts";

/**
 * Returns the order of a projection's tiles: bands where the hidden states of `rows`
 * tokens, `rowBytes` each, take more than `caches` bytes and are higher than one.
 */
export function tileOrder(
  rows: number,
  rowBytes: number,
  tile: Tile,
  { caches = BANDS.cacheBytes as number, band = BANDS.tiles as number } = {},
): { order?: TileOrder } {
  // Where they are taken in runs, operands are read so fast that they are to be near each other.
  const far = kindOf(tile).runs || rows * rowBytes > caches;
  return far && rows > band * tile.rows ? { order: { band } } : {};
}

/**
 * Returns how many vocabulary tiles one workgroup takes, one after the other, where
 * `rowTiles` token tiles meet `columnTiles` of them. In registers one: the counters of
 * a loop around the product would cost more than it saves. In matrices as many as fill
 * whole waves best: what a workgroup does at its beginning and end, nothing hides.
 */
export function runOf(
  tile: Tile,
  rowTiles: number,
  columnTiles: number,
  rates: DeviceRates | undefined,
): number {
  if (!kindOf(tile).runs) return 1;
  const parallel = parallelWorkgroups(tile, rates);
  let [best, least] = [1, Infinity];
  for (let waves = 1; waves <= RUNS.waves; waves++) {
    const splits = Math.min(columnTiles, Math.max(1, Math.floor(waves * parallel / rowTiles)));
    const run = Math.min(RUNS.longest, Math.ceil(columnTiles / splits));
    const workgroups = rowTiles * Math.ceil(columnTiles / run);
    const time = Math.ceil(workgroups / parallel) * (run + RUNS.ends);
    if (time < least) [best, least] = [run, time];
  }
  return best;
}

/** A product of `rows x cols` results over `depth`, cut into tiles. */
export interface TiledProduct {
  /** Tiles along the columns, and along the rows. */
  readonly grid: readonly [number, number];
  /** What a dispatch of it says of itself. */
  readonly work: Pick<Dispatch, "flops" | "workgroupFlops"> & { readonly tile: Tile };
}

/** Returns a product in the tile given. */
export function tiledProduct(rows: number, cols: number, depth: number, tile: Tile): TiledProduct {
  return {
    grid: [Math.ceil(cols / tile.cols), Math.ceil(rows / tile.rows)],
    work: {
      tile,
      flops: projectionFlops({ tokens: rows, vocab: cols, hidden: depth }),
      workgroupFlops: flopsOver(tile, depth),
    },
  };
}

/** The products of some schedules on one device, in whichever of some tiles suits each. */
export class Products {
  readonly #fitting = new Map<string, TiledProduct>();
  readonly #spans = new Map<string, number>();
  readonly #like = new Map<string, Products>();

  constructor(
    readonly tiles: readonly Tile[],
    readonly rates: DeviceRates | undefined,
  ) {}

  /** Returns the same in one tile alone. */
  only(tile: Tile): Products {
    return this.tiles.length === 1 && this.tiles[0] === tile
      ? this
      : new Products([tile], this.rates);
  }

  /** Returns the same in the tiles that have a body as a tile has. */
  like({ body: { kind } }: Tile): Products {
    if (this.tiles.every(({ body }) => body.kind === kind)) return this;
    let products = this.#like.get(kind);
    if (!products) {
      products = new Products(this.tiles.filter(({ body }) => body.kind === kind), this.rates);
      this.#like.set(kind, products);
    }
    return products;
  }

  /** Returns a product in the tile that leaves least of the device idle, where `parts` of it run at once. */
  fitting(rows: number, cols: number, depth: number, parts = 1): TiledProduct {
    const key = `${rows} ${cols} ${depth} ${parts}`;
    let product = this.#fitting.get(key);
    if (!product) {
      product = tiledProduct(rows, cols, depth, this.#fastest(rows, cols, depth, parts).tile);
      this.#fitting.set(key, product);
    }
    return product;
  }

  /**
   * Returns the tile that a product takes least time in when `parts` of it run at once, and how
   * long.
   */
  #fastest(rows: number, cols: number, depth: number, parts: number) {
    let tile = this.tiles[0]!;
    let least = Infinity;
    // No objects here: a search asks for tens of thousands.
    for (const each of this.tiles) {
      const seconds = tiledSeconds(each, rows, cols, depth, this.rates, parts);
      if (seconds < least) [tile, least] = [each, seconds];
    }
    return { tile, seconds: least };
  }

  /**
   * Returns the longest stretch of the depth, a multiple of `unit`, whose parts keep the device
   * about as busy as it can be.
   */
  fittingSpan(
    { rows, cols, depth, unit }: { rows: number; cols: number; depth: number; unit: number },
    limits: DeviceLimits,
  ): number {
    const key = `${rows} ${cols} ${depth} ${unit}`;
    const known = this.#spans.get(key);
    if (known !== undefined) return known;
    const sum = bytesPerElement(ACCUMULATED);
    const room = Math.min(heldBytes(limits), PARTS.share * logitBytes(rows * depth));
    const most = Math.min(PARTS.most, Math.max(1, Math.floor(room / (sum * rows * cols))));
    const { bytesPerSecond } = this.rates ?? ASSUMED_RATES;
    const spans: number[] = [];
    for (let parts = 1; parts <= most; parts++) {
      const span = Math.min(depth, roundUp(Math.ceil(depth / parts), unit));
      if (span !== spans.at(-1)) spans.push(span);
    }
    const close = spans.filter((span) => span <= PARTS.longest);
    const candidates = close.length ? close : spans;
    const seconds = candidates.map((span) => {
      const parts = Math.ceil(depth / span);
      const moved = parts === 1 ? 0 : 2 * sum * parts * rows * cols;
      return this.#fastest(rows, cols, span, parts).seconds + moved / bytesPerSecond;
    });
    const fastest = Math.min(...seconds);
    const span = candidates.find((_, index) => seconds[index]! <= PARTS.slack * fastest)!;
    this.#spans.set(key, span);
    return span;
  }
}

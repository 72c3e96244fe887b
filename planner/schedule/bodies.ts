/**
 * Tiles as data: how much of a product one workgroup computes, and how.
 *
 * @module
 */

/** Each invocation sums `microRows x microCols` of a tile's results in registers. */
export interface RegisterBody {
  /** Tells the bodies of a product apart. */
  readonly kind: "registers";
  /** Rows of results that an invocation keeps in registers. */
  readonly microRows: number;
  /** Columns of results that an invocation keeps in registers. */
  readonly microCols: number;
}

/** Each subgroup sums its part of a tile's results in subgroup matrices, with sums in f32. */
export interface SubgroupBody {
  /** Tells the bodies of a product apart. */
  readonly kind: "matrix" | "split";
  /** Subgroups along the tile's rows and along its columns, and invocations of one. */
  readonly subgroups: { readonly rows: number; readonly cols: number; readonly size: number };
  /** Rows, columns and depth of one matrix multiplication: `m x n` results over `k`. */
  readonly fragment: { readonly m: number; readonly n: number; readonly k: number };
  /**
   * Whether matrices are made of plain WGSL, for devices that have none: slow, and
   * the same in everything else.
   */
  readonly emulated?: boolean | undefined;
}

/** In subgroup matrices, of operands that are stored in f16. */
export interface MatrixBody extends SubgroupBody {
  /** Operands are multiplied as they are. */
  readonly kind: "matrix";
}

/** In subgroup matrices, of operands in f32: each is split into a sum of two of f16. */
export interface SplitBody extends SubgroupBody {
  /** Three products of halves make up one of f32. */
  readonly kind: "split";
}

/** How a workgroup sums a tile. */
export type TileBody = RegisterBody | MatrixBody | SplitBody;

/** Shape of a tile: `rows x cols` results, summed in steps of `depth`. */
export interface Tile {
  /** Rows of results that a workgroup computes at a time. */
  readonly rows: number;
  /** Columns of results that a workgroup computes at a time. */
  readonly cols: number;
  /** Elements of the summed dimension that are in workgroup memory at a time. */
  readonly depth: number;
  /** What sums them, and how it is shared out. */
  readonly body: TileBody;
}

/** A tile with its arithmetic rate, relative to the device's fastest one with that kind of body. */
export interface RatedTile extends Tile {
  /** Arithmetic rate, relative to the fastest tile with such a body. */
  readonly rate: number;
}

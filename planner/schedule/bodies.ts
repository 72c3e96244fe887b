/**
 * Tiles as data: how much of a product one workgroup computes, and how.
 *
 * @module
 */
/**
 * Shape of a tile: `rows x cols` results, summed in steps of `depth`. Each
 * invocation owns `microRows x microCols` of the results in registers.
 */
export interface Tile {
  /** Rows of results that a workgroup computes at a time. */
  readonly rows: number;
  /** Columns of results that a workgroup computes at a time. */
  readonly cols: number;
  /** Elements of the summed dimension that are in workgroup memory at a time. */
  readonly depth: number;
  /** Rows of results that an invocation keeps in registers. */
  readonly microRows: number;
  /** Columns of results that an invocation keeps in registers. */
  readonly microCols: number;
}

/** A tile with its arithmetic rate, relative to the fastest one of the device. */
export interface RatedTile extends Tile {
  /** Arithmetic rate, relative to the fastest tile. */
  readonly rate: number;
}

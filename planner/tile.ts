/**
 * Tiles: the block of a matrix product that one workgroup computes, and the
 * micro-tile of one invocation. Shapes only; the WGSL is made in `kernels/`.
 *
 * @module
 */
import type { DeviceLimits } from "./device.ts";

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

/**
 * Shapes to choose from, with their arithmetic rate relative to the first, as
 * measured on an H100 under Deno (`bench/h100.md`). The second is the largest
 * that the specification's default limits allow. The rates of the last two, for
 * small problems and weaker devices, are estimates.
 */
const RATES: ReadonlyMap<Tile, number> = new Map<Tile, number>([
  [{ rows: 128, cols: 128, depth: 16, microRows: 8, microCols: 8 }, 1],
  [{ rows: 64, cols: 128, depth: 16, microRows: 8, microCols: 8 }, 0.9],
  [{ rows: 64, cols: 64, depth: 16, microRows: 8, microCols: 8 }, 0.82],
  [{ rows: 32, cols: 64, depth: 16, microRows: 4, microCols: 8 }, 0.6],
  [{ rows: 32, cols: 32, depth: 16, microRows: 4, microCols: 4 }, 0.45],
]);

/** Tile shapes to choose from, the preferred first. */
export const TILES: readonly Tile[] = [...RATES.keys()];

/** Arithmetic rate of a tile of {@linkcode TILES} relative to the preferred one. */
export function relativeRate(tile: Tile): number {
  return RATES.get(tile) ?? 0.5;
}

/** Invocations of one workgroup. */
export function workgroupSize(tile: Tile): number {
  return (tile.rows / tile.microRows) * (tile.cols / tile.microCols);
}

/**
 * How an operand lies in memory. `inner`: the depth is contiguous (rows of the
 * result are rows of the operand); `outer`: rows of the result are contiguous,
 * and the depth runs down the operand's rows.
 */
export type Layout = "inner" | "outer";

/**
 * Vec4s from one depth to the next in workgroup memory. Operands that are
 * stored transposed get one more, which spreads the stores over the banks.
 */
export function rowQuads(layout: Layout, extent: number): number {
  return extent / 4 + (layout === "inner" ? 1 : 0);
}

/** Workgroup memory of a tile at its largest, with both operands `inner`, in bytes. */
export function workgroupBytes({ rows, cols, depth }: Tile): number {
  return (rowQuads("inner", rows) + rowQuads("inner", cols)) * depth * 16;
}

/** Why a tile cannot run under the limits, or `undefined` when it can. */
export function tileProblem(tile: Tile, limits: DeviceLimits): string | undefined {
  const invocations = workgroupSize(tile);
  const allowed = Math.min(
    limits.maxComputeInvocationsPerWorkgroup,
    limits.maxComputeWorkgroupSizeX,
  );
  if (invocations > allowed) {
    return `needs ${invocations} invocations in a workgroup, the device allows ${allowed}`;
  }
  const bytes = workgroupBytes(tile);
  if (bytes > limits.maxComputeWorkgroupStorageSize) {
    return `needs ${bytes} bytes of workgroup memory, the device has ${limits.maxComputeWorkgroupStorageSize}`;
  }
}

/** Tiles that run under the limits, the preferred first. */
export function feasibleTiles(limits: DeviceLimits): Tile[] {
  return TILES.filter((tile) => tileProblem(tile, limits) === undefined);
}

/** A tile as people write it: `64x128x16, 8x8`. */
export function formatTile(tile: Tile): string {
  const { rows, cols, depth, microRows, microCols } = tile;
  return `${rows}x${cols}x${depth}, ${microRows}x${microCols}`;
}

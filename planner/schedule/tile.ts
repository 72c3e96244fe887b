/**
 * Tiles: the block of a matrix product that one workgroup computes, and the
 * micro-tile of one invocation. Shapes only; the WGSL is made in `kernels/`.
 *
 * @module
 */
import type { DeviceLimits, DeviceProfile } from "../device.ts";
import type { RatedTile, Tile } from "./bodies.ts";

export type { RatedTile, Tile };

/**
 * Shapes to choose from, with their arithmetic rate relative to the first, as
 * measured on an H100 under Deno (`bench/h100.md`). The second is the largest
 * that the specification's default limits allow; the last two are for small
 * problems and weaker devices. `lce tune` measures them, and more, anywhere.
 */
const RATED: readonly RatedTile[] = [
  { rows: 128, cols: 128, depth: 16, microRows: 8, microCols: 8, rate: 1 },
  { rows: 64, cols: 128, depth: 16, microRows: 8, microCols: 8, rate: 0.86 },
  { rows: 64, cols: 64, depth: 16, microRows: 8, microCols: 8, rate: 0.87 },
  { rows: 32, cols: 64, depth: 16, microRows: 4, microCols: 8, rate: 0.66 },
  { rows: 32, cols: 32, depth: 16, microRows: 4, microCols: 4, rate: 0.55 },
];

/** Tile shapes to choose from where a device has none of its own, the preferred first. */
export const TILES: readonly Tile[] = RATED.map(({ rate: _, ...tile }) => tile);

/** Rate of a tile that nobody measured. */
const UNKNOWN_RATE = 0.4;

/** Arithmetic rate of a tile relative to the fastest: as rated on the device, or as shipped. */
export function relativeRate(tile: Tile, rated: readonly RatedTile[] = RATED): number {
  return rated.find((other) => sameTile(tile, other))?.rate ?? UNKNOWN_RATE;
}

/** Whether two tiles are the same. */
export function sameTile(a: Tile, b: Tile): boolean {
  return a.rows === b.rows && a.cols === b.cols && a.depth === b.depth &&
    a.microRows === b.microRows && a.microCols === b.microCols;
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

/**
 * Whether kernels can be written for a tile: all of it is made of vec4s, and its
 * invocations share out the copying of both operands evenly.
 */
function isWellFormed(tile: Tile): boolean {
  const { rows, cols, depth, microRows, microCols } = tile;
  const invocations = workgroupSize(tile);
  const divides = (small: number, large: number) => large % small === 0;
  return [rows, cols, depth, microRows, microCols].every((extent) => divides(4, extent)) &&
    divides(microRows, rows) && divides(microCols, cols) && divides(depth / 4, invocations) &&
    [rows, cols].every((extent) =>
      divides(extent / 4, invocations) && divides(invocations, (extent / 4) * depth) &&
      (divides(invocations, (extent / 4) * (depth / 4)) ||
        divides((extent / 4) * (depth / 4), invocations))
    );
}

/** A tile of less depth leaves too little workgroup memory for the statistics of its rows. */
const LEAST_DEPTH = 8;

/** Why a tile cannot run under the limits, or `undefined` when it can. */
export function tileProblem(tile: Tile, limits: DeviceLimits): string | undefined {
  if (!isWellFormed(tile)) return "does not divide evenly among its invocations";
  if (tile.depth < LEAST_DEPTH) return `has a depth of less than ${LEAST_DEPTH}`;
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

/** Tiles that run on a device, the preferred first: those rated on it, or the shipped ones. */
export function feasibleTiles({ limits, rates }: Pick<DeviceProfile, "limits" | "rates">): Tile[] {
  const tiles = rates?.tiles?.map(({ rate: _, ...tile }) => tile) ?? TILES;
  return tiles.filter((tile) => tileProblem(tile, limits) === undefined);
}

/** Every shape worth measuring on a device: powers of two that it has room for. */
export function tunableTiles(limits: DeviceLimits): Tile[] {
  const tiles: Tile[] = [];
  for (const rows of [128, 64, 32]) {
    for (const cols of [128, 64, 32]) {
      for (const depth of [16, 8, 32]) {
        for (const [microRows, microCols] of [[8, 8], [4, 8], [8, 4], [4, 4]] as const) {
          const tile = { rows, cols, depth, microRows, microCols };
          const invocations = workgroupSize(tile);
          // Smaller ones leave most of a subgroup idle; larger ones are short of registers.
          if (invocations < 32 || invocations > 256) continue;
          // Other depths were never faster with small micro-tiles: the rest is not worth the time.
          if (depth !== 16 && microRows * microCols < 64) continue;
          if (tileProblem(tile, limits) === undefined) tiles.push(tile);
        }
      }
    }
  }
  return tiles;
}

/** A tile as people write it: `64x128x16, 8x8`. */
export function formatTile(tile: Tile): string {
  const { rows, cols, depth, microRows, microCols } = tile;
  return `${rows}x${cols}x${depth}, ${microRows}x${microCols}`;
}

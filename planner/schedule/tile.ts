/**
 * Tiles: the block of a matrix product that one workgroup computes, in whichever
 * body. Shapes only; the WGSL is made in `kernels/`.
 *
 * @module
 */
import type { DeviceProfile, DeviceRates } from "../device.ts";
import type { MatrixBody, RatedTile, RegisterBody, Tile, TileBody } from "./bodies.ts";
import * as matrices from "./matrix_tiles.ts";
import type { MatrixTile } from "./matrix_tiles.ts";
import * as registers from "./register_tiles.ts";
import { UNKNOWN_TILE_RATE } from "../tuning.ts";
import type { RegisterTile } from "./register_tiles.ts";

export type { MatrixBody, MatrixTile, RatedTile, RegisterBody, RegisterTile, Tile, TileBody };
export { type Layout, registerTile, rowQuads } from "./register_tiles.ts";
export { lineVectors, MATRIX_FEATURES, resultQuads, ROUND_ROWS, VECTOR } from "./matrix_tiles.ts";

/** Tiles in registers to choose from where a device has none of its own, the preferred first. */
export const TILES: readonly Tile[] = registers.RATED.map(unrated);

function unrated({ rate: _, ...tile }: RatedTile): Tile {
  return tile;
}

/** Whether a tile is summed in registers. */
function inRegisters(tile: Tile): tile is RegisterTile {
  return tile.body.kind === "registers";
}

/** Whether a tile is summed in subgroup matrices. */
export function inMatrices(tile: Tile): tile is MatrixTile {
  return tile.body.kind === "matrix";
}

/** Arithmetic rate of a tile relative to the fastest of its body: as rated on the device, or as shipped. */
export function relativeRate(tile: Tile, rated?: readonly RatedTile[]): number {
  const rows = rated ??
    (inMatrices(tile) ? matrices.ratedTiles(tile.body.fragment) : registers.RATED);
  return rows.find((other) => sameTile(tile, other))?.rate ?? UNKNOWN_TILE_RATE;
}

/** Whether two tiles are the same. */
export function sameTile(a: Tile, b: Tile): boolean {
  return a.rows === b.rows && a.cols === b.cols && a.depth === b.depth && sameBody(a.body, b.body);
}

function sameBody(a: TileBody, b: TileBody): boolean {
  if (a.kind === "registers") return b.kind === "registers" && registers.sameBody(a, b);
  return b.kind === "matrix" && matrices.sameBody(a, b);
}

/** Invocations of one workgroup. */
export function workgroupSize(tile: Tile): number {
  return inRegisters(tile)
    ? registers.workgroupSize(tile)
    : matrices.workgroupSize(tile as MatrixTile);
}

/** Workgroup memory of a tile at its largest, in bytes. */
export function workgroupBytes(tile: Tile): number {
  return inRegisters(tile)
    ? registers.workgroupBytes(tile)
    : matrices.workgroupBytes(tile as MatrixTile);
}

/** What decides whether a device can run a tile. */
export type Abilities = Pick<DeviceProfile, "limits" | "features" | "matrices" | "subgroups">;

/** Why a tile cannot run on a device, or `undefined` when it can. */
export function tileProblem(tile: Tile, device: Abilities): string | undefined {
  const fault = inRegisters(tile)
    ? registers.shapeFault(tile)
    : matrices.shapeFault(tile as MatrixTile) ??
      matrices.bodyFault(tile.body as MatrixBody, device);
  if (fault !== undefined) return fault;
  const { limits } = device;
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

/** Tiles in registers that run on a device, the preferred first: those rated on it, or the shipped ones. */
export function feasibleTiles(device: Abilities & { readonly rates?: DeviceRates | undefined }) {
  const tiles: readonly Tile[] = device.rates?.tiles?.map(unrated) ?? TILES;
  return tiles.filter((tile) => tileProblem(tile, device) === undefined);
}

/** Every shape in registers worth measuring on a device: powers of two that it has room for. */
export function tunableTiles(device: Abilities): Tile[] {
  return registers.tunable((tile) => tileProblem(tile, device) === undefined);
}

/** A tile as people write it: `64x128x16, 8x8`. */
export function formatTile({ rows, cols, depth, body }: Tile): string {
  const how = body.kind === "registers" ? registers.formatBody(body) : matrices.formatBody(body);
  return `${rows}x${cols}x${depth}, ${how}`;
}

/** Returns what a body is, in a few words for people. */
export function describeBody(body: TileBody): string {
  return body.kind === "registers" ? registers.describeBody(body) : matrices.describeBody(body);
}

/** Returns what a body is, in numbers by name, in words of a projection. */
export function bodyFacts(body: TileBody): Readonly<Record<string, number | readonly number[]>> {
  return body.kind === "registers" ? registers.bodyFacts(body) : matrices.bodyFacts(body);
}

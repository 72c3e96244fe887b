/**
 * Tiers of arithmetic: products in f32 registers, which every device and every
 * problem can have, and products in subgroup matrices.
 *
 * @module
 */
import type { DeviceProfile } from "../device.ts";
import { fragmentOf, matrixTiles, VECTOR } from "./matrix_tiles.ts";
import type { Problem } from "../problem.ts";
import { feasibleTiles, inMatrices, type Tile, tileProblem } from "./tile.ts";

/** The arithmetic of a schedule's products. `matrix`: operands in f16, sums in f32. */
export type Tier = "f32" | "matrix";

/** Returns the tier of a tile. */
export function tierOf(tile: Tile): Tier {
  return inMatrices(tile) ? "matrix" : "f32";
}

/** Returns why a problem's products cannot be those of a tier, if so. */
export function unsuitedTo(tier: Tier, { heads }: Problem): string | undefined {
  if (tier === "f32") return undefined;
  for (const { dtype, hidden } of heads) {
    if (dtype !== "f16") return `takes operands in f16, and these are in ${dtype}`;
    if (hidden % VECTOR !== 0) {
      return `takes a hidden size that is a multiple of ${VECTOR}, and this is ${hidden}`;
    }
  }
}

/**
 * Returns the tiles that a problem's schedules may have on a device, those of the fastest tier
 * first.
 */
export function tilesFor(problem: Problem, device: DeviceProfile): Tile[] {
  const fragment = fragmentOf(device.matrices);
  const rated = device.rates?.matrix?.tiles;
  const matrices = fragment === undefined || unsuitedTo("matrix", problem) !== undefined
    ? []
    : matrixTiles(fragment, rated).filter((tile) => tileProblem(tile, device) === undefined);
  return [...matrices, ...feasibleTiles(device)];
}

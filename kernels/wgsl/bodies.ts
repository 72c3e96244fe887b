/**
 * Which body multiplies a tile.
 *
 * @module
 */
import { inMatrices, type RegisterTile, type Tile } from "../../planner/schedule/tile.ts";
import type { KernelContext } from "./context.ts";
import type { Body, Operand } from "./product.ts";
import { matrices } from "./matrices.ts";
import { registers } from "./registers.ts";

/** Writes the product of a dispatch's tile, in the body that the tile is for. */
export function product(
  { dispatch, body = bodyOf }: KernelContext,
  a: Operand,
  b: Operand,
): Body {
  return body(dispatch.tile!, a, b);
}

/** Writes a product in the body that its tile is for. */
export function bodyOf(tile: Tile, a: Operand, b: Operand): Body {
  return inMatrices(tile) ? matrices(tile, a, b) : registers(tile as RegisterTile, a, b);
}

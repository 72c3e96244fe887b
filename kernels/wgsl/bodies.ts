/**
 * Which body multiplies a tile.
 *
 * @module
 */
import type { Tile, TileBody } from "../../planner/schedule/tile.ts";
import type { KernelContext } from "./context.ts";
import type { Body, BodyMaker, Operand } from "./product.ts";
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

/** What writes the products of each kind of body. */
const MAKERS: {
  readonly [Kind in TileBody as Kind["kind"]]: (
    tile: Tile & { readonly body: Kind },
    a: Operand,
    b: Operand,
  ) => Body;
} = { registers, matrix: matrices, split: matrices };

/** Writes a product in the body that its tile is for. */
export function bodyOf(tile: Tile, a: Operand, b: Operand): Body {
  return (MAKERS[tile.body.kind] as BodyMaker)(tile, a, b);
}

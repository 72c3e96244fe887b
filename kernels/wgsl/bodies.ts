/**
 * Which body multiplies a tile.
 *
 * @module
 */
import type { KernelContext } from "./context.ts";
import type { Body, Operand } from "./product.ts";
import { registers } from "./registers.ts";

/** Writes the product of a dispatch's tile, in the body that the tile is for. */
export function product(
  { dispatch, body = registers }: KernelContext,
  a: Operand,
  b: Operand,
): Body {
  return body(dispatch.tile!, a, b);
}

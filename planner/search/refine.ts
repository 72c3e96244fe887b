/**
 * The third of a search's generators: shapes like those that did well.
 *
 * @module
 */
import type { Infeasible, Shape } from "../schedule/shape.ts";
import { sameTile } from "../schedule/tile.ts";
import type { Candidate } from "./candidate.ts";
import { paretoFront } from "./choice.ts";
import type { Branch } from "./question.ts";
import { shapesOf } from "./shapes.ts";
import { promisingTiles } from "./tiles.ts";

/** Yields the best of some candidates again, in the other tiles that may be as fast. */
export function* refined(
  branch: Branch,
  found: readonly Candidate[],
): Generator<Shape | Infeasible> {
  const promising = promisingTiles(branch.question);
  for (const { shape: { tile, block, window } } of paretoFront(found)) {
    const sizes = branch.strategy.cuts ? { block, window } : { block };
    for (const other of promising) {
      if (!sameTile(other, tile)) yield* shapesOf(branch, other, sizes);
    }
  }
}

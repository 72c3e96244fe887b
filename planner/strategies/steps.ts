/**
 * Sizes worth trying: the largest that there is and steps below it.
 *
 * @module
 */
import { roundDown } from "../schedule/matrix.ts";

/** Yields `most`, and the powers of two times `granule` below it, largest first. */
export function* halvings(most: number, granule: number): Iterable<number> {
  yield most;
  let size = granule * 2 ** Math.ceil(Math.log2(most / granule) - 1);
  for (; size >= granule; size /= 2) {
    if (size < most) yield size;
  }
}

/** Returns every other one of {@linkcode halvings}, and the smallest. */
export function quarterings(most: number, granule: number): Iterable<number> {
  const sizes = [...halvings(most, granule)];
  return sizes.filter((_, index) => index % 2 === 0 || index === sizes.length - 1);
}

/**
 * Yields the sizes of {@linkcode halvings}, and eighths between them: a block a little
 * smaller may fill whole waves of workgroups where the larger one begins another.
 */
export function* eighths(most: number, granule: number): Iterable<number> {
  for (const size of halvings(most, granule)) {
    yield size;
    for (const share of [7 / 8, 6 / 8, 5 / 8]) {
      const between = roundDown(size * share, granule);
      if (between > size / 2 && between < size) yield between;
    }
  }
}

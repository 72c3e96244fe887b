/**
 * Where a chart's plot lies in its picture: room for the axis on its left, and
 * for labels on its right.
 *
 * @module
 */

/** Pixels from one label to the next at least. */
export const LABEL_GAP = 15;

/** Width of a picture in pixels. */
export const WIDTH = 980;

/** Room below the plot, for its axis. */
export const BELOW = 62;

/** Room between the plot and the labels beside it. */
export const LEADER = 30;

/** Room above the plot, for the titles. */
const TOP = 74;

/** Least height of the plot. */
const LEAST_PLOT = 400;

/** Pixels that a letter of a label takes at most, on average. */
const LETTER = 6.6;

/** The edges of a plot, in pixels. */
export interface Plot {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** The plot that leaves room for labels of these names, one below the other. */
export function plotBeside(names: readonly string[], left: number): Plot {
  const longest = Math.max(0, ...names.map((name) => name.length));
  return {
    left,
    right: WIDTH - LEADER - 12 - Math.ceil(longest * LETTER),
    top: TOP,
    bottom: TOP + Math.max(LEAST_PLOT, names.length * LABEL_GAP),
  };
}

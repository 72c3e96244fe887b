/**
 * Where a chart's plot lies in its picture: room for the axis on its left, and
 * for labels on its right.
 *
 * @module
 */
import { wrap } from "../report/wrap.ts";
import { type Markup, text } from "./svg.ts";

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

/** Pixels that a letter of small text takes at most, on average. */
const SMALL_LETTER = 6.05;

/** Pixels from one line of small text to the next. */
export const SMALL_LINE = 14;

/** The edges of a plot, in pixels. */
export interface Plot {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/**
 * Returns small text as lines that stay within the picture; no more of them than told, the last one
 * cut.
 */
export function smallLines(left: number, content: string, most = Infinity): string[] {
  const letters = Math.floor((WIDTH - left - 12) / SMALL_LETTER);
  const lines = wrap(content, letters);
  if (lines.length <= most) return lines;
  const cut = lines.slice(0, most);
  return [...cut.slice(0, -1), `${cut.at(-1)!.slice(0, letters - 1).trimEnd()}…`];
}

/** Returns what a picture is about, on the two lines between its title and the plot. */
export function subtitle(left: number, content: string): Markup[] {
  return smallLines(left, content, 2)
    .map((line, index) => text(left, 46 + index * SMALL_LINE, "small muted", line));
}

/** Returns the plot that leaves room for labels of these names, one below the other. */
export function plotBeside(names: readonly string[], left: number): Plot {
  const longest = Math.max(0, ...names.map((name) => name.length));
  return {
    left,
    right: WIDTH - LEADER - 12 - Math.ceil(longest * LETTER),
    top: TOP,
    bottom: TOP + Math.max(LEAST_PLOT, names.length * LABEL_GAP),
  };
}

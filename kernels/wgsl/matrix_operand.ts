/**
 * How an operand of a product in subgroup matrices gets to workgroup memory: as it is, some
 * vectors of eight elements by each invocation, in lines that are skewed.
 *
 * @module
 */
import {
  lineVectors,
  type MatrixTile,
  VECTOR,
  workgroupSize,
} from "../../planner/schedule/tile.ts";
import type { Side } from "./fragments.ts";
import type { Operand } from "./product.ts";
import { modulo, over, plus, scaled, times } from "./text.ts";

/** The copies of an operand, and where its matrices lie in workgroup memory. */
export interface Copied extends Side {
  /** Vectors that its lines take there. */
  readonly size: number;
  readonly prepare: readonly string[];
  /** Names of the vectors that an invocation copies, with the expression that loads each at depth `k`. */
  readonly loads: readonly { readonly name: string; readonly value: (k: string) => string }[];
  readonly stores: readonly string[];
  /** Rows that change with the depth, and are read from memory themselves. */
  readonly indices: readonly { readonly name: string; readonly value: (k: string) => string }[];
  /** The first vector of the `part`-th matrix of a subgroup, at `depth` of the step. */
  readonly matrix: (part: number, depth: number) => string;
}

/** Returns an operand's way to workgroup memory, where it begins at the vector `first`. */
export function copied(
  name: "a" | "b",
  operand: Operand,
  { extent, first, own, fragment }: {
    /** Rows or columns of the tile. */
    readonly extent: number;
    readonly first: number;
    /** The first of them that is the subgroup's. */
    readonly own: string;
    /** Those of one matrix. */
    readonly fragment: number;
  },
  tile: MatrixTile,
): Copied {
  const { depth } = tile;
  const across = operand.layout === "outer";
  const [lines, length] = across ? [depth, extent] : [extent, depth];
  const stride = lineVectors(length);
  const perLine = length / VECTOR;
  const threads = workgroupSize(tile);
  const copies = times(lines * perLine / threads, (s) => s);
  const line = (s: number) => plus(`${name}_line`, s * threads / perLine);
  const copier = shuffled(perLine);
  const at = (s: number) => plus(`${name}_to`, s * (threads / perLine) * stride);
  return {
    across,
    stride,
    size: lines * stride,
    prepare: [
      ...(copier === "lane" ? [] : [`let ${name}_copier = ${copier};`]),
      `let ${name}_line = ${over(copier === "lane" ? copier : `${name}_copier`, perLine)};`,
      `let ${name}_vector = ${modulo(copier === "lane" ? copier : `${name}_copier`, perLine)};`,
      `let ${name}_to = ${plus(scaled(`${name}_line`, stride), `${name}_vector`, first)};`,
      ...(across ? [] : copies.map((s) => `let ${name}_row${s} = ${operand.row!(line(s))};`)),
      `let ${name}_own = ${plus(across ? over(own, VECTOR) : scaled(own, stride), first)};`,
    ],
    loads: copies.map((s) => ({
      name: `${name}_in${s}`,
      value: (k) =>
        across
          ? operand.load(operand.row ? `${name}_row${s}` : plus(k, line(s)), `${name}_vector`)
          : operand.load(`${name}_row${s}`, plus(over(k, VECTOR), `${name}_vector`)),
    })),
    indices: across && operand.row
      ? copies.map((s) => ({
        name: `${name}_row${s}`,
        value: (k: string) => operand.row!(plus(k, line(s))),
      }))
      : [],
    stores: copies.map((s) => `memory[${at(s)}] = ${name}_in${s};`),
    matrix: (part, k) =>
      plus(
        `${name}_own`,
        across ? k * stride + part * fragment / VECTOR : k / VECTOR + part * fragment * stride,
      ),
  };
}

/**
 * Returns which vector of a step's copy an invocation takes first. Eight neighbours store at once,
 * and lines that begin a multiple of 128 bytes apart share banks: of short lines a subgroup's are
 * dealt out so that no two of the eight do.
 */
function shuffled(perLine: number): string {
  return perLine === 4
    ? "(lane & ~31u) + ((lane >> 3u) & 3u) * 4u + ((lane >> 2u) & 1u) * 16u + (lane & 3u)"
    : "lane";
}

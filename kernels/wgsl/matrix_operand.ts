/**
 * How an operand of a product in subgroup matrices gets to workgroup memory: some vectors of
 * eight elements by each invocation, in lines that are skewed; halves as they are, f32 split into
 * the sum of two halves, which lie one behind the other.
 *
 * @module
 */
import {
  lineVectors,
  partsOf,
  type SubgroupTile,
  VECTOR,
  workgroupSize,
} from "../../planner/schedule/tile.ts";
import type { Side } from "./fragments.ts";
import { exponentOf, powersOf } from "./halves.ts";
import type { Operand } from "./product.ts";
import { modulo, over, plus, scaled, times } from "./text.ts";

/** The copies of an operand, and where its matrices lie in workgroup memory. */
export interface Copied extends Side {
  /** Vectors that its lines take there. */
  readonly size: number;
  readonly prepare: readonly string[];
  /** Names of the vectors that an invocation copies, with the expression that loads each at depth `k`. */
  readonly loads: readonly { readonly name: string; readonly value: (k: string) => string }[];
  /** Statements that make halves of the vectors, where they are none. */
  readonly conversions: readonly string[];
  readonly stores: readonly string[];
  /** Rows that change with the depth, and are read from memory themselves. */
  readonly indices: readonly { readonly name: string; readonly value: (k: string) => string }[];
  /** The first vector of the `part`-th matrix of a subgroup, at `depth` of the step; of its lower halves, if asked for. */
  readonly matrix: (part: number, depth: number, lower?: "lower") => string;
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
  tile: SubgroupTile,
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
  const size = lines * stride;
  const split = partsOf(tile.body) === 2;
  // Of f32, a vector of eight is loaded as two of four.
  const vectors = times(partsOf(tile.body), (part) => ({
    suffix: split ? `_${part}` : "",
    index: split ? plus(`2u * ${name}_vector`, part) : `${name}_vector`,
    first: (k: string) => over(k, VECTOR / partsOf(tile.body)),
  }));
  // Of bf16, each row has a scale.
  const scaleOf = operand.scale;
  const scales = !scaleOf ? [] : across ? [scaleOf("")] : copies.map((s) => scaleOf(line(s)));
  return {
    across,
    stride,
    size: size * partsOf(tile.body),
    prepare: [
      ...(split ? scale(name, operand.bound!) : []),
      ...(copier === "lane" ? [] : [`let ${name}_copier = ${copier};`]),
      `let ${name}_line = ${over(copier === "lane" ? copier : `${name}_copier`, perLine)};`,
      `let ${name}_vector = ${modulo(copier === "lane" ? copier : `${name}_copier`, perLine)};`,
      `let ${name}_to = ${plus(scaled(`${name}_line`, stride), `${name}_vector`, first)};`,
      ...(across ? [] : copies.map((s) => `let ${name}_row${s} = ${operand.row!(line(s))};`)),
      ...scales.map((scale, s) => `let ${name}_scale${s} = ${scale};`),
      `let ${name}_own = ${plus(across ? over(own, VECTOR) : scaled(own, stride), first)};`,
    ],
    loads: copies.flatMap((s) =>
      vectors.map(({ suffix, index, first }) => ({
        name: `${name}_in${s}${suffix}`,
        value: (k: string) =>
          across
            ? operand.load(operand.row ? `${name}_row${s}` : plus(k, line(s)), index)
            : operand.load(`${name}_row${s}`, plus(first(k), index)),
      }))
    ),
    indices: across && operand.row
      ? copies.map((s) => ({
        name: `${name}_row${s}`,
        value: (k: string) => operand.row!(plus(k, line(s))),
      }))
      : [],
    conversions: scales.length === 0
      ? []
      : copies.map((s) =>
        `${name}_in${s} = halves_of(${name}_in${s}, ${name}_scale${across ? 0 : s});`
      ),
    stores: copies.flatMap((s) =>
      split
        ? [
          `let ${name}_split${s} = split(${name}_in${s}_0 * ${name}_scale, ${name}_in${s}_1 * ${name}_scale);`,
          `memory[${at(s)}] = ${name}_split${s}.high;`,
          `memory[${plus(at(s), size)}] = ${name}_split${s}.low;`,
        ]
        : [`memory[${at(s)}] = ${name}_in${s};`]
    ),
    matrix: (part, k, lower) =>
      plus(
        `${name}_own`,
        across ? k * stride + part * fragment / VECTOR : k / VECTOR + part * fragment * stride,
        lower ? size : 0,
      ),
  };
}

/** Returns names for the power of two that takes an operand's largest element to 2^14, and for its inverse. */
function scale(name: string, bound: string): string[] {
  const { scale, unscale } = powersOf(`${name}_exponent`);
  return [
    `let ${name}_exponent = ${exponentOf(bound)};`,
    `let ${name}_scale = ${scale};`,
    `let ${name}_unscale = ${unscale};`,
  ];
}

/** The function `split(first, second)`: eight f32 below 2^15 as sums of two halves, to 2^-23 of each or 2^-25. */
export const SPLIT_FUNCTION = `// Eight f32 as sums of two halves.
struct Halves {
  high: vec4<u32>,
  low: vec4<u32>,
}

// Four f32 rounded to the eleven bits that a half has: on their words, for a driver may take
// what was packed and unpacked for what it was before.
fn rounded(quad: vec4<f32>) -> vec4<f32> {
  return bitcast<vec4<f32>>((bitcast<vec4<u32>>(quad) + 0x1000u) & vec4<u32>(0xffffe000u));
}

fn packed(first: vec4<f32>, second: vec4<f32>) -> vec4<u32> {
  return vec4<u32>(
    pack2x16float(first.xy),
    pack2x16float(first.zw),
    pack2x16float(second.xy),
    pack2x16float(second.zw),
  );
}

// The halves that are nearest, and the halves nearest to what these leave.
fn split(first: vec4<f32>, second: vec4<f32>) -> Halves {
  let high = rounded(first);
  let next = rounded(second);
  return Halves(packed(high, next), packed(first - high, second - next));
}`;

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

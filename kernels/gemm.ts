/**
 * The one matrix product that every matrix kernel is made of: a workgroup
 * computes a tile of `C = A B` with operands staged in workgroup memory and a
 * micro-tile per invocation in registers.
 *
 * The text is unrolled into named scalars with a single run-time loop, around
 * the depth: under Deno every WGSL loop carries a hidden iteration counter, and
 * arrays indexed by loop variables leave the registers (2.4 to 4.3 times slower
 * where measured).
 *
 * @module
 */
import { type Tile, workgroupSize } from "../planner/tile.ts";
import { indent, times } from "./wgsl.ts";

/**
 * How an operand lies in memory. `inner`: the depth is contiguous (rows of the
 * result are rows of the operand); `outer`: rows of the result are contiguous,
 * and the depth runs down the operand's rows.
 */
export type Layout = "inner" | "outer";

/** One operand of the product. */
export interface Operand {
  readonly layout: Layout;
  /**
   * `inner`: the operand's row for a row of the tile, evaluated once per tile.
   * `outer`: not used.
   */
  readonly row?: (local: string) => string;
  /** A vec4 of the operand: at (row, quad of the depth), or at (depth, quad of the tile's rows). */
  readonly load: (row: string, quad: string) => string;
}

/** Stretches of the depth that may be left out. */
export interface Skip {
  /** Length of a stretch, a multiple of the tile's depth. */
  readonly every: number;
  /** Whether the stretch that begins at a depth is left out. */
  readonly idle: (depth: string) => string;
}

/** The text of a product, in the pieces that a kernel puts together. */
export interface Product {
  /** Declares workgroup memory. */
  readonly memory: string;
  /** Vec4s of workgroup memory, free for other use after the loop and a barrier. */
  readonly memoryQuads: number;
  /** Names `tx` and `ty`, the invocation's place in the tile. Goes to the top of `main`. */
  readonly place: string;
  /**
   * Sums the tile into the accumulators, which it declares. Stretches of the
   * depth that are `idle` are left out; the expression must be uniform.
   */
  readonly sum: (depth: string, skip?: Skip) => string;
  /** Row and column of the tile that accumulator `(i, j)` belongs to. */
  readonly row: (i: number) => string;
  readonly column: (j: number) => string;
  readonly accumulator: (i: number, j: number) => string;
}

/** An operand's staging: which vec4s an invocation copies, and where they lie. */
interface Staging {
  /** Vec4s of workgroup memory. */
  readonly quads: number;
  readonly prepare: string[];
  readonly copy: string[];
  /** Statements that load what one step of four needs, and the scalar for (index, k). */
  readonly fetch: (quad: number, index: number) => string;
  readonly scalar: (index: number, k: number) => string;
  readonly place: (index: number) => string;
}

function stage(
  name: "a" | "b",
  operand: Operand,
  extent: number,
  micro: number,
  lane: "ty" | "tx",
  tile: Tile,
  base: number,
): Staging {
  const threads = workgroupSize(tile);
  const lanes = extent / micro;
  const depthQuads = tile.depth / 4;
  const copies = (extent * tile.depth) / 4 / threads;
  const at = (offset: number) => base + offset === 0 ? "" : ` + ${base + offset}u`;
  if (operand.layout === "inner") {
    const stride = depthQuads + 1;
    const rowsPerCopy = threads / depthQuads;
    const local = (s: number) =>
      s === 0 ? `lane / ${depthQuads}u` : `lane / ${depthQuads}u + ${s * rowsPerCopy}u`;
    return {
      quads: extent * stride,
      prepare: times(copies, (s) => `let ${name}_row${s} = ${operand.row!(local(s))};`),
      copy: times(
        copies,
        (s) =>
          `tile[lane / ${depthQuads}u * ${stride}u + lane % ${depthQuads}u${
            at(s * rowsPerCopy * stride)
          }] = ${operand.load(`${name}_row${s}`, `k / 4u + lane % ${depthQuads}u`)};`,
      ),
      fetch: (quad, i) =>
        `let ${name}${i} = tile[${lane} * ${stride}u${at(i * lanes * stride + quad)}];`,
      scalar: (i, k) => `${name}${i}.${"xyzw"[k]}`,
      place: (i) => i === 0 ? lane : `${lane} + ${i * lanes}u`,
    };
  }
  const stride = extent / 4;
  const depthPerCopy = threads / stride;
  return {
    quads: tile.depth * stride,
    prepare: [],
    copy: times(copies, (s) => {
      const depth = s === 0
        ? `k + lane / ${stride}u`
        : `k + lane / ${stride}u + ${s * depthPerCopy}u`;
      return `tile[lane${at(s * threads)}] = ${operand.load(depth, `lane % ${stride}u`)};`;
    }),
    // Fetches are numbered by (k, group of four rows).
    fetch: (quad, index) => {
      const k = Math.floor(index / (micro / 4));
      const group = index % (micro / 4);
      return `let ${name}${k}_${group} = tile[${lane}${
        at((quad * 4 + k) * stride + group * lanes)
      }];`;
    },
    scalar: (i, k) => `${name}${k}_${i >> 2}.${"xyzw"[i & 3]}`,
    place: (i) => `4u * ${lane} + ${4 * lanes * (i >> 2) + (i & 3)}u`,
  };
}

/** Writes the product of two operands over a tile. */
export function product(tile: Tile, a: Operand, b: Operand): Product {
  const { microRows, microCols, depth } = tile;
  const lanesX = tile.cols / microCols;
  const left = stage("a", a, tile.rows, microRows, "ty", tile, 0);
  const right = stage("b", b, tile.cols, microCols, "tx", tile, left.quads);
  const accumulator = (i: number, j: number) => `c${i}_${j}`;
  const fma = (i: number, j: number, k: number) => {
    const c = accumulator(i, j);
    return `${c} = fma(${left.scalar(i, k)}, ${right.scalar(j, k)}, ${c});`;
  };
  const step = (quad: number) => {
    const lines = [`// Depth ${4 * quad} to ${4 * quad + 3} of the tile.`];
    lines.push(...times(microRows, (i) => left.fetch(quad, i)));
    // The right operand is fetched a group at a time, to keep few registers alive.
    if (b.layout === "inner") {
      for (let j = 0; j < microCols; j++) {
        lines.push(right.fetch(quad, j));
        for (let k = 0; k < 4; k++) lines.push(...times(microRows, (i) => fma(i, j, k)));
      }
    } else {
      const groups = microCols / 4;
      for (let k = 0; k < 4; k++) {
        lines.push(...times(groups, (group) => right.fetch(quad, k * groups + group)));
        for (let j = 0; j < microCols; j++) lines.push(...times(microRows, (i) => fma(i, j, k)));
      }
    }
    return `{\n${indent(lines)}\n}`;
  };
  return {
    memory: `var<workgroup> tile: array<vec4<f32>, ${left.quads + right.quads}>;`,
    memoryQuads: left.quads + right.quads,
    place: `let tx = lane % ${lanesX}u;\nlet ty = lane / ${lanesX}u;`,
    sum: (total, skip) =>
      [
        ...left.prepare,
        ...right.prepare,
        ...times(microRows, (i) =>
          times(microCols, (j) => `var ${accumulator(i, j)} = 0f;`).join(" ")),
        `for (var k = 0u; k < ${total}; k += ${depth}u) {`,
        indent([
          ...(skip
            ? [
              `if (k % ${skip.every}u == 0u && ${skip.idle("k")}) {`,
              `  k += ${skip.every - depth}u;`,
              `  continue;`,
              `}`,
            ]
            : []),
          ...left.copy,
          ...right.copy,
          "workgroupBarrier();",
          ...times(depth / 4, step),
          "workgroupBarrier();",
        ]),
        "}",
      ].join("\n"),
    row: left.place,
    column: right.place,
    accumulator,
  };
}

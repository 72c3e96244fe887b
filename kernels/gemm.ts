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
import type { Tile } from "../planner/tile.ts";
import { type Multiplied, type Operand, stage } from "./staging.ts";
import { indent, times } from "./wgsl.ts";

export type { Operand };

/** The range of the depth that a workgroup sums: expressions that are uniform. */
export interface Depth {
  readonly from: string;
  readonly to: string;
}

/** Stretches of the depth that may be left out. */
export interface Skip {
  /** Length of a stretch, a multiple of the tile's depth. */
  readonly every: number;
  /** Whether the stretch that begins at a depth is left out. */
  readonly idle: (depth: string) => string;
}

/** Workgroup memory as a list of vec4s: how many, and the expression for one of them. */
export interface Scratch {
  readonly quads: number;
  readonly quad: (index: string) => string;
}

/** The text of a product, in the pieces that a kernel puts together. */
export interface Product {
  /** Declares workgroup memory. */
  readonly memory: string;
  /** Workgroup memory that is free for other use after the sum: a piece for each operand. */
  readonly scratches: readonly Scratch[];
  /** Names `tx` and `ty`, the invocation's place in the tile. Goes to the top of `main`. */
  readonly place: string;
  /**
   * Sums the tile over a range of the depth into the accumulators, which it
   * declares. Stretches of it that are `idle` are left out; the expression must be
   * uniform.
   */
  readonly sum: (depth: Depth, skip?: Skip) => string;
  /** Row and column of the tile that accumulator `(i, j)` belongs to. */
  readonly row: (i: number) => string;
  readonly column: (j: number) => string;
  readonly accumulator: (i: number, j: number) => string;
}

/**
 * Writes the product of two operands over a tile.
 *
 * @param multiplied in: with `f16`, operands are staged and multiplied in f16, and the sums over a
 *   chunk of the depth are added up in f32. Two f16 multiply-adds go into one instruction.
 */
export function product(
  tile: Tile,
  a: Operand,
  b: Operand,
  multiplied: Multiplied = "f32",
): Product {
  const { microRows, microCols, depth } = tile;
  const lanesX = tile.cols / microCols;
  const left = stage(a, {
    name: "a",
    extent: tile.rows,
    micro: microRows,
    lane: "ty",
    tile,
    multiplied,
  });
  const right = stage(b, {
    name: "b",
    extent: tile.cols,
    micro: microCols,
    lane: "tx",
    tile,
    multiplied,
  });
  const loads = [...left.loads, ...right.loads];
  const stores = [...left.stores, ...right.stores];
  const accumulator = (i: number, j: number) => `c${i}_${j}`;
  // To and fro, one operand stays the same from each multiply-add to the next, and is read
  // once: 226.5 to 217.6 ms for `forward` on an H100. It costs the product of two operands
  // that are copied as columns 5 % (bench/h100.md).
  const toAndFro = a.layout === "inner";
  const step = (k: number) => {
    const lines = [...left.fetch(k), ...right.fetch(k)];
    for (let j = 0; j < microCols; j++) {
      for (let turn = 0; turn < microRows; turn++) {
        const i = toAndFro && j % 2 === 1 ? microRows - 1 - turn : turn;
        const c = accumulator(i, j);
        lines.push(`${c} = fma(${left.scalar(i)}, ${right.scalar(j)}, ${c});`);
      }
    }
    return `{\n${indent(lines)}\n}`;
  };
  const groups = times(microCols / 4, (group) => group);
  /** A chunk's own sums, four columns at a time. */
  const halfStep = (k: number) =>
    `{\n${
      indent([
        ...left.fetch(k),
        ...right.fetch(k),
        ...times(microRows, (i) =>
          groups.map((g) => `h${i}_${g} = fma(vec4<f16>(${left.scalar(i)}), b${g}, h${i}_${g});`)
            .join("\n")),
      ])
    }\n}`;
  const multiply = multiplied === "f32" ? times(depth, step) : [
    ...times(microRows, (i) => groups.map((g) => `var h${i}_${g} = vec4<f16>();`).join(" ")),
    ...times(depth, halfStep),
    ...times(
      microRows,
      (i) =>
        times(microCols, (j) => `${accumulator(i, j)} += f32(h${i}_${j >> 2}.${"xyzw"[j & 3]});`)
          .join(" "),
    ),
  ];
  const chunks = ({ from, to }: Depth, skip: Skip | undefined) => [
    `for (var k = ${from}; k < ${to}; k += ${depth}u) {`,
    indent([
      ...(skip
        ? [
          `if (k % ${skip.every}u == 0u && ${skip.idle("k")}) {`,
          `  k += ${skip.every - depth}u;`,
          `  continue;`,
          `}`,
        ]
        : []),
      ...loads.map(({ name, value }) => `let ${name} = ${value("k")};`),
      ...stores,
      "workgroupBarrier();",
      ...multiply,
      "workgroupBarrier();",
    ]),
    "}",
  ];
  // Statistics are f32: they cannot meet where operands in f16 were.
  const quads = Math.floor((left.quads + right.quads) / 2);
  const parked = multiplied === "f32" ? { memory: "" } : {
    memory: `\nvar<workgroup> parked: array<vec4<f32>, ${quads}>;`,
    scratches: [{ quads, quad: (index: string) => `parked[${index}]` }],
  };
  return {
    memory: `${left.memory}\n${right.memory}${parked.memory}`,
    scratches: parked.scratches ?? [left, right],
    place: `let tx = lane % ${lanesX}u;\nlet ty = lane / ${lanesX}u;`,
    sum: (range, skip) =>
      [
        ...left.prepare,
        ...right.prepare,
        ...times(microRows, (i) =>
          times(microCols, (j) => `var ${accumulator(i, j)} = 0f;`).join(" ")),
        ...chunks(range, skip),
      ].join("\n"),
    row: left.place,
    column: right.place,
    accumulator,
  };
}

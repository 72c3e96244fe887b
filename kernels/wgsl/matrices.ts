/**
 * A product in subgroup matrices: operands of 16 bits pass through workgroup memory,
 * and each subgroup sums its part of the results in matrices of f32.
 *
 * Its form is what was fastest on an H100 (`bench/matrix.md`): a step's loads are
 * issued a step ahead, into registers; lines of workgroup memory are skewed, and who
 * copies what is shuffled, so that no two of eight neighbours meet in a bank.
 * Matrices cannot be looked into, so that results leave by workgroup memory as well,
 * some rows of each subgroup a round.
 *
 * @module
 */
import {
  lineVectors,
  type MatrixTile,
  resultQuads,
  ROUND_ROWS,
  VECTOR,
  workgroupSize,
} from "../../planner/schedule/tile.ts";
import { fragmentsOf, type Side } from "./fragments.ts";
import { type Body, type Depth, leaveOut, type Operand, type Skip } from "./product.ts";
import { block, COMPONENTS, minus, modulo, over, plus, scaled, times } from "./text.ts";

/** The copies of an operand, and where its matrices lie in workgroup memory. */
interface Copied extends Side {
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
function copied(
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

/** Writes the product of two operands over a tile, in subgroup matrices. */
export function matrices(tile: MatrixTile, a: Operand, b: Operand): Body {
  const { rows, cols, depth, body: { subgroups, fragment } } = tile;
  const { m, n, k: step } = fragment;
  const [ownRows, ownCols] = [rows / subgroups.rows, cols / subgroups.cols];
  const left = copied("a", a, { extent: rows, first: 0, own: "own_row", fragment: m }, tile);
  const right = copied(
    "b",
    b,
    { extent: cols, first: left.size, own: "own_column", fragment: n },
    tile,
  );
  const fragments = fragmentsOf(tile.body, { left, right });
  const [down, across] = [ownRows / m, ownCols / n];
  const sum = (i: number, j: number) => `c${i}_${j}`;

  const multiply = times(depth / step, (s) =>
    block([
      ...times(down, (i) => `let left${i} = ${fragments.left(left.matrix(i, s * step))};`),
      ...times(across, (j) => [
        `let right${j} = ${fragments.right(right.matrix(j, s * step))};`,
        ...times(
          down,
          (i) => `${sum(i, j)} = ${fragments.multiply(`left${i}`, `right${j}`, sum(i, j))};`,
        ),
      ]).flat(),
    ]));
  const loads = [...left.loads, ...right.loads];
  const indices = [...left.indices, ...right.indices];
  const stores = [...left.stores, ...right.stores];
  const loop = (range: Depth, skip: Skip | undefined) => skip ? inTurn(range, skip) : ahead(range);

  /** Loads a step ahead of the multiplications, from the last step on the last again. */
  const ahead = ({ from, to }: Depth) => [
    `// The loads of the first step; later ones are issued a step ahead.`,
    `let last_step = ${lastStep({ from, to }, depth)};`,
    ...indices.map(({ name, value }) => `var ${name} = ${value(from)};`),
    ...loads.map(({ name, value }) => `var ${name} = ${value(from)};`),
    ...indices.map(({ name, value }) =>
      `${name} = ${value(`min(${plus(from, depth)}, last_step)`)};`
    ),
    block([
      `workgroupBarrier();`,
      ...stores,
      `workgroupBarrier();`,
      `let next = min(k + ${depth}u, last_step);`,
      ...loads.map(({ name, value }) => `${name} = ${value("next")};`),
      ...(indices.length > 0 ? [`let after = min(k + ${2 * depth}u, last_step);`] : []),
      ...indices.map(({ name, value }) => `${name} = ${value("after")};`),
      `// Multiply what is in workgroup memory.`,
      ...multiply,
    ], `for (var k = ${from}; k < ${to}; k += ${depth}u)`),
    `workgroupBarrier();`,
  ];

  /** Loads and multiplications in turn: which step comes next is known when it comes. */
  const inTurn = ({ from, to }: Depth, skip: Skip) => [
    block([
      ...leaveOut(skip, depth),
      ...indices.map(({ name, value }) => `let ${name} = ${value("k")};`),
      ...loads.map(({ name, value }) => `let ${name} = ${value("k")};`),
      ...stores,
      `workgroupBarrier();`,
      `// Multiply what is in workgroup memory.`,
      ...multiply,
      `workgroupBarrier();`,
    ], `for (var k = ${from}; k < ${to}; k += ${depth}u)`),
  ];

  // The lanes of a row of a round take every other quad of it, and so on.
  const sharers = subgroups.size / ROUND_ROWS;
  const pitch = resultQuads(tile);
  const quads = ownCols / 4 / sharers;
  const region = ROUND_ROWS * pitch;
  const results = subgroups.rows * subgroups.cols * region;
  const size = Math.max(left.size + right.size, results);
  const perRound = ROUND_ROWS / m;
  const rounds = times(ownRows / ROUND_ROWS, (round) => ({
    before: [
      ...times(perRound, (i) =>
        times(across, (j) =>
          fragments.store(
            plus("own_results", i * m * pitch + j * n / 4),
            sum(round * perRound + i, j),
            pitch,
          ))).flat(),
      `workgroupBarrier();`,
      ...times(
        quads,
        (q) => `let quad${q} = bitcast<vec4<f32>>(memory[${plus("results_at", q * sharers)}]);`,
      ),
    ],
    rows: [round],
    columns: times(
      4 * quads,
      (j) => plus("own_column", "own_quad", 4 * sharers * (j >> 2) + (j & 3)),
    ),
    value: (_: number, j: number) => `quad${j >> 2}.${COMPONENTS[j & 3]}`,
    after: [`workgroupBarrier();`],
  }));
  return {
    needs: fragments.needs,
    functions: fragments.functions,
    memory: [`var<workgroup> memory: array<vec4<u32>, ${size}>;`],
    names: [
      ...fragments.names,
      `// The part of the tile that the subgroup sums: ${ownRows} x ${ownCols} results.`,
      `let own_row = ${scaled(over("subgroup", subgroups.cols), ownRows)};`,
      `let own_column = ${scaled(modulo("subgroup", subgroups.cols), ownCols)};`,
      `// Where its results pass through workgroup memory, and what of them the invocation takes.`,
      `let own_results = ${scaled("subgroup", region)};`,
      `let row_of_round = ${over("in_subgroup", sharers)};`,
      `let own_quad = ${scaled(modulo("in_subgroup", sharers), 4)};`,
      `let results_at = ${
        plus("own_results", scaled("row_of_round", pitch), modulo("in_subgroup", sharers))
      };`,
      `// What it copies, the same at every depth, and where its subgroup's matrices begin.`,
      ...left.prepare,
    ],
    sum: (range, skip) => [
      ...right.prepare,
      `// The sums.`,
      ...times(
        down,
        (i) => times(across, (j) => `var ${sum(i, j)} = ${fragments.zero};`).join(" "),
      ),
      ...loop(range, skip),
    ],
    rows: times(
      ownRows / ROUND_ROWS,
      (round) => plus("own_row", "row_of_round", ROUND_ROWS * round),
    ),
    rounds,
    sharers: {
      count: subgroups.cols * sharers,
      index: `(${
        plus(scaled(modulo("subgroup", subgroups.cols), sharers), modulo("in_subgroup", sharers))
      })`,
    },
    scratch: [{
      height: Math.floor(size / rows),
      width: rows,
      read: (line, column) => `bitcast<vec4<f32>>(memory[${address(line, column, rows)}])`,
      write: (line, column, value) =>
        `memory[${address(line, column, rows)}] = bitcast<vec4<u32>>(${value});`,
    }],
  };
}

/** Returns where the last step of a range begins; where that is empty, the range. */
function lastStep({ from, to }: Depth, step: number): string {
  if (from !== "0u") {
    return `${from} + (max(${to}, ${from} + 1u) - ${from} - 1u) / ${step}u * ${step}u`;
  }
  if (/^\d+u$/.test(to)) return scaled(over(minus(parseInt(to), 1), step), step);
  return `(max(${to}, 1u) - 1u) / ${step}u * ${step}u`;
}

function address(line: string, column: string, width: number): string {
  return plus(scaled(line, width), column);
}

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
  partsOf,
  resultQuads,
  ROUND_ROWS,
  type SubgroupTile,
} from "../../planner/schedule/tile.ts";
import { fragmentsOf } from "./fragments.ts";
import { type Copied, copied, SPLIT_FUNCTION } from "./matrix_operand.ts";
import { type Body, type Depth, leaveOut, type Operand, type Skip } from "./product.ts";
import { block, COMPONENTS, minus, modulo, over, plus, scaled, times } from "./text.ts";

/** Writes the product of two operands over a tile, in subgroup matrices. */
export function matrices(tile: SubgroupTile, a: Operand, b: Operand): Body {
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

  const split = partsOf(tile.body) === 2;
  const halves = split ? [undefined, "lower"] as const : [undefined];
  const suffix = (half: "lower" | undefined) => half ? `_${half}` : "";
  // Of sums of halves, the products with a lower one come first: they are the smaller ones.
  const products = split
    ? [["", "_lower"], ["_lower", ""], ["", ""]] as const
    : [["", ""]] as const;
  const multiply = times(depth / step, (s) =>
    block([
      ...times(down, (i) =>
        halves.map((half) =>
          `let left${i}${suffix(half)} = ${fragments.left(left.matrix(i, s * step, half))};`
        )).flat(),
      ...times(across, (j) => [
        ...halves.map((half) =>
          `let right${j}${suffix(half)} = ${fragments.right(right.matrix(j, s * step, half))};`
        ),
        ...products.flatMap(([ofLeft, ofRight]) =>
          times(
            down,
            (i) =>
              `${sum(i, j)} = ${
                fragments.multiply(`left${i}${ofLeft}`, `right${j}${ofRight}`, sum(i, j))
              };`,
          )
        ),
      ]).flat(),
    ]));
  const steps: Steps = {
    depth,
    multiply: [`// Multiply what is in workgroup memory.`, ...multiply],
    loads: [...left.loads, ...right.loads],
    indices: [...left.indices, ...right.indices],
    conversions: [...left.conversions, ...right.conversions],
    stores: [...left.stores, ...right.stores],
  };

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
        (q) =>
          `let quad${q} = bitcast<vec4<f32>>(memory[${plus("results_at", q * sharers)}])${
            split ? " * a_unscale * b_unscale" : ""
          };`,
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
    functions: [...fragments.functions, ...(split ? [SPLIT_FUNCTION] : [])],
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
      ...(skip ? inTurn(steps, range, skip) : ahead(steps, range)),
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

/** Steps along the depth: what each copies, and what multiplies that. */
interface Steps extends Pick<Copied, "loads" | "indices" | "conversions" | "stores"> {
  readonly depth: number;
  readonly multiply: readonly string[];
}

/** Loads a step ahead of the multiplications, from the last step on the last again. */
function ahead(
  { depth, multiply, loads, indices, conversions, stores }: Steps,
  { from, to }: Depth,
): string[] {
  return [
    `// The loads of the first step; later ones are issued a step ahead.`,
    `let last_step = ${lastStep({ from, to }, depth)};`,
    ...indices.map(({ name, value }) => `var ${name} = ${value(from)};`),
    ...loads.map(({ name, value }) => `var ${name} = ${value(from)};`),
    ...indices.map(({ name, value }) =>
      `${name} = ${value(`min(${plus(from, depth)}, last_step)`)};`
    ),
    block([
      ...conversions,
      `workgroupBarrier();`,
      ...stores,
      `workgroupBarrier();`,
      `let next = min(k + ${depth}u, last_step);`,
      ...loads.map(({ name, value }) => `${name} = ${value("next")};`),
      ...(indices.length > 0 ? [`let after = min(k + ${2 * depth}u, last_step);`] : []),
      ...indices.map(({ name, value }) => `${name} = ${value("after")};`),
      ...multiply,
    ], `for (var k = ${from}; k < ${to}; k += ${depth}u)`),
    `workgroupBarrier();`,
  ];
}

/** Loads and multiplies in turn: which step comes next is known when it comes. */
function inTurn(
  { depth, multiply, loads, indices, conversions, stores }: Steps,
  { from, to }: Depth,
  skip: Skip,
): string[] {
  return [
    block([
      ...leaveOut(skip, depth),
      ...indices.map(({ name, value }) => `let ${name} = ${value("k")};`),
      ...loads.map(({ name, value }) =>
        `${conversions.length > 0 ? "var" : "let"} ${name} = ${value("k")};`
      ),
      ...conversions,
      ...stores,
      `workgroupBarrier();`,
      ...multiply,
      `workgroupBarrier();`,
    ], `for (var k = ${from}; k < ${to}; k += ${depth}u)`),
  ];
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

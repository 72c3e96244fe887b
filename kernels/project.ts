/**
 * Kernels around the projection `H Wᵀ`: `forward` folds the logits of a tile
 * into online statistics, `project` stores them, `logit-gradient` stores the
 * gradient with respect to them. They differ in their last lines only.
 *
 * @module
 */
import { type Product, product } from "./gemm.ts";
import {
  AGREEMENT_MEMORY,
  agreeOnTile,
  biasOf,
  coefficientsFunction,
  DEVIATION_FUNCTION,
  gradientFunction,
  KEPT_COUNT,
  keptRow,
  logitFunction,
  smoothingWeightOf,
  tileFlag,
} from "./logit.ts";
import { NO_ID, OnlineStatistics } from "./online.ts";
import { loadQuad, storedType } from "./storage.ts";
import { declarations, indent, type KernelContext, literal, LOWEST, times } from "./wgsl.ts";
import { filterThreshold } from "../planner/problem.ts";
import { bytesPerElement } from "../planner/dtype.ts";
import { workgroupSize } from "../planner/tile.ts";

/** The product of a block's kept hidden states with a window of the weight. */
function projection(context: KernelContext): Product {
  const tile = context.dispatch.tile!;
  // Rows past the end are clamped to the last one: their results are never used.
  return product(tile, {
    layout: "inner",
    row: (local) => keptRow(context, `min(first_row + ${local}, kept_count - 1u)`),
    load: (row, quad) => `load_hidden(${row}, ${quad})`,
  }, {
    layout: "inner",
    row: (local) => `min(first_column + ${local}, params.vocab - 1u)`,
    load: (row, quad) => `load_weight(${row}, ${quad})`,
  });
}

/**
 * Token tiles of a band. Workgroups that run at the same time should share as
 * many operands as they can: where no cache holds a block's hidden states, a band
 * about as high as it is wide, rather than all token tiles at a few vocabulary
 * tiles (424 to 401 ms at 16384 x 4096 x 128256 on an H100). Elsewhere the few
 * registers that it takes cost more than it gains.
 */
const BAND = 16;

/** Bytes of hidden states that are past what caches make up for. */
const PAST_CACHES = 128 * 2 ** 20;

/** Names the first row and column of a workgroup's tile. */
function placeOfTile({ dispatch, schedule: { block, problem } }: KernelContext): string[] {
  const { rows, cols } = dispatch.tile!;
  const states = block.tokens * problem.hidden * bytesPerElement(problem.dtype);
  if (states <= PAST_CACHES || block.tokens <= BAND * rows) {
    return [`let first_row = group.x * ${rows}u;`, `let first_column = group.y * ${cols}u;`];
  }
  return [
    `// Tiles in bands of ${BAND} token tiles, each from the first vocabulary tile to the last.`,
    `let row_tiles = (params.tokens + ${rows - 1}u) / ${rows}u;`,
    `let column_tiles = (params.vocab + ${cols - 1}u) / ${cols}u;`,
    `let number = group.y * row_tiles + group.x;`,
    `let first_of_band = number / (${BAND}u * column_tiles) * ${BAND}u;`,
    `let height = min(${BAND}u, row_tiles - first_of_band);`,
    `let place = number - first_of_band * column_tiles;`,
    `let first_row = (first_of_band + place % height) * ${rows}u;`,
    `let first_column = place / height * ${cols}u;`,
  ];
}

/** Everything up to `main`, whose body is given. */
function shader(
  context: KernelContext,
  title: string,
  types: Record<string, string>,
  functions: string[],
  memory: string,
  body: string[],
): string {
  const { dispatch, schedule: { problem } } = context;
  return [
    `// ${title}`,
    declarations(dispatch, {
      kept: "u32",
      hidden: storedType(problem),
      weight: storedType(problem),
      bias: "f32",
      class_weight: "f32",
      ...types,
    }),
    memory,
    loadQuad("hidden", problem, dispatch.tile!.depth),
    loadQuad("weight", problem, dispatch.tile!.depth),
    logitFunction(problem),
    ...functions,
    `@compute @workgroup_size(${workgroupSize(dispatch.tile!)})
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let kept_count = ${KEPT_COUNT};
${indent(placeOfTile(context))}
  if (first_row >= kept_count) {
    return;
  }
${indent(body)}
}
`,
  ].join("\n\n");
}

/**
 * Projection, then online statistics per token; logits never leave the
 * registers. A workgroup takes one tile and folds it into what the same place
 * in the last window left: a loop over tiles would keep its counters alive
 * through the product, and on an H100 those few registers halve the workgroups
 * that fit on a multiprocessor (30 instead of 40 TFLOP/s).
 */
export function forward(context: KernelContext): string {
  const { dispatch, schedule: { problem } } = context;
  const tile = dispatch.tile!;
  const gemm = projection(context);
  const online = new OnlineStatistics(problem);
  const rows = times(tile.microRows, String);
  const lanesX = tile.cols / tile.microCols;
  const lanesY = tile.rows / tile.microRows;
  const gathered = online.gatherable({ lanes: lanesX, lanesY }, rows.length, gemm.scratches);
  const token = "params.token_start + position";
  const columnTile = `first_column / ${tile.cols}u`;
  return shader(
    context,
    "forward: logits of a token tile and a vocabulary tile, folded into online statistics.",
    { targets: "i32", partials: "u32" },
    [],
    gemm.memory,
    [
      gemm.place,
      gemm.sum({ from: "0u", to: `${problem.hidden}u` }),
      ...columnsOfTile(context, gemm),
      ...rows.map((_, i) => takeRow(context, gemm, online, i)),
      `// Fold the ${lanesX} invocations that share rows; then each row has one of its own.`,
      online.halve(rows, { lanes: lanesX, until: gathered, lanesY }, gemm.scratches.at(-1)!),
      online.gather("_row", rows, gemm.row, { lanes: gathered, lanesY }, gemm.scratches),
      `let position = first_row + lane;`,
      `if (lane < ${tile.rows}u && position < kept_count) {`,
      indent([
        `if (params.first == 0u) {`,
        indent([online.read("_before", columnTile, token), online.fold("_row", "_before")]),
        `}`,
        online.write("_row", columnTile, token),
      ]),
      `}`,
    ],
  );
}

/**
 * Names what is known of each column of a tile: whether it exists, its id, bias
 * and smoothing weight. A column past the window has an id that is no target's,
 * and no weight: it may lie in the next window.
 */
function columnsOfTile(context: KernelContext, gemm: Product): string[] {
  const { dispatch, schedule: { problem } } = context;
  return times(dispatch.tile!.microCols, (j) =>
    [
      `let column${j} = first_column + ${gemm.column(j)};`,
      `let exists${j} = column${j} < params.vocab;`,
      `let id${j} = select(${NO_ID}, params.vocab_start + column${j}, exists${j});`,
      `let known${j} = params.vocab_start + min(column${j}, params.vocab - 1u);`,
      `let bias${j} = ${biasOf(context, `known${j}`)};`,
      ...(problem.labelSmoothing > 0
        ? [`let weight${j} = select(0f, ${smoothingWeightOf(context, `known${j}`)}, exists${j});`]
        : []),
    ].join("\n"));
}

/** Takes an invocation's logits of one row into a set of their own. */
function takeRow(
  context: KernelContext,
  gemm: Product,
  online: OnlineStatistics,
  i: number,
): string {
  const { microCols } = context.dispatch.tile!;
  const row = keptRow(context, `min(first_row + ${gemm.row(i)}, kept_count - 1u)`);
  const entries = times(microCols, (j) => ({
    logit: `z${j}`,
    id: `id${j}`,
    weight: `weight${j}`,
  }));
  return [
    online.declare(`${i}`),
    `{`,
    indent([
      `let id_of_target = u32(targets[params.token_start + ${row}]);`,
      ...entries.map(({ logit }, j) =>
        `let ${logit} = select(${LOWEST}, logit_of(${
          gemm.accumulator(i, j)
        }, bias${j}), exists${j});`
      ),
      online.update(`${i}`, entries, "id_of_target"),
    ]),
    `}`,
  ].join("\n");
}

/** One statement for each element of a tile that exists, `row` and `id` in scope. */
function forEachElement(
  context: KernelContext,
  gemm: Product,
  before: string[],
  element: (i: number, j: number) => string[],
): string[] {
  const tile = context.dispatch.tile!;
  return times(tile.microRows, (i) =>
    [
      `if (first_row + ${gemm.row(i)} < kept_count) {`,
      indent([
        `let row = first_row + ${gemm.row(i)};`,
        ...before,
        ...times(tile.microCols, (j) =>
          [
            `{`,
            `  let column = first_column + ${gemm.column(j)};`,
            `  if (column < params.vocab) {`,
            indent(element(i, j), 2),
            `  }`,
            `}`,
          ].join("\n")),
      ]),
      `}`,
    ].join("\n"));
}

/** Where a logit, or its gradient, is stored. */
function stored(context: KernelContext): string {
  return `logits[row * ${context.schedule.logitStride}u + params.column + column]`;
}

/** `id` and its logit `z`, from the sum of accumulator `(i, j)`. */
function logitAt(context: KernelContext, gemm: Product, i: number, j: number): string[] {
  return [
    `let id = params.vocab_start + column;`,
    `let z = logit_of(${gemm.accumulator(i, j)}, ${biasOf(context, "id")});`,
  ];
}

/** The kernel that computes one tile and ends in `epilogue`. */
function tileKernel(
  context: KernelContext,
  title: string,
  functions: string[],
  epilogue: (gemm: Product) => string[],
): string {
  const gemm = projection(context);
  return shader(
    context,
    title,
    { logits: "f32", coefficients: "u32", tile_flags: "u32" },
    functions,
    gemm.memory,
    [
      gemm.place,
      gemm.sum({ from: "0u", to: `${context.schedule.problem.hidden}u` }),
      ...epilogue(gemm),
    ],
  );
}

/** Projection, logits stored: the first of two stages. */
export function project(context: KernelContext): string {
  return tileKernel(
    context,
    "project: logits of a token tile and a vocabulary tile, stored.",
    [],
    (gemm) =>
      forEachElement(context, gemm, [], (i, j) => [
        ...logitAt(context, gemm, i, j),
        `${stored(context)} = z;`,
      ]),
  );
}

/**
 * Projection again, the gradient by the logits stored. With a filter, a tile
 * whose every deviation is below the threshold is flagged and not stored.
 */
export function logitGradient(context: KernelContext): string {
  const { problem } = context.schedule;
  const threshold = filterThreshold(problem);
  const token = [`let token = coefficients_of(params.token_start + row);`];
  const gradient = `gradient_of(z, id, ${smoothingWeightOf(context, "id")}, token)`;
  return tileKernel(
    context,
    "logit-gradient: logits of a tile recomputed, the gradient with respect to them stored.",
    [
      coefficientsFunction(problem),
      gradientFunction(problem),
      ...(threshold > 0 ? [DEVIATION_FUNCTION, AGREEMENT_MEMORY] : []),
    ],
    (gemm) =>
      threshold === 0
        ? forEachElement(context, gemm, token, (i, j) => [
          ...logitAt(context, gemm, i, j),
          `${stored(context)} = ${gradient};`,
        ])
        : [
          `var busy = false;`,
          ...forEachElement(context, gemm, token, (i, j) => [
            ...logitAt(context, gemm, i, j),
            `busy = busy || deviation_of(z, id, token) >= ${literal(threshold)};`,
            `${gemm.accumulator(i, j)} = ${gradient};`,
          ]),
          ...agreeOnTile(
            tileFlag(
              context,
              `first_row / ${context.dispatch.tile!.rows}u`,
              `first_column / ${context.dispatch.tile!.cols}u`,
            ),
          ),
          `if (worth_storing) {`,
          indent(forEachElement(context, gemm, [], (i, j) => [
            `${stored(context)} = ${gemm.accumulator(i, j)};`,
          ])),
          `}`,
        ],
  );
}

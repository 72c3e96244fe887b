/**
 * What kernels around the projection `H Wᵀ` have in common: a workgroup computes one tile of
 * logits, or a run of them, and then does with each of them what the kernel is for.
 *
 * @module
 */
import { product } from "./bodies.ts";
import type { KernelContext } from "./context.ts";
import { OPERAND_BOUNDS } from "./operand_bound.ts";
import { biasOf, KEPT_COUNT, keptRow, logitFunction, logitText } from "./logit.ts";
import { type Body, eachRound, type Round } from "./product.ts";
import { halving, scaleFunctions, unscaled } from "./row_scales.ts";
import { loadVector, storedType } from "./stored.ts";
import { block, comment, kernel, plus, times } from "./text.ts";
import { headOf } from "../../planner/problem.ts";
import { workgroupSize } from "../../planner/schedule/tile.ts";

/** Returns the product of a block's kept hidden states with a window of the weight. */
function projection(context: KernelContext): Body {
  // Rows past the end are clamped to the last one: their results are never used.
  const position = (local: string) => `min(${plus("first_row", local)}, kept_count - 1u)`;
  const row = (local: string) => `min(${plus("first_column", local)}, params.vocab - 1u)`;
  const scales = {
    row: (local: string) => `hidden_scale(${position(local)})`,
    column: (local: string) => `weight_scale(${row(local)})`,
  };
  const scaled = halving(context);
  const body = product(context, {
    layout: "inner",
    row: (local) => keptRow(context, position(local)),
    load: (row, quad) => `load_hidden(${row}, ${quad})`,
    bound: OPERAND_BOUNDS.hidden,
    ...(scaled ? { scale: scales.row } : {}),
  }, {
    layout: "inner",
    row,
    load: (row, quad) => `load_weight(${row}, ${quad})`,
    bound: OPERAND_BOUNDS.weight,
    ...(scaled ? { scale: scales.column } : {}),
  });
  return scaled ? unscaled(body, scales) : body;
}

/** Returns names the first row and column of a workgroup's tile. */
function tileStart({ dispatch: { tile, order } }: KernelContext): string[] {
  const { rows } = tile!;
  const { band, run = 1 } = order ?? {};
  const cols = run * tile!.cols;
  const first = run === 1 ? "first_column" : "first_of_run";
  if (band === undefined) {
    return [`let first_row = group.x * ${rows}u;`, `let ${first} = group.y * ${cols}u;`];
  }
  return [
    comment(
      `Tiles in bands of ${band} token tiles, each from the first vocabulary tile to the last: workgroups that run together then share operands. The last band may be lower.`,
    ),
    `let row_tiles = (params.tokens + ${rows - 1}u) / ${rows}u;`,
    `let column_tiles = (params.vocab + ${cols - 1}u) / ${cols}u;`,
    `let number = group.y * row_tiles + group.x;`,
    `let first_of_band = number / (${band}u * column_tiles) * ${band}u;`,
    `let height = min(${band}u, row_tiles - first_of_band);`,
    `let in_band = number - first_of_band * column_tiles;`,
    `let first_row = (first_of_band + in_band % height) * ${rows}u;`,
    `let ${first} = in_band / height * ${cols}u;`,
  ];
}

/** What one of the kernels adds to the projection. */
interface Ending {
  readonly title: string;
  /** What slots are read as, where it is not what the others have. */
  readonly types?: Readonly<Record<string, string>>;
  readonly memory?: readonly string[];
  readonly functions?: readonly string[];
  /** What comes before the results of a first tile. */
  readonly before?: (body: Body) => readonly string[];
  /** What becomes of a tile's results. */
  readonly body: (body: Body) => readonly string[];
  /** What comes after those of a last one. */
  readonly after?: (body: Body) => readonly string[];
}

/** Returns the kernel that computes one tile of logits and ends in what is given. */
export function tileKernel(context: KernelContext, ending: Ending): string {
  const { dispatch, schedule: { problem } } = context;
  const tile = dispatch.tile!;
  const body = projection(context);
  const sum = body.sum({ from: "0u", to: `${headOf(problem).hidden}u` });
  const [before, each, after] = [ending.before, ending.body, ending.after]
    .map((text) => text?.(body) ?? []) as [string[], string[], string[]];
  const { run = 1 } = dispatch.order ?? {};
  return kernel(dispatch, {
    title: ending.title,
    ...body.needs,
    types: {
      hidden: storedType(headOf(problem), tile),
      weight: storedType(headOf(problem), tile),
      ...ending.types,
    },
    memory: [...body.memory, ...(ending.memory ?? [])],
    functions: [
      loadVector("hidden", headOf(problem), tile, tile.depth),
      loadVector("weight", headOf(problem), tile, tile.depth),
      ...scaleFunctions(context),
      ...body.functions,
      logitFunction(headOf(problem)),
      ...(ending.functions ?? []),
    ],
    workgroup: workgroupSize(tile),
    builtins: ["group", "lane", ...body.needs.builtins],
    body: [
      `let kept_count = ${KEPT_COUNT};`,
      ...tileStart(context),
      block([`return;`], `if (first_row >= kept_count)`),
      ...body.names,
      ...(run === 1 ? [...sum, ...before, ...each] : [
        ...before,
        comment(`${run} vocabulary tiles, one after the other.`),
        `let end_of_run = min(first_of_run + ${run * tile.cols}u, params.vocab);`,
        block(
          [...sum, ...each],
          `for (var first_column = first_of_run; first_column < end_of_run; first_column += ${tile.cols}u)`,
        ),
      ]),
      ...after,
    ],
  });
}

/**
 * Returns statements for each result of a product that is a logit of a kept token and of an id of
 * the window. `position` and `column` are in scope, and so is what `row` names; `id` and its logit
 * `z` are too.
 */
export function forEachLogit(
  context: KernelContext,
  body: Body,
  statements: { readonly row: readonly string[]; readonly logit: readonly string[] },
): string[] {
  return forEachRow(body, (round, i) => [
    ...statements.row,
    ...round.columns.map((column, j) =>
      block([
        `let column = ${plus("first_column", column)};`,
        block([
          `let id = params.vocab_start + column;`,
          `let z = ${logitText(round.value(i, j), biasOf(context, "id"))};`,
          ...statements.logit,
        ], `if (column < params.vocab)`),
      ])
    ),
  ]);
}

/**
 * Returns statements for each four results of a product that follow each other in a row of a kept
 * token, past the window too: `column` is the first of them.
 */
export function forEachQuad(
  body: Body,
  statements: { readonly row: readonly string[]; readonly quad: QuadText },
): string[] {
  return forEachRow(body, (round, i) => [
    ...statements.row,
    ...times(round.columns.length / 4, (q) =>
      block([
        `let column = ${plus("first_column", round.columns[4 * q]!)};`,
        ...statements.quad((c) => round.value(i, 4 * q + c)),
      ])),
  ]);
}

/** Returns statements for each row of a kept token, in each round: `position` is its place in the block. */
function forEachRow(body: Body, text: (round: Round, i: number) => readonly string[]): string[] {
  return eachRound(body, (round) =>
    round.rows.map((row, i) =>
      block([
        `let position = ${plus("first_row", body.rows[row]!)};`,
        block([...text(round, i)], `if (position < kept_count)`),
      ])
    ));
}

/** Statements about four results, given the text of each. */
export type QuadText = (value: (index: number) => string) => readonly string[];

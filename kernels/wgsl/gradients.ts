/**
 * The gradients that follow from a window of logit gradients: two matrix
 * products and a column sum, without atomics, so that results are the same from
 * run to run.
 *
 * @module
 */
import { trainedColumns } from "../../planner/heads/head.ts";
import { ACCUMULATED } from "../../planner/dtype.ts";
import { headOf, weightColumns } from "../../planner/problem.ts";
import { TILE_FLAG } from "../../planner/schedule/layout.ts";
import { product } from "./bodies.ts";
import type { KernelContext } from "./context.ts";
import { inBlocks, KEPT_COUNT, keptRow, ownRow, tileFlag } from "./logit.ts";
import { SAMPLED_COUNT, sampledPosition } from "./sample_tokens.ts";
import { GRADIENT_BOUND, keepsHalves, UNSCALE_FUNCTION } from "./halves.ts";
import { OPERAND_BOUNDS } from "./operand_bound.ts";
import { type Body, eachRound, elementsAtOnce, type Operand } from "./product.ts";
import { HALVES_OF, halving, POWERS, scaleOfAll } from "./row_scales.ts";
import { loadVector, type StoredRows, storedType } from "./stored.ts";
import { binds, block, comment, kernel, over, plus, scaled, times } from "./text.ts";
import type { Schedule } from "../../planner/schedule/schedule.ts";
import { inSubgroups, kindOf, VECTOR, workgroupSize } from "../../planner/schedule/tile.ts";
import { LINEAR_WORKGROUP } from "../../planner/schedule/combining.ts";

/** What is particular to one of the two products. */
interface GradientProduct {
  readonly title: string;
  /** The stored matrix that the logit gradients are multiplied with. */
  readonly stored: "hidden" | "projections" | "weight";
  readonly storedRows: StoredRows;
  readonly output: "grad_weight" | "grad_hidden" | "hidden_parts";
  /** Columns of the result. */
  readonly columns: number;
  /** Statements that name what the operands' loads refer to besides. */
  readonly names?: readonly string[];
  /** Functions that the operands' loads call. */
  readonly helpers: readonly string[];
  readonly left: Operand;
  readonly right: Operand;
  /** Rows of the result and depth of the product, as run-time values. */
  readonly rows: string;
  readonly depth: string;
  /** Length of the parts that the depth is cut into; the workgroups of one part come before those of the next. */
  readonly span?: number;
  /** Row of the output for a row of the result. */
  readonly outputRow: (row: string) => string;
  /** Tiles of logit gradients along the depth: how long, and the flag of the one at a depth. */
  readonly stretch: { readonly every: number; readonly flag: (depth: string) => string };
  /** Whether results add to what the output holds: always, never, or by a run-time value. */
  readonly adds: "always" | "never" | string;
}

/** Returns the statement that stores a result in a column that exists. */
function storeFunction({ output, adds, columns }: GradientProduct): string {
  const value = adds === "never"
    ? "value"
    : adds === "always"
    ? `${output}[at] + value`
    : `select(value, ${output}[at] + value, ${adds})`;
  return `// Stores a result, where its column exists.
fn store(row: u32, column: u32, value: f32) {
  if (column < ${columns}u) {
    let at = row * ${columns}u + column;
    ${output}[at] = ${value};
  }
}`;
}

/**
 * Returns the same for four results that follow each other, in rows of whole fours: whatever was
 * there is read where it counts.
 */
function storeQuadFunction({ output, adds, columns }: GradientProduct, inSums: boolean): string {
  const add = `sum += ${output}[at];`;
  const given = adds === "never" || adds === "always" ? undefined : adds;
  const condition = [...(given ? [given] : []), ...(inSums ? ["later"] : [])].join(" || ");
  const lines = [
    `let at = row * ${columns / 4}u + column / 4u;`,
    ...(adds === "never" && !inSums ? [`${output}[at] = value;`] : [
      `var sum = value;`,
      ...(adds === "always" ? [add] : [block([add], `if (${condition})`)]),
      `${output}[at] = sum;`,
    ]),
  ];
  return `// Stores four results that follow each other, where their columns exist.
${
    block(
      [block(lines, `if (column < ${columns}u)`)],
      `fn store(row: u32, column: u32, value: vec4<f32>${inSums ? ", later: bool" : ""})`,
    )
  }`;
}

/** Returns the function that loads logit gradients, as either product's left operand. */
function loadLogits(schedule: Schedule): string {
  const stride = schedule.gradientStride;
  if (keepsHalves(schedule)) {
    return `// Eight logit gradients of the kept token at a position, as they are stored, from a column of
// the window on; zeros past the last token, and past the vector that holds the last id.
fn load_logits(position: u32, column: u32, positions: u32) -> vec4<u32> {
  let row = min(position, max(positions, 1u) - 1u);
  let octet = logits[${
      plus(
        scaled("row", stride / VECTOR),
        `(params.column + min(column, params.vocab - 1u)) / ${VECTOR}u`,
      )
    }];
  return select(vec4<u32>(), octet, position < positions && column < params.vocab);
}`;
  }
  return `// Four logit gradients of the kept token at a position, from a column of the window on; zeros
// past the last token or id. No branches: loads inside branches cannot be in flight together.
fn load_logits(position: u32, column: u32, positions: u32) -> vec4<f32> {
  let row = min(position, max(positions, 1u) - 1u);
  let quad = logits[${
    plus(scaled("row", stride / 4), "(params.column + min(column, params.vocab - 1u)) / 4u")
  }];
  let exists = vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.vocab);
  return select(vec4<f32>(), quad, exists & vec4<bool>(position < positions));
}`;
}

function gradientProduct(context: KernelContext, of: GradientProduct): string {
  const { dispatch, schedule } = context;
  const tile = dispatch.tile!;
  const halves = keepsHalves(schedule);
  const quads = inSubgroups(tile);
  // What is left of sub-tokens is in f32: it never becomes halves.
  const scaled = halving(context) && of.stored !== "projections" ? of.stored : undefined;
  const body = product(context, of.left, {
    ...of.right,
    ...(scaled ? { scale: () => scaleOfAll(scaled) } : {}),
  });
  const whole = of.span === undefined;
  const { longestSum } = kindOf(tile);
  const range = whole ? { from: "0u", to: of.depth } : { from: "from_depth", to: "to_depth" };
  const skip = binds(dispatch, "tile_flags")
    ? {
      every: of.stretch.every,
      idle: (depth: string) => `${of.stretch.flag(depth)} == ${TILE_FLAG.idle}u`,
    }
    : undefined;
  const store = storeRounds(body, of, {
    halves,
    quads,
    later: longestSum === undefined ? undefined : "later",
    unscale: scaled ? `inverse_of(${scaleOfAll(scaled)})` : undefined,
  });
  return kernel(dispatch, {
    title: of.title,
    ...body.needs,
    types: {
      [of.stored]: storedType(of.storedRows, tile),
      logits: halves ? "vec4<u32>" : "vec4<f32>",
      ...(quads ? { [of.output]: "vec4<f32>" } : {}),
    },
    memory: body.memory,
    functions: [
      loadVector(of.stored, of.storedRows, tile, tile.cols),
      ...body.functions,
      ...of.helpers,
      loadLogits(schedule),
      ...(halves ? [UNSCALE_FUNCTION] : []),
      ...(scaled ? [POWERS, HALVES_OF] : []),
      quads ? storeQuadFunction(of, longestSum !== undefined) : storeFunction(of),
    ],
    workgroup: workgroupSize(tile),
    builtins: ["group", "lane", ...body.needs.builtins],
    body: [
      `let kept_count = ${KEPT_COUNT};`,
      `let rows = ${of.rows};`,
      ...(of.names ?? []),
      `let first_column = group.x * ${tile.cols}u;`,
      ...(whole ? [`let first_row = group.y * ${tile.rows}u;`] : [
        `// The depth is cut into parts, which are summed at the same time.`,
        `let row_tiles = (params.tokens + ${tile.rows - 1}u) / ${tile.rows}u;`,
        `let part = group.y / row_tiles;`,
        `let first_row = (group.y % row_tiles) * ${tile.rows}u;`,
        `let from_depth = part * ${of.span}u;`,
        `let to_depth = min(from_depth + ${of.span}u, ${of.depth});`,
      ]),
      block([`return;`], `if (first_row >= rows)`),
      ...body.names,
      ...(longestSum === undefined ? [...body.sum(range, skip), ...store] : [
        comment(
          `Sums over at most ${longestSum} of the depth, which are added in f32: a matrix unit cuts long ones off.`,
        ),
        block(
          [
            `let later = from_sum != ${range.from};`,
            `let to_sum = min(from_sum + ${longestSum}u, ${range.to});`,
            ...body.sum({ from: "from_sum", to: "to_sum" }, skip),
            ...store,
          ],
          `for (var from_sum = ${range.from}; from_sum == ${range.from} || from_sum < ${range.to}; from_sum += ${longestSum}u)`,
        ),
      ]),
    ],
  });
}

/** Returns statements that store the results of rows that exist. */
function storeRounds(
  body: Body,
  of: GradientProduct,
  { halves, quads, later, unscale }: {
    readonly halves: boolean;
    /** What results are multiplied by besides, where the right operand is scaled. */
    readonly unscale: string | undefined;
    readonly quads: boolean;
    /** Whether there was a sum before this, where there may be. */
    readonly later: "later" | undefined;
  },
): string[] {
  const scale = halves ? " * unscale" : "";
  const more = later ? `, ${later}` : "";
  return [
    `// Store the results of rows that exist.`,
    ...(halves
      ? [`let unscale = ${["gradient_unscale()", ...(unscale ? [unscale] : [])].join(" * ")};`]
      : []),
    ...eachRound(body, (round) =>
      round.rows.map((number, i) => {
        const row = plus("first_row", body.rows[number]!);
        return block([
          `let row = ${of.outputRow(row)};`,
          ...(quads
            ? times(round.columns.length / 4, (q) => {
              const values = times(4, (c) => round.value(i, 4 * q + c)).join(", ");
              const column = plus("first_column", round.columns[4 * q]!);
              return `store(row, ${column}, vec4<f32>(${values})${scale}${more});`;
            })
            : round.columns.map((column, j) =>
              `store(row, ${plus("first_column", column)}, ${round.value(i, j)});`
            )),
        ], `if (${row} < rows)`);
      })),
  ];
}

/** `dW = dzᵀ H` for a window: overwritten by the first token block, added to by the others. */
export function weightGradient(context: KernelContext): string {
  // Flags are by the tiles of the projection.
  const { tile, problem } = context.schedule;
  const head = headOf(problem);
  const { subTokens } = problem;
  const stored = subTokens === undefined ? "hidden" : "projections";
  const sampled = binds(context.dispatch, "sample");
  const count = sampled ? "sample_count" : "kept_count";
  const at = elementsAtOnce(context.dispatch.tile!);
  const ahead = inSubgroups(context.dispatch.tile!);
  return gradientProduct(context, {
    title: "gradient of a window of the weight from one token block.",
    stored,
    storedRows: subTokens === undefined ? head : { hidden: subTokens, dtype: ACCUMULATED },
    output: "grad_weight",
    columns: weightColumns(problem, head),
    ...(sampled ? { names: [`let sample_count = ${SAMPLED_COUNT};`] } : {}),
    helpers: ahead ? [] : sampled ? loadsOfSample(context) : [
      `// Four elements of ${
        subTokens === undefined ? "the hidden state" : "what is left of the sub-tokens"
      } of the kept token at a position; zeros past the last.
fn load_kept(position: u32, quad: u32, positions: u32) -> vec4<f32> {
  let state = load_${stored}(${keptRow(context, "min(position, max(positions, 1u) - 1u)")}, quad);
  return select(vec4<f32>(), state, position < positions);
}`,
    ],
    left: {
      layout: "outer",
      load: (depth, vector) => {
        const position = sampled ? `sampled_at(${depth}, sample_count)` : depth;
        return `load_logits(${position}, ${plus("first_row", `${at}u * (${vector})`)}, kept_count)`;
      },
      bound: GRADIENT_BOUND,
    },
    // In subgroup matrices rows are looked up a step ahead; positions past the last are multiplied
    // with zeros.
    right: ahead
      ? {
        bound: OPERAND_BOUNDS.hidden,
        layout: "outer",
        row: (depth) => keptRow(context, `min(${depth}, max(kept_count, 1u) - 1u)`),
        load: (row, vector) => `load_hidden(${row}, ${plus(over("first_column", at), vector)})`,
      }
      : {
        layout: "outer",
        load: (depth, quad) =>
          `load_kept(${depth}, ${plus(over("first_column", at), quad)}, ${count})`,
      },
    rows: "params.vocab",
    depth: count,
    outputRow: (row) => row,
    stretch: { every: tile.rows, flag: (depth) => tileFlag(context, depth, "first_row") },
    adds: "params.first == 0u",
  });
}

/** Returns functions that load what belongs to a place in the block's sample of tokens. */
function loadsOfSample(context: KernelContext): string[] {
  const position = sampledPosition(context.schedule, "min(place, max(places, 1u) - 1u)");
  return [
    `// The position of the token at a place in the sample; past the last, that of the last.
fn sampled_at(place: u32, places: u32) -> u32 {
  return ${position};
}`,
    `// Four elements of the hidden state of the token at a place in the sample, times its weight; zeros
// past the last.
fn load_kept(place: u32, quad: u32, places: u32) -> vec4<f32> {
  let row = ${keptRow(context, "sampled_at(place, places)")};
  let state = token_weights[${inBlocks("row")}] * load_hidden(row, quad);
  return select(vec4<f32>(), state, place < places);
}`,
  ];
}

/** `dH += dz W` for a token block, from one window, or from each part of it by itself. */
export function hiddenGradient(context: KernelContext): string {
  const { dispatch, schedule: { problem, tile, block } } = context;
  const { span } = dispatch;
  const at = elementsAtOnce(dispatch.tile!);
  return gradientProduct(context, {
    title: "gradient of a token block's hidden states from one window.",
    stored: "weight",
    storedRows: headOf(problem),
    columns: trainedColumns(headOf(problem)),
    helpers: [],
    left: {
      layout: "inner",
      row: (local) => plus("first_row", local),
      load: (row, vector) => `load_logits(${row}, ${at}u * (${vector}), kept_count)`,
      bound: GRADIENT_BOUND,
    },
    right: {
      layout: "outer",
      load: (depth, vector) =>
        `load_weight(min(${depth}, params.vocab - 1u), ${plus(over("first_column", at), vector)})`,
      bound: OPERAND_BOUNDS.weight,
    },
    rows: "kept_count",
    depth: "params.vocab",
    stretch: { every: tile.cols, flag: (depth) => tileFlag(context, "first_row", depth) },
    ...(span === undefined
      ? {
        output: "grad_hidden",
        outputRow: (row: string) => keptRow(context, row),
        adds: "always",
      }
      : {
        output: "hidden_parts",
        outputRow: (row: string) => plus(`part * ${block.tokens}u`, row),
        adds: "never",
        span,
      }),
  });
}

/** `dH += sum over the parts of a window`, an element for each invocation. */
export function hiddenSum(context: KernelContext): string {
  const { dispatch, schedule: { problem, block: { tokens } } } = context;
  const hidden = trainedColumns(headOf(problem));
  const span = dispatch.span!;
  return kernel(dispatch, {
    title: "the sums over parts of a window, added to the gradient of the hidden states.",
    workgroup: LINEAR_WORKGROUP,
    builtins: ["group", "lane"],
    body: [
      `let position = group.y;`,
      `let column = group.x * ${LINEAR_WORKGROUP}u + lane;`,
      block([`return;`], `if (column >= ${hidden}u || position >= ${KEPT_COUNT})`),
      `let parts = (${plus("params.vocab", span - 1)}) / ${span}u;`,
      `var sum = 0f;`,
      block(
        [`sum += hidden_parts[(part * ${tokens}u + position) * ${hidden}u + column];`],
        `for (var part = 0u; part < parts; part++)`,
      ),
      `grad_hidden[${keptRow(context, "position")} * ${hidden}u + column] += sum;`,
    ],
  });
}

/** `db = sum of dz over tokens` for a window: overwritten by the first token block, added to by the others. */
export function biasGradient(context: KernelContext): string {
  const { dispatch, schedule } = context;
  const { gradientStride } = schedule;
  const halves = keepsHalves(schedule);
  const element = `position * ${gradientStride}u + params.column + column`;
  const id = ownRow(context, "params.vocab_start + column");
  return kernel(dispatch, {
    title: "gradient of a window of the bias from one token block, an invocation for each id.",
    types: halves ? { logits: "u32" } : {},
    functions: halves ? [UNSCALE_FUNCTION] : [],
    workgroup: LINEAR_WORKGROUP,
    builtins: ["invocation"],
    body: [
      `let column = invocation.x;`,
      block([`return;`], `if (column >= params.vocab)`),
      `let kept_count = ${KEPT_COUNT};`,
      `var sum = 0f;`,
      block([
        ...(binds(dispatch, "tile_flags")
          ? [block(
            [`continue;`],
            `if (${tileFlag(context, "position", "column")} == ${TILE_FLAG.idle}u)`,
          )]
          : []),
        ...(halves
          ? [
            `let pair = unpack2x16float(logits[(${element}) / 2u]);`,
            `sum += select(pair.x, pair.y, (params.column + column) % 2u == 1u);`,
          ]
          : [`sum += logits[${element}];`]),
      ], `for (var position = 0u; position < kept_count; position++)`),
      ...(halves ? [`sum *= gradient_unscale();`] : []),
      `let id = ${id};`,
      `grad_bias[id] = select(grad_bias[id] + sum, sum, params.first == 1u);`,
    ],
  });
}

/**
 * The gradients that follow from a window of logit gradients: two matrix
 * products and a column sum, without atomics, so that results are the same from
 * run to run.
 *
 * @module
 */
import { type Operand, product } from "./gemm.ts";
import { KEPT_COUNT, keptRow, ownRow, TILE, tileFlag } from "./logit.ts";
import { loadQuad, storedType } from "./storage.ts";
import { binds, declarations, indent, type KernelContext, times } from "./wgsl.ts";
import { workgroupSize } from "../planner/tile.ts";
import { LINEAR_WORKGROUP } from "../planner/strategies/draft.ts";

/** What is particular to one of the two products. */
interface GradientProduct {
  readonly title: string;
  /** The stored matrix that the logit gradients are multiplied with. */
  readonly stored: "hidden" | "weight";
  readonly output: "grad_weight" | "grad_hidden" | "hidden_parts";
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
  /** Whether results add to what the output holds. */
  readonly adds: string;
}

function gradientProduct(context: KernelContext, of: GradientProduct): string {
  const { dispatch, schedule: { problem, logitStride } } = context;
  const tile = dispatch.tile!;
  const gemm = product(tile, of.left, of.right);
  const { hidden } = problem;
  const stores = times(tile.microRows, (i) =>
    [
      `if (first_row + ${gemm.row(i)} < rows) {`,
      indent([
        `let row = ${of.outputRow(`(first_row + ${gemm.row(i)})`)};`,
        ...times(tile.microCols, (j) =>
          `store(row, first_column + ${gemm.column(j)}, ${gemm.accumulator(i, j)}, adds);`),
      ]),
      `}`,
    ].join("\n"));
  return [
    `// ${of.title}`,
    declarations(dispatch, {
      kept: "u32",
      [of.stored]: storedType(problem),
      logits: "vec4<f32>",
      [of.output]: "f32",
      tile_flags: "u32",
    }),
    gemm.memory,
    loadQuad(of.stored, problem, tile.cols),
    ...of.helpers,
    `fn store(row: u32, column: u32, value: f32, adds: bool) {
  if (column < ${hidden}u) {
    let at = row * ${hidden}u + column;
    ${of.output}[at] = select(value, ${of.output}[at] + value, adds);
  }
}`,
    `// Four logit gradients of the kept token at a position, from a column of the window on.
fn load_logits(position: u32, column: u32, positions: u32) -> vec4<f32> {
  // No branches: loads behind one another's branches cannot wait together.
  let row = min(position, max(positions, 1u) - 1u);
  let quad = logits[row * ${
      logitStride / 4
    }u + (params.column + min(column, params.vocab - 1u)) / 4u];
  let exists = vec4<u32>(column) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(params.vocab);
  return select(vec4<f32>(), quad, exists & vec4<bool>(position < positions));
}`,
    `@compute @workgroup_size(${workgroupSize(tile)})
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
${
      indent([
        `let kept_count = ${KEPT_COUNT};`,
        `let rows = ${of.rows};`,
        `let adds = ${of.adds};`,
        `let first_column = group.x * ${tile.cols}u;`,
        ...(of.span === undefined ? [`let first_row = group.y * ${tile.rows}u;`] : [
          `let row_tiles = (params.tokens + ${tile.rows - 1}u) / ${tile.rows}u;`,
          `let part = group.y / row_tiles;`,
          `let first_row = (group.y % row_tiles) * ${tile.rows}u;`,
          `let from_depth = part * ${of.span}u;`,
          `let to_depth = min(from_depth + ${of.span}u, ${of.depth});`,
        ]),
        `if (first_row >= rows) {`,
        `  return;`,
        `}`,
        gemm.place,
        gemm.sum(
          of.span === undefined
            ? { from: "0u", to: of.depth }
            : { from: "from_depth", to: "to_depth" },
          binds(dispatch, "tile_flags")
            ? {
              every: of.stretch.every,
              idle: (depth) => `${of.stretch.flag(depth)} == ${TILE.idle}u`,
            }
            : undefined,
        ),
        ...stores,
      ])
    }
}
`,
  ].join("\n\n");
}

/** `dW = dzᵀ H` for a window: overwritten by the first token block, added to by the others. */
export function weightGradient(context: KernelContext): string {
  const { tile } = context.schedule;
  return gradientProduct(context, {
    title: "weight-gradient: gradient of a window of the weight from one token block.",
    stored: "hidden",
    output: "grad_weight",
    helpers: [
      `// Four elements of the hidden state of the kept token at a position.
fn load_kept(position: u32, quad: u32, positions: u32) -> vec4<f32> {
  let state = load_hidden(${keptRow(context, "min(position, max(positions, 1u) - 1u)")}, quad);
  return select(vec4<f32>(), state, position < positions);
}`,
    ],
    left: {
      layout: "outer",
      load: (depth, quad) => `load_logits(${depth}, first_row + 4u * (${quad}), kept_count)`,
    },
    right: {
      layout: "outer",
      load: (depth, quad) => `load_kept(${depth}, first_column / 4u + ${quad}, kept_count)`,
    },
    rows: "params.vocab",
    depth: "kept_count",
    outputRow: (row) => row,
    stretch: {
      every: tile.rows,
      flag: (depth) => tileFlag(context, `${depth} / ${tile.rows}u`, `first_row / ${tile.cols}u`),
    },
    adds: "params.first == 0u",
  });
}

/** `dH += dz W` for a token block, from one window, or from each part of it by itself. */
export function hiddenGradient(context: KernelContext): string {
  const { dispatch, schedule: { tile, block } } = context;
  const { span } = dispatch;
  return gradientProduct(context, {
    title: "hidden-gradient: gradient of a token block's hidden states from one window.",
    stored: "weight",
    helpers: [],
    left: {
      layout: "inner",
      row: (local) => `first_row + ${local}`,
      load: (row, quad) => `load_logits(${row}, 4u * (${quad}), kept_count)`,
    },
    right: {
      layout: "outer",
      load: (depth, quad) =>
        `load_weight(min(${depth}, params.vocab - 1u), first_column / 4u + ${quad})`,
    },
    rows: "kept_count",
    depth: "params.vocab",
    stretch: {
      every: tile.cols,
      flag: (depth) => tileFlag(context, `first_row / ${tile.rows}u`, `${depth} / ${tile.cols}u`),
    },
    ...(span === undefined
      ? {
        output: "grad_hidden",
        outputRow: (row: string) => keptRow(context, row),
        adds: "true",
      }
      : {
        output: "hidden_parts",
        outputRow: (row: string) => `part * ${block.tokens}u + ${row}`,
        adds: "false",
        span,
      }),
  });
}

/** `dH += sum over the parts of a window`, an element for each invocation. */
export function hiddenSum(context: KernelContext): string {
  const { dispatch, schedule: { problem: { hidden }, block } } = context;
  return `// hidden-sum: the sums over parts of a window, added to the gradient of the hidden states.

${declarations(dispatch, { kept: "u32", hidden_parts: "f32", grad_hidden: "f32" })}

@compute @workgroup_size(${LINEAR_WORKGROUP})
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let position = group.y;
  let column = group.x * ${LINEAR_WORKGROUP}u + lane;
  if (column >= ${hidden}u || position >= ${KEPT_COUNT}) {
    return;
  }
  let parts = (params.vocab + ${dispatch.span! - 1}u) / ${dispatch.span}u;
  var sum = 0f;
  for (var part = 0u; part < parts; part++) {
    sum += hidden_parts[(part * ${block.tokens}u + position) * ${hidden}u + column];
  }
  grad_hidden[${keptRow(context, "position")} * ${hidden}u + column] += sum;
}
`;
}

/** `db = sum of dz over tokens` for a window. */
export function biasGradient(context: KernelContext): string {
  const { dispatch, schedule: { logitStride, tile } } = context;
  const flag = tileFlag(context, `position / ${tile.rows}u`, `column / ${tile.cols}u`);
  return `// bias-gradient: gradient of a window of the bias from one token block.

${declarations(dispatch, { kept: "u32", logits: "f32", grad_bias: "f32", tile_flags: "u32" })}

@compute @workgroup_size(${LINEAR_WORKGROUP})
fn main(@builtin(global_invocation_id) invocation: vec3<u32>) {
  let column = invocation.x;
  if (column >= params.vocab) {
    return;
  }
  let kept_count = ${KEPT_COUNT};
  var sum = 0f;
  for (var position = 0u; position < kept_count; position++) {
${
    binds(dispatch, "tile_flags")
      ? `    if (${flag} == ${TILE.idle}u) {\n      continue;\n    }\n`
      : ""
  }    sum += logits[position * ${logitStride}u + params.column + column];
  }
  let id = ${ownRow(context, "params.vocab_start + column")};
  grad_bias[id] = select(grad_bias[id] + sum, sum, params.first == 1u);
}
`;
}

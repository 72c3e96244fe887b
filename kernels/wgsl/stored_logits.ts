/**
 * Kernels over stored logits: the second of two stages, and its gradient in
 * place.
 *
 * @module
 */
import type { KernelContext } from "./context.ts";
import {
  AGREEMENT_MEMORY,
  agreeOnTile,
  coefficientsFunction,
  DEVIATION_FUNCTION,
  gradientFunction,
  gradientText,
  inBlocks,
  KEPT_COUNT,
  keptTarget,
  noteBusy,
  smoothingWeightOf,
  tileFlag,
} from "./logit.ts";
import { filterThreshold, headOf } from "../../planner/problem.ts";
import { scratchOf } from "./product.ts";
import { foldIntoFirst } from "./sharing.ts";
import { keepsHalves, packed, SCALE_FUNCTION } from "./halves.ts";
import { VECTOR } from "../../planner/schedule/tile.ts";
import { NO_ID, OnlineStatistics } from "./statistics.ts";
import { block, COMPONENTS, kernel, LOWEST, plus, times } from "./text.ts";

/** Invocations that share a row, or a tile. */
const LANES = 64;

/** Online statistics of each stored row. */
export function rowStatistics(context: KernelContext): string {
  const { dispatch, schedule: { problem, logitStride, share } } = context;
  const online = new OnlineStatistics(problem);
  // Columns are counted from the rank's first id.
  const idOf = (column: string) => share?.vocabStart ? `params.vocab_start + ${column}` : column;
  const last = `${headOf(problem).vocab - 1}u`;
  const entries = times(4, (i) => ({ logit: `z${i}`, id: `id${i}`, weight: `weight${i}` }));
  const known = times(4, (i) => {
    const column = plus("first", i);
    const weight = smoothingWeightOf(context, idOf(`min(${column}, ${last})`));
    return [
      `let exists${i} = ${column} <= ${last};`,
      `let z${i} = select(${LOWEST}, quad_of_row.${COMPONENTS[i]}, exists${i});`,
      `let id${i} = select(${NO_ID}, ${idOf(column)}, exists${i});`,
      ...(problem.labelSmoothing > 0
        ? [`let weight${i} = select(0f, ${weight}, exists${i});`]
        : []),
    ];
  });
  // One row's sets, of half of the invocations at a time.
  const height = (LANES / 2) * online.quads;
  return kernel(dispatch, {
    title: "online statistics of stored logits, a workgroup for each token.",
    types: {
      logits: "vec4<f32>",
    },
    functions: online.listFunctions,
    memory: [`var<workgroup> sets: array<vec4<f32>, ${height}>;`],
    workgroup: LANES,
    builtins: ["group", "lane"],
    body: [
      `let position = group.x;`,
      block([`return;`], `if (position >= ${KEPT_COUNT})`),
      `let id_of_target = ${keptTarget(context, "position")};`,
      ...online.declare("0"),
      `// Each invocation takes four logits at a time, in strides of all.`,
      block([
        `let quad_of_row = logits[position * ${logitStride / 4}u + quad];`,
        `let first = quad * 4u;`,
        ...known.flat(),
        ...online.update("0", entries, "id_of_target"),
      ], `for (var quad = lane; quad < ${logitStride / 4}u; quad += ${LANES}u)`),
      `// Half of the invocations hand their sets to the others, until one is left.`,
      ...foldIntoFirst(online, {
        sets: [{ set: "0", row: 0 }],
        sharers: { count: LANES, index: "lane" },
        rows: 1,
        scratch: [scratchOf(height, 1, (line) => `sets[${line}]`)],
      }),
      block(online.write("0", 0, inBlocks("position")), `if (lane == 0u)`),
    ],
  });
}

/**
 * Turns stored logits into the gradient with respect to them, a tile for each workgroup:
 * in place, or in 16 bits, where products take it so. With a filter, a tile whose every deviation
 * is below the threshold is flagged, for the products to leave out.
 */
export function storedLogitGradient(context: KernelContext): string {
  const { dispatch, schedule } = context;
  const { problem, logitStride, gradientStride } = schedule;
  const tile = dispatch.tile!;
  const filters = filterThreshold(problem) > 0;
  const halves = keepsHalves(schedule);
  const gradient = gradientText(context);
  const inPlace = [
    block([
      `let at = position * ${logitStride}u + params.column + column;`,
      `let id = params.vocab_start + column;`,
      `let z = logits[at];`,
      ...noteBusy(context),
      `logits[at] = ${gradient};`,
    ], `for (var column = first_column + lane; column < last_column; column += ${LANES}u)`),
  ];
  // Four at a time; past the window come zeros, up to a whole vector of those who read it.
  const inHalves = [
    `let padded = min(first_column + ${tile.cols}u, (params.vocab + ${
      VECTOR - 1
    }u) / ${VECTOR}u * ${VECTOR}u);`,
    block([
      `let at = min(column, last_column - 1u) / 4u;`,
      `let quad = logits[position * ${logitStride / 4}u + params.column / 4u + at];`,
      `var of_quad = vec4<f32>();`,
      ...times(4, (c) =>
        block([
          `let exists = ${plus("column", c)} < last_column;`,
          `let id = params.vocab_start + min(${plus("column", c)}, last_column - 1u);`,
          `let z = quad.${COMPONENTS[c]};`,
          ...noteBusy(context, "exists"),
          `of_quad.${COMPONENTS[c]} = select(0f, ${gradient} * scale, exists);`,
        ])),
      `gradients[(position * ${gradientStride}u + column) / 4u] = ${packed("of_quad")};`,
    ], `for (var column = first_column + 4u * lane; column < padded; column += ${4 * LANES}u)`),
  ];
  return kernel(dispatch, {
    title: halves
      ? "the gradient with respect to stored logits, in 16 bits."
      : "stored logits become the gradient with respect to them, in place.",
    types: halves ? { logits: "vec4<f32>", gradients: "vec2<u32>" } : {},
    memory: filters ? [AGREEMENT_MEMORY] : [],
    functions: [
      coefficientsFunction(problem),
      gradientFunction(problem),
      ...(filters ? [DEVIATION_FUNCTION] : []),
      ...(halves ? [SCALE_FUNCTION] : []),
    ],
    workgroup: LANES,
    builtins: ["group", "lane"],
    body: [
      `let first_row = group.x * ${tile.rows}u;`,
      `let first_column = group.y * ${tile.cols}u;`,
      `let last_row = min(first_row + ${tile.rows}u, ${KEPT_COUNT});`,
      `let last_column = min(first_column + ${tile.cols}u, params.vocab);`,
      block([`return;`], `if (first_row >= last_row)`),
      ...(filters ? [`var busy = false;`] : []),
      ...(halves ? [`let scale = gradient_scale();`] : []),
      `// One row after the other; the invocations share its columns.`,
      block([
        `let token = coefficients_of(${inBlocks("position")});`,
        ...(halves ? inHalves : inPlace),
      ], `for (var position = first_row; position < last_row; position++)`),
      ...(filters ? agreeOnTile(tileFlag(context, "first_row", "first_column")) : []),
    ],
  });
}

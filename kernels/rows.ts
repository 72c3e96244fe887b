/**
 * Kernels over stored logits: the second of two stages, and its gradient in
 * place.
 *
 * @module
 */
import {
  AGREEMENT_MEMORY,
  agreeOnTile,
  coefficientsFunction,
  DEVIATION_FUNCTION,
  gradientFunction,
  KEPT_COUNT,
  keptRow,
  smoothingWeightOf,
  tileFlag,
} from "./logit.ts";
import { filterThreshold } from "../planner/problem.ts";
import { NO_ID, OnlineStatistics } from "./online.ts";
import { declarations, indent, type KernelContext, literal, LOWEST, times } from "./wgsl.ts";

/** Invocations that share a row. */
const LANES = 64;

function shader(
  context: KernelContext,
  title: string,
  types: Record<string, string>,
  parts: string[],
  body: string[],
): string {
  return [
    `// ${title}`,
    declarations(context.dispatch, { kept: "u32", class_weight: "f32", ...types }),
    ...parts,
    `@compute @workgroup_size(${LANES})
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let position = group.x;
  if (position >= ${KEPT_COUNT}) {
    return;
  }
${indent(body)}
}
`,
  ].join("\n\n");
}

/** Online statistics of each stored row. */
export function rowStatistics(context: KernelContext): string {
  const { schedule: { problem, logitStride, share } } = context;
  const online = new OnlineStatistics(problem);
  // Columns are counted from the rank's first id.
  const idOf = (column: string) => share?.vocabStart ? `params.vocab_start + ${column}` : column;
  const entries = times(4, (i) => {
    const [id, last] = [`first + ${i}u`, `${problem.vocab - 1}u`];
    const exists = `${id} <= ${last}`;
    const weight = smoothingWeightOf(context, idOf(`min(${id}, ${last})`));
    return {
      logit: `z${i}`,
      id: `id${i}`,
      weight: `select(0f, ${weight}, ${exists})`,
      known: [
        `let z${i} = select(${LOWEST}, quad_of_row.${"xyzw"[i]}, ${exists});`,
        `let id${i} = select(${NO_ID}, ${idOf(id)}, ${exists});`,
      ],
    };
  });
  const quads = (LANES / 2) * online.quads;
  const token = "params.token_start + position";
  return shader(
    context,
    "row-statistics: online statistics of stored logits, one workgroup for each token.",
    { targets: "i32", logits: "vec4<f32>", partials: "u32" },
    [`var<workgroup> parked: array<vec4<f32>, ${quads}>;`],
    [
      `let tx = lane;`,
      `let ty = 0u;`,
      online.declare("0"),
      `let id_of_target = u32(targets[params.token_start + ${keptRow(context, "position")}]);`,
      `for (var quad = lane; quad < ${logitStride / 4}u; quad += ${LANES}u) {`,
      indent([
        `let quad_of_row = logits[position * ${logitStride / 4}u + quad];`,
        `let first = quad * 4u;`,
        ...entries.flatMap(({ known }) => known),
        online.update("0", entries, "id_of_target"),
      ]),
      `}`,
      online.halve(["0"], { lanes: LANES, until: 1, lanesY: 1 }, {
        quads,
        quad: (index) => `parked[${index}]`,
      }),
      `if (lane == 0u) {`,
      indent(online.write("0", "0u", token)),
      `}`,
    ],
  );
}

/**
 * Stored logits turned into the gradient with respect to them, in place, a tile
 * for each workgroup. With a filter, a tile whose every deviation is below the
 * threshold is flagged, for the products to leave out.
 */
export function storedLogitGradient(context: KernelContext): string {
  const { dispatch, schedule: { problem, logitStride } } = context;
  const tile = dispatch.tile!;
  const threshold = filterThreshold(problem);
  return [
    "// stored-logit-gradient: stored logits become the gradient with respect to them, in place.",
    declarations(dispatch, {
      kept: "u32",
      class_weight: "f32",
      logits: "f32",
      coefficients: "u32",
      tile_flags: "u32",
    }),
    coefficientsFunction(problem),
    gradientFunction(problem),
    ...(threshold > 0 ? [DEVIATION_FUNCTION, AGREEMENT_MEMORY] : []),
    `@compute @workgroup_size(${LANES})
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) lane: u32,
) {
  let first_row = group.x * ${tile.rows}u;
  let first_column = group.y * ${tile.cols}u;
  let last_row = min(first_row + ${tile.rows}u, ${KEPT_COUNT});
  let last_column = min(first_column + ${tile.cols}u, params.vocab);
  if (first_row >= last_row) {
    return;
  }
${threshold > 0 ? "  var busy = false;\n" : ""}  for (var row = first_row; row < last_row; row++) {
    let token = coefficients_of(params.token_start + row);
    for (var column = first_column + lane; column < last_column; column += ${LANES}u) {
      let at = row * ${logitStride}u + params.column + column;
      let id = params.vocab_start + column;
      let z = logits[at];
${
      threshold > 0
        ? `      busy = busy || deviation_of(z, id, token) >= ${literal(threshold)};\n`
        : ""
    }      logits[at] = gradient_of(z, id, ${smoothingWeightOf(context, "id")}, token);
    }
  }
${threshold > 0 ? indent(agreeOnTile(tileFlag(context, "group.x", "group.y"))) + "\n" : ""}}
`,
  ].join("\n\n");
}

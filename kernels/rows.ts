/**
 * Kernels over stored logits, one workgroup for each row: the second of two
 * stages, and its gradient in place.
 *
 * @module
 */
import {
  coefficientsFunction,
  gradientFunction,
  KEPT_COUNT,
  keptRow,
  smoothingWeightOf,
} from "./logit.ts";
import { OnlineStatistics } from "./online.ts";
import { declarations, indent, type KernelContext, times } from "./wgsl.ts";

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
  const { schedule: { problem, logitStride } } = context;
  const online = new OnlineStatistics(problem);
  const entries = times(4, (i) => ({
    logit: `z.${"xyzw"[i]}`,
    id: `id + ${i}u`,
    exists: `id + ${i}u < ${problem.vocab}u`,
    weight: smoothingWeightOf(context, `min(id + ${i}u, ${problem.vocab - 1}u)`),
  }));
  const quads = (LANES / 2) * online.quads;
  const token = "params.token_start + position";
  return shader(
    context,
    "row-statistics: online statistics of stored logits, one workgroup for each token.",
    { targets: "i32", logits: "vec4<f32>", partials: "u32" },
    [`var<workgroup> tile: array<vec4<f32>, ${quads}>;`],
    [
      `let tx = lane;`,
      `let ty = 0u;`,
      online.declare("0"),
      `let id_of_target = u32(targets[params.token_start + ${keptRow(context, "position")}]);`,
      `for (var quad = lane; quad < ${logitStride / 4}u; quad += ${LANES}u) {`,
      indent([
        `let z = logits[position * ${logitStride / 4}u + quad];`,
        `let id = quad * 4u;`,
        online.update("0", entries, "id_of_target"),
      ]),
      `}`,
      online.reduceAcross(["0"], LANES, 1, quads),
      `if (lane == 0u) {`,
      indent(online.write("0", "0u", token)),
      `}`,
    ],
  );
}

/** Stored logits turned into the gradient with respect to them, in place. */
export function storedLogitGradient(context: KernelContext): string {
  const { schedule: { problem, logitStride } } = context;
  return shader(
    context,
    "stored-logit-gradient: stored logits become the gradient with respect to them, in place.",
    { logits: "f32", coefficients: "u32" },
    [coefficientsFunction(problem), gradientFunction(problem)],
    [
      `let token = coefficients_of(params.token_start + position);`,
      `for (var id = lane; id < ${problem.vocab}u; id += ${LANES}u) {`,
      `  let at = position * ${logitStride}u + id;`,
      `  logits[at] = gradient_of(logits[at], id, ${smoothingWeightOf(context, "id")}, token);`,
      `}`,
    ],
  );
}

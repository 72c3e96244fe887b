/**
 * Kernels over the stored logits of a student and of its teacher: the statistics of both, and
 * the gradient with respect to the student's.
 *
 * @module
 */
import type { Divergence } from "../../planner/heads/distill.ts";
import type { KernelContext } from "./context.ts";
import {
  coefficientsFunction,
  gradientFunction,
  gradientText,
  inBlocks,
  KEPT_COUNT,
  keptTarget,
  smoothingWeightOf,
} from "./logit.ts";
import { scratchOf } from "./product.ts";
import { foldIntoFirst } from "./sharing.ts";
import { NO_ID, OnlineStatistics } from "./statistics.ts";
import { block, COMPONENTS, kernel, literal, LOG2E, LOWEST, plus, times } from "./text.ts";

/** Invocations that share a row, or a tile. */
const LANES = 64;

/** Online statistics of a window of both heads' logits, folded into what the windows before left. */
export function distillStatistics(context: KernelContext): string {
  const { dispatch, schedule: { problem, logitStride } } = context;
  const online = new OnlineStatistics(problem);
  const entries = times(4, (i) => ({
    logit: `z${i}`,
    id: `id${i}`,
    weight: `weight${i}`,
    teacher: `teacher_z${i}`,
  }));
  const known = times(4, (i) => {
    const id = plus("params.vocab_start", "first", i);
    const weight = smoothingWeightOf(context, `min(${id}, params.vocab_start + params.vocab - 1u)`);
    return [
      `let exists${i} = ${plus("first", i)} < params.vocab;`,
      // What masks an id may be lower: differences of it stay finite.
      `let z${i} = select(${LOWEST}, max(quad_of_row.${COMPONENTS[i]}, ${LOWEST}), exists${i});`,
      `let teacher_z${i} = select(${LOWEST}, max(teacher_quad.${
        COMPONENTS[i]
      }, ${LOWEST}), exists${i});`,
      `let id${i} = select(${NO_ID}, ${id}, exists${i});`,
      ...(problem.labelSmoothing > 0
        ? [`let weight${i} = select(0f, ${weight}, exists${i});`]
        : []),
    ];
  });
  // One row's sets, of half of the invocations at a time.
  const height = (LANES / 2) * online.quads;
  const token = inBlocks("position");
  return kernel(dispatch, {
    title: "online statistics of a window of both heads' logits, a workgroup for each token.",
    types: { logits: "vec4<f32>", teacher_logits: "vec4<f32>" },
    memory: [`var<workgroup> sets: array<vec4<f32>, ${height}>;`],
    workgroup: LANES,
    builtins: ["group", "lane"],
    body: [
      `let position = group.x;`,
      block([`return;`], `if (position >= ${KEPT_COUNT})`),
      `let id_of_target = ${keptTarget(context, "position")};`,
      ...online.declare("0"),
      `// Each invocation takes four logits of each head at a time, in strides of all.`,
      block([
        `let at = position * ${logitStride / 4}u + params.column / 4u + quad;`,
        `let quad_of_row = logits[at];`,
        `let teacher_quad = teacher_logits[at];`,
        `let first = quad * 4u;`,
        ...known.flat(),
        ...online.update("0", entries, "id_of_target"),
      ], `for (var quad = lane; quad < (params.vocab + 3u) / 4u; quad += ${LANES}u)`),
      `// Half of the invocations hand their sets to the others, until one is left.`,
      ...foldIntoFirst(online, {
        sets: [{ set: "0", row: 0 }],
        sharers: { count: LANES, index: "lane" },
        rows: 1,
        scratch: [scratchOf(height, 1, (line) => `sets[${line}]`)],
      }),
      block([
        `// What the windows before left goes in too.`,
        block(
          [...online.read("_before", 0, token), ...online.fold("0", "_before")],
          `if (params.first == 0u)`,
        ),
        ...online.write("0", 0, token),
      ], `if (lane == 0u)`),
    ],
  });
}

/**
 * The derivative of each divergence by a student's logit over the temperature, in terms of the
 * probabilities `p` of the student and `q` of the teacher, and their logarithms.
 */
const DERIVATIVES: Readonly<Record<Divergence, string>> = {
  "forward-kl": "p - q",
  "reverse-kl": "p * (log_p - log_q - token.divergence)",
};

/** A window of the student's logits becomes the gradient with respect to them, in place. */
export function distillGradient(context: KernelContext): string {
  const { dispatch, schedule: { problem, logitStride } } = context;
  const tile = dispatch.tile!;
  const { divergence, temperature } = problem.distill!;
  const over = (z: string) => temperature === 1 ? z : `${z} * ${literal(1 / temperature)}`;
  return kernel(dispatch, {
    title: "a student's stored logits become the gradient with respect to them, in place.",
    functions: [
      coefficientsFunction(problem),
      `// The part of a logit's gradient that pulls it to the teacher's, without cap and scale.
fn pull_of(z: f32, teacher_z: f32, token: Coefficients) -> f32 {
  let log_p = ${over(`max(z, ${LOWEST})`)} - token.soft_lse;
  let log_q = ${over(`max(teacher_z, ${LOWEST})`)} - token.teacher_lse;
  let p = exp2(log_p * ${LOG2E});
  let q = exp2(log_q * ${LOG2E});
  return token.pull * (${DERIVATIVES[divergence]});
}`,
      gradientFunction(problem),
    ],
    workgroup: LANES,
    builtins: ["group", "lane"],
    body: [
      `let first_row = group.x * ${tile.rows}u;`,
      `let first_column = group.y * ${tile.cols}u;`,
      `let last_row = min(first_row + ${tile.rows}u, ${KEPT_COUNT});`,
      `let last_column = min(first_column + ${tile.cols}u, params.vocab);`,
      block([`return;`], `if (first_row >= last_row)`),
      `// One row after the other; the invocations share its columns.`,
      block([
        `let token = coefficients_of(${inBlocks("position")});`,
        block([
          `let at = position * ${logitStride}u + params.column + column;`,
          `let id = params.vocab_start + column;`,
          `let z = logits[at];`,
          `let teacher_z = teacher_logits[at];`,
          `logits[at] = ${gradientText(context)};`,
        ], `for (var column = first_column + lane; column < last_column; column += ${LANES}u)`),
      ], `for (var position = first_row; position < last_row; position++)`),
    ],
  });
}

/**
 * The gradient with respect to stored logits, in their place or in 16 bits.
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
  noteBusy,
  teacherGradientFunction,
  tileFlag,
} from "./logit.ts";
import { pullFunctions } from "./distill.ts";
import { filterThreshold, teacherLearns } from "../../planner/problem.ts";
import { keepsHalves, packed, SCALE_FUNCTION } from "./halves.ts";
import { VECTOR } from "../../planner/schedule/tile.ts";
import { block, COMPONENTS, kernel, plus, times } from "./text.ts";

/** Invocations that share a tile. */
const LANES = 64;

/**
 * Turns stored logits into the gradient with respect to them, a tile for each workgroup:
 * in place, or in 16 bits, where products take it so; beside a teacher the student's, and the
 * teacher's own where it learns. With a
 * filter, a tile whose every deviation is below the threshold is flagged, for the products to
 * leave out.
 */
export function storedLogitGradient(context: KernelContext): string {
  const { dispatch, schedule } = context;
  const { problem, logitStride, gradientStride } = schedule;
  const tile = dispatch.tile!;
  const filters = filterThreshold(problem) > 0;
  const halves = keepsHalves(schedule);
  const learns = teacherLearns(problem);
  const gradient = gradientText(context);
  const inPlace = [
    block([
      `let at = position * ${logitStride}u + params.column + column;`,
      `let id = params.vocab_start + column;`,
      `let z = logits[at];`,
      ...(problem.distill ? [`let teacher_z = teacher_logits[at];`] : []),
      ...noteBusy(context),
      `logits[at] = ${gradient};`,
      ...(learns ? [`teacher_logits[at] = teacher_gradient_of(z, teacher_z, token);`] : []),
    ], `for (var column = first_column + lane; column < last_column; column += ${LANES}u)`),
  ];
  // Four at a time; past the window come zeros, up to a whole vector of those who read it.
  const inHalves = [
    `let padded = min(first_column + ${tile.cols}u, (params.vocab + ${
      VECTOR - 1
    }u) / ${VECTOR}u * ${VECTOR}u);`,
    block([
      `let at = min(column, last_column - 1u) / 4u;`,
      `let place = position * ${logitStride / 4}u + params.column / 4u + at;`,
      `let quad = logits[place];`,
      ...(problem.distill ? [`let teacher_quad = teacher_logits[place];`] : []),
      `var of_quad = vec4<f32>();`,
      ...(learns ? [`var of_teacher_quad = vec4<f32>();`] : []),
      ...times(4, (c) =>
        block([
          `let exists = ${plus("column", c)} < last_column;`,
          `let id = params.vocab_start + min(${plus("column", c)}, last_column - 1u);`,
          `let z = quad.${COMPONENTS[c]};`,
          ...(problem.distill ? [`let teacher_z = teacher_quad.${COMPONENTS[c]};`] : []),
          ...noteBusy(context, "exists"),
          `of_quad.${COMPONENTS[c]} = select(0f, ${gradient} * scale, exists);`,
          ...(learns
            ? [
              `of_teacher_quad.${
                COMPONENTS[c]
              } = select(0f, teacher_gradient_of(z, teacher_z, token) * scale, exists);`,
            ]
            : []),
        ])),
      `let to = (position * ${gradientStride}u + column) / 4u;`,
      `gradients[to] = ${packed("of_quad")};`,
      ...(learns ? [`teacher_gradients[to] = ${packed("of_teacher_quad")};`] : []),
    ], `for (var column = first_column + 4u * lane; column < padded; column += ${4 * LANES}u)`),
  ];
  return kernel(dispatch, {
    title: halves
      ? `the gradient with respect to ${
        learns ? "a student's and its teacher's" : problem.distill ? "a student's" : "stored"
      } ${problem.distill ? "stored logits" : "logits"}, in 16 bits.`
      : `${
        learns
          ? "a student's stored logits and its teacher's"
          : problem.distill
          ? "a student's stored logits"
          : "stored logits"
      } become the gradient with respect to them, in place.`,
    types: halves
      ? {
        ...{ logits: "vec4<f32>", gradients: "vec2<u32>" },
        ...{ teacher_logits: "vec4<f32>", teacher_gradients: "vec2<u32>" },
      }
      : {},
    memory: filters ? [AGREEMENT_MEMORY] : [],
    functions: [
      coefficientsFunction(problem),
      ...(problem.distill ? pullFunctions(problem.distill, learns) : []),
      gradientFunction(problem),
      ...(learns ? [teacherGradientFunction(problem)] : []),
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

/**
 * How far two softmaxes are from their mixture, once both are normalised: a second pass over the
 * logits of a student and its teacher.
 *
 * @module
 */
import type { KernelContext } from "./context.ts";
import { MIXTURE } from "./distill.ts";
import { inBlocks, KEPT_COUNT } from "./logit.ts";
import { OnlineStatistics } from "./statistics.ts";
import { sumLanes } from "./totals.ts";
import { block, COMPONENTS, kernel, literal, LOG2E, LOWEST, over, plus, times } from "./text.ts";

/** Invocations that share a row. */
const LANES = 64;

/**
 * Returns the kernel that takes a window of both heads' logits into each token's distance from the
 * mixture, and what of it is the student's. What an id adds to the first is of the size of the
 * square of what it adds to the second: it is summed by itself, not as a difference of two sums.
 */
export function distillMixture(context: KernelContext): string {
  const { dispatch, schedule: { problem, logitStride } } = context;
  const { temperature, beta = 0 } = problem.distill!;
  const online = new OnlineStatistics(problem);
  const token = inBlocks("position");
  const add = (name: "gap" | "student_part", sums: string) => {
    const word = online.slot(name, 0, token);
    return `${word} = bitcast<u32>(bitcast<f32>(${word}) + ${sums}[0]);`;
  };
  // Relative to the largest logit: log-sum-exps may be large.
  const logOf = (head: "student" | "teacher", i: number) =>
    `(max(${head}_quad.${COMPONENTS[i]}, ${LOWEST}) - ${head}_top) * ${
      literal(1 / temperature)
    } - ${head}_log`;
  return kernel(dispatch, {
    title: "how far a student and its teacher are from their mixture, a workgroup for each token.",
    types: { logits: "vec4<f32>", teacher_logits: "vec4<f32>" },
    functions: [
      ...MIXTURE,
      `// What an id adds to the distance, and what of it is the student's.
fn parts_of(log_p: f32, log_q: f32) -> vec2<f32> {
  let apart = mixed_of(log_p, log_q, ${literal(beta)});
  let of_student = ${literal(1 - beta)} * exp2(log_p * ${LOG2E}) * apart.x;
  let of_teacher = ${literal(beta)} * exp2(log_q * ${LOG2E}) * apart.y;
  return vec2<f32>(of_student + of_teacher, of_student);
}`,
    ],
    memory: [
      `var<workgroup> distances: array<f32, ${LANES}>;`,
      `var<workgroup> students: array<f32, ${LANES}>;`,
    ],
    workgroup: LANES,
    builtins: ["group", "lane"],
    body: [
      `let position = group.x;`,
      block([`return;`], `if (position >= ${KEPT_COUNT})`),
      ...online.read("0", 0, token),
      `let student_top = max0;`,
      `let student_log = log(${temperature === 1 ? "sum0" : "soft_sum0"});`,
      `let teacher_top = teacher_max0;`,
      `let teacher_log = log(teacher_sum0);`,
      `var parts = vec2<f32>();`,
      `// Each invocation takes four logits of a head at a time, in strides of all.`,
      block([
        `let at = ${plus(`position * ${logitStride / 4}u`, over("params.column", 4), "quad")};`,
        `let student_quad = logits[at];`,
        `let teacher_quad = teacher_logits[at];`,
        `let first = quad * 4u;`,
        ...times(4, (i) =>
          block(
            [`parts += parts_of(${logOf("student", i)}, ${logOf("teacher", i)});`],
            `if (${plus("first", i)} < params.vocab)`,
          )),
      ], `for (var quad = lane; quad < ${over(plus("params.vocab", 3), 4)}; quad += ${LANES}u)`),
      ...sumLanes("distances", "parts.x", LANES),
      ...sumLanes("students", "parts.y", LANES),
      block([add("gap", "distances"), add("student_part", "students")], `if (lane == 0u)`),
    ],
  });
}

/**
 * Errors in what a student learns from its teacher.
 *
 * @module
 */
import { ALIGNMENT, DISTILL } from "./killers.ts";
import type { Mutant } from "./mutant.ts";

/** Errors in distillation. */
export const DISTILLATIONS: readonly Mutant[] = [
  {
    name: "a window forgets what those before left of both heads",
    file: "kernels/wgsl/row_statistics.ts",
    find: "`if (params.first == 0u)`",
    replace: "`if (params.first == 2u)`",
    why: "a divergence would be of the last words of the vocabulary alone",
    killers: [DISTILL],
  },
  {
    name: "the reverse divergence pulls without its mean",
    file: "kernels/wgsl/distill.ts",
    find: '"p * (log_p - log_q - token.divergence)"',
    replace: '"p * (log_p - log_q)"',
    why: "gradients would not sum to zero",
    killers: [DISTILL],
  },
  {
    name: "a gap does not move with the teacher's max",
    file: "kernels/wgsl/teacher_statistics.ts",
    find: '`${at("teacher_max")} - teacher_top`)',
    replace: '"0f")',
    why: "a divergence would depend on the order of the vocabulary",
    killers: [DISTILL],
  },
  {
    name: "an id's distance is seen from the side of the student's sign",
    file: "kernels/wgsl/teacher_statistics.ts",
    find: "select(1f, -1f, teacher_z > 0f)",
    replace: "select(1f, -1f, z > 0f)",
    why: "odds would overflow where a teacher is sure and its student is not",
    killers: [DISTILL],
  },
  {
    name: "an id's pull has the sign of the side that it is seen from",
    file: "kernels/wgsl/distill.ts",
    find: '"side * (p - q)"',
    replace: '"p - q"',
    why: "what a teacher calls likely would be pulled away from it",
    killers: [DISTILL],
  },
  {
    name: "a difference that is large counts log 2 too much",
    file: "kernels/wgsl/teacher_statistics.ts",
    find: " - ${literal(Math.LN2)};",
    replace: ";",
    why: "divergences would jump where logits are far apart",
    killers: [DISTILL],
  },
  {
    name: "a teacher is pulled by its student's derivative",
    file: "kernels/wgsl/distill.ts",
    find: "DERIVATIVES[mirrored(distill).divergence]",
    replace: "DERIVATIVES[divergence]",
    why: "a teacher's gradients would be those of another loss",
    killers: [DISTILL],
  },
  {
    name: "a teacher's gradient is not taken through its own cap and scale",
    file: "kernels/wgsl/logit.ts",
    find: 'slopeOf("teacher_z", problem.heads[1]!)',
    replace: 'slopeOf("teacher_z", problem.heads[0]!)',
    why: "gradients would be off by the other head's scale",
    killers: [DISTILL],
  },
  {
    name: "a teacher's products take the student's logit gradients",
    file: "planner/schedule/distilling.ts",
    find: "gradients(draft, block, window, logits[index]!, [head])",
    replace: "gradients(draft, block, window, logits[0]!, [head])",
    why: "a teacher would learn what its student does",
    killers: [DISTILL],
  },
  {
    name: "a student that learns at once does not wait for its loss's gradient",
    file: "planner/schedule/distilling.ts",
    find: " && upstreamRows(problem).length === 0",
    replace: "",
    why: "gradients would be had before what they are multiplied by",
    killers: [DISTILL],
  },
  {
    name: "a softmax is not waited for",
    file: "planner/schedule/distilling.ts",
    find: "keptOf(distill).coefficients.length === 0",
    replace: "keptOf(distill).coefficients.length < 9",
    why: "logits would be normalised by what a step before has left",
    killers: [DISTILL],
  },
  {
    name: "a gradient that agrees is aligned as well",
    file: "kernels/wgsl/alignment.ts",
    find: "squares[0] > 0f && inners[0] < 0f",
    replace: "squares[0] > 0f",
    why: "what both heads want would be taken from one of them",
    killers: [ALIGNMENT],
  },
  {
    name: "each buffer is aligned by sums that another overwrites",
    file: "kernels/run/alignment.ts",
    find: "first += groups[index]!;",
    replace: "first += 0;",
    why: "a group's inner product would be that of its last buffer",
    killers: [ALIGNMENT],
  },
  {
    name: "a lesson's results come from the wrong head",
    file: "kernels/run/results.ts",
    find: "layout.head ?? 0 : 0",
    replace: "layout.head ?? 1 : 1",
    why: "a student's gradients would not be found",
    killers: [DISTILL],
  },
  {
    name: "a lesson's reference takes the teacher's bias of the wrong id",
    file: "fixtures/reference/ids_task.ts",
    find: "teacherBias?.[ids[nth]!] ?? 0",
    replace: "teacherBias?.[nth + 1] ?? 0",
    why: "a right gradient of the weight would be called wrong",
    killers: [DISTILL],
  },
];

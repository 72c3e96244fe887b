/**
 * What a teacher adds to the gradient with respect to a student's logits, as text.
 *
 * @module
 */
import type { Distill, Divergence } from "../../planner/heads/distill.ts";
import { literal, LOG2E, LOWEST } from "./text.ts";

/**
 * The derivative of each divergence by a student's logit over the temperature, in terms of the
 * probabilities `p` of the student and `q` of the teacher, and their logarithms.
 */
const DERIVATIVES: Readonly<Record<Divergence, string>> = {
  "forward-kl": "p - q",
  "reverse-kl": "p * (log_p - log_q - token.divergence)",
};

/** Returns `pull_of(z, teacher_z, token)`, of the struct that the coefficients are. */
export function pullFunction({ divergence, temperature }: Distill): string {
  const over = (z: string) => temperature === 1 ? z : `${z} * ${literal(1 / temperature)}`;
  return `// The part of a logit's gradient that pulls it to the teacher's, without cap and scale.
fn pull_of(z: f32, teacher_z: f32, token: Coefficients) -> f32 {
  let log_p = ${over(`max(z, ${LOWEST})`)} - token.soft_lse;
  let log_q = ${over(`max(teacher_z, ${LOWEST})`)} - token.teacher_lse;
  let p = exp2(log_p * ${LOG2E});
  let q = exp2(log_q * ${LOG2E});
  return token.pull * (${DERIVATIVES[divergence]});
}`;
}

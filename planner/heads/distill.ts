/**
 * Distillation: a head that learns from another, the student from the teacher, by how far
 * the softmax of its logits is from the teacher's. Neither head's logits are ever there as a
 * whole.
 *
 * With `T` the temperature, `p = softmax(z / T)` of the student and `q` of the teacher:
 *
 * - `forward-kl`: `sum q log(q / p)`, Hinton's (arXiv 1503.02531);
 * - `reverse-kl`: `sum p log(p / q)`, as in MiniLLM (arXiv 2306.08543);
 *
 * The loss of a token is `ceWeight` times its cross-entropy, at temperature 1, and `weight`
 * times the divergence. There is no factor `T^2`: who wants Hinton's has it in `weight`.
 *
 * @module
 */
import type { Loose } from "../same.ts";

/** What a student's distance from its teacher is measured by. */
export const DIVERGENCES = ["forward-kl", "reverse-kl"] as const;

/** What a student's distance from its teacher is measured by. */
export type Divergence = Distill["divergence"];

/** How the first head of a problem learns from the second. */
export interface Distill {
  /** What the distance is measured by. */
  readonly divergence: "forward-kl" | "reverse-kl";
  /** Divides the logits of both heads in the divergence. */
  readonly temperature: number;
  /** What the divergence counts in the loss. */
  readonly weight: number;
  /** What the student's cross-entropy counts in the loss. */
  readonly ceWeight: number;
}

/** The same as written by hand: whatever is left out takes its default. */
export interface DistillInput extends Loose<Omit<Distill, "divergence">> {
  /** As in {@linkcode Distill}. */
  readonly divergence: Divergence;
}

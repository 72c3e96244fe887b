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
import * as z from "zod/mini";
import type { Loose, Same } from "../same.ts";
import { setting } from "../setting.ts";

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

const weight = () => z.number().check(z.nonnegative());

/** The settings of a distillation, each with its default. */
export const distillShape = {
  divergence: z.enum(DIVERGENCES),
  temperature: setting(
    "divides the logits of student and teacher in the divergence",
    // Logits of 1e30 and less, divided by it, stay finite.
    z.number().check(z.minimum(1e-3), z.maximum(1e6)),
    1,
  ),
  weight: setting("what the divergence counts in the loss", weight(), 1),
  ceWeight: setting("what the student's cross-entropy counts in the loss", weight(), 0),
};

/** Schema of a {@linkcode Distill}: fills in defaults, rejects unknown fields. */
export const distillSchema = z.strictObject(distillShape);
true satisfies Same<z.output<typeof distillSchema>, Distill>;
true satisfies Same<z.input<typeof distillSchema>, DistillInput>;

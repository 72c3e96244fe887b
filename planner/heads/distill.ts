/**
 * Distillation: a head that learns from another, the student from the teacher, by how far
 * the softmax of its logits is from the teacher's. Neither head's logits are ever there as a
 * whole.
 *
 * With `T` the temperature, `p = softmax(z / T)` of the student and `q` of the teacher:
 *
 * - `forward-kl`: `sum q log(q / p)`, Hinton's (arXiv 1503.02531);
 * - `reverse-kl`: `sum p log(p / q)`, as in MiniLLM (arXiv 2306.08543);
 * - `binary-kl`: every id by itself, likely or not: `sum KL(Bernoulli(s_t) | Bernoulli(s))`, with
 *   `s = sigmoid(z / T)` and `s_t` the teacher's, as in dual-head distillation (DHKD,
 *   `BinaryKL` of https://github.com/penghui-yang/DHKD, commit 7976c69). No softmax is in it;
 * - `reverse-binary-kl`: the same with both heads in each other's place;
 * - `binary-kl-norm`: by the difference of both logits: `sum KL(Bernoulli(1/2) | Bernoulli(s))`, with
 *   `s = sigmoid((z - z_t) / T)`, which is what DHKD's scripts train by (`BinaryKLNorm`).
 *
 * The loss of a token is `ceWeight` times its cross-entropy, at temperature 1, and `weight`
 * times the divergence. There is no factor `T^2`: who wants Hinton's has it in `weight`.
 *
 * @module
 */
import type { Loose } from "../same.ts";

/** What is kept of a token for a divergence, beside what a head asks for, and what of it a gradient reads. */
interface Traits {
  /** Statistics, by their names in the planner's table. */
  readonly statistics: readonly ("soft_sum" | "teacher_max" | "teacher_sum" | "gap")[];
  /** Results that every logit's gradient goes by. */
  readonly coefficients: readonly ("soft_lse" | "teacher_lse" | "divergence")[];
}

/** The same of a divergence, and which one it is where both heads are in each other's place. */
interface Kind extends Traits {
  readonly mirrored: Divergence;
}

/** Of two softmaxes: what normalises both, and their distance. */
const OF_SOFTMAXES: Traits = {
  statistics: ["soft_sum", "teacher_max", "teacher_sum", "gap"],
  coefficients: ["soft_lse", "teacher_lse", "divergence"],
};

/** Of each id by itself. */
const OF_IDS: Traits = { statistics: ["gap"], coefficients: [] };

/**
 * The table of divergences. Formula and gradient of each are in `kernels/wgsl/distill.ts`, and in
 * float64 in `fixtures/reference/distilled.ts`.
 */
const KINDS: Readonly<Record<Divergence, Kind>> = {
  "forward-kl": { ...OF_SOFTMAXES, mirrored: "reverse-kl" },
  "reverse-kl": { ...OF_SOFTMAXES, mirrored: "forward-kl" },
  "binary-kl": { ...OF_IDS, mirrored: "reverse-binary-kl" },
  "reverse-binary-kl": { ...OF_IDS, mirrored: "binary-kl" },
  "binary-kl-norm": { ...OF_IDS, mirrored: "binary-kl-norm" },
};

/** What a student's distance from its teacher is measured by. */
export const DIVERGENCES = Object.keys(KINDS) as readonly Divergence[];

/** Returns what a distillation keeps of a token. */
export function keptOf({ divergence, temperature }: Distill): Traits {
  const { statistics, coefficients } = KINDS[divergence];
  // Where the temperature is 1 a student's sum is the one that its cross-entropy has.
  const needed = statistics.filter((name) => name !== "soft_sum" || temperature !== 1);
  return { statistics: needed, coefficients };
}

/** What a student's distance from its teacher is measured by. */
export type Divergence = Distill["divergence"];

/**
 * Returns the divergence of a teacher from its student: the same number, whose derivative by its
 * student is that by the teacher.
 */
export function mirrored(divergence: Divergence): Divergence {
  return KINDS[divergence].mirrored;
}

/** How the first head of a problem learns from the second. */
export interface Distill {
  /** What the distance is measured by. */
  readonly divergence:
    | "forward-kl"
    | "reverse-kl"
    | "binary-kl"
    | "reverse-binary-kl"
    | "binary-kl-norm";
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

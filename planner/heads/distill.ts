/**
 * Distillation: a head that learns from another, the student from the teacher, by how far
 * the softmax of its logits is from the teacher's. Neither head's logits are ever there as a
 * whole.
 *
 * With `T` the temperature, `p = softmax(z / T)` of the student and `q` of the teacher:
 *
 * - `forward-kl`: `sum q log(q / p)`, Hinton's (arXiv 1503.02531);
 * - `reverse-kl`: `sum p log(p / q)`, as in MiniLLM (arXiv 2306.08543);
 * - `jsd`: the generalised divergence of Jensen and Shannon, `beta KL(q | m) + (1 - beta) KL(p | m)`
 *   with the mixture `m = beta q + (1 - beta) p`, as Liger and TRL have it (arXiv 2306.13649).
 *   It vanishes at both ends of `beta`, where they take `forward-kl` for 0 and `reverse-kl` for 1:
 *   {@linkcode withoutEnds} does as well;
 * - `binary-kl`: every id by itself, likely or not: `sum KL(Bernoulli(s_t) | Bernoulli(s))`, with
 *   `s = sigmoid(z / T)` and `s_t` the teacher's, as in dual-head distillation (DHKD,
 *   `BinaryKL` of https://github.com/penghui-yang/DHKD, commit 7976c69). No softmax is in it;
 * - `reverse-binary-kl`: the same with both heads in each other's place;
 * - `binary-kl-norm`: by the difference of both logits: `sum KL(Bernoulli(1/2) | Bernoulli(s))`, with
 *   `s = sigmoid((z - z_t) / T)`, which is what DHKD's scripts train by (`BinaryKLNorm`).
 *
 * A teacher may be given as a list (`listed`) of some ids of each token and their log-probabilities,
 * the `K` most likely as a rule. Then `q` is the softmax of the list over `T`: what other ids had is
 * shared out among those listed. Left out instead, as verl does at `T = 1`, the divergence is
 * `s KL + s log s` with what the list sums to, `s`, and gradients are `s` times these: what a
 * weight for each token says ({@linkcode listedShares}).
 *
 * The loss of a token is `ceWeight` times its cross-entropy, at temperature 1, and `weight`
 * times the divergence. There is no factor `T^2`: who wants Hinton's has it in `weight`.
 *
 * @module
 */
import type { Loose } from "../same.ts";

/**
 * A pass over the logits of both heads: for statistics that need nothing but them, or for those of
 * a mixture of both softmaxes, which the first have to normalise.
 */
export type Look = "statistics" | "mixture";

/** What is kept of a token for a divergence, beside what a head asks for, and what of it a gradient reads. */
interface Traits {
  /** The passes that find it, in their order. */
  readonly looks: readonly Look[];
  /** Statistics, by their names in the planner's table. */
  readonly statistics: readonly (
    | "soft_sum"
    | "teacher_max"
    | "teacher_sum"
    | "gap"
    | "student_part"
  )[];
  /** Results that every logit's gradient goes by. */
  readonly coefficients: readonly ("soft_lse" | "teacher_lse" | "divergence" | "student_part")[];
}

/** The most that something of a token may be, in size: a number, and the divergence besides, where it says so. */
export interface Most {
  readonly size: number;
  readonly divergence?: true;
}

/** The same of a divergence, and which one it is where both heads are in each other's place. */
interface Kind extends Traits {
  readonly mirrored: Divergence;
  /**
   * The most that its derivative by a logit of the student over the temperature may be. Left out
   * where that grows with the logits.
   */
  readonly slope?: (beta: number) => Most;
  /** Whether it is finite where a teacher has no probability. */
  readonly lists?: true;
}

/** Of two softmaxes: what normalises both, and their distance. */
const OF_SOFTMAXES: Traits = {
  looks: ["statistics"],
  statistics: ["soft_sum", "teacher_max", "teacher_sum", "gap"],
  coefficients: ["soft_lse", "teacher_lse", "divergence"],
};

/** Of two softmaxes and their mixture: also the student's distance from that. */
const OF_MIXTURES: Traits = {
  looks: ["statistics", "mixture"],
  statistics: [...OF_SOFTMAXES.statistics, "student_part"],
  coefficients: [...OF_SOFTMAXES.coefficients, "student_part"],
};

/** Of each id by itself. */
const OF_IDS: Traits = { looks: ["statistics"], statistics: ["gap"], coefficients: [] };

/**
 * Between softmaxes `p` and `q` no `p log(p / q)` is below `-1 / e`, nor are those of some ids
 * together: they are not below `P log(P / Q) >= P log P` of their sums. So one alone is not above
 * `KL + 1 / e`, and `p (log(p / q) - KL)` is from `-1 / e - KL` to `KL + 1 / e`.
 */
const OFF_ZERO = 1 / Math.E;

/**
 * The table of divergences. Formula and gradient of each are in `kernels/wgsl/distill.ts`, and in
 * float64 in `fixtures/reference/distilled.ts`.
 */
const KINDS: Readonly<Record<Divergence, Kind>> = {
  "forward-kl": {
    ...OF_SOFTMAXES,
    mirrored: "reverse-kl",
    // p - q.
    slope: () => ({ size: 1 }),
    lists: true,
  },
  "reverse-kl": {
    ...OF_SOFTMAXES,
    mirrored: "forward-kl",
    slope: () => ({ size: OFF_ZERO, divergence: true }),
  },
  "jsd": {
    ...OF_MIXTURES,
    mirrored: "jsd",
    // As of reverse KL beside the mixture: no log(p / m) is above that of 1 / (1 - beta). Nor is
    // p log(p / m) below -beta: with t = p / m below 1, m is at most beta / (1 - (1 - beta) t), and
    // t log(1 / t) at most 1 - t.
    slope: (beta) => ({ size: (1 - beta) * (Math.min(beta, OFF_ZERO) - Math.log1p(-beta)) }),
    lists: true,
  },
  // s - s_t.
  "binary-kl": { ...OF_IDS, mirrored: "reverse-binary-kl", slope: () => ({ size: 1 }) },
  // s (1 - s) times how far the logits are apart, which may be any number.
  "reverse-binary-kl": { ...OF_IDS, mirrored: "binary-kl" },
  // s - 1 / 2.
  "binary-kl-norm": { ...OF_IDS, mirrored: "binary-kl-norm", slope: () => ({ size: 1 / 2 }) },
};

/** What a student's distance from its teacher is measured by. */
export const DIVERGENCES = Object.keys(KINDS) as readonly Divergence[];

/** What a student's distance from a list may be measured by: no other is finite beyond it. */
export const LISTING = DIVERGENCES.filter((divergence) => KINDS[divergence].lists);

/** Returns what a distillation keeps of a token. */
export function keptOf({ divergence, temperature }: Distill): Traits {
  const { looks, statistics, coefficients } = KINDS[divergence];
  // Where the temperature is 1 a student's sum is the one that its cross-entropy has.
  const needed = statistics.filter((name) => name !== "soft_sum" || temperature !== 1);
  return { looks, statistics: needed, coefficients };
}

/**
 * Returns the most that a divergence's derivative by a logit of the student over the temperature may
 * be in size; `undefined` where nothing but the logits bounds it.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const distill = { temperature: 1, weight: 1, ceWeight: 0 };
 * assert.deepEqual(mostSlope({ ...distill, divergence: "forward-kl" }), { size: 1 }); // p - q
 * assert.equal(mostSlope({ ...distill, divergence: "reverse-binary-kl" }), undefined);
 * ```
 */
export function mostSlope({ divergence, beta = 0 }: Distill): Most | undefined {
  return KINDS[divergence].slope?.(beta);
}

/** What a student's distance from its teacher is measured by. */
export type Divergence = Distill["divergence"];

/**
 * Returns the distillation of a teacher from its student: the same number, whose derivative by its
 * student is that by the teacher.
 */
export function mirrored({ divergence, beta, ...rest }: Distill): Distill {
  const { mirrored } = KINDS[divergence];
  return { ...rest, divergence: mirrored, ...(beta === undefined ? {} : { beta: 1 - beta }) };
}

/** What a teacher counts in a mixture that nobody says anything of. */
const DEFAULT_BETA = 0.5;

/** Returns a distillation with a mixture wherever one is asked for, and with none at either end. */
export function withoutEnds({ beta, ...rest }: Distill): Distill {
  if (rest.divergence !== "jsd") return { ...rest, ...(beta === undefined ? {} : { beta }) };
  if (beta === 0) return { ...rest, divergence: "forward-kl" };
  if (beta === 1) return { ...rest, divergence: "reverse-kl" };
  return { ...rest, beta: beta ?? DEFAULT_BETA };
}

/** How the first head of a problem learns from the second. */
export interface Distill {
  /** What the distance is measured by. */
  readonly divergence:
    | "forward-kl"
    | "reverse-kl"
    | "jsd"
    | "binary-kl"
    | "reverse-binary-kl"
    | "binary-kl-norm";
  /** What the teacher counts in the mixture of both, of `jsd` alone: above 0 and below 1. */
  readonly beta?: number | undefined;
  /** Divides the logits of both heads in the divergence. */
  readonly temperature: number;
  /**
   * How many ids of each token there are log-probabilities of, where these are all that is known of
   * the teacher: it has no head then, and what it says of other ids is nothing.
   */
  readonly listed?: number | undefined;
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

/**
 * Returns what the probabilities of each token's list sum to: 1 less what a teacher says of all
 * other ids. A loss that leaves that out, as verl's does, is the sum of `s KL + s log s` over
 * tokens, with these shares `s` and the divergence `KL` of a plan with `listed` ids at a temperature
 * of 1: with `reduction: "none"`, the shares over the number of tokens are its upstream gradient.
 *
 * @param logprobs `[tokens, listed]`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const logprobs = Float32Array.of(0.5, 0.25, 0.75, 0.125).map(Math.log);
 * assert.deepEqual(Array.from(listedShares(logprobs, 2), (s) => s.toFixed(4)), ["0.7500", "0.8750"]);
 * ```
 */
export function listedShares(logprobs: Float32Array, listed: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: logprobs.length / listed }, (_, token) => {
    const own = logprobs.subarray(token * listed, (token + 1) * listed);
    return own.reduce((sum, log) => sum + Math.exp(log), 0);
  });
}

/**
 * What is to be computed: the dimensions, storage type, pass and options of one
 * linear cross-entropy, and what follows from them. How one that is written by hand is checked
 * is in `problem_schema.ts`.
 *
 * @module
 */
import { ACCUMULATED, bytesPerElement, type Dtype, EPSILON } from "./dtype.ts";
import type { Distill, DistillInput } from "./heads/distill.ts";
import { type Head, type HeadInput, MAX_DIMENSION, trainedColumns } from "./heads/head.ts";
import type { Loose } from "./same.ts";

export { type Head, type HeadInput, MAX_DIMENSION, trainedColumns };

/** How per-token losses become the loss, as in PyTorch. */
export const REDUCTIONS = ["mean", "sum", "none"] as const;
/** Loss alone, or loss and gradients. */
export const PASSES = ["forward", "train"] as const;
/** Statistics of a row of logits that are kept only when asked for. */
export const EXTRA_STATISTICS = ["entropy", "predicted", "collision"] as const;
/**
 * The longest list of most likely ids. Long ones are held in workgroup memory and gone through for
 * each logit that gets into them, of which there are the more the longer they are (`docs/heads.md`).
 */
export const MAX_TOP_K = 128;
/** Gradients that a training pass can produce. */
export const GRADIENTS = ["hidden", "weight", "bias"] as const;
/**
 * `cross-entropy` is a loss of its own; `statistics` outputs log-probability,
 * log-sum-exp and entropy of each token and differentiates whatever the caller
 * makes of them, given the upstream gradient of each.
 */
export const OBJECTIVES = ["cross-entropy", "statistics"] as const;

/** What is asked of the heads of a problem. */
export interface Task {
  /** Rows of the hidden states. */
  readonly tokens: number;
  /** Loss alone, or loss and gradients. */
  readonly pass: "forward" | "train";
  /** What is differentiated: cross-entropy, or whatever the caller makes of each token's statistics. */
  readonly objective: "cross-entropy" | "statistics";
  /** Of per-token losses to the loss, as in PyTorch. */
  readonly reduction: "mean" | "sum" | "none";
  /** Tokens with this target are skipped. */
  readonly ignoreIndex: number;
  /** Whether each target's loss is weighed, as PyTorch does. */
  readonly classWeight: boolean;
  /** Share of each target that is spread over the vocabulary, from 0 to 1. */
  readonly labelSmoothing: number;
  /** Adds `zLoss * lse^2` to each token's loss. */
  readonly zLoss: number;
  /** Extra results per token: entropy of the softmax, most likely id, collision probability `Σ p²`. */
  readonly statistics: readonly ("entropy" | "predicted" | "collision")[];
  /** How many of the most likely ids each token has, with their log-probabilities; 0 for none. */
  readonly topK: number;
  /** Draws an id of each token from the softmax at this temperature; none where it is left out. */
  readonly sampleTemperature?: number | undefined;
  /**
   * Tiles whose every `|softmax - onehot|` is below this are skipped, which 0 never
   * does; `auto` follows the storage type.
   */
  readonly gradientFilter: number | "auto";
  /** Gradients wanted from a training pass; all that exist where it is left out. */
  readonly gradients?: readonly ("hidden" | "weight" | "bias")[] | undefined;
  /**
   * Sub-tokens that each hidden state is cut into, where the weight's gradient is of rank one in
   * these and not the exact one: `[vocab, subTokens]` in place of `[vocab, hidden]`.
   */
  readonly subTokens?: number | undefined;
  /** What that gradient is multiplied by: 1 where it is left out. */
  readonly subTokenScale?: number | undefined;
  /**
   * About how many tokens the weight's gradient is estimated from, each times a weight that is given
   * (`tokenWeights`), where it is not the exact one.
   */
  readonly sampledTokens?: number | undefined;
}

/** Dimensions, storage types, pass and options of one linear cross-entropy. */
export interface Problem extends Task {
  /** The output layers, at least one; {@linkcode headOf} gives the only one. */
  readonly heads: readonly Head[];
  /**
   * Whether the first head, a large model's, is guided by what the second, an expert, has over
   * the third, its base: dynamic logit fusion.
   */
  readonly fusion: boolean;
  /** How the first head, a student, learns from the second, its teacher, where it does. */
  readonly distill?: Distill | undefined;
}

/** A problem with one head, the head's settings beside the others: as plan files and flags have it. */
export interface FlatProblem extends Task, Omit<Head, "name" | "frozen" | "adapter"> {}

/** A problem with one head as written by hand: whatever is left out takes its default. */
export interface FlatProblemInput
  extends Loose<Task>, Omit<HeadInput, "name" | "frozen" | "adapter"> {
  /** The head's settings stand beside the others. */
  readonly heads?: undefined;
}

/** A problem with its heads as written by hand: whatever is left out takes its default. */
export interface HeadsProblemInput extends Loose<Task> {
  /** At least one, each with a name of its own. */
  readonly heads: readonly HeadInput[];
  /** Whether the first is guided by what the second has over the third. */
  readonly fusion?: boolean | undefined;
  /** How the first learns from the second, which is frozen unless it says otherwise. */
  readonly distill?: DistillInput | undefined;
}

/** A problem as written by hand: with one head as plain as it can be. */
export type ProblemInput = FlatProblemInput | HeadsProblemInput;

/**
 * A problem has several heads where one alone can be served.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseProblem } from "@lce/lce";
 * const sizes = { hidden: 4, vocab: 9 };
 * const heads = [{ name: "student", ...sizes }, { name: "teacher", ...sizes }];
 * assert.throws(() => headOf(parseProblem({ heads })), SeveralHeadsError);
 * ```
 */
export class SeveralHeadsError extends TypeError {
  /** Tells this error from others without `instanceof`. */
  override name = "SeveralHeadsError";
}

/**
 * Returns the only head of a problem.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseProblem } from "@lce/lce";
 * assert.equal(headOf(parseProblem({ hidden: 4, vocab: 9 })).vocab, 9);
 * ```
 *
 * @throws {SeveralHeadsError} where there are several: whoever asks serves one alone.
 */
export function headOf({ heads }: Problem): Head {
  const [head, ...others] = heads;
  if (head !== undefined && others.length === 0) return head;
  throw new SeveralHeadsError(
    `Cannot serve the ${heads.length} heads ${
      heads.map(({ name }) => name).join(", ")
    } together, only one`,
  );
}

/**
 * Returns the head that results and gradients are of: the only one, the student of a teacher, or
 * the large model's that an expert guides.
 *
 * @throws {SeveralHeadsError} where there are several, and nothing is asked of them together.
 */
export function learnerOf(problem: Problem): Head {
  return problem.distill || problem.fusion ? problem.heads[0]! : headOf(problem);
}

/** Returns how many logits of an id there are: one of each head, and one of a teacher that is listed. */
export function logitsPerId({ heads, distill }: Problem): number {
  return heads.length + (distill?.listed === undefined ? 0 : 1);
}

/** The dimensions of a problem with one head. */
export interface Dimensions {
  /** Rows of the hidden states. */
  readonly tokens: number;
  /** The inner dimension that hidden states and weight share. */
  readonly hidden: number;
  /** Rows of the weight. */
  readonly vocab: number;
}

/** Returns how many ids there are: those that every head has a row for, whatever padding follows. */
export function vocabOf({ heads }: Problem): number {
  return Math.min(...heads.map(({ vocab }) => vocab));
}

/** Returns the dimensions of a problem with one head. */
export function dimensionsOf(problem: Problem): Dimensions {
  const { hidden, vocab } = headOf(problem);
  return { tokens: problem.tokens, hidden, vocab };
}

/** Returns the same problem with one head in other dimensions. */
export function resized(problem: Problem, dimensions: Loose<Dimensions>): Problem {
  const head = headOf(problem);
  const { tokens = problem.tokens, hidden = head.hidden, vocab = head.vocab } = dimensions;
  return { ...problem, tokens, heads: [{ ...head, hidden, vocab }] };
}

/**
 * Returns the gradients of a head that a problem asks for: none in a forward pass, by default all
 * that exist in training. A frozen head has that of the hidden states alone, one with an adapter none of its bias, a frozen teacher none.
 */
export function wantedGradients(
  problem: Problem,
  { name, bias, frozen, adapter }: Head = learnerOf(problem),
): ReadonlySet<typeof GRADIENTS[number]> {
  const { pass, distill, heads, gradients = GRADIENTS } = problem;
  const constant = distill && frozen && name !== heads[0]!.name;
  if (pass === "forward" || constant) return new Set();
  const exists = { hidden: true, weight: !frozen, bias: bias && !frozen && adapter === undefined };
  return new Set(gradients.filter((name) => exists[name]));
}

/** Returns whether a teacher has gradients, those of its student's loss by what it has. */
export function teacherLearns(problem: Problem): boolean {
  const [, teacher] = problem.heads;
  return problem.distill !== undefined && teacher !== undefined &&
    wantedGradients(problem, teacher).size > 0;
}

/**
 * Returns the columns of a head's weight gradient as it is stored: those that are trained, or one
 * for each sub-token where it is of rank one in these.
 */
export function weightColumns({ subTokens }: Problem, head: Head): number {
  return subTokens ?? trainedColumns(head);
}

/**
 * Returns the threshold below which a tile's logit gradients count as zero; 0 for exact gradients.
 * `auto` is the storage type's machine epsilon over 32, as in Cut Cross-Entropy (arXiv 2411.09009):
 * what is smaller would not have changed a gradient accumulated in that type.
 */
export function filterThreshold(problem: Problem): number {
  const { gradientFilter } = problem;
  return gradientFilter === "auto" ? EPSILON[headOf(problem).dtype] / 32 : gradientFilter;
}

/** Bytes that `[tokens, vocab]` logits take in f32: what the whole project avoids. */
export function logitsBytes({ tokens, vocab }: Pick<Dimensions, "tokens" | "vocab">): number {
  return bytesPerElement(ACCUMULATED) * tokens * vocab;
}

/**
 * Bytes of hidden states, weight and the gradients asked for, the weight's as it is stored: what every
 * strategy is given.
 */
export function ownedBytes(problem: Problem, gradientDtype: Dtype = ACCUMULATED): number {
  const { tokens, heads } = problem;
  return heads.reduce((sum, head) => {
    const { vocab, hidden, dtype } = head;
    const wanted = wantedGradients(problem, head);
    const ofHidden = wanted.has("hidden") ? trainedColumns(head) : 0;
    const ofWeight = wanted.has("weight") ? weightColumns(problem, head) : 0;
    return sum + (tokens + vocab) * hidden * bytesPerElement(dtype) +
      tokens * ofHidden * bytesPerElement(ACCUMULATED) +
      vocab * ofWeight * bytesPerElement(gradientDtype);
  }, 0);
}

/** Returns the FLOPs of one pass over all logits, `2 N D V`. */
export function projectionFlops({ tokens, hidden, vocab }: Dimensions): number {
  return 2 * tokens * hidden * vocab;
}

export type { Dtype };

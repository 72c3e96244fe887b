/**
 * What is to be computed: the dimensions, storage type, pass and options of one
 * linear cross-entropy. The zod schema is the single source of the types, of the
 * validation and of the JSON Schema for plan files.
 *
 * @module
 */
import * as z from "zod";
import { bytesPerElement, type Dtype, DTYPES } from "./dtype.ts";

/** Largest dimension: WGSL and the targets hold token and vocabulary ids in 32-bit signed integers. */
export const MAX_DIMENSION = 2 ** 31 - 1;

const dimension = (what: string) => z.int().min(1).max(MAX_DIMENSION).describe(what);

/** How per-token losses become the loss, as in PyTorch. */
export const REDUCTIONS = ["mean", "sum", "none"] as const;
/** Loss alone, or loss and gradients. */
export const PASSES = ["forward", "train"] as const;
/** Statistics of a row of logits that are kept only when asked for. */
export const EXTRA_STATISTICS = ["entropy", "predicted"] as const;
/** Gradients that a training pass can produce. */
export const GRADIENTS = ["hidden", "weight", "bias"] as const;
/**
 * `cross-entropy` is a loss of its own; `statistics` outputs log-probability,
 * log-sum-exp and entropy of each token and differentiates whatever the caller
 * makes of them, given the upstream gradient of each.
 */
export const OBJECTIVES = ["cross-entropy", "statistics"] as const;

/** The fields of a problem, each with its default. */
export const problemShape = {
  tokens: dimension("rows of the hidden states").default(8192),
  hidden: dimension("the inner dimension that hidden states and weight share"),
  vocab: dimension("rows of the weight (the output embedding), padding included"),
  dtype: z.enum(DTYPES).default("f32").describe("storage type of hidden states and weight"),
  pass: z.enum(PASSES).default("forward").describe("loss alone, or loss and gradients"),
  objective: z.enum(OBJECTIVES).default("cross-entropy").describe("what is differentiated"),
  reduction: z.enum(REDUCTIONS).default("mean").describe("of per-token losses to the loss"),
  ignoreIndex: z.int().min(-(2 ** 31)).max(MAX_DIMENSION).default(-100)
    .describe("tokens with this target are skipped"),
  bias: z.boolean().default(false).describe("add a bias per vocabulary entry to the logits"),
  classWeight: z.boolean().default(false).describe("weigh each target's loss, as PyTorch does"),
  labelSmoothing: z.number().min(0).max(1).default(0)
    .describe("share of each target that is spread over the vocabulary"),
  zLoss: z.number().nonnegative().default(0).describe("adds zLoss * lse^2 to each token"),
  logitScale: z.number().default(1).refine((scale) => scale !== 0, "must not be 0")
    .describe("multiplies the logits, before the softcap"),
  softcap: z.number().positive().optional().describe("logits become softcap * tanh(z / softcap)"),
  statistics: z.array(z.enum(EXTRA_STATISTICS)).default([])
    .describe("extra results per token: entropy of the softmax, most likely id"),
  gradientFilter: z.union([z.number().nonnegative(), z.literal("auto")]).default(0)
    .describe("skip tiles whose every |softmax - onehot| is below this; auto follows the dtype"),
  gradients: z.array(z.enum(GRADIENTS)).min(1).optional()
    .describe("gradients wanted from a training pass; all that exist by default"),
};

/** Schema of a {@linkcode Problem}: fills in defaults, rejects unknown fields. */
export const problemSchema = z.strictObject(problemShape).superRefine((problem, context) => {
  const twice = problem.statistics.find((name, index, all) => all.indexOf(name) !== index);
  if (twice !== undefined) {
    context.addIssue({ code: "custom", path: ["statistics"], message: `has ${twice} twice` });
  }
  if (problem.gradients?.includes("bias") && !problem.bias) {
    context.addIssue({
      code: "custom",
      path: ["gradients"],
      message: "cannot include bias where the problem has none: set bias to true",
    });
  }
  if (problem.gradientFilter !== 0 && problem.labelSmoothing > 0) {
    context.addIssue({
      code: "custom",
      path: ["gradientFilter"],
      message: "cannot be used with label smoothing, which moves every logit of every token",
    });
  }
  const { tokens, hidden, vocab } = problem;
  const matrices = [["hidden", tokens, hidden], ["hidden", vocab, hidden], [
    "vocab",
    tokens,
    vocab,
  ]];
  for (const [path, rows, columns] of matrices as [string, number, number][]) {
    if (rows * columns * 4 <= Number.MAX_SAFE_INTEGER) continue;
    context.addIssue({
      code: "custom",
      path: [path],
      message:
        `makes a matrix of ${rows} x ${columns} elements, past the 2^53 bytes that can be counted exactly`,
    });
  }
});

/**
 * What the schema takes and gives. The public types go by way of it, and so
 * refer to nothing that is not public.
 *
 * @internal
 */
interface Parsed {
  readonly input: z.input<typeof problemSchema>;
  readonly output: z.output<typeof problemSchema>;
}

/** Dimensions, storage type, pass and options of one linear cross-entropy. */
export type Problem = Parsed["output"];

/** A problem as written by hand: whatever is left out takes its default. */
export type ProblemInput = Parsed["input"];

/**
 * Fills in the defaults of a problem and checks every field.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const problem = parseProblem({ hidden: 2304, vocab: 256000 });
 * assert.equal(problem.tokens, 8192);
 * assert.equal(problem.dtype, "f32");
 * ```
 *
 * @throws {z.ZodError} naming each field that is missing, unknown or out of range.
 */
export function parseProblem(input: ProblemInput): Problem {
  return problemSchema.parse(input);
}

/** The gradients a problem asks for: none in a forward pass, by default all that exist in training. */
export function wantedGradients(problem: Problem): ReadonlySet<typeof GRADIENTS[number]> {
  if (problem.pass === "forward") return new Set();
  return new Set(problem.gradients ?? GRADIENTS.filter((name) => name !== "bias" || problem.bias));
}

/** Machine epsilons of the storage types. */
const STORAGE_EPSILON: Readonly<Record<Dtype, number>> = {
  f32: 2 ** -23,
  f16: 2 ** -10,
  bf16: 2 ** -7,
};

/**
 * The threshold below which a tile's logit gradients count as zero; 0 for exact
 * gradients. `auto` is the storage type's machine epsilon over 32, as in Cut
 * Cross-Entropy (arXiv 2411.09009): what is smaller would not have changed a
 * gradient accumulated in that type.
 */
export function filterThreshold({ gradientFilter, dtype }: Problem): number {
  return gradientFilter === "auto" ? STORAGE_EPSILON[dtype] / 32 : gradientFilter;
}

/** Bytes that `[tokens, vocab]` logits take in f32: what the whole project avoids. */
export function logitsBytes(problem: Pick<Problem, "tokens" | "vocab">): number {
  return 4 * problem.tokens * problem.vocab;
}

/** Bytes of hidden states, weight and the gradients asked for: what every strategy is given. */
export function ownedBytes(problem: Problem): number {
  const { tokens, vocab, hidden, dtype } = problem;
  const wanted = wantedGradients(problem);
  const element = bytesPerElement(dtype);
  return hidden * (tokens * (element + (wanted.has("hidden") ? 4 : 0)) +
    vocab * (element + (wanted.has("weight") ? 4 : 0)));
}

/** FLOPs of one pass over all logits, `2 N D V`. */
export function projectionFlops(problem: Pick<Problem, "tokens" | "hidden" | "vocab">): number {
  return 2 * problem.tokens * problem.hidden * problem.vocab;
}

export type { Dtype };

/**
 * The arrays that a job results in, in one table: by the name that programs give
 * them, and in which tensor, and which row of it, each lies. Reading results, putting
 * those of ranks together, files of expected ones and checks go by it.
 *
 * @module
 */
import type { TokenResult } from "./layout.ts";
import { type GradientKey, tensorOf } from "./tensors.ts";

/** Where an array lies. */
export type ResultPlace =
  | { readonly tensor: "tokens"; readonly row: TokenResult; readonly type: "f32" | "u32" }
  | { readonly tensor: GradientKey; readonly type: "f32" };

/** The table. */
export const RESULTS = {
  perToken: { tensor: "tokens", row: "loss", type: "f32" },
  lse: { tensor: "tokens", row: "lse", type: "f32" },
  logprob: { tensor: "tokens", row: "logprob", type: "f32" },
  entropy: { tensor: "tokens", row: "entropy", type: "f32" },
  predicted: { tensor: "tokens", row: "predicted", type: "u32" },
  topIds: { tensor: "tokens", row: "topk_ids", type: "u32" },
  topLogprobs: { tensor: "tokens", row: "topk_logprobs", type: "f32" },
  strength: { tensor: "tokens", row: "strength", type: "f32" },
  divergence: { tensor: "tokens", row: "divergence", type: "f32" },
  teacherLse: { tensor: "tokens", row: "teacher_lse", type: "f32" },
  gradHidden: { tensor: "grad_hidden", type: "f32" },
  gradWeight: { tensor: "grad_weight", type: "f32" },
  gradBias: { tensor: "grad_bias", type: "f32" },
} as const satisfies Readonly<Record<string, ResultPlace>>;

/** Name of an array of results. */
export type ResultName = keyof typeof RESULTS;

/** Names of the arrays of which something holds. */
type NamesWith<Kind> = {
  [Name in ResultName]: typeof RESULTS[Name] extends Kind ? Name : never;
}[ResultName];

/** Names of the arrays that hold a number per token. */
export type TokenResultName = NamesWith<{ readonly tensor: "tokens" }>;
/** Names of those that hold an f32 per token. */
export type TokenNumberName = NamesWith<{ readonly tensor: "tokens"; readonly type: "f32" }>;
/** Names of those that hold an id of the vocabulary per token. */
export type TokenIdName = Exclude<TokenResultName, TokenNumberName>;
/** Names of the gradients. */
export type GradientName = Exclude<ResultName, TokenResultName>;

/** Arrays of results: `Ids` where they hold ids of the vocabulary, else `Numbers`. */
export type ResultArrays<Numbers, Ids, Name extends ResultName = ResultName> = {
  readonly [Each in Name]?: typeof RESULTS[Each]["type"] extends "u32" ? Ids : Numbers;
};

/** Names of all arrays, in the order of the table. */
export const RESULT_NAMES = Object.keys(RESULTS) as readonly ResultName[];

/** Names of the arrays that hold a number per token. */
export const TOKEN_RESULTS = RESULT_NAMES.filter((name) =>
  RESULTS[name].tensor === "tokens"
) as readonly TokenResultName[];

/** Names of the arrays that hold an f32 per token. */
export const TOKEN_NUMBERS = RESULT_NAMES.filter((name) =>
  RESULTS[name].tensor === "tokens" && RESULTS[name].type === "f32"
) as readonly TokenNumberName[];

/** Names of the arrays that hold an id of the vocabulary per token. */
export const TOKEN_IDS = RESULT_NAMES.filter((name) =>
  RESULTS[name].type === "u32"
) as readonly TokenIdName[];

/** Names of the gradients. */
export const GRADIENT_NAMES = RESULT_NAMES.filter((name) =>
  RESULTS[name].tensor !== "tokens"
) as readonly GradientName[];

/** Returns what the first dimension of an array counts: ranks have parts of it by that. */
export function axisOf(name: ResultName): "tokens" | "vocab" {
  const { tensor } = RESULTS[name];
  return tensor === "tokens" ? "tokens" : tensorOf(tensor).axis!;
}

/** Returns which gradient an array is: of the hidden states, the weight or the bias. */
export function gradientOf(name: GradientName): "hidden" | "weight" | "bias" {
  return RESULTS[name].tensor.slice("grad_".length) as "hidden" | "weight" | "bias";
}

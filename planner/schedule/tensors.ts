/**
 * Every tensor of a job, in one table: whose it is, what its elements are, which
 * problems have it and how large it is. Buffers, uploads, the public API, the
 * manifest and the checks of a run go by it; a kernel's slot has the name of the
 * tensor that it reads or writes.
 *
 * @module
 */
import { ACCUMULATED, bytesPerElement, type Dtype } from "../dtype.ts";
import {
  filterThreshold,
  type Head,
  type Problem,
  vocabOf,
  wantedGradients,
  weightColumns,
} from "../problem.ts";
import {
  coefficientRows,
  HALVED,
  HALVES_FACTS,
  hasReducedLoss,
  keptHeader,
  MOMENTS_ROWS,
  MOST_MOVED,
  scalesCount,
  TILE_FLAG,
  tokenResults,
  tokenStride,
  TOTALS,
  upstreamRows,
  WORD,
} from "./layout.ts";
import { trainedColumns } from "../heads/head.ts";
import { remembered } from "../remembered.ts";
import type { Category, Residency, Share } from "./schedule.ts";
import { gatheredRows, idResults, statisticRows } from "./statistics.ts";

/** The type of a tensor's elements. */
export type ElementType = Dtype | "i32" | "u32";

/**
 * Whose a tensor is. `input` and `gradient` are the caller's, or come from the host
 * and go back to it; a `result` is the schedule's and read by the host, and so is a
 * `record` of what it did; `state` stays from step to step, `scratch` does not.
 */
export type Role = "input" | "gradient" | "result" | "record" | "state" | "scratch";

/** The heading under which the memory of each role is reported. */
export const CATEGORY_OF: Readonly<Record<Role, Category>> = {
  input: "input",
  gradient: "output",
  result: "output",
  record: "state",
  state: "state",
  scratch: "scratch",
};

/** What the sizes of tensors follow from. */
export interface Extents {
  readonly problem: Problem;
  /** The head, of a tensor that each head has. */
  readonly head: Head;
  /** The part that a rank has in the whole, where there are several. */
  readonly share?: Share | undefined;
  /** Token blocks. */
  readonly blocks: number;
  /** Sets of partial statistics per token. */
  readonly splits: number;
}

/** What is to be known of a tensor. */
export interface Tensor {
  readonly role: Role;
  /** `stored` is the head's storage type. */
  readonly type: ElementType | "stored";
  /** Whether each head has one. */
  readonly perHead?: boolean;
  /** What its first dimension counts: ranks split tensors by it. */
  readonly axis?: "tokens" | "vocab";
  /** Whether it is a matrix of which kernels bind a block's or a window's rows, in several buffers if need be. */
  readonly inRows?: boolean;
  /** Whether a problem has it; all do where it is left out. */
  readonly has?: (problem: Problem, head: Head) => boolean;
  /** Its dimensions, row-major; left out where a strategy or a product decides. */
  readonly shape?: (extents: Extents) => readonly number[];
  /** What each row, or each word where there is one dimension, holds. */
  readonly rows?: (problem: Problem) => readonly string[];
  /** What types, shapes and names do not say. */
  readonly note?: (problem: Problem) => string;
}

/** Tokens whose hidden states a rank has at the start. */
function ownTokens({ problem: { tokens }, share }: Extents): number {
  return share?.sequence ? tokens / share.tensor : tokens;
}

const idsOf = ({ head: { vocab } }: Extents) => [vocab];
const idsByHidden = ({ head: { vocab, hidden } }: Extents) => [vocab, hidden];
const idsByTrained = ({ problem, head }: Extents) => [head.vocab, weightColumns(problem, head)];
const tokensByHidden = ({ problem: { tokens }, head: { hidden } }: Extents) => [tokens, hidden];
const tokensByTrained = ({ problem: { tokens }, head }: Extents) => [tokens, trainedColumns(head)];
const ownTokensByHidden = (extents: Extents) => [ownTokens(extents), extents.head.hidden];
const ownTokensByTrained = (extents: Extents) => [
  ownTokens(extents),
  trainedColumns(extents.head),
];
const isListed = ({ distill }: Problem) => distill?.listed !== undefined;
const inSubTokens = (problem: Problem, head: Head) =>
  problem.subTokens !== undefined && wantedGradients(problem, head).has("weight");
const inSample = (problem: Problem, head: Head) =>
  problem.sampledTokens !== undefined && wantedGradients(problem, head).has("weight");
const inSequence = (problem: Problem) => `the first ${problem.tokens} of each row are the tokens'`;

/** The table. */
export const TENSORS = {
  hidden: {
    role: "input",
    type: "stored",
    perHead: true,
    axis: "tokens",
    inRows: true,
    shape: ownTokensByHidden,
  },
  weight: {
    role: "input",
    type: "stored",
    perHead: true,
    axis: "vocab",
    inRows: true,
    shape: idsByHidden,
  },
  targets: {
    role: "input",
    type: "i32",
    axis: "tokens",
    shape: ({ problem }) => [problem.tokens],
    note: ({ ignoreIndex }) =>
      `already shifted: row t of hidden predicts entry t; ${ignoreIndex} is ignored`,
  },
  bias: {
    role: "input",
    type: "f32",
    perHead: true,
    axis: "vocab",
    has: (_, head) => head.bias,
    shape: idsOf,
  },
  // All of them are on every rank: a target's is needed wherever its row of the weight is.
  class_weight: {
    role: "input",
    type: "f32",
    has: ({ classWeight }) => classWeight,
    shape: ({ share, head }) => [share?.wholeVocab ?? head.vocab],
  },
  seeds: {
    role: "input",
    type: "u32",
    axis: "tokens",
    has: ({ sampleTemperature }) => sampleTemperature !== undefined,
    shape: ({ problem }) => [problem.tokens],
    note: () => "what each token's id is drawn by",
  },
  teacher_ids: {
    role: "input",
    type: "i32",
    axis: "tokens",
    has: isListed,
    shape: ({ problem }) => [problem.tokens, problem.distill!.listed!],
    note: () => "ids that the teacher is known of, no two of a token alike; no id stands for none",
  },
  teacher_logprobs: {
    role: "input",
    type: "f32",
    axis: "tokens",
    has: isListed,
    shape: ({ problem }) => [problem.tokens, problem.distill!.listed!],
    note: () => "log-probabilities of these ids, up to the same number for all of a token's",
  },
  token_weights: {
    role: "input",
    type: "f32",
    axis: "tokens",
    has: inSample,
    shape: ({ problem }) => [problem.tokens],
    note: () => "what each token's term of the weight's gradient is times; 0 leaves it out",
  },
  // All of it is on every rank.
  direction: {
    role: "input",
    type: "f32",
    has: inSubTokens,
    shape: ({ problem, head }) => [head.hidden / problem.subTokens!],
    note: () => "what sub-tokens of hidden states are taken along, of length 1",
  },
  upstream: {
    role: "input",
    type: "f32",
    has: (problem) => upstreamRows(problem).length > 0,
    shape: ({ problem }) => [upstreamRows(problem).length, tokenStride(problem)],
    rows: upstreamRows,
    note: (problem) => `gradients of what follows; ${inSequence(problem)}`,
  },
  loss: {
    role: "result",
    type: "f32",
    has: hasReducedLoss,
    shape: () => [1],
    note: () => "the reduced loss",
  },
  tokens: {
    role: "result",
    type: "f32",
    shape: ({ problem }) => [tokenResults(problem).length, tokenStride(problem)],
    rows: tokenResults,
    note: (problem) =>
      `${inSequence(problem)}, 0 where the target is ignored` +
      idResults(problem).map((name) => `; the row ${name} is of u32`).join(""),
  },
  totals: {
    role: "result",
    type: "u32",
    shape: () => [TOTALS.length],
    rows: () => TOTALS,
    note: () =>
      "kept is a count of tokens; keptWeight and totalWeight are f32; badTarget is 1 + the " +
      "first token whose target is neither an id nor the ignored one, 0 where there is none",
  },
  grad_hidden: {
    role: "gradient",
    type: "f32",
    perHead: true,
    axis: "tokens",
    inRows: true,
    has: (problem, head) => wantedGradients(problem, head).has("hidden"),
    shape: ownTokensByTrained,
  },
  grad_weight: {
    role: "gradient",
    type: "f32",
    perHead: true,
    axis: "vocab",
    inRows: true,
    has: (problem, head) => wantedGradients(problem, head).has("weight"),
    shape: idsByTrained,
  },
  grad_bias: {
    role: "gradient",
    type: "f32",
    perHead: true,
    axis: "vocab",
    has: (problem, head) => wantedGradients(problem, head).has("bias"),
    shape: idsOf,
  },
  // A word for each tile of logit gradients.
  tile_flags: {
    role: "record",
    type: "u32",
    has: (problem) => filterThreshold(problem) > 0,
    note: () =>
      `${TILE_FLAG.idle} where the filter left a tile out, ${TILE_FLAG.busy} where it did not`,
  },
  // What became of values in bf16 where products are of halves.
  halves: {
    role: "record",
    type: "u32",
    perHead: true,
    shape: () => [HALVED.length, HALVES_FACTS.length],
    rows: () => HALVED,
    note: () =>
      "of the hidden states of kept tokens and of the weight: how many values halves do not hold " +
      "exactly; and, in f32, the most by which those of one row are off together, and the largest " +
      "value. Error of the one times largest of the other, both ways added, is the most by which a " +
      `logit is moved before its scale; past ${MOST_MOVED} results are not to be used`,
  },
  // For each kept token, by its position, and then for each row of the weight: the power of two
  // that its values are multiplied by as they become halves.
  scales: {
    role: "state",
    type: "f32",
    perHead: true,
    shape: ({ problem }) => [scalesCount(problem)],
  },
  // Rows of each block's tokens, those that are kept first, behind the number of kept ones for each block.
  kept: {
    role: "state",
    type: "u32",
    shape: ({ problem, blocks }) => [keptHeader(blocks) + problem.tokens],
  },
  // For each kept token the row of the whole weight that is its target; behind them the seeds, where
  // ids are drawn.
  kept_targets: {
    role: "state",
    type: "u32",
    shape: ({ problem }) => [
      (problem.sampleTemperature === undefined ? 1 : 2) * problem.tokens,
    ],
  },
  coefficients: {
    role: "state",
    type: "u32",
    shape: ({ problem }) => [coefficientRows(problem).length, tokenStride(problem)],
  },
  // What of each sub-token of a hidden state lies along the direction, times the scale.
  projections: {
    role: "state",
    type: "f32",
    perHead: true,
    axis: "tokens",
    inRows: true,
    has: inSubTokens,
    shape: ({ problem }) => [problem.tokens, problem.subTokens!],
  },
  // Of each block's kept tokens the positions of those with a weight, behind the number of them for
  // each block.
  sample: {
    role: "state",
    type: "u32",
    has: inSample,
    shape: ({ problem, blocks }) => [keptHeader(blocks) + problem.tokens],
  },
  // The bits of the largest logit gradient there may be: what those of 16 bits are scaled by.
  gradient_bound: { role: "state", type: "u32", shape: () => [1] },
  // The bits of the largest hidden state and of the largest element of the weight, in size: what
  // operands of f32 are scaled by before they are split.
  operand_bounds: { role: "state", type: "u32", shape: () => [2] },
  partials: {
    role: "scratch",
    type: "u32",
    shape: ({ problem, splits }) => [splits * statisticRows(problem), tokenStride(problem)],
  },
  // One set of statistics per token, over the vocabulary of all ranks: a set of `partials`.
  statistics: {
    role: "scratch",
    type: "u32",
    shape: ({ problem }) => [statisticRows(problem), tokenStride(problem)],
  },
  // What each rank has of the statistics that are not reduced word by word: a part of a set of each.
  gathered: {
    role: "scratch",
    type: "u32",
    has: (problem) => gatheredRows(problem) > 0,
    shape: (
      { problem, share },
    ) => [(share?.tensor ?? 1) * gatheredRows(problem), tokenStride(problem)],
  },
  // Logits or their gradient, of kept tokens and of ids of the vocabulary.
  logits: { role: "scratch", type: "f32", inRows: true },
  // The same of an expert and of its base, beside those of a large model.
  expert_logits: { role: "scratch", type: "f32", inRows: true, has: ({ fusion }) => fusion },
  base_logits: { role: "scratch", type: "f32", inRows: true, has: ({ fusion }) => fusion },
  // The same of a teacher, beside those of its student.
  teacher_logits: {
    role: "scratch",
    type: "f32",
    inRows: true,
    has: ({ distill }) => distill !== undefined,
  },
  // What is kept of each softmax that they may be fused to.
  moments: {
    role: "scratch",
    type: "u32",
    has: ({ fusion }) => fusion,
    shape: ({ problem }) => [MOMENTS_ROWS, tokenStride(problem)],
  },
  // The gradient of a window of the weight, `[ids of the window, hidden]`, on its way to 16 bits.
  window_gradient: { role: "scratch", type: "f32" },
  // Sums over parts of a window, `[parts, tokens of the block, hidden]`, on their way to the gradient.
  hidden_parts: { role: "scratch", type: "f32" },
  // Where tokens are split over ranks outside of the layer: the hidden states of all of them, and
  // the rank's terms of the gradient.
  gathered_hidden: {
    role: "scratch",
    type: "stored",
    perHead: true,
    axis: "tokens",
    inRows: true,
    shape: tokensByHidden,
  },
  partial_grad_hidden: {
    role: "scratch",
    type: "f32",
    perHead: true,
    axis: "tokens",
    inRows: true,
    shape: tokensByTrained,
  },
} as const satisfies Readonly<Record<string, Tensor>>;

/** Name of a tensor. */
export type TensorKey = keyof typeof TENSORS;

/** Names of the tensors of which something holds. */
type KeysWith<Kind> = {
  [Key in TensorKey]: typeof TENSORS[Key] extends Kind ? Key : never;
}[TensorKey];

/** Names of the tensors that a schedule reads from its caller. */
export type InputKey = KeysWith<{ readonly role: "input" }>;
/** Names of the tensors that a schedule writes for its caller. */
export type GradientKey = KeysWith<{ readonly role: "gradient" }>;
/** Names of the tensors that each head has. */
export type HeadKey = KeysWith<{ readonly perHead: true }>;
/** Names of the matrices of a head. */
export type HeadMatrix = KeysWith<{ readonly perHead: true; readonly inRows: true }>;

/** Returns what is to be known of a tensor. */
export function tensorOf(key: TensorKey): Tensor {
  return TENSORS[key];
}

/** Names of all tensors, in the order of the table. */
export const TENSOR_KEYS = Object.keys(TENSORS) as readonly TensorKey[];

/** Names of the tensors of a role. */
export function keysOf(role: "input"): readonly InputKey[];
export function keysOf(role: "gradient"): readonly GradientKey[];
export function keysOf(role: Role): readonly TensorKey[] {
  return TENSOR_KEYS.filter((key) => TENSORS[key].role === role);
}

/** Returns the type of the elements of a tensor, where the weight's gradient is stored as it is told. */
export function elementType(
  key: TensorKey,
  { dtype }: Head,
  gradientDtype: Dtype = ACCUMULATED,
): ElementType {
  if (key === "grad_weight") return gradientDtype;
  const { type } = tensorOf(key);
  return type === "stored" ? dtype : type;
}

/** Returns the bytes of one element. */
export function elementBytes(type: ElementType): number {
  return type === "i32" || type === "u32" ? WORD : bytesPerElement(type);
}

/** A tensor of some problem: of the only head, or of one of several. */
export interface NamedTensor extends Tensor {
  readonly key: TensorKey;
  readonly head: Head;
}

/**
 * Returns the name of a head's tensor: the tensor's own where the head is the only
 * one, else the head's before it.
 */
export function tensorName({ heads }: Problem, { name }: Head, key: TensorKey): string {
  return heads.length === 1 || !tensorOf(key).perHead ? key : `${name}_${key}`;
}

/** Returns the tensors that a problem has, by name, in the order of the table. */
export const tensorsOf: (problem: Problem) => ReadonlyMap<string, NamedTensor> = remembered(
  (problem) => {
    const found = new Map<string, NamedTensor>();
    for (const key of TENSOR_KEYS) {
      for (const head of problem.heads) {
        const name = tensorName(problem, head, key);
        if (found.has(name) || !(tensorOf(key).has?.(problem, head) ?? true)) continue;
        found.set(name, { ...tensorOf(key), key, head });
      }
    }
    return found;
  },
);

/** Returns whether a head of a problem has a tensor. */
export function hasTensor(key: TensorKey, problem: Problem, head: Head): boolean {
  return tensorsOf(problem).has(tensorName(problem, head, key));
}

/** A name as programs have it: `class_weight` is `classWeight`. */
export type CamelCase<Name extends string> = Name extends `${infer First}_${infer Rest}`
  ? `${First}${Capitalize<CamelCase<Rest>>}`
  : Name;

/** Returns a name as programs have it. */
export function camelCase<Name extends string>(name: Name): CamelCase<Name> {
  return name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()) as CamelCase<Name>;
}

/** Returns a name as files have it: `classWeight` is `class_weight`. */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/**
 * Returns how many of the last rows of a head's matrices, those of ids that another head does not
 * have, never leave the host: all of them where the matrices are the host's.
 */
export function paddingRows(problem: Problem, head: Head, residency: Residency): number {
  return residency === "caller" ? 0 : head.vocab - vocabOf(problem);
}

/** Returns whether the caller provides a tensor of a role: the others are the schedule's own. */
export function isCallers(role: Role): boolean {
  return role === "input" || role === "gradient";
}

/** Returns whether the host sees a tensor of a role. */
export function isExternal(role: Role): boolean {
  return role !== "state" && role !== "scratch";
}

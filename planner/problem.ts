/**
 * What is to be computed: the dimensions, storage type, pass and options of one
 * linear cross-entropy. The zod schema is the single source of the types, of the
 * validation and of the JSON Schema for plan files.
 *
 * @module
 */
import * as z from "zod/mini";
import type { Loose, Same } from "./same.ts";
import { ACCUMULATED, bytesPerElement, type Dtype, EPSILON } from "./dtype.ts";
import {
  dimension,
  type Head,
  type HeadInput,
  headSchema,
  headShape,
  MAX_DIMENSION,
  ONLY_HEAD,
  trainedColumns,
} from "./heads/head.ts";
import { type Distill, type DistillInput, distillSchema } from "./heads/distill.ts";
import { issueText } from "./issues.ts";
import { optional, setting } from "./setting.ts";

export { type Head, type HeadInput, MAX_DIMENSION };

/** How per-token losses become the loss, as in PyTorch. */
export const REDUCTIONS = ["mean", "sum", "none"] as const;
/** Loss alone, or loss and gradients. */
export const PASSES = ["forward", "train"] as const;
/** Statistics of a row of logits that are kept only when asked for. */
export const EXTRA_STATISTICS = ["entropy", "predicted"] as const;
/**
 * The longest list of most likely ids: an invocation keeps one for each of its rows in registers,
 * eight rows' are then 128 words, and a driver that compiles them takes minutes for twice that.
 */
export const MAX_TOP_K = 8;
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
  /** Extra results per token: entropy of the softmax, most likely id. */
  readonly statistics: readonly ("entropy" | "predicted")[];
  /** How many of the most likely ids each token has, with their log-probabilities; 0 for none. */
  readonly topK: number;
  /**
   * Tiles whose every `|softmax - onehot|` is below this are skipped, which 0 never
   * does; `auto` follows the storage type.
   */
  readonly gradientFilter: number | "auto";
  /** Gradients wanted from a training pass; all that exist where it is left out. */
  readonly gradients?: readonly ("hidden" | "weight" | "bias")[] | undefined;
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
  /** How the first learns from the second, which is frozen. */
  readonly distill?: DistillInput | undefined;
}

/** A problem as written by hand: with one head as plain as it can be. */
export type ProblemInput = FlatProblemInput | HeadsProblemInput;

const taskShape = {
  tokens: setting("rows of the hidden states", dimension("rows of the hidden states"), 8192),
  pass: setting("loss alone, or loss and gradients", z.enum(PASSES), "forward"),
  objective: setting("what is differentiated", z.enum(OBJECTIVES), "cross-entropy"),
  reduction: setting("how losses per token become the loss", z.enum(REDUCTIONS), "mean"),
  ignoreIndex: setting(
    "tokens with this target are skipped",
    z.int().check(z.minimum(-(2 ** 31)), z.maximum(MAX_DIMENSION)),
    -100,
  ),
  classWeight: setting("weigh each target's loss, as PyTorch does", z.boolean(), false),
  labelSmoothing: setting(
    "share of each target that is spread over the vocabulary",
    z.number().check(z.minimum(0), z.maximum(1)),
    0,
  ),
  zLoss: setting("adds zLoss * lse^2 to each token", z.number().check(z.nonnegative()), 0),
  statistics: setting(
    "extra results per token: entropy of the softmax, most likely id",
    z.array(z.enum(EXTRA_STATISTICS)),
    [],
  ),
  topK: setting(
    `most likely ids per token, with their log-probabilities, up to ${MAX_TOP_K}`,
    z.int().check(z.minimum(0), z.maximum(MAX_TOP_K)),
    0,
  ),
  gradientFilter: setting(
    "skip tiles whose every |softmax - onehot| is below this; auto follows the dtype",
    z.union([z.number().check(z.nonnegative()), z.literal("auto")]),
    0,
  ),
  gradients: optional(
    "gradients wanted from a training pass; all that exist by default",
    z.array(z.enum(GRADIENTS)).check(z.minLength(1)),
  ),
};

/** The fields of a problem with one head, each with its default, in the order they are listed. */
export const problemShape = (({ tokens, pass, objective, reduction, ignoreIndex, ...task }) => {
  const { hidden, vocab, dtype, bias, ...logits } = headShape;
  const { classWeight, labelSmoothing, zLoss, ...results } = task;
  return {
    ...{ tokens, hidden, vocab, dtype, pass, objective, reduction, ignoreIndex },
    ...{ bias, classWeight, labelSmoothing, zLoss, ...logits, ...results },
  };
})(taskShape);

const flatSchema = z.strictObject(problemShape);
true satisfies Same<z.output<typeof flatSchema>, FlatProblem>;
true satisfies Same<z.input<typeof flatSchema>, Omit<FlatProblemInput, "heads">>;

const headsSchema = z.strictObject({
  heads: z.array(headSchema).check(z.minLength(1)),
  fusion: setting("guide the first head by what the second has over the third", z.boolean(), false),
  distill: optional("how the first head learns from the second", distillSchema),
  ...taskShape,
});
true satisfies Same<z.output<typeof headsSchema>, Problem>;
true satisfies Same<z.input<typeof headsSchema>, HeadsProblemInput>;

/** What is wrong with a problem whose fields are each in their range. */
interface Fault {
  /** Which head, by its place, where it is one's. */
  readonly head?: number;
  readonly field: string;
  readonly message: string;
}

function* faultsOf(problem: Problem): Generator<Fault> {
  const { heads, tokens, statistics, gradients, gradientFilter, labelSmoothing } = problem;
  const twice = statistics.find((name, index, all) => all.indexOf(name) !== index);
  if (twice !== undefined) yield { field: "statistics", message: `has ${twice} twice` };
  if (gradients?.includes("bias") && !heads.some(({ bias }) => bias)) {
    const message = "cannot include bias where the problem has none: set bias to true";
    yield { field: "gradients", message };
  }
  const constant = gradients?.find((name) => name !== "hidden");
  if (constant !== undefined && heads.every(({ frozen }) => frozen)) {
    yield { field: "gradients", message: `cannot include ${constant} where every head is frozen` };
  }
  if (gradientFilter !== 0 && labelSmoothing > 0) {
    yield {
      field: "gradientFilter",
      message: "cannot be used with label smoothing, which moves every logit of every token",
    };
  }
  if (problem.topK > vocabOf(problem)) {
    const message = `is ${problem.topK}, but there are ${vocabOf(problem)} ids: ask for no more`;
    yield { field: "topK", message };
  }
  yield* fusionFaults(problem);
  yield* distillFaults(problem);
  for (const [head, { name, hidden, vocab, frozen, adapter }] of heads.entries()) {
    if (adapter !== undefined && adapter >= hidden) {
      const message = `has ${adapter} columns, but must leave some of the ${hidden} to the weight`;
      yield { head, field: "adapter", message };
    }
    if (adapter !== undefined && frozen) {
      yield { head, field: "adapter", message: "cannot be trained where the head is frozen" };
    }
    if (heads.findIndex((other) => other.name === name) !== head) {
      yield { head, field: "name", message: "is another head's: give each one of its own" };
    }
    const matrices = [
      ["hidden", tokens, hidden],
      ["hidden", vocab, hidden],
      ["vocab", tokens, vocab],
    ] as const;
    for (const [field, rows, columns] of matrices) {
      if (rows * columns * 4 <= Number.MAX_SAFE_INTEGER) continue;
      yield {
        head,
        field,
        message:
          `makes a matrix of ${rows} x ${columns} elements, past the 2^53 bytes that can be counted exactly`,
      };
    }
  }
}

function* fusionFaults({ heads, fusion, ...task }: Problem): Generator<Fault> {
  if (!fusion) return;
  const fault = (message: string): Fault => ({ field: "fusion", message });
  if (heads.length !== 3) {
    yield fault(`needs three heads, large, expert and base, and there are ${heads.length}`);
  }
  if (task.pass === "train") yield fault("is for generation: it has no gradients");
  if (task.objective !== "cross-entropy") {
    yield fault(`has the cross-entropy of what is fused alone, not ${task.objective}`);
  }
  if (task.labelSmoothing > 0) yield fault("cannot be smoothed: labelSmoothing must be 0");
  if (task.topK > 0) yield fault("has no lists of ids yet: topK must be 0");
  if (task.statistics.includes("entropy")) yield fault("has no entropy: leave it out");
}

function* distillFaults({ heads, fusion, distill, ...task }: Problem): Generator<Fault> {
  if (distill === undefined) return;
  const fault = (message: string): Fault => ({ field: "distill", message });
  if (fusion) yield fault("cannot be of heads that are fused: leave one out");
  if (heads.length !== 2) {
    yield fault(`needs two heads, a student and a teacher, and there are ${heads.length}`);
  }
  if (heads[1]?.frozen === false) {
    yield fault("has gradients of the student alone: the teacher must be frozen");
  }
  if (heads.some(({ adapter }) => adapter !== undefined)) yield fault("cannot have an adapter yet");
  if (task.topK > 0) yield fault("cannot have lists of the most likely ids yet: topK must be 0");
  if (distill.weight === 0) yield fault("has a weight of 0, which leaves nothing to learn");
  if (task.objective !== "cross-entropy") {
    yield fault(`cannot be part of the objective ${task.objective}, which has no loss of its own`);
  }
  if (task.gradientFilter !== 0) {
    yield fault("cannot be filtered: a logit's gradient goes by the teacher as well");
  }
  if (distill.ceWeight > 0) return;
  const idle = {
    labelSmoothing: task.labelSmoothing > 0,
    zLoss: task.zLoss > 0,
    classWeight: task.classWeight,
  };
  for (const [field, given] of Object.entries(idle)) {
    if (!given) continue;
    yield { field, message: "is part of the cross-entropy, whose ceWeight beside distill is 0" };
  }
}

/** Returns the input with its teacher frozen, unless it says itself whether it is. */
function withFrozenTeacher(input: HeadsProblemInput): HeadsProblemInput {
  const { heads, distill } = input;
  if (distill === undefined || !Array.isArray(heads)) return input;
  const [student, teacher, ...others] = heads as HeadInput[];
  if (typeof teacher !== "object" || teacher === null) return input;
  return { ...input, heads: [student!, { frozen: true, ...teacher }, ...others] };
}

/** A problem from the one-headed form. */
function fromFlat(
  { hidden, vocab, dtype, bias, logitScale, softcap, ...task }: FlatProblem,
): Problem {
  const logits = { bias, logitScale, ...(softcap === undefined ? {} : { softcap }) };
  const head = { name: ONLY_HEAD, hidden, vocab, dtype, ...logits, frozen: false };
  return { heads: [head], fusion: false, ...task };
}

/**
 * Schema of a {@linkcode Problem}: takes one head's settings beside the others, or a
 * list of heads; fills in defaults, rejects unknown fields.
 */
export const problemSchema: z.ZodMiniType<Problem, ProblemInput> = z.pipe(
  z.custom<ProblemInput>(),
  z.transform((input: ProblemInput, context) => {
    const listed = typeof input === "object" && input !== null && "heads" in input;
    const schema = listed ? headsSchema : flatSchema;
    const given = listed ? withFrozenTeacher(input as HeadsProblemInput) : input;
    const parsed = z.safeParse<typeof headsSchema | typeof flatSchema>(schema, given, WORDING);
    if (!parsed.success) {
      context.issues.push(...parsed.error.issues as z.core.$ZodRawIssue[]);
      return z.NEVER;
    }
    const problem = "heads" in parsed.data ? parsed.data : fromFlat(parsed.data);
    for (const { head, field, message } of faultsOf(problem)) {
      const path = listed && head !== undefined ? ["heads", head, field] : [field];
      context.issues.push({ code: "custom", path, message, input });
    }
    return problem;
  }),
);

/** What is wrong in our own words: those of the library would be in every bundle. */
const WORDING = {
  error: (issue: z.core.$ZodRawIssue) => issueText(issue as z.core.$ZodIssue),
};

/**
 * Fills in the defaults of a problem and checks every field.
 *
 * @example One head
 * ```ts
 * import assert from "node:assert/strict";
 * const problem = parseProblem({ hidden: 2304, vocab: 256000 });
 * assert.equal(problem.tokens, 8192);
 * assert.equal(headOf(problem).dtype, "f32");
 * ```
 *
 * @example Several heads
 * ```ts
 * import assert from "node:assert/strict";
 * const heads = [
 *   { name: "student", hidden: 768, vocab: 32000 },
 *   { name: "teacher", hidden: 4096, vocab: 32000, frozen: true },
 * ];
 * const problem = parseProblem({ heads, pass: "train" });
 * assert(!wantedGradients(problem, problem.heads[1]).has("weight"));
 * ```
 *
 * @throws {z.ZodError} naming each field that is missing, unknown or out of range.
 */
export function parseProblem(input: ProblemInput): Problem {
  return problemSchema.parse(input);
}

/**
 * A problem has several heads where one alone can be served.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
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
 * A problem in the plain form of one head, which {@linkcode parseProblem} takes.
 *
 * @throws {SeveralHeadsError} where there are several.
 */
export function flatProblem(problem: Problem): FlatProblem {
  const { heads: _, ...task } = problem;
  const flat: Record<string, unknown> = { ...task, ...headOf(problem) };
  return Object.fromEntries(
    Object.keys(problemShape).filter((name) => name in flat).map((name) => [name, flat[name]]),
  ) as unknown as FlatProblem;
}

/** A problem as JSON has it, and {@linkcode parseProblem} takes it: plain wherever that says it all. */
export function problemJson(problem: Problem): FlatProblem | Problem {
  const [head, ...others] = problem.heads;
  const plain = head!.name === ONLY_HEAD && !head!.frozen && head!.adapter === undefined;
  return others.length > 0 || !plain ? problem : flatProblem(problem);
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

/** The dimensions of a problem with one head. */
export function dimensionsOf(problem: Problem): Dimensions {
  const { hidden, vocab } = headOf(problem);
  return { tokens: problem.tokens, hidden, vocab };
}

/** The same problem with one head in other dimensions. */
export function resized(problem: Problem, dimensions: Loose<Dimensions>): Problem {
  const head = headOf(problem);
  const { tokens = problem.tokens, hidden = head.hidden, vocab = head.vocab } = dimensions;
  return { ...problem, tokens, heads: [{ ...head, hidden, vocab }] };
}

/**
 * The gradients of a head that a problem asks for: none in a forward pass, by
 * default all that exist in training. A frozen head has that of the hidden states alone,
 * a teacher none.
 */
export function wantedGradients(
  problem: Problem,
  { name, bias, frozen }: Head = headOf(problem),
): ReadonlySet<typeof GRADIENTS[number]> {
  const { pass, distill, heads, gradients = GRADIENTS } = problem;
  if (pass === "forward" || (distill && name !== heads[0]!.name)) return new Set();
  const exists = { hidden: true, weight: !frozen, bias: bias && !frozen };
  return new Set(gradients.filter((name) => exists[name]));
}

/**
 * The threshold below which a tile's logit gradients count as zero; 0 for exact
 * gradients. `auto` is the storage type's machine epsilon over 32, as in Cut
 * Cross-Entropy (arXiv 2411.09009): what is smaller would not have changed a
 * gradient accumulated in that type.
 */
export function filterThreshold(problem: Problem): number {
  const { gradientFilter } = problem;
  return gradientFilter === "auto" ? EPSILON[headOf(problem).dtype] / 32 : gradientFilter;
}

/** Bytes that `[tokens, vocab]` logits take in f32: what the whole project avoids. */
export function logitsBytes({ tokens, vocab }: Pick<Dimensions, "tokens" | "vocab">): number {
  return bytesPerElement(ACCUMULATED) * tokens * vocab;
}

/** Bytes of hidden states, weight and the gradients asked for: what every strategy is given. */
export function ownedBytes(problem: Problem): number {
  const { tokens, heads } = problem;
  return heads.reduce((sum, head) => {
    const { vocab, hidden, dtype } = head;
    const wanted = wantedGradients(problem, head);
    const [element, gradient] = [bytesPerElement(dtype), bytesPerElement(ACCUMULATED)];
    const trained = (wanted.has("hidden") ? tokens : 0) + (wanted.has("weight") ? vocab : 0);
    return sum + (tokens + vocab) * hidden * element + trained * trainedColumns(head) * gradient;
  }, 0);
}

/** FLOPs of one pass over all logits, `2 N D V`. */
export function projectionFlops({ tokens, hidden, vocab }: Dimensions): number {
  return 2 * tokens * hidden * vocab;
}

export type { Dtype };

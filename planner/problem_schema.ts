/**
 * A problem as it is written by hand, and how it is checked: the settings of heads, of a
 * distillation and of a task, each with its meaning, range and default. Flags, plan files and
 * their JSON Schema follow from these.
 *
 * Schemas are made when they are first asked for, so that a bundle of a program that checks no
 * problem has nothing of zod.
 *
 * @module
 */
import * as z from "zod/mini";
import { DTYPES } from "./dtype.ts";
import { type Distill, type DistillInput, DIVERGENCES, withoutEnds } from "./heads/distill.ts";
import { type Head, type HeadInput, MAX_DIMENSION, ONLY_HEAD } from "./heads/head.ts";
import { issueText } from "./issues.ts";
import {
  EXTRA_STATISTICS,
  type FlatProblem,
  type FlatProblemInput,
  GRADIENTS,
  headOf,
  type HeadsProblemInput,
  MAX_TOP_K,
  OBJECTIVES,
  PASSES,
  type Problem,
  type ProblemInput,
  REDUCTIONS,
} from "./problem.ts";
import { faultsOf } from "./problem_faults.ts";
import type { Same } from "./same.ts";
import { described, optional, setting } from "./setting.ts";

/** Checks a number of rows or columns. */
const dimension = (what: string): z.ZodMiniType<number, number> =>
  described(what, z.int().check(z.minimum(1), z.maximum(MAX_DIMENSION)));

/** The settings of a head that a problem with one head has for its own, each with its default. */
const headShape = () => ({
  hidden: dimension("the inner dimension that hidden states and weight share"),
  vocab: dimension("rows of the weight (the output embedding), padding included"),
  dtype: setting("storage type of hidden states and weight", z.enum(DTYPES), "f32"),
  bias: setting("add a bias per vocabulary entry to the logits", z.boolean(), false),
  logitScale: setting(
    "multiplies the logits, before the softcap",
    z.number().check(z.refine((scale) => scale !== 0, "must not be 0")),
    1,
  ),
  softcap: optional("logits become softcap * tanh(z / softcap)", z.number().check(z.positive())),
});

/** Schema of a {@linkcode Head}: fills in defaults, rejects unknown fields. */
const headSchema = () =>
  z.strictObject({
    name: setting(
      "unique among the heads",
      z.string().check(z.regex(/^[a-z][a-z0-9_]*$/, "must be of small letters, digits and _")),
      ONLY_HEAD,
    ),
    ...headShape(),
    frozen: setting("whether weight and bias are constants", z.boolean(), false),
    adapter: optional(
      "first columns of hidden states and weight, which alone have gradients",
      dimension("columns of an adapter"),
    ),
  });
true satisfies Same<z.output<ReturnType<typeof headSchema>>, Head>;
true satisfies Same<z.input<ReturnType<typeof headSchema>>, HeadInput>;

// Logits of 1e30 and less, divided by it, stay finite.
const temperature = () => z.number().check(z.minimum(1e-3), z.maximum(1e6));

const weight = () => z.number().check(z.nonnegative());

/** Schema of a {@linkcode Distill}: fills in defaults, rejects unknown fields. */
const distillSchema = () =>
  z.strictObject({
    divergence: z.enum(DIVERGENCES),
    beta: optional(
      "what the teacher counts in the mixture of jsd, whose ends are forward-kl and reverse-kl (default: 0.5)",
      z.number().check(z.minimum(0), z.maximum(1)),
    ),
    temperature: setting(
      "divides the logits of student and teacher in the divergence",
      temperature(),
      1,
    ),
    listed: optional(
      "the teacher is known by the log-probabilities of so many ids of each token, and has no head",
      dimension("listed ids"),
    ),
    weight: setting("what the divergence counts in the loss", weight(), 1),
    ceWeight: setting("what the student's cross-entropy counts in the loss", weight(), 0),
  });
true satisfies Same<z.output<ReturnType<typeof distillSchema>>, Distill>;
true satisfies Same<z.input<ReturnType<typeof distillSchema>>, DistillInput>;

/** What is asked of heads, however many. */
const taskShape = () => ({
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
    "extra results per token: entropy of the softmax, most likely id, the sum of squares of the softmax",
    z.array(z.enum(EXTRA_STATISTICS)),
    [],
  ),
  topK: setting(
    `most likely ids per token, with their log-probabilities, up to ${MAX_TOP_K}`,
    z.int().check(z.minimum(0), z.maximum(MAX_TOP_K)),
    0,
  ),
  sampleTemperature: optional(
    "draw an id of each token from the softmax at this temperature",
    temperature(),
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
  subTokens: optional(
    "the weight's gradient is not exact but of rank one in so many sub-tokens of each hidden state (VeLoRA)",
    dimension("sub-tokens of a hidden state"),
  ),
  subTokenScale: optional(
    "what a weight gradient of rank one in sub-tokens is multiplied by (default: 1)",
    z.number().check(z.refine((scale) => scale !== 0, "must not be 0")),
  ),
  sampledTokens: optional(
    "the weight's gradient is not exact but estimated from so many tokens (WTA-CRS)",
    dimension("tokens of a sample"),
  ),
});

/** Returns the fields of a problem with one head, each with its default, in the order they are listed. */
export function problemShape() {
  const { tokens, pass, objective, reduction, ignoreIndex, ...task } = taskShape();
  const { hidden, vocab, dtype, bias, ...logits } = headShape();
  const { classWeight, labelSmoothing, zLoss, ...results } = task;
  return {
    ...{ tokens, hidden, vocab, dtype, pass, objective, reduction, ignoreIndex },
    ...{ bias, classWeight, labelSmoothing, zLoss, ...logits, ...results },
  };
}

const flatSchema = () => z.strictObject(problemShape());
true satisfies Same<z.output<ReturnType<typeof flatSchema>>, FlatProblem>;
true satisfies Same<z.input<ReturnType<typeof flatSchema>>, Omit<FlatProblemInput, "heads">>;

const headsSchema = () =>
  z.strictObject({
    heads: z.array(headSchema()).check(z.minLength(1)),
    fusion: setting(
      "guide the first head by what the second has over the third",
      z.boolean(),
      false,
    ),
    distill: optional("how the first head learns from the second", distillSchema()),
    ...taskShape(),
  });
true satisfies Same<z.output<ReturnType<typeof headsSchema>>, Problem>;
true satisfies Same<z.input<ReturnType<typeof headsSchema>>, HeadsProblemInput>;

/** Returns the input with its teacher frozen, unless it says itself whether it is. */
function withFrozenTeacher(input: HeadsProblemInput): HeadsProblemInput {
  const { heads, distill } = input;
  if (distill === undefined || !Array.isArray(heads)) return input;
  const [student, teacher, ...others] = heads as HeadInput[];
  if (typeof teacher !== "object" || teacher === null) return input;
  return { ...input, heads: [student!, { frozen: true, ...teacher }, ...others] };
}

/** Returns a problem from the one-headed form. */
function fromFlat(
  { hidden, vocab, dtype, bias, logitScale, softcap, ...task }: FlatProblem,
): Problem {
  const logits = { bias, logitScale, ...(softcap === undefined ? {} : { softcap }) };
  const head = { name: ONLY_HEAD, hidden, vocab, dtype, ...logits, frozen: false };
  return { heads: [head], fusion: false, ...task };
}

/**
 * Returns the schema of a {@linkcode Problem}: it takes one head's settings beside the others, or
 * a list of heads; fills in defaults, rejects unknown fields.
 */
export function problemSchema(): z.ZodMiniType<Problem, ProblemInput> {
  return schema ??= made();
}

let schema: z.ZodMiniType<Problem, ProblemInput> | undefined;

function made(): z.ZodMiniType<Problem, ProblemInput> {
  const [ofHeads, flat] = [headsSchema(), flatSchema()];
  return z.pipe(
    z.custom<ProblemInput>(),
    z.transform((input: ProblemInput, context) => {
      const listed = typeof input === "object" && input !== null && "heads" in input;
      const given = listed ? withFrozenTeacher(input as HeadsProblemInput) : input;
      const parsed = z.safeParse<typeof ofHeads | typeof flat>(
        listed ? ofHeads : flat,
        given,
        WORDING,
      );
      if (!parsed.success) {
        context.issues.push(...parsed.error.issues as z.core.$ZodRawIssue[]);
        return z.NEVER;
      }
      const whole = "heads" in parsed.data ? parsed.data : fromFlat(parsed.data);
      const { distill } = whole;
      const problem = distill ? { ...whole, distill: withoutEnds(distill) } : whole;
      for (const { head, field, message } of faultsOf(problem)) {
        const path = listed && head !== undefined ? ["heads", head, field] : [field];
        context.issues.push({ code: "custom", path, message, input });
      }
      return problem;
    }),
  );
}

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
 * import { headOf } from "@lce/lce";
 * const problem = parseProblem({ hidden: 2304, vocab: 256000 });
 * assert.equal(problem.tokens, 8192);
 * assert.equal(headOf(problem).dtype, "f32");
 * ```
 *
 * @example Several heads
 * ```ts
 * import assert from "node:assert/strict";
 * import { wantedGradients } from "./problem.ts";
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
  return problemSchema().parse(input);
}

/**
 * Returns a problem in the plain form of one head, which {@linkcode parseProblem} takes.
 *
 * @throws {SeveralHeadsError} where there are several.
 */
export function flatProblem(problem: Problem): FlatProblem {
  const { heads: _, ...task } = problem;
  const flat: Record<string, unknown> = { ...task, ...headOf(problem) };
  return Object.fromEntries(
    Object.keys(problemShape()).filter((name) => name in flat).map((name) => [name, flat[name]]),
  ) as unknown as FlatProblem;
}

/**
 * Returns a problem as JSON has it, and {@linkcode parseProblem} takes it: plain wherever that says
 * it all.
 */
export function problemJson(problem: Problem): FlatProblem | Problem {
  const [head, ...others] = problem.heads;
  const plain = head!.name === ONLY_HEAD && !head!.frozen && head!.adapter === undefined &&
    problem.distill === undefined;
  return others.length > 0 || !plain ? problem : flatProblem(problem);
}

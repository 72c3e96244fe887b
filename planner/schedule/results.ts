/**
 * The arrays that a job results in, in one table: by the name that programs give
 * them, and in which tensor, and which row of it, each lies. Reading results, putting
 * those of ranks together, files of expected ones and checks go by it.
 *
 * @module
 */
import { type Problem, trainedColumns, weightColumns } from "../problem.ts";
import type { TokenResult } from "./layout.ts";
import { type Resulting, type Rounding, type Statistic, STATISTICS } from "./statistics.ts";
import { type GradientKey, tensorOf } from "./tensors.ts";

/** Where an array lies, and what it holds. */
export type ResultLayout =
  | {
    readonly tensor: "tokens";
    readonly row: TokenResult;
    readonly type: "f32" | "u32";
    /** Whether a token has a list of them, and not one. */
    readonly list: boolean;
    /** What a comparison with the reference allows for; none where the reference does not have it. */
    readonly rounding: Rounding | undefined;
  }
  | {
    readonly tensor: GradientKey;
    readonly type: "f32";
    /** Index of the head whose it is, where that is not the first. */
    readonly head?: number;
  };

/** The arrays of what follows from statistics, as the table of those has them. */
type OfStatistics = {
  readonly [
    Each in Extract<Resulting, { readonly result: { readonly name: string } }> as Each["result"][
      "name"
    ]
  ]: {
    readonly tensor: "tokens";
    readonly row: Each["result"]["row"];
    readonly type: Each["type"];
    readonly list: boolean;
    readonly rounding: Each["result"] extends { readonly rounding: Rounding }
      ? Each["result"]["rounding"]
      : undefined;
  };
};

const OF_STATISTICS = Object.fromEntries(
  STATISTICS.flatMap(({ type, result, length }: Statistic) =>
    result?.name === undefined ? [] : [[result.name, {
      tensor: "tokens",
      row: result.row,
      type,
      list: length !== undefined,
      rounding: result.rounding,
    }]]
  ),
) as OfStatistics;

/** The table. */
export const RESULTS = {
  perToken: { tensor: "tokens", row: "loss", type: "f32", list: false, rounding: "loss" },
  ...OF_STATISTICS,
  gradHidden: { tensor: "grad_hidden", type: "f32" },
  gradWeight: { tensor: "grad_weight", type: "f32" },
  gradBias: { tensor: "grad_bias", type: "f32" },
  gradTeacherHidden: { tensor: "grad_hidden", type: "f32", head: 1 },
  gradTeacherWeight: { tensor: "grad_weight", type: "f32", head: 1 },
  gradTeacherBias: { tensor: "grad_bias", type: "f32", head: 1 },
} as const satisfies Readonly<Record<string, ResultLayout>>;

/** Name of an array of results. */
export type ResultName = keyof typeof RESULTS;

/** Names of the arrays of which something holds. */
type NamesWith<Kind> = {
  [Name in ResultName]: typeof RESULTS[Name] extends Kind ? Name : never;
}[ResultName];

/** Names of the arrays that hold a number, or a list of them, per token. */
export type TokenResultName = NamesWith<{ readonly tensor: "tokens" }>;
/** Names of those that the reference has as well, in f32. */
export type CheckedNumberName = NamesWith<{ readonly rounding: Rounding; readonly type: "f32" }>;
/** Names of those that the reference has as well, in ids of the vocabulary. */
export type CheckedIdName = NamesWith<{ readonly rounding: Rounding; readonly type: "u32" }>;
/** Names of the gradients. */
export type GradientName = Exclude<ResultName, TokenResultName>;

/** Arrays of results: `Ids` where they hold ids of the vocabulary, else `Numbers`. */
export type ResultArrays<Numbers, Ids, Name extends ResultName = ResultName> = {
  readonly [Each in Name]?: typeof RESULTS[Each]["type"] extends "u32" ? Ids : Numbers;
};

/** Names of all arrays, in the order of the table. */
export const RESULT_NAMES = Object.keys(RESULTS) as readonly ResultName[];

/** Names of the arrays that hold a number, or a list of them, per token. */
export const TOKEN_RESULTS = RESULT_NAMES.filter((name) =>
  RESULTS[name].tensor === "tokens"
) as readonly TokenResultName[];

/** Names of those that the reference has as well, in f32. */
export const CHECKED_NUMBERS = checked("f32") as readonly CheckedNumberName[];

/** Names of those that the reference has as well, in ids of the vocabulary. */
export const CHECKED_IDS = checked("u32") as readonly CheckedIdName[];

function checked(type: "f32" | "u32"): TokenResultName[] {
  return TOKEN_RESULTS.filter((name) => RESULTS[name].type === type && RESULTS[name].rounding);
}

/** Names of the gradients. */
export const GRADIENT_NAMES = RESULT_NAMES.filter((name) =>
  RESULTS[name].tensor !== "tokens"
) as readonly GradientName[];

/** Returns what the first dimension of an array counts: ranks have parts of it by that. */
export function axisOf(name: ResultName): "tokens" | "vocab" {
  const { tensor } = RESULTS[name];
  return tensor === "tokens" ? "tokens" : tensorOf(tensor).axis!;
}

/** Returns the index of the head that a gradient is of. */
export function headIn(name: GradientName): number {
  const { head = 0 }: ResultLayout & { readonly head?: number } = RESULTS[name];
  return head;
}

/** Returns the elements of a row of a gradient. */
export function gradientWidth(problem: Problem, name: GradientName): number {
  const head = problem.heads[headIn(name)]!;
  return {
    hidden: trainedColumns(head),
    weight: weightColumns(problem, head),
    bias: 1,
  }[gradientOf(name)];
}

/** Returns which gradient an array is: of the hidden states, the weight or the bias. */
export function gradientOf(name: GradientName): "hidden" | "weight" | "bias" {
  return RESULTS[name].tensor.slice("grad_".length) as "hidden" | "weight" | "bias";
}

/**
 * A head: one output layer, that is hidden states of one width, the weight they
 * are multiplied with and what becomes of the logits.
 *
 * @module
 */
import * as z from "zod/mini";
import { type Dtype, DTYPES } from "../dtype.ts";
import type { Loose, Same } from "../same.ts";
import { described, optional, setting } from "../setting.ts";

/** Largest dimension: WGSL and the targets hold token and vocabulary ids in 32-bit signed integers. */
export const MAX_DIMENSION = 2 ** 31 - 1;

/** Checks a number of rows or columns. */
export const dimension = (what: string): z.ZodMiniType<number, number> =>
  described(what, z.int().check(z.minimum(1), z.maximum(MAX_DIMENSION)));

/** One output layer of a problem. */
export interface Head {
  /** Unique among the heads of a problem. */
  readonly name: string;
  /** Width of the hidden states: the inner dimension that they share with the weight. */
  readonly hidden: number;
  /** Rows of the weight (the output embedding), padding included. */
  readonly vocab: number;
  /** Storage type of hidden states and weight. */
  readonly dtype: Dtype;
  /** Whether a bias per vocabulary entry is added to the logits. */
  readonly bias: boolean;
  /** Multiplies the logits, before the softcap; never 0. */
  readonly logitScale: number;
  /** Logits become `softcap * tanh(z / softcap)`; as they are where there is none. */
  readonly softcap?: number | undefined;
  /** Whether weight and bias are constants: then they have no gradients. */
  readonly frozen: boolean;
  /**
   * Columns at the beginning of hidden states and weight that are a low-rank adapter's, where there
   * is one: gradients are of these alone.
   */
  readonly adapter?: number | undefined;
}

/** Returns the columns of a head's hidden states and weight that have gradients: the first so many. */
export function trainedColumns({ hidden, adapter = hidden }: Head): number {
  return adapter;
}

/** A head as written by hand: whatever is left out takes its default. */
export interface HeadInput extends Loose<Omit<Head, "hidden" | "vocab">> {
  /** As in {@linkcode Head}. */
  readonly hidden: number;
  /** As in {@linkcode Head}. */
  readonly vocab: number;
}

/** The name of a head that is the only one. */
export const ONLY_HEAD = "head";

/** The settings of a head that a problem with one head has for its own, each with its default. */
export const headShape = {
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
};

/** Schema of a {@linkcode Head}: fills in defaults, rejects unknown fields. */
export const headSchema = z.strictObject({
  name: setting(
    "unique among the heads",
    z.string().check(z.regex(/^[a-z][a-z0-9_]*$/, "must be of small letters, digits and _")),
    ONLY_HEAD,
  ),
  ...headShape,
  frozen: setting("whether weight and bias are constants", z.boolean(), false),
  adapter: optional(
    "first columns of hidden states and weight, which alone have gradients",
    dimension("columns of an adapter"),
  ),
});
true satisfies Same<z.output<typeof headSchema>, Head>;
true satisfies Same<z.input<typeof headSchema>, HeadInput>;

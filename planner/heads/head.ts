/**
 * A head: one output layer, that is hidden states of one width, the weight they
 * are multiplied with and what becomes of the logits.
 *
 * @module
 */
import type { Dtype } from "../dtype.ts";
import type { Loose } from "../same.ts";

/** Largest dimension: WGSL and the targets hold token and vocabulary ids in 32-bit signed integers. */
export const MAX_DIMENSION = 2 ** 31 - 1;

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

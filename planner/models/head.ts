/**
 * A model's output layer: the part of a model that a plan is about.
 *
 * @module
 */
import type { Dtype } from "../dtype.ts";
import type { ProblemInput } from "../problem.ts";

/** Shape and logit settings of an output layer. What nobody states is left out, never guessed. */
export interface OutputHead {
  /** Rows of the weight, padding included. */
  readonly vocab: number;
  /** Width of the hidden states. */
  readonly hidden: number;
  /** Logits become `softcap * tanh(z / softcap)`. */
  readonly softcap?: number;
  /** Multiplies the logits, before the softcap. */
  readonly logitScale?: number;
  /** Whether a bias is added per vocabulary entry. */
  readonly bias?: boolean;
  /** Type that the weight is published in. */
  readonly dtype?: Dtype;
  /** Whether the weight is the input embedding as well. */
  readonly tied?: boolean;
  /** Ids that the tokenizer has; rows from here on are padding or reserved. */
  readonly tokenizer?: number;
}

/** The settings of a head that a problem needs, by the problem's names. */
const SETTINGS = ["hidden", "vocab", "dtype", "softcap", "logitScale", "bias"] as const;

/** Returns what a head says of a problem; what it leaves out keeps the problem's default. */
export function headSettings(head: OutputHead): Partial<ProblemInput> {
  return Object.fromEntries(
    SETTINGS.filter((name) => head[name] !== undefined).map((name) => [name, head[name]]),
  );
}

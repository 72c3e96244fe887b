/**
 * The arrays that an output layer can allocate, by their shape. Every model of a
 * published method is a sum of these, so no formula is written twice; each size
 * keeps its symbols, so the formulas that people read are derived from the same
 * numbers.
 *
 * @module
 */
import { bytesPerElement } from "../dtype.ts";
import { learnerOf, type Problem, wantedGradients } from "../problem.ts";

/** Bytes of an array, and how to write them in symbols. */
export interface Size {
  /** Bytes of one element. */
  readonly each: number;
  /** Number of elements. */
  readonly count: number;
  /** Number of elements in symbols: `NV` for tokens times vocabulary. */
  readonly symbol: string;
}

/** The arrays of one problem. Each takes the bytes of an element, by default those of the storage type. */
export interface Sizes {
  /** Bytes of a stored element. */
  readonly stored: 2 | 4;
  /** Returns all logits or a like array, `[tokens, vocab]`. */
  logits(each?: number): Size;
  /** Returns logits of `rows` tokens, called C: `[C, vocab]`. */
  logitRows(rows: number, each?: number): Size;
  /** Returns logits of a fixed number of vocabulary ids, `[tokens, columns]`. */
  logitColumns(columns: number, each?: number): Size;
  /** Returns something like the hidden states, `[tokens, hidden]`. */
  hidden(each?: number): Size;
  /** Returns the hidden states of `rows` tokens, called C: `[C, hidden]`. */
  hiddenRows(rows: number, each?: number): Size;
  /** Returns something like the weight, `[vocab, hidden]`. */
  weight(each?: number): Size;
  /** Returns something for each token. */
  tokens(each: number): Size;
  /** Returns something for each vocabulary id. */
  vocab(each: number): Size;
  /** Returns the gradient of the hidden states, where it is wanted. */
  hiddenGradient(each?: number): Size | undefined;
  /** Returns the gradient of the weight, where it is wanted. */
  weightGradient(each?: number): Size | undefined;
  /** Returns the gradient of the bias, where there is one and its gradient is wanted. */
  biasGradient(each?: number): Size | undefined;
}

/** Returns the arrays of a problem. Which gradients are wanted does not depend on its pass. */
export function sizes(problem: Problem): Sizes {
  const { tokens: N } = problem;
  const { hidden: D, vocab: V, dtype } = learnerOf(problem);
  const stored = bytesPerElement(dtype);
  const wanted = wantedGradients({ ...problem, pass: "train" });
  const hidden = (each: number = stored): Size => ({ each, count: N * D, symbol: "ND" });
  const weight = (each: number = stored): Size => ({ each, count: V * D, symbol: "VD" });
  const vocab = (each: number): Size => ({ each, count: V, symbol: "V" });
  return {
    stored,
    logits: (each = stored) => ({ each, count: N * V, symbol: "NV" }),
    logitRows: (rows, each = stored) => ({ each, count: rows * V, symbol: "CV" }),
    logitColumns: (columns, each = stored) => ({ each: each * columns, count: N, symbol: "N" }),
    hidden,
    hiddenRows: (rows, each = stored) => ({ each, count: rows * D, symbol: "CD" }),
    weight,
    tokens: (each) => ({ each, count: N, symbol: "N" }),
    vocab,
    hiddenGradient: (each) => wanted.has("hidden") ? hidden(each) : undefined,
    weightGradient: (each) => wanted.has("weight") ? weight(each) : undefined,
    biasGradient: (each = stored) => wanted.has("bias") ? vocab(each) : undefined,
  };
}

/**
 * Returns gradients in the storage type, by name, as methods return them. Some compute the hidden
 * gradient whether or not it is wanted.
 */
export function returnedGradients(
  problem: Problem,
  hidden: "if wanted" | "always" = "if wanted",
): Record<string, Size | undefined> {
  const size = sizes(problem);
  return {
    "hidden gradient": hidden === "always" ? size.hidden() : size.hiddenGradient(),
    "weight gradient": size.weightGradient(),
    "bias gradient": size.biasGradient(),
  };
}

/** Returns the bytes of a size. */
export function bytesOf({ each, count }: Size): number {
  return each * count;
}

/**
 * Returns sizes added up in symbols, largest first.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * const weight = { count: 50, symbol: "VD" };
 * const sizes = [{ each: 8, count: 3, symbol: "N" }, { each: 2, ...weight }, { each: 4, ...weight }];
 * assert.equal(formula(sizes), "6VD + 8N");
 * ```
 */
export function formula(sizes: readonly Size[]): string {
  const terms = new Map<string, { each: number; bytes: number }>();
  for (const size of sizes) {
    const { each, bytes } = terms.get(size.symbol) ?? { each: 0, bytes: 0 };
    terms.set(size.symbol, { each: each + size.each, bytes: bytes + bytesOf(size) });
  }
  return [...terms].sort(([, a], [, b]) => b.bytes - a.bytes)
    .map(([symbol, { each }]) => `${each}${symbol}`).join(" + ");
}

/** Returns the smallest power of two that is at least `value`. */
export function nextPowerOfTwo(value: number): number {
  return 2 ** Math.ceil(Math.log2(value));
}

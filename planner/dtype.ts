/**
 * Storage types of hidden states and weights. Arithmetic is f32 in all of them, but
 * for products of halves in subgroup matrices. WGSL has no bf16, so 16-bit elements
 * travel as packed `u32` words, and no device feature is needed to read either.
 *
 * @module
 */

/**
 * Every storage type, by the name used in flags, files and messages.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * assert(DTYPES.includes("bf16"));
 * ```
 */
export const DTYPES = ["f32", "f16", "bf16"] as const;

/** How an element of the hidden states and of the weight is stored. */
export type Dtype = typeof DTYPES[number];

/** The type of arithmetic, of gradients and of every sum, whatever is stored. */
export const ACCUMULATED = "f32" satisfies Dtype;

/** Returns the bytes of one stored element. */
export function bytesPerElement(dtype: Dtype): 2 | 4 {
  return dtype === "f32" ? 4 : 2;
}

/** Machine epsilons of the storage types: from 1 to the next number. */
export const EPSILON: Readonly<Record<Dtype, number>> = {
  f32: 2 ** -23,
  f16: 2 ** -10,
  bf16: 2 ** -7,
};

/** The largest f32. */
export const LARGEST_F32: number = (2 - EPSILON.f32) * 2 ** 127;

/** The smallest normal f32: devices may flush what is smaller to zero. */
export const SMALLEST_NORMAL_F32: number = 2 ** -126;

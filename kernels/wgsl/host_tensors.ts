/**
 * What the host's tensors of a schedule hold: types, shapes and names of rows, for
 * hosts that have nothing but a manifest to go by.
 *
 * @module
 */
import { headOf, type Problem } from "../../planner/problem.ts";
import { tokenResults, tokenStride, TOTALS, upstreamRows } from "../../planner/schedule/layout.ts";
import { TILE } from "./logit.ts";

/** A tensor of the host. Elements lie in row-major order, without padding but that of the shape. */
export interface HostTensor {
  readonly dtype: "f32" | "f16" | "bf16" | "i32" | "u32";
  readonly shape: readonly number[];
  /** What each row, or each word where there is one axis, holds. */
  readonly rows?: readonly string[];
  /** What shape and names do not say. */
  readonly note?: string;
}

/** Every tensor that a schedule for the problem may take or give, by its name in buffers. */
export function hostTensors(problem: Problem): Readonly<Record<string, HostTensor>> {
  const { tokens, ignoreIndex } = problem;
  const { hidden, vocab, dtype } = headOf(problem);
  const stride = tokenStride(problem);
  const results = tokenResults(problem);
  const upstream = upstreamRows(problem);
  const perToken = `the first ${tokens} of each row are the tokens', 0 where the target is ignored`;
  return {
    hidden: { dtype, shape: [tokens, hidden] },
    weight: { dtype, shape: [vocab, hidden] },
    targets: {
      dtype: "i32",
      shape: [tokens],
      note: `already shifted: row t of hidden predicts entry t; ${ignoreIndex} is ignored`,
    },
    bias: { dtype: "f32", shape: [vocab] },
    class_weight: { dtype: "f32", shape: [vocab] },
    upstream: {
      dtype: "f32",
      shape: [upstream.length, stride],
      rows: upstream,
      note: `gradients of what follows; the first ${tokens} of each row are the tokens'`,
    },
    loss: { dtype: "f32", shape: [1], note: "the reduced loss" },
    tokens: {
      dtype: "f32",
      shape: [results.length, stride],
      rows: results,
      note: perToken + (results.includes("predicted") ? "; the row predicted is of u32" : ""),
    },
    totals: {
      dtype: "u32",
      shape: [TOTALS.length],
      rows: TOTALS,
      note: "kept is a count of tokens; keptWeight and totalWeight are f32; badTarget is 1 + the " +
        "first token whose target is neither an id nor the ignored one, 0 where there is none",
    },
    grad_hidden: { dtype: "f32", shape: [tokens, hidden] },
    grad_weight: { dtype: "f32", shape: [vocab, hidden] },
    grad_bias: { dtype: "f32", shape: [vocab] },
  };
}

/** The record of a gradient filter, a word for each tile of logit gradients; its size is the plan's. */
export function tileFlags(bytes: number): HostTensor {
  return {
    dtype: "u32",
    shape: [bytes / 4],
    note: `${TILE.idle} where the filter left a tile out, ${TILE.busy} where it did not`,
  };
}

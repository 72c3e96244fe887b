/**
 * One token block at a time: store the block's logits, turn them into their
 * gradient in place and finish with them before the next block. No recompute,
 * `6NDV` in all, but the upstream gradient must be known in the forward pass.
 *
 * Liger's fused linear cross-entropy (arXiv 2410.10989, section 3.2) has this shape.
 *
 * @module
 */
import { clearGradients, gradients, storedLogitGradient } from "../schedule/backward.ts";
import { coefficients, merge, reduce } from "../schedule/combining.ts";
import { project, rowStatistics, selectTokens } from "../schedule/forward.ts";
import { headOf } from "../problem.ts";
import { logitBytes } from "../schedule/layout.ts";
import { largestStored, largestWindow } from "./limits.ts";
import { eighths } from "./steps.ts";
import type { Strategy } from "./strategy.ts";

/** Stores one token block's logits at a time. */
export const chunked: Strategy = {
  name: "chunked",
  summary: "stores one token block's logits at a time, no recompute",
  streams: false,
  passes: ["train"],
  baseline: false,
  mostTokens: largestStored,
  mostIds: largestWindow,
  blocks: eighths,
  windows: (most) => [most],
  stored: (problem, { block }) => logitBytes(block * headOf(problem).vocab),
  emit(draft) {
    const matrix = draft.workspace.logitMatrix(
      "logits",
      draft.shape.block,
      headOf(draft.problem).vocab,
      draft.shape.block,
    );
    const logits = { matrix, row: 0, origin: 0 };
    selectTokens(draft);
    clearGradients(draft);
    for (const block of draft.cuts.blocks) {
      for (const window of draft.cuts.windows) project(draft, block, window, logits);
      rowStatistics(draft, block, logits);
      merge(draft, block);
      coefficients(draft, block);
      for (const window of draft.cuts.windows) {
        gradients(draft, block, window, storedLogitGradient(draft, block, window, logits));
      }
    }
    reduce(draft);
  },
};

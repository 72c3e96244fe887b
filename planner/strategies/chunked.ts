/**
 * One token block at a time: store the block's logits, turn them into their
 * gradient in place and finish with them before the next block. No recompute,
 * `6NDV` in all, but the upstream gradient must be known in the forward pass.
 *
 * Liger's fused linear cross-entropy (arXiv 2410.10989, section 3.2) has this shape.
 *
 * @module
 */
import { headOf } from "../problem.ts";
import { beyondOneHead, eighths, largestStored, largestWindow, type Strategy } from "./strategy.ts";

/** Stores one token block's logits at a time. */
export const chunked: Strategy = {
  name: "chunked",
  summary: "stores one token block's logits at a time, no recompute",
  streams: false,
  unsuited: (problem) =>
    beyondOneHead(problem) ?? (problem.pass === "forward" ? "is a training strategy" : undefined),
  mostTokens: largestStored,
  mostIds: (problem, device, _, block) => largestWindow(problem, device, block),
  blocks: eighths,
  windows: (most) => [most],
  stored: (problem, { block }) => 4 * block * headOf(problem).vocab,
  emit(draft) {
    const matrix = draft.logitMatrix(
      "logits",
      draft.shape.block,
      headOf(draft.problem).vocab,
      draft.shape.block,
    );
    const logits = { matrix, row: 0, origin: 0 };
    draft.selectTokens();
    draft.clearHiddenGradient();
    for (const block of draft.blocks) {
      for (const window of draft.windowsWithin(block)) draft.project(block, window, logits);
      draft.rowStatistics(block, logits);
      draft.merge(block);
      draft.coefficients(block);
      for (const window of draft.windowsWithin(block)) {
        draft.storedLogitGradient(block, window, logits);
        draft.gradients(block, window, logits);
      }
    }
    draft.reduce();
  },
};

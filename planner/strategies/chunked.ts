/**
 * One token block at a time: store the block's logits, turn them into their
 * gradient in place and finish with them before the next block. No recompute,
 * `6NDV` in all, but the upstream gradient must be known in the forward pass.
 *
 * Liger's fused linear cross-entropy (arXiv 2410.10989, section 3.2) has this shape.
 *
 * @module
 */
import { blockGranule, Infeasible } from "./shape.ts";
import { eighths, fixedOr, largestBlock, largestWindow, type Strategy } from "./strategy.ts";

/** Stores one token block's logits at a time. */
export const chunked: Strategy = {
  name: "chunked",
  summary: "stores one token block's logits at a time, no recompute",
  streams: false,
  unsuited: ({ pass }) => pass === "forward" ? "is a training strategy" : undefined,
  *shapes(problem, device, tile, fixed) {
    if (fixed.window !== undefined && fixed.window < problem.vocab) {
      throw new Infeasible("works on the whole vocabulary, not on windows of it");
    }
    const most = largestBlock(problem, device, 4 * problem.vocab + 12);
    const granule = blockGranule(problem, device.limits);
    const candidates = eighths(most, granule);
    for (const block of fixedOr(fixed.block, most, granule, problem.tokens, "block", candidates)) {
      const window = largestWindow(problem, device, block);
      yield { strategy: "chunked", tile, block, window, splits: 1 };
    }
  },
  emit(draft) {
    const matrix = draft.logitMatrix("logits", draft.shape.block, draft.problem.vocab, 1);
    const logits = { matrix, row: 0, origin: 0 };
    draft.selectTokens();
    draft.clearHiddenGradient();
    for (const block of draft.blocks) {
      for (const window of draft.windows) draft.project(block, window, logits);
      draft.rowStatistics(block, logits);
      draft.merge(block);
      draft.coefficients(block);
      for (const window of draft.windows) {
        draft.storedLogitGradient(block, window, logits);
        draft.gradients(block, window, logits);
      }
    }
    draft.reduce();
  },
};

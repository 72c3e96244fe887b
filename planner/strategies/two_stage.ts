/**
 * Two stages, as in every framework: store all logits `[tokens, vocab]`, then
 * softmax and cross-entropy; in training turn them into their gradient in place.
 * The baseline that the others are compared with.
 *
 * @module
 */
import { logitsBytes } from "../problem.ts";
import { blockGranule, Infeasible } from "./shape.ts";
import { eighths, fixedOr, largestBlock, largestWindow, type Strategy } from "./strategy.ts";
import type { LogitMatrix } from "./workspace.ts";

/** Stores all logits. */
export const twoStage: Strategy = {
  name: "two-stage",
  summary: "stores all logits, then applies softmax and cross-entropy",
  streams: false,
  least: logitsBytes,
  unsuited: () => undefined,
  *shapes(problem, device, tile, fixed) {
    if (fixed.window !== undefined && fixed.window < problem.vocab) {
      throw new Infeasible("works on the whole vocabulary, not on windows of it");
    }
    const most = largestBlock(problem, device, 4 * problem.vocab + 12);
    const granule = blockGranule(problem, device.limits);
    // Logits are stored whole whatever the block: smaller ones only serve to fill waves.
    const blocks = [...eighths(most, granule)].filter((block) => block > most / 2);
    for (const block of fixedOr(fixed.block, most, granule, problem.tokens, "block", blocks)) {
      const window = largestWindow(problem, device, block);
      yield { strategy: "two-stage", tile, block, window, splits: 1 };
    }
  },
  emit(draft) {
    const { tokens, vocab, pass } = draft.problem;
    const matrix = draft.logitMatrix("logits", tokens, vocab, draft.shape.block);
    const stored = (row: number): LogitMatrix => ({ matrix, row, origin: 0 });
    draft.selectTokens();
    for (const block of draft.blocks) {
      for (const window of draft.windows) draft.project(block, window, stored(block.start));
    }
    for (const block of draft.blocks) {
      draft.rowStatistics(block, stored(block.start));
      draft.merge(block);
    }
    draft.reduce();
    if (pass === "forward") return;
    draft.beginBackward();
    draft.clearHiddenGradient();
    for (const block of draft.blocks) {
      draft.coefficients(block);
      for (const window of draft.windows) {
        draft.storedLogitGradient(block, window, stored(block.start));
        draft.gradients(block, window, stored(block.start));
      }
    }
  },
};

/**
 * Two stages, as in every framework: store all logits `[tokens, vocab]`, then
 * softmax and cross-entropy; in training turn them into their gradient in place.
 * The baseline that the others are compared with.
 *
 * @module
 */
import { dimensionsOf, logitsBytes } from "../problem.ts";
import { beyondOneHead, eighths, largestStored, largestWindow, type Strategy } from "./strategy.ts";
import type { LogitMatrix } from "../schedule/workspace.ts";

/** Stores all logits. */
export const twoStage: Strategy = {
  name: "two-stage",
  summary: "stores all logits, then applies softmax and cross-entropy",
  streams: false,
  unsuited: beyondOneHead,
  mostTokens: largestStored,
  mostIds: (problem, device, _, block) => largestWindow(problem, device, block),
  // Logits are stored whole whatever the block: smaller ones only serve to fill waves.
  blocks: (most, granule) => [...eighths(most, granule)].filter((block) => block > most / 2),
  windows: (most) => [most],
  stored: (problem) => logitsBytes(dimensionsOf(problem)),
  emit(draft) {
    const { pass } = draft.problem;
    const { tokens, vocab } = dimensionsOf(draft.problem);
    const matrix = draft.logitMatrix("logits", tokens, vocab, draft.shape.block);
    const stored = (row: number): LogitMatrix => ({ matrix, row, origin: 0 });
    draft.selectTokens();
    for (const block of draft.blocks) {
      for (const window of draft.windowsWithin(block)) {
        draft.project(block, window, stored(block.start));
      }
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
      for (const window of draft.windowsWithin(block)) {
        draft.storedLogitGradient(block, window, stored(block.start));
        draft.gradients(block, window, stored(block.start));
      }
    }
  },
};

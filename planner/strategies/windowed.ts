/**
 * The fused forward pass, then one window of the vocabulary at a time:
 * recompute the window's logits, store the gradient with respect to them and
 * finish with it. `8NDV` in all; what is stored never depends on the vocabulary.
 *
 * Megatron-LM's linear cross-entropy (`kDlogitsSplitN`) has this shape.
 *
 * @module
 */
import { blockGranule, Infeasible, windowGranule } from "./shape.ts";
import { streamForward } from "./fused.ts";
import {
  fixedOr,
  halvings,
  isShort,
  largestBlock,
  largestWindow,
  splitsOf,
  type Strategy,
} from "./strategy.ts";

/** Stores one window's logit gradients at a time. */
export const windowed: Strategy = {
  name: "windowed",
  summary: "recomputes logits window by window and stores one window's gradient",
  streams: true,
  unsuited: ({ pass }) => pass === "forward" ? "is a training strategy" : undefined,
  *shapes(problem, device, tile, fixed) {
    const { tokens, vocab } = problem;
    const { limits } = device;
    const mostTokens = largestBlock(problem, device);
    const step = windowGranule(problem, limits);
    const granule = blockGranule(problem, limits);
    const largest = { block: mostTokens, window: largestWindow(problem, device, mostTokens) };
    const blocks = halvings(mostTokens, granule);
    for (const block of fixedOr(fixed.block, mostTokens, granule, tokens, "block", blocks)) {
      const gradientRows = Math.floor(limits.maxStorageBufferBindingSize / (4 * block));
      const most = Math.min(
        largestWindow(problem, device, block),
        gradientRows >= vocab ? vocab : Math.floor(gradientRows / step) * step,
      );
      // A smaller block may leave room for a window that this one does not.
      const least = Math.min(fixed.window ?? step, vocab);
      if (most < least && block > granule && fixed.block === undefined) continue;
      if (most < 1) {
        throw new Infeasible(
          `the logit gradients of ${block} tokens and ${step} ids exceed maxStorageBufferBindingSize`,
        );
      }
      const windows = halvings(most, Math.max(step, Math.min(tile.cols, most)));
      for (const window of fixedOr(fixed.window, most, step, vocab, "window", windows)) {
        if (!isShort(problem, { block, window }, largest, fixed)) continue;
        yield { strategy: "windowed", tile, block, window, splits: splitsOf(window, tile) };
      }
    }
  },
  emit(draft) {
    const { block, window } = draft.shape;
    const matrix = draft.logitMatrix("logit_gradient", block, window, 1);
    draft.selectTokens();
    streamForward(draft);
    draft.reduce();
    draft.beginBackward();
    draft.clearHiddenGradient();
    for (const block of draft.blocks) draft.coefficients(block);
    for (const window of draft.windows) {
      const gradient = { matrix, row: 0, origin: window.start };
      for (const block of draft.blocks) {
        draft.logitGradient(block, window, gradient);
        draft.gradients(block, window, gradient);
      }
    }
  },
};

/**
 * The fused forward pass: logits live in registers only. Each workgroup takes
 * one tile of them, and folds an online softmax (Milakov and Gimelshein, arXiv
 * 1805.02867) into the statistics that its place in the last window left: a few
 * numbers for each token and vocabulary tile of a window.
 *
 * @module
 */
import { roundUp } from "../matrix.ts";
import type { ScheduleDraft } from "./draft.ts";
import { blockGranule, windowGranule } from "./shape.ts";
import {
  busyWindow,
  fixedOr,
  halvings,
  isShort,
  largestBlock,
  largestWindow,
  splitsOf,
  type Strategy,
} from "./strategy.ts";

/** Never stores logits. */
export const fused: Strategy = {
  name: "fused",
  summary: "keeps logits in registers and streams over the vocabulary",
  streams: true,
  unsuited: ({ pass }) => pass === "train" ? "has no backward pass of its own" : undefined,
  *shapes(problem, device, tile, fixed) {
    const { tokens, vocab } = problem;
    const mostTokens = largestBlock(problem, device);
    const granule = blockGranule(problem, device.limits);
    for (const block of fixedOr(fixed.block, mostTokens, granule, tokens, "block", [mostTokens])) {
      const most = largestWindow(problem, device, block);
      const step = windowGranule(problem, device.limits);
      const least = Math.max(step, tile.cols);
      const busy = Math.min(most, roundUp(busyWindow(device, tile, block), least));
      const windows = halvings(busy, Math.min(least, busy));
      for (const window of fixedOr(fixed.window, most, step, vocab, "window", windows)) {
        if (!isShort(problem, { block, window }, { block, window: busy }, fixed)) continue;
        yield { strategy: "fused", tile, block, window, splits: splitsOf(window, tile) };
      }
    }
  },
  emit(draft) {
    draft.selectTokens();
    streamForward(draft);
    draft.reduce();
  },
};

/** The fused forward pass over every block and window, as other strategies use it too. */
export function streamForward(draft: ScheduleDraft): void {
  // A window at a time: where the weight is streamed, it comes once.
  for (const window of draft.windows) {
    for (const block of draft.blocks) draft.forward(block, window);
  }
  for (const block of draft.blocks) draft.merge(block);
}

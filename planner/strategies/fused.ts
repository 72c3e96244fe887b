/**
 * The fused forward pass: logits live in registers only. Each workgroup streams
 * over its split of the vocabulary with an online softmax (Milakov and
 * Gimelshein, arXiv 1805.02867) and leaves a few statistics per token.
 *
 * @module
 */
import { blockGranule, type ScheduleDraft, windowGranule } from "./draft.ts";
import { fixedOr, largestBlock, largestWindow, splitsFor, type Strategy } from "./strategy.ts";

/** Never stores logits. */
export const fused: Strategy = {
  name: "fused",
  summary: "keeps logits in registers and streams over the vocabulary",
  unsuited: ({ pass }) => pass === "train" ? "has no backward pass of its own" : undefined,
  *shapes(problem, device, tile, fixed) {
    const { tokens, vocab } = problem;
    const mostTokens = largestBlock(problem, device);
    const granule = blockGranule(problem, device.limits);
    for (const block of fixedOr(fixed.block, mostTokens, granule, tokens, "block", [mostTokens])) {
      const most = largestWindow(problem, device, block);
      const step = windowGranule(problem, device.limits);
      for (const window of fixedOr(fixed.window, most, step, vocab, "window", [most])) {
        const splits = splitsFor(device, tile, block, window);
        yield { strategy: "fused", tile, block, window, splits };
        if (splits > 1) yield { strategy: "fused", tile, block, window, splits: 1 };
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
  for (const block of draft.blocks) {
    for (const window of draft.windows) draft.forward(block, window);
  }
  for (const block of draft.blocks) draft.merge(block);
}

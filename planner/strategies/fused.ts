/**
 * The fused forward pass: logits live in registers only. Each workgroup takes
 * one tile of them, and folds an online softmax (Milakov and Gimelshein, arXiv
 * 1805.02867) into the statistics that its place in the last window left: a few
 * numbers for each token and vocabulary tile of a window.
 *
 * @module
 */
import { merge, reduce } from "../schedule/combining.ts";
import { forward, prepare } from "../schedule/forward.ts";
import { roundUp } from "../schedule/matrix.ts";
import { kindOf } from "../schedule/tile.ts";
import type { ScheduleDraft } from "../schedule/draft.ts";
import { busyWindow, largestBlock, largestStreamed, statisticsBytes } from "./limits.ts";
import { halvings } from "./steps.ts";
import type { Strategy } from "./strategy.ts";

/** Never stores logits. */
export const fused: Strategy = {
  name: "fused",
  summary: "keeps logits in registers and streams over the vocabulary",
  streams: true,
  cuts: true,
  passes: ["forward"],
  baseline: false,
  mostTokens: (problem, device) => largestBlock(problem, device),
  mostIds: largestStreamed,
  blocks: (most) => [most],
  *windows(most, granule, device, tile, block) {
    const least = Math.max(granule, tile.cols);
    const busy = Math.min(most, roundUp(busyWindow(device, tile, block), least));
    yield* halvings(busy, Math.min(least, busy));
  },
  // Runs of tiles, where there are any, may be as long as the window.
  stored: (problem, { tile, window }) =>
    statisticsBytes(problem) * (kindOf(tile).runs ? 1 : Math.ceil(window / tile.cols)),
  emit: streamForward,
};

/** Emits the fused forward pass over every block and window, as other strategies use it too. */
export function streamForward(draft: ScheduleDraft): void {
  prepare(draft);
  // A window at a time: where the weight is streamed, it comes once.
  for (const window of draft.cuts.windows) {
    for (const block of draft.cuts.blocks) forward(draft, block, window);
  }
  for (const block of draft.cuts.blocks) merge(draft, block);
  reduce(draft);
}

/**
 * The fused forward pass, then one window of the vocabulary at a time:
 * recompute the window's logits, store the gradient with respect to them and
 * finish with it. `8NDV` in all; what is stored never depends on the vocabulary.
 *
 * Megatron-LM's linear cross-entropy (`kDlogitsSplitN`) has this shape.
 *
 * @module
 */
import { clearHiddenGradient, gradients, logitGradient } from "../schedule/backward.ts";
import { coefficients, reduce } from "../schedule/combining.ts";
import { selectTokens } from "../schedule/forward.ts";
import { headOf } from "../problem.ts";
import { roundUp } from "../schedule/matrix.ts";
import { Infeasible, windowGranule } from "../schedule/shape.ts";
import { streamForward } from "./fused.ts";
import {
  beyondOneHead,
  halvings,
  largestBlock,
  largestFolded,
  largestWindow,
  quarterings,
  type Strategy,
} from "./strategy.ts";

/** Stores one window's logit gradients at a time. */
export const windowed: Strategy = {
  name: "windowed",
  summary: "recomputes logits window by window and stores one window's gradient",
  streams: true,
  unsuited: (problem) =>
    beyondOneHead(problem) ?? (problem.pass === "forward" ? "is a training strategy" : undefined),
  mostTokens: (problem, device) => largestBlock(problem, device),
  mostIds(problem, device, tile, block) {
    const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
    const granule = windowGranule(problem, device.limits);
    const rows = Math.min(maxBufferSize, maxStorageBufferBindingSize) / (4 * block);
    // A row of logit gradients is padded to whole vec4s.
    const stored = rows >= roundUp(headOf(problem).vocab, 4)
      ? headOf(problem).vocab
      : Math.floor(rows / granule) * granule;
    if (stored === 0) {
      throw new Infeasible(
        `the logit gradients of ${block} tokens and ${granule} ids exceed maxStorageBufferBindingSize`,
      );
    }
    return Math.min(
      stored,
      largestWindow(problem, device, block),
      largestFolded(problem, device, tile),
    );
  },
  // Memory goes by block times window: windows are halved, blocks need not be as well.
  blocks: quarterings,
  windows: (most, granule, _, tile) => halvings(most, Math.max(granule, Math.min(tile.cols, most))),
  stored: (_, { block, window }) => 4 * block * window,
  emit(draft) {
    const { block, window } = draft.shape;
    const matrix = draft.workspace.logitMatrix("logit_gradient", block, window, block);
    selectTokens(draft);
    streamForward(draft);
    reduce(draft);
    draft.beginBackward();
    clearHiddenGradient(draft);
    for (const block of draft.cuts.blocks) coefficients(draft, block);
    for (const window of draft.cuts.windows) {
      const gradient = { matrix, row: 0, origin: window.start };
      for (const block of draft.cuts.blocksWithin(window)) {
        logitGradient(draft, block, window, gradient);
        gradients(draft, block, window, gradient);
      }
    }
  },
};

/**
 * The fused forward pass, then one window of the vocabulary at a time:
 * recompute the window's logits, store the gradient with respect to them and
 * finish with it. `8NDV` in all; what is stored never depends on the vocabulary.
 *
 * Megatron-LM's linear cross-entropy (`kDlogitsSplitN`) has this shape.
 *
 * @module
 */
import { heldBytes } from "../device.ts";
import { clearGradients, gradients, logitGradient, roundGradients } from "../schedule/backward.ts";
import { coefficients, merge, reduce } from "../schedule/combining.ts";
import {
  distillGradients,
  distillLooks,
  distillStatistics,
  learnsAtOnce,
  projectAgain,
  projectBoth,
  taughtLogits,
} from "../schedule/distilling.ts";
import type { ScheduleDraft } from "../schedule/draft.ts";
import { prepare } from "../schedule/forward.ts";
import { fuse, fusedLogits, fuseEnd } from "../schedule/fusing.ts";
import { logitsPerId, vocabOf } from "../problem.ts";
import { roundDown } from "../schedule/matrix.ts";
import {
  apartBytes,
  gradientBytes,
  gradientRowBytes,
  logitBytes,
  logitRowBytes,
} from "../schedule/layout.ts";
import { Infeasible, windowGranule } from "../schedule/shape.ts";
import { streamForward } from "./fused.ts";
import { largestBlock, largestStreamed } from "./limits.ts";
import { halvings, quarterings } from "./steps.ts";
import type { Strategy } from "./strategy.ts";

/** Stores one window's logit gradients at a time. */
export const windowed: Strategy = {
  name: "windowed",
  summary: "recomputes logits window by window and stores one window's gradient",
  streams: true,
  cuts: true,
  passes: ["train"],
  fuses: true,
  distills: ["forward", "train"],
  baseline: false,
  finishesWindows: true,
  mostTokens: (problem, device) => largestBlock(problem, device),
  mostIds(problem, device, tile, block) {
    const vocab = vocabOf(problem);
    const granule = windowGranule(problem, device.limits);
    const held = heldBytes(device.limits);
    const several = logitsPerId(problem) > 1;
    const [rowBytes, idBytes] = several
      ? [logitRowBytes(vocab), logitBytes(block)]
      : [gradientRowBytes(vocab, tile), gradientBytes(block, tile)];
    const stored = block * rowBytes <= held ? vocab : roundDown(held / idBytes, granule);
    if (stored === 0) {
      throw new Infeasible(
        `the logit gradients of ${block} tokens and ${granule} ids exceed maxStorageBufferBindingSize`,
      );
    }
    return Math.min(stored, largestStreamed(problem, device, tile, block));
  },
  // Memory goes by block times window: windows are halved, blocks need not be as well.
  blocks: quarterings,
  windows: (most, granule, _, tile) => halvings(most, Math.max(granule, Math.min(tile.cols, most))),
  stored(problem, sizes) {
    const { tile, block, window } = sizes;
    const logits = logitsPerId(problem);
    // Of one head, logits never leave the product that their gradient is made in.
    if (logits === 1) return gradientBytes(block * window, tile);
    return logits * logitBytes(block * window) + apartBytes(problem, sizes);
  },
  emit(draft) {
    if (draft.problem.fusion) return fuseByWindow(draft);
    if (draft.problem.distill) return distillByWindow(draft);
    const { block, window } = draft.shape;
    const matrix = draft.workspace.gradientMatrix(block, window);
    streamForward(draft);
    draft.beginBackward();
    clearGradients(draft);
    for (const block of draft.cuts.blocks) coefficients(draft, block);
    for (const window of draft.cuts.windows) {
      const gradient = { matrix, row: 0, origin: window.start };
      for (const block of draft.cuts.blocks) {
        logitGradient(draft, block, window, gradient);
        gradients(draft, block, window, gradient);
      }
      roundGradients(draft, window);
      draft.tell("vocab", window);
    }
  },
};

/** Stores one window's logits of three heads at a time, and looks for strengths at the end. */
function fuseByWindow(draft: ScheduleDraft): void {
  const { cuts, shape: { block, window } } = draft;
  const logits = fusedLogits(draft, block, window, block);
  prepare(draft);
  for (const window of cuts.windows) {
    for (const block of cuts.blocks) {
      fuse(draft, block, window, logits({ row: 0, origin: window.start }));
    }
  }
  fuseEnd(draft);
}

/**
 * Stores one window's logits of a student and its teacher at a time; in training once for each pass,
 * or once for both where gradients go by nothing that is known only at the end.
 */
function distillByWindow(draft: ScheduleDraft): void {
  const { problem, cuts, shape } = draft;
  if (learnsAtOnce(problem)) return distillAtOnce(draft);
  const logits = taughtLogits(draft, shape.block, shape.window, shape.block);
  const stored = (origin: number) => logits({ row: 0, origin });
  prepare(draft);
  for (const [index, look] of distillLooks(draft).entries()) {
    const projected = index === 0 ? projectBoth : projectAgain;
    for (const window of cuts.windows) {
      for (const block of cuts.blocks) {
        projected(draft, block, window, stored(window.start));
        look(draft, block, window, stored(window.start));
      }
    }
  }
  for (const block of cuts.blocks) merge(draft, block);
  reduce(draft);
  if (problem.pass === "forward") return;
  draft.beginBackward();
  clearGradients(draft);
  for (const block of cuts.blocks) coefficients(draft, block);
  for (const window of cuts.windows) {
    for (const block of cuts.blocks) {
      projectAgain(draft, block, window, stored(window.start));
      distillGradients(draft, block, window, stored(window.start));
    }
  }
}

/** The same in one pass: what a window adds to the statistics, then its gradients in its place. */
function distillAtOnce(draft: ScheduleDraft): void {
  const { cuts, shape } = draft;
  const logits = taughtLogits(draft, shape.block, shape.window, shape.block);
  prepare(draft);
  clearGradients(draft);
  for (const block of cuts.blocks) coefficients(draft, block);
  for (const window of cuts.windows) {
    const stored = logits({ row: 0, origin: window.start });
    for (const block of cuts.blocks) {
      projectBoth(draft, block, window, stored);
      distillStatistics(draft, block, window, stored);
      distillGradients(draft, block, window, stored);
    }
  }
  for (const block of cuts.blocks) merge(draft, block);
  reduce(draft);
}

/**
 * Two stages, as in every framework: store all logits `[tokens, vocab]`, then
 * softmax and cross-entropy; in training turn them into their gradient in place.
 * The baseline that the others are compared with.
 *
 * @module
 */
import { clearGradients, gradients, storedLogitGradient } from "../schedule/backward.ts";
import { coefficients, merge, reduce } from "../schedule/combining.ts";
import type { ScheduleDraft } from "../schedule/draft.ts";
import { fuse, fusedLogits, fuseEnd } from "../schedule/fusing.ts";
import {
  distillGradients,
  distillLooks,
  projectBoth,
  taughtLogits,
} from "../schedule/distilling.ts";
import { prepare, project, rowStatistics, topList } from "../schedule/forward.ts";
import { dimensionsOf, logitsBytes, logitsPerId, vocabOf } from "../problem.ts";
import { largestStored, largestWindow } from "./limits.ts";
import { eighths } from "./steps.ts";
import type { Strategy } from "./strategy.ts";
import type { LogitMatrix } from "../schedule/workspace.ts";

/** Stores all logits. */
export const twoStage: Strategy = {
  name: "two-stage",
  summary: "stores all logits, then applies softmax and cross-entropy",
  streams: false,
  cuts: false,
  passes: ["forward", "train"],
  fuses: true,
  distills: ["forward", "train"],
  lists: ["forward", "train"],
  baseline: true,
  mostTokens: largestStored,
  mostIds: largestWindow,
  // Logits are stored whole whatever the block: smaller ones only serve to fill waves.
  blocks: (most, granule) => [...eighths(most, granule)].filter((block) => block > most / 2),
  windows: (most) => [most],
  stored: (problem) =>
    logitsPerId(problem) * logitsBytes({ tokens: problem.tokens, vocab: vocabOf(problem) }),
  emit(draft) {
    const { pass, fusion } = draft.problem;
    if (fusion) return fuseWhole(draft);
    if (draft.problem.distill) return distillWhole(draft);
    const { tokens, vocab } = dimensionsOf(draft.problem);
    const matrix = draft.workspace.logitMatrix("logits", tokens, vocab, draft.shape.block);
    const stored = (row: number): LogitMatrix => ({ matrix, row, origin: 0 });
    prepare(draft);
    for (const block of draft.cuts.blocks) {
      for (const window of draft.cuts.windows) {
        project(draft, block, window, stored(block.start));
      }
    }
    for (const block of draft.cuts.blocks) {
      rowStatistics(draft, block, stored(block.start));
      merge(draft, block);
      topList(draft, block, stored(block.start));
    }
    reduce(draft);
    if (pass === "forward") return;
    draft.beginBackward();
    clearGradients(draft);
    for (const block of draft.cuts.blocks) {
      coefficients(draft, block);
      for (const window of draft.cuts.windows) {
        gradients(
          draft,
          block,
          window,
          storedLogitGradient(draft, block, window, stored(block.start)),
        );
      }
      draft.tell("tokens", block);
    }
  },
};

/** Stores all logits of three heads, then looks for strengths. */
function fuseWhole(draft: ScheduleDraft): void {
  const { problem, cuts, shape } = draft;
  const logits = fusedLogits(draft, problem.tokens, vocabOf(problem), shape.block);
  prepare(draft);
  for (const block of cuts.blocks) {
    for (const window of cuts.windows) {
      fuse(draft, block, window, logits({ row: block.start, origin: 0 }));
    }
  }
  fuseEnd(draft);
}

/** Stores all logits of a student and its teacher; in training those of the student become their gradient. */
function distillWhole(draft: ScheduleDraft): void {
  const { problem, cuts, shape } = draft;
  const logits = taughtLogits(draft, problem.tokens, vocabOf(problem), shape.block);
  const stored = (row: number) => logits({ row, origin: 0 });
  prepare(draft);
  for (const block of cuts.blocks) {
    for (const window of cuts.windows) projectBoth(draft, block, window, stored(block.start));
    for (const look of distillLooks(draft)) {
      for (const window of cuts.windows) look(draft, block, window, stored(block.start));
    }
    merge(draft, block);
  }
  reduce(draft);
  if (problem.pass === "forward") return;
  draft.beginBackward();
  clearGradients(draft);
  for (const block of cuts.blocks) {
    coefficients(draft, block);
    for (const window of cuts.windows) {
      distillGradients(draft, block, window, stored(block.start));
    }
  }
}

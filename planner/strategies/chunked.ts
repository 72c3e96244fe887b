/**
 * One token block at a time: store the block's logits, turn them into their
 * gradient in place and finish with them before the next block. No recompute,
 * `6NDV` in all, but the upstream gradient must be known in the forward pass.
 *
 * Liger's fused linear cross-entropy (arXiv 2410.10989, section 3.2) has this shape.
 *
 * @module
 */
import { clearGradients, gradients, storedLogitGradient } from "../schedule/backward.ts";
import { coefficients, merge, reduce } from "../schedule/combining.ts";
import {
  distillGradients,
  distillLooks,
  projectBoth,
  taughtLogits,
} from "../schedule/distilling.ts";
import type { ScheduleDraft } from "../schedule/draft.ts";
import { prepare, project, rowStatistics, topList } from "../schedule/forward.ts";
import { headOf, logitsPerId, vocabOf } from "../problem.ts";
import { apartBytes, gradientsApart, logitBytes } from "../schedule/layout.ts";
import { largestStored, largestWindow } from "./limits.ts";
import { eighths, halvings } from "./steps.ts";
import type { Strategy } from "./strategy.ts";

/** Windows that are tried beside a block: narrower ones save little of what a block of logits takes. */
const WINDOWS = 6;

/** Stores one token block's logits at a time. */
export const chunked: Strategy = {
  name: "chunked",
  summary: "stores one token block's logits at a time, no recompute",
  streams: false,
  cuts: true,
  passes: ["train"],
  // A forward pass too, of which a second look at the logits would else be a second product.
  distills: ["forward", "train"],
  lists: ["forward", "train"],
  baseline: false,
  mostTokens: largestStored,
  mostIds: largestWindow,
  blocks: eighths,
  // Logits of all ids are stored whatever the window, but gradients that do not take their place only of one.
  windows: (most, granule, _, tile) =>
    gradientsApart(tile) ? [...halvings(most, granule)].slice(0, WINDOWS) : [most],
  stored: (problem, sizes) =>
    logitsPerId(problem) * logitBytes(sizes.block * vocabOf(problem)) + apartBytes(problem, sizes),
  emit(draft) {
    if (draft.problem.distill) return distillByBlock(draft);
    const matrix = draft.workspace.logitMatrix(
      "logits",
      draft.shape.block,
      headOf(draft.problem).vocab,
      draft.shape.block,
    );
    const logits = { matrix, row: 0, origin: 0 };
    const { pass } = draft.problem;
    prepare(draft);
    if (pass === "train") clearGradients(draft);
    for (const block of draft.cuts.blocks) {
      for (const window of draft.cuts.windows) project(draft, block, window, logits);
      rowStatistics(draft, block, logits);
      merge(draft, block);
      topList(draft, block, logits);
      if (pass === "forward") continue;
      coefficients(draft, block);
      for (const window of draft.cuts.windows) {
        gradients(draft, block, window, storedLogitGradient(draft, block, window, logits));
      }
      draft.tell("tokens", block);
    }
    reduce(draft);
  },
};

/** Stores one token block's logits of a student and its teacher at a time. */
function distillByBlock(draft: ScheduleDraft): void {
  const { problem, cuts, shape } = draft;
  const logits = taughtLogits(draft, shape.block, vocabOf(problem), shape.block);
  const stored = logits({ row: 0, origin: 0 });
  const trains = problem.pass === "train";
  prepare(draft);
  if (trains) clearGradients(draft);
  for (const block of cuts.blocks) {
    for (const window of cuts.windows) projectBoth(draft, block, window, stored);
    for (const look of distillLooks(draft)) {
      for (const window of cuts.windows) look(draft, block, window, stored);
    }
    merge(draft, block);
    if (!trains) continue;
    coefficients(draft, block);
    for (const window of cuts.windows) distillGradients(draft, block, window, stored);
  }
  reduce(draft);
}

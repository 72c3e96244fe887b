/**
 * Steps that combine statistics: those of a token's windows, and of all ranks, to
 * results per token; the tokens' results to the loss, and to what their gradients
 * are made of.
 *
 * @module
 */
import { sumLoss, vocabParallelReduce } from "./collectives.ts";
import type { ScheduleDraft } from "./draft.ts";
import { hasReducedLoss } from "./layout.ts";
import { splitsVocabulary } from "./schedule.ts";
import type { Block } from "./shape.ts";

/** Invocations of the kernels that work on tokens or columns, not on tiles. */
export const LINEAR_WORKGROUP = 64;

/** Returns the grid of a kernel that has an invocation for each token of a block. */
export function byToken(block: Block): readonly [number, number] {
  return [Math.ceil(block.count / LINEAR_WORKGROUP), 1];
}

/**
 * Turns partial statistics into results per token. Where other ranks hold rows
 * of the weight too, blocks wait for one another until results are needed, so
 * that a pass has as few collectives as it can.
 */
export function merge(draft: ScheduleDraft, block: Block): void {
  if (splitsVocabulary(draft.share)) draft.unmerged.push(block);
  else mergeFrom(draft, "partials", block);
}

/**
 * Makes one set of statistics per token out of those of all ranks, and merges it:
 * the vocab-parallel reduce.
 */
function mergeRanks(draft: ScheduleDraft): void {
  const { workspace } = draft;
  const blocks = draft.unmerged.splice(0);
  if (blocks.length === 0) return;
  const fold = (kernel: "local-max" | "fold-partials") => {
    for (const block of blocks) {
      if (draft.known(kernel, { block })) continue;
      draft.dispatch(kernel, byToken(block), [
        ...workspace.read("kept", "partials"),
        ...workspace.write("statistics"),
      ], { block });
    }
  };
  const { max, others } = vocabParallelReduce(workspace, blocks);
  fold("local-max");
  draft.add([max]);
  fold("fold-partials");
  draft.add(others);
  for (const block of blocks) mergeFrom(draft, "statistics", block);
}

function mergeFrom(draft: ScheduleDraft, from: "partials" | "statistics", block: Block): void {
  if (draft.known("merge", { block })) return;
  const { workspace, problem } = draft;
  draft.dispatch("merge", byToken(block), [
    ...workspace.read("kept"),
    { slot: "partials", slice: workspace.tensor(from), access: "read" },
    ...(from === "statistics" ? workspace.read("gathered") : []),
    ...workspace.read("totals"),
    ...(problem.classWeight ? workspace.read("kept_targets", "class_weight") : []),
    ...workspace.write("tokens"),
  ], { block });
}

/** Turns results per token and the upstream gradient into the coefficients of the gradient. */
export function coefficients(draft: ScheduleDraft, block: Block): void {
  mergeRanks(draft);
  if (draft.known("coefficients", { block })) return;
  const { workspace } = draft;
  draft.dispatch("coefficients", byToken(block), [
    ...workspace.read("kept", "kept_targets", "totals", "class_weight", "upstream", "tokens"),
    ...workspace.write("coefficients"),
    ...workspace.gradientBound("read_write"),
  ], { block });
}

/** Adds the tokens' shares up to the loss, where there is one. */
export function reduce(draft: ScheduleDraft): void {
  mergeRanks(draft);
  if (!hasReducedLoss(draft.problem)) return;
  const { workspace } = draft;
  draft.dispatch("reduce", [1, 1], [
    ...workspace.read("tokens", "totals"),
    ...workspace.write("loss"),
  ], {});
  draft.add(sumLoss(workspace));
}

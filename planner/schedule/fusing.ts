/**
 * Steps of dynamic logit fusion: the logits of three heads side by side, the moments of
 * every softmax that they may be fused to, and the strength of each token.
 *
 * @module
 */
import { byToken, merge, reduce } from "./combining.ts";
import type { ScheduleDraft } from "./draft.ts";
import { scaleRows } from "./forward.ts";
import type { Block, Window } from "./shape.ts";
import { projectHeads, readSlots, regionOf, type SideBySide, sideBySide } from "./side_by_side.ts";

/** Slots, and names, of the stored logits of the large model, the expert and its base. */
const LOGITS = ["logits", "expert_logits", "base_logits"] as const;

/** Returns where the logits of `rows` tokens and `cols` ids of each head are stored. */
export function fusedLogits(draft: ScheduleDraft, rows: number, cols: number, unit: number) {
  return sideBySide(draft, LOGITS, rows, cols, unit);
}

/** Projects a block onto a window of each head, stores the logits, and takes them into the moments. */
export function fuse(
  draft: ScheduleDraft,
  block: Block,
  window: Window,
  logits: SideBySide,
): void {
  scaleRows(draft, block, window);
  const at = { ...regionOf(block, window, logits), first: window.start === 0 };
  if (draft.known("fuse", at)) return;
  const { workspace } = draft;
  projectHeads(draft, block, window, logits, at);
  draft.dispatch("fusion-moments", [block.count, 1], [
    ...workspace.read("kept", "kept_targets"),
    ...readSlots(workspace, logits, block, window),
    ...workspace.write("moments"),
  ], at);
}

/** Finds the strengths once all windows are taken in, and merges what is fused with them. */
export function fuseEnd(draft: ScheduleDraft): void {
  const { workspace, cuts } = draft;
  for (const block of cuts.blocks) {
    if (!draft.known("strengths", { block })) {
      draft.dispatch("fusion-strength", byToken(block), [
        ...workspace.read("kept", "moments"),
        ...workspace.write("partials"),
      ], { block });
    }
    merge(draft, block);
  }
  reduce(draft);
}

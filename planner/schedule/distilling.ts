/**
 * Steps of distillation: the logits of a student and of its teacher side by side, the
 * statistics of both, and the gradient of the student's in the place of its logits.
 *
 * @module
 */
import { keptOf, type Look } from "../heads/distill.ts";
import { type Problem, teacherLearns, wantedGradients } from "../problem.ts";
import { gradients } from "./backward.ts";
import type { ScheduleDraft } from "./draft.ts";
import { overLogits, scaleRows, smoothingWeight } from "./forward.ts";
import { followsTargets, upstreamRows } from "./layout.ts";
import type { Block, Window } from "./shape.ts";
import {
  projectHeads,
  readSlots,
  regionOf,
  type SideBySide,
  sideBySide,
  type SlotLogits,
} from "./side_by_side.ts";

/** Slots, and names, of the stored logits of the student and its teacher. */
const LOGITS = ["logits", "teacher_logits"] as const;

/** Returns where the logits of `rows` tokens and `cols` ids of both heads are stored, the student's first. */
export function taughtLogits(draft: ScheduleDraft, rows: number, cols: number, unit: number) {
  return sideBySide(draft, LOGITS, rows, cols, unit);
}

/**
 * Returns whether gradients go by nothing but a token's own logits, so that they can be had in the
 * pass that finds the loss: no softmax is in the divergence, cross-entropy does not count, and what
 * comes from the loss is known to be 1.
 */
export function learnsAtOnce(problem: Problem): boolean {
  const { pass, distill } = problem;
  return distill !== undefined && pass === "train" && !followsTargets(problem) &&
    keptOf(distill).coefficients.length === 0 && upstreamRows(problem).length === 0;
}

/** Projects a block onto a window of both heads, or of one and a list, and stores the logits. */
export function projectBoth(
  draft: ScheduleDraft,
  block: Block,
  window: Window,
  logits: SideBySide,
): void {
  scaleRows(draft, block, window);
  projectAgain(draft, block, window, logits);
}

/** Does the same where it was done before, and its results are gone. */
export function projectAgain(
  draft: ScheduleDraft,
  block: Block,
  window: Window,
  logits: SideBySide,
): void {
  const at = regionOf(block, window, logits);
  if (draft.known("project", at)) return;
  projectHeads(draft, block, window, logits, at);
  const { workspace, problem } = draft;
  if (problem.distill!.listed === undefined) return;
  const teacher = logits[1]!;
  draft.dispatch(
    "list-logits",
    [block.count, 1],
    [
      ...workspace.read("kept", "teacher_ids", "teacher_logprobs"),
      ...workspace.writeLogits(teacher, block, window, teacher.slot),
    ],
    at,
  );
}

/** Folds the stored logits of both heads into the block's statistics, beside what the windows before left. */
export function distillStatistics(
  draft: ScheduleDraft,
  block: Block,
  window: Window,
  logits: SideBySide,
): void {
  const at = { ...regionOf(block, window, logits), first: window.start === 0 };
  if (draft.known("distill-statistics", at)) return;
  const { workspace, problem } = draft;
  draft.dispatch(
    "distill-statistics",
    [block.count, 1],
    [
      ...workspace.read("kept", "kept_targets"),
      ...readSlots(workspace, logits, block, window),
      ...smoothingWeight(draft),
      ...workspace.write("partials"),
    ],
    at,
    { head: problem.heads[0]!.name },
  );
}

/** Takes a window of both heads' logits into what the statistics of all windows have normalised. */
function distillMixture(
  draft: ScheduleDraft,
  block: Block,
  window: Window,
  logits: SideBySide,
): void {
  const at = regionOf(block, window, logits);
  if (draft.known("distill-mixture", at)) return;
  const { workspace } = draft;
  draft.dispatch(
    "distill-mixture",
    [block.count, 1],
    [
      ...workspace.read("kept"),
      ...readSlots(workspace, logits, block, window),
      ...workspace.write("partials"),
    ],
    at,
  );
}

const LOOKS: Readonly<Record<Look, typeof distillStatistics>> = {
  statistics: distillStatistics,
  mixture: distillMixture,
};

/** Returns the passes over all windows that a divergence is found in. */
export function distillLooks({ problem }: ScheduleDraft): (typeof distillStatistics)[] {
  return keptOf(problem.distill!).looks.map((look) => LOOKS[look]);
}

/** Names of the gradients of both heads' logits, and their slots, where they do not take the place of these. */
const GRADIENTS = [
  { name: "logit_gradient", slot: "gradients" },
  { name: "teacher_logit_gradient", slot: "teacher_gradients" },
] as const;

/**
 * Turns a window of the student's logits into their gradient, and the teacher's likewise unless it
 * is frozen, in their place unless gradients are of another type, and computes what follows from them.
 */
export function distillGradients(
  draft: ScheduleDraft,
  block: Block,
  window: Window,
  logits: SideBySide,
): void {
  const at = regionOf(block, window, logits);
  const { workspace, problem, cuts } = draft;
  const [student, teacher] = logits as [SlotLogits, SlotLogits];
  const gradientsOf = logits.map((each, index) =>
    workspace.gradientOf(each, window.start, cuts.windows[0]!.count, GRADIENTS[index]!.name)
  );
  const apart = gradientsOf[0] !== student;
  const written = (index: number) =>
    apart
      ? workspace.writeLogits(gradientsOf[index]!, block, window, GRADIENTS[index]!.slot)
      : workspace.writeLogits(logits[index]!, block, window, logits[index]!.slot);
  const learns = teacherLearns(problem);
  const learning = [...workspace.heads.entries()].filter(([, { head }]) =>
    wantedGradients(problem, head).size > 0
  );
  if (!draft.known("distill-gradient", at)) {
    const { grid, work } = overLogits(draft, block, window);
    draft.dispatch(
      "distill-gradient",
      grid,
      [
        ...workspace.read("kept"),
        ...(apart || !learns ? readSlots(workspace, [teacher], block, window) : []),
        ...(learns ? written(1) : []),
        ...smoothingWeight(draft),
        ...workspace.read("coefficients"),
        ...workspace.storedBound(),
        ...(apart ? readSlots(workspace, [student], block, window) : []),
        ...written(0),
      ],
      at,
      work,
    );
  }
  for (const [index, head] of learning) {
    gradients(draft, block, window, gradientsOf[index]!, [head]);
  }
}

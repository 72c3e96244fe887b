/**
 * Steps of distillation: the logits of a student and of its teacher side by side, the
 * statistics of both, and the gradient of the student's in the place of its logits.
 *
 * @module
 */
import { gradients } from "./backward.ts";
import type { ScheduleDraft } from "./draft.ts";
import { smoothingWeight } from "./forward.ts";
import { projectHead } from "./fusing.ts";
import type { Binding } from "./schedule.ts";
import type { Block, Region, Window } from "./shape.ts";
import type { LogitMatrix } from "./workspace.ts";

/** Slots, and names, of the stored logits of the student and its teacher. */
const LOGITS = ["logits", "teacher_logits"] as const;

/** Where the logits of both heads are stored, the student's first. */
export type TaughtLogits = readonly [LogitMatrix, LogitMatrix];

/** Returns where the logits of `rows` tokens and `cols` ids of both heads are stored. */
export function taughtLogits(
  { workspace }: ScheduleDraft,
  rows: number,
  cols: number,
  unit: number,
): (place: Pick<LogitMatrix, "row" | "origin">) => TaughtLogits {
  const [student, teacher] = LOGITS.map((name) => workspace.logitMatrix(name, rows, cols, unit));
  return (place) => [{ matrix: student!, ...place }, { matrix: teacher!, ...place }];
}

function regionOf(block: Block, window: Window, [{ origin, row }]: TaughtLogits): Region {
  return { block, window, column: window.start - origin, row };
}

/** Returns the bindings of the teacher's logits: both heads' are bound as such, so they have a slot of their own. */
function readTeacher(
  { workspace }: ScheduleDraft,
  teacher: LogitMatrix,
  block: Block,
): Binding[] {
  return workspace.readLogits(teacher, block).map((binding) => ({ ...binding, slot: LOGITS[1] }));
}

/** Projects a block onto a window of both heads, and stores the logits. */
export function projectBoth(
  draft: ScheduleDraft,
  block: Block,
  window: Window,
  logits: TaughtLogits,
): void {
  const at = regionOf(block, window, logits);
  if (draft.known("project", at)) return;
  for (const [index, head] of draft.workspace.heads.entries()) {
    projectHead(draft, head, block, window, logits[index]!, at);
  }
}

/** Folds the stored logits of both heads into the block's statistics, beside what the windows before left. */
export function distillStatistics(
  draft: ScheduleDraft,
  block: Block,
  window: Window,
  logits: TaughtLogits,
): void {
  const at = { ...regionOf(block, window, logits), first: window.start === 0 };
  if (draft.known("distill-statistics", at)) return;
  const { workspace, problem } = draft;
  const [student, teacher] = logits;
  draft.dispatch(
    "distill-statistics",
    [block.count, 1],
    [
      ...workspace.read("kept", "kept_targets"),
      ...workspace.readLogits(student, block),
      ...readTeacher(draft, teacher, block),
      ...smoothingWeight(draft),
      ...workspace.write("partials"),
    ],
    at,
    { head: problem.heads[0]!.name },
  );
}

/** Turns a window of the student's logits into their gradient, in place, and computes what follows from it. */
export function distillGradients(
  draft: ScheduleDraft,
  block: Block,
  window: Window,
  logits: TaughtLogits,
): void {
  const at = regionOf(block, window, logits);
  const { workspace, problem, shape: { tile } } = draft;
  const [student, teacher] = logits;
  if (!draft.known("distill-gradient", at)) {
    draft.dispatch(
      "distill-gradient",
      [Math.ceil(block.count / tile.rows), Math.ceil(window.count / tile.cols)],
      [
        ...workspace.read("kept"),
        ...readTeacher(draft, teacher, block),
        ...smoothingWeight(draft),
        ...workspace.read("coefficients"),
        ...workspace.writeLogits(student, block),
      ],
      at,
      { tile, flops: 0, workgroupFlops: 0, head: problem.heads[0]!.name },
    );
  }
  gradients(draft, block, window, student);
}

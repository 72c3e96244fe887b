/**
 * Steps over the logits of several heads, each in a buffer and a slot of its own.
 *
 * @module
 */
import type { ScheduleDraft } from "./draft.ts";
import { operand, projection } from "./forward.ts";
import type { Binding } from "./schedule.ts";
import type { Block, Region, Window } from "./shape.ts";
import type { LogitMatrix, Workspace } from "./workspace.ts";

/** Where the logits of a head are stored, and the slot that kernels see them in. */
export interface SlotLogits extends LogitMatrix {
  readonly slot: string;
}

/** Where logits of several heads are stored, in the order of the heads. */
export type SideBySide = readonly [SlotLogits, ...SlotLogits[]];

/**
 * Returns where the logits of `rows` tokens and `cols` ids of each head are stored, from a row and
 * an id on that they begin with. `slots` name the buffers too.
 */
export function sideBySide(
  { workspace }: ScheduleDraft,
  slots: readonly [string, ...string[]],
  rows: number,
  cols: number,
  unit: number,
): (corner: Pick<LogitMatrix, "row" | "origin">) => SideBySide {
  const matrices = slots.map((slot) => ({
    slot,
    matrix: workspace.logitMatrix(slot, rows, cols, unit),
  }));
  return (corner) => matrices.map((each) => ({ ...each, ...corner })) as unknown as SideBySide;
}

/** Returns the part of the logits that a block and a window are. */
export function regionOf(block: Block, window: Window, [{ origin, row }]: SideBySide): Region {
  return { block, window, column: window.start - origin, row };
}

/** Returns the bindings of some heads' logits, to be read. */
export function readSlots(
  workspace: Workspace,
  logits: readonly SlotLogits[],
  block: Block,
  window: Window,
): Binding[] {
  return logits.flatMap((each) =>
    workspace.readLogits(each, block, window).map((binding) => ({ ...binding, slot: each.slot }))
  );
}

/** Projects a block onto a window of each head, and stores the logits. */
export function projectHeads(
  draft: ScheduleDraft,
  block: Block,
  window: Window,
  logits: SideBySide,
  at: Region,
): void {
  const { workspace, shape: { tile } } = draft;
  for (const [index, buffers] of workspace.heads.entries()) {
    const { grid, work } = projection(draft, block, window, buffers.head);
    draft.dispatch(
      "project",
      grid,
      [
        ...workspace.read("kept"),
        operand(tile, buffers.read("hidden", block)),
        operand(tile, buffers.read("weight", window)),
        ...buffers.bias(),
        ...buffers.halves("scales", "read"),
        ...workspace.writeLogits(logits[index]!, block, window),
      ],
      at,
      { ...work, head: buffers.head.name },
    );
  }
}

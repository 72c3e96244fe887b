/**
 * Steps of dynamic logit fusion: the logits of three heads side by side, the moments of
 * every softmax that they may be fused to, and the strength of each token.
 *
 * @module
 */
import { byToken, merge, reduce } from "./combining.ts";
import type { ScheduleDraft } from "./draft.ts";
import { bytesPerElement } from "../dtype.ts";
import { operand } from "./forward.ts";
import { tiledProduct, tileOrder } from "./products.ts";
import type { Block, Region, Window } from "./shape.ts";
import type { HeadBuffers, LogitMatrix } from "./workspace.ts";

/** Slots, and names, of the stored logits of the large model, the expert and its base. */
const LOGITS = ["logits", "expert_logits", "base_logits"] as const;

/** Where the logits of the three heads are stored. */
export type FusedLogits = readonly LogitMatrix[];

/** Returns where the logits of `rows` tokens and `cols` ids of each head are stored. */
export function fusedLogits(
  { workspace }: ScheduleDraft,
  rows: number,
  cols: number,
  unit: number,
): (place: Pick<LogitMatrix, "row" | "origin">) => FusedLogits {
  const matrices = LOGITS.map((name) => workspace.logitMatrix(name, rows, cols, unit));
  return (place) => matrices.map((matrix) => ({ matrix, ...place }));
}

/** Projects a block onto a window of each head, stores the logits, and takes them into the moments. */
export function fuse(
  draft: ScheduleDraft,
  block: Block,
  window: Window,
  logits: FusedLogits,
): void {
  const [{ origin, row }] = logits as [LogitMatrix];
  const at = { block, window, column: window.start - origin, row, first: window.start === 0 };
  if (draft.known("fuse", at)) return;
  const { workspace } = draft;
  for (const [index, head] of workspace.heads.entries()) {
    projectHead(draft, head, block, window, logits[index]!, at);
  }
  draft.dispatch("fusion-moments", [block.count, 1], [
    ...workspace.read("kept", "kept_targets"),
    ...LOGITS.flatMap((slot, index) => {
      const [binding] = workspace.readLogits(logits[index]!, block);
      return [{ ...binding!, slot }];
    }),
    ...workspace.write("moments"),
  ], at);
}

/** Projects a block onto a window of one of several heads, and stores the logits. */
export function projectHead(
  draft: ScheduleDraft,
  buffers: HeadBuffers,
  block: Block,
  window: Window,
  logits: LogitMatrix,
  at: Region,
): void {
  const { workspace, cuts, products, shape: { tile } } = draft;
  const { name, hidden, dtype } = buffers.head;
  const { grid: [columns, rows], work } = tiledProduct(block.count, window.count, hidden, tile);
  const rowBytes = hidden * bytesPerElement(dtype);
  const order = tileOrder(cuts.blocks[0]!.count, rowBytes, tile, {
    caches: products.rates?.cacheBytes,
  });
  draft.dispatch(
    "project",
    [rows, columns],
    [
      ...workspace.read("kept"),
      operand(tile, buffers.read("hidden", block)),
      operand(tile, buffers.read("weight", window)),
      ...buffers.bias(),
      ...workspace.writeLogits(logits, block),
    ],
    at,
    { ...work, ...order, head: name },
  );
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

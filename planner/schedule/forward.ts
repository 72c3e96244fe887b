/**
 * Steps of the forward pass: which tokens count, the product of hidden states and
 * weight, and the statistics of its rows.
 *
 * @module
 */
import { sumTotals } from "./collectives.ts";
import type { ScheduleDraft } from "./draft.ts";
import { bytesPerElement } from "../dtype.ts";
import type { Halved } from "./layout.ts";
import { tiledProduct, tileOrder } from "./products.ts";
import { type Head, headOf } from "../problem.ts";
import type { Binding } from "./schedule.ts";
import { listsRows } from "./statistics.ts";
import { type Block, Infeasible, type Region, type Window } from "./shape.ts";
import { kindOf, type Tile } from "./tile.ts";
import type { HeadBuffers, LogitMatrix } from "./workspace.ts";

/** Lists the tokens that are not ignored, block by block, and adds up what `mean` divides by. */
function selectTokens(draft: ScheduleDraft): void {
  const { workspace } = draft;
  draft.dispatch("select-tokens", [1, 1], [
    ...workspace.read("targets", "class_weight", "seeds"),
    ...workspace.write("kept", "kept_targets", "totals"),
  ], {});
  draft.add(sumTotals(workspace));
  draft.add(
    workspace.heads.flatMap((head) =>
      head.halves("halves", "read_write").map(({ slice }) => ({ kind: "clear" as const, slice }))
    ),
  );
}

/** Workgroups of `row-scales` in a row of its grid, each with one row of the matrix. */
export const SCALED_ROWS = 1024;

/**
 * Finds the powers of two by which rows in bf16 become halves, before they are first multiplied:
 * those of a block at the first window, those of a window at the first block. Once for each
 * block and window: what halves do not hold is counted.
 */
export function scaleRows(draft: ScheduleDraft, block: Block, window: Window): void {
  for (const head of draft.workspace.heads) {
    if (window.start === 0) scalesOf(draft, head, "hidden", block.count, { block });
    if (block.index === 0) scalesOf(draft, head, "weight", window.count, { window });
  }
}

function scalesOf(
  draft: ScheduleDraft,
  head: HeadBuffers,
  matrix: Halved,
  rows: number,
  at: Region,
): void {
  if (!head.becomeHalves || draft.known(`scales of ${head.head.name}'s ${matrix}`, at)) return;
  draft.dispatch(
    "row-scales",
    [Math.min(rows, SCALED_ROWS), Math.ceil(rows / SCALED_ROWS)],
    [
      ...(matrix === "hidden" ? draft.workspace.read("kept") : []),
      head.read(matrix, (at.block ?? at.window)!),
      ...head.halves("scales", "read_write"),
      ...head.halves("halves", "read_write"),
    ],
    at,
    { ...head.of },
  );
}

/** Rows that a workgroup looks through for the largest element: a choice, of workgroups enough. */
export const ROWS_OF_BOUND = 64;

/**
 * Does what comes before any product: lists the tokens that count, and looks for the largest
 * elements of operands, where these are scaled by them.
 */
export function prepare(draft: ScheduleDraft): void {
  selectTokens(draft);
  const { workspace, cuts, shape } = draft;
  const bounds = workspace.operandBounds("read_write");
  if (bounds.length === 0) return;
  if (shape.residency === "windows") {
    throw new Infeasible("would stream the weight once more, for its largest element");
  }
  draft.add(bounds.map(({ slice }) => ({ kind: "clear", slice })));
  for (const head of workspace.heads) {
    for (const block of cuts.blocks) {
      if (draft.known("bound of hidden", { block })) continue;
      const grid = [Math.ceil(block.count / ROWS_OF_BOUND), 1] as const;
      const bindings = [...workspace.read("kept"), head.read("hidden", block), ...bounds];
      draft.dispatch("operand-bound", grid, bindings, { block });
    }
    for (const window of cuts.windows) {
      if (draft.known("bound of weight", { window })) continue;
      const grid = [Math.ceil(window.count / ROWS_OF_BOUND), 1] as const;
      draft.dispatch("operand-bound", grid, [head.read("weight", window), ...bounds], { window });
    }
  }
}

/** Returns the grid and the work of a block's product with a window of a head: its tiles are the shape's. */
export function projection(
  { problem, shape, cuts, products }: ScheduleDraft,
  block: Block,
  window: Window,
  { hidden, dtype }: Head = headOf(problem),
) {
  const { grid: [columns, rows], work } = tiledProduct(
    block.count,
    window.count,
    hidden,
    shape.tile,
  );
  // One for all blocks: it is a constant of the kernel.
  const first = cuts.blocks[0]!.count;
  const order = tileOrder(first, hidden * bytesPerElement(dtype), shape.tile, {
    caches: products.rates?.cacheBytes,
  });
  return { grid: [rows, columns] as const, work: { ...work, ...order } };
}

/** Returns the grid and the work of a kernel that goes over a window's stored logits, tile by tile. */
export function overLogits({ shape: { tile } }: ScheduleDraft, block: Block, window: Window) {
  return {
    grid: [Math.ceil(block.count / tile.rows), Math.ceil(window.count / tile.cols)] as const,
    work: { tile, flops: 0, workgroupFlops: 0 },
  };
}

/**
 * Binds an operand of a product, as the tile's body has it.
 */
export function operand(tile: Tile, binding: Binding): Binding {
  const access = kindOf(tile).operandAccess;
  return access === "read" ? binding : { ...binding, access, onlyRead: true };
}

/** Binds what logits are made of: hidden states, weight and bias of each head. */
export function operands(
  { workspace, shape: { tile } }: ScheduleDraft,
  block: Block,
  window: Window,
): Binding[] {
  return [
    ...workspace.heads.flatMap((head) => [
      operand(tile, head.read("hidden", block)),
      operand(tile, head.read("weight", window)),
      ...head.bias(),
      ...head.halves("scales", "read"),
    ]),
    ...workspace.operandBounds("read"),
  ];
}

/** Binds class weights, where they also weigh the smoothing term. */
export function smoothingWeight({ problem, workspace }: ScheduleDraft): Binding[] {
  return problem.labelSmoothing > 0 ? workspace.read("class_weight") : [];
}

/** Projects a block onto a window and folds the logits into the block's partial statistics. */
export function forward(draft: ScheduleDraft, block: Block, window: Window): void {
  scaleRows(draft, block, window);
  const at = { block, window, first: window.start === 0 };
  if (draft.known("forward", at)) return;
  const { grid: [rowTiles, tiles], work } = projection(draft, block, window);
  const { workspace, shape } = draft;
  const run = Math.ceil(Math.ceil(shape.window / shape.tile.cols) / shape.splits);
  draft.dispatch(
    "forward",
    [rowTiles, Math.ceil(tiles / run)],
    [
      ...workspace.read("kept", "kept_targets"),
      ...operands(draft, block, window),
      ...smoothingWeight(draft),
      ...workspace.write("partials"),
    ],
    at,
    {
      ...work,
      workgroupFlops: work.workgroupFlops * Math.min(run, tiles),
      ...(draft.problem.topK > 0 ? { listed: draft.problem.topK } : {}),
      ...(run > 1 ? { order: { ...work.order, run } } : {}),
    },
  );
}

/** Projects a block onto a window and stores the logits. */
export function project(
  draft: ScheduleDraft,
  block: Block,
  window: Window,
  logits: LogitMatrix,
): void {
  scaleRows(draft, block, window);
  const at = { block, window, column: window.start - logits.origin, row: logits.row };
  if (draft.known("project", at)) return;
  const { grid, work } = projection(draft, block, window);
  const { workspace } = draft;
  draft.dispatch(
    "project",
    grid,
    [
      ...workspace.read("kept"),
      ...operands(draft, block, window),
      ...workspace.writeLogits(logits, block, window),
    ],
    at,
    work,
  );
}

/** Folds stored logits into the block's partial statistics. */
export function rowStatistics(draft: ScheduleDraft, block: Block, logits: LogitMatrix): void {
  const at = { block, row: logits.row };
  if (draft.known("row-statistics", at)) return;
  const { workspace } = draft;
  draft.dispatch("row-statistics", [block.count, 1], [
    ...workspace.read("kept", "kept_targets"),
    ...workspace.readLogits(logits, block),
    ...smoothingWeight(draft),
    ...workspace.write("partials"),
  ], at);
}

/**
 * Lists the largest of the block's stored logits, of whole rows, once results are known: where
 * lists are longer than statistics have room for.
 */
export function topList(draft: ScheduleDraft, block: Block, logits: LogitMatrix): void {
  const at = { block, row: logits.row };
  if (!listsRows(draft.problem) || draft.known("top-list", at)) return;
  const { workspace } = draft;
  draft.dispatch("top-list", [block.count, 1], [
    ...workspace.read("kept"),
    ...workspace.readLogits(logits, block),
    ...workspace.read("partials"),
    ...workspace.write("tokens"),
  ], at);
}

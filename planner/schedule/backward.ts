/**
 * Steps of the backward pass: the gradient with respect to logits, and those of
 * hidden states, weight and bias that follow from it.
 *
 * @module
 */
import { LINEAR_WORKGROUP } from "./combining.ts";
import type { ScheduleDraft } from "./draft.ts";
import { ACCUMULATED, bytesPerElement } from "../dtype.ts";
import { operand, operands, overLogits, projection, smoothingWeight } from "./forward.ts";
import { rowGranule } from "./matrix.ts";
import {
  headOf,
  type Problem,
  projectionFlops,
  vocabOf,
  wantedGradients,
  weightColumns,
} from "../problem.ts";
import { trainedColumns } from "../heads/head.ts";
import type { Binding, Slice } from "./schedule.ts";
import { type Block, Infeasible, type Region, type Window } from "./shape.ts";
import type { HeadBuffers, LogitMatrix } from "./workspace.ts";

/** Workgroups in a row of the grid that rounds a window's gradient: as many as any device allows, about. */
export const ROUNDING_COLUMNS = 1 << 15;

/** Binds whether each tile of logit gradients is worth multiplying with, where they are filtered. */
function flags({ shape, cuts, workspace }: ScheduleDraft, access: Binding["access"]): Binding[] {
  const { tile } = shape;
  const last = cuts.windows.at(-1)!;
  const vocabTiles = cuts.vocabTile(last.start) + Math.ceil(last.count / tile.cols);
  const tokenTiles = cuts.blockCount * Math.ceil(cuts.blocks[0]!.count / tile.rows);
  return workspace.bind("tile_flags", access, vocabTiles * tokenTiles);
}

/** Zeros to begin with: ignored tokens, whose rows no window reaches, have exactly no gradient. */
export function clearGradients(draft: ScheduleDraft): void {
  draft.add(
    draft.workspace.gradientBound("read_write").map(({ slice }) => ({ kind: "clear", slice })),
  );
  const clear = (slices: readonly Slice[]) =>
    draft.add(slices.map((slice) => ({ kind: "clear", slice })));
  for (const head of draft.workspace.heads) {
    const wanted = wantedGradients(draft.problem, head.head);
    if (wanted.has("hidden")) clear(head.buffers("grad_hidden"));
    // No window reaches the rows of ids that another head does not have: of a caller's buffers, for
    // those that are made for a run are zeros to begin with (https://www.w3.org/TR/webgpu/#buffer-creation).
    if (head.head.vocab === vocabOf(draft.problem) || draft.shape.residency !== "caller") continue;
    if (wanted.has("weight")) clear(head.buffers("grad_weight"));
    if (wanted.has("bias")) clear([head.vector("grad_bias")]);
  }
}

/** Recomputes a window's logits and stores the gradient with respect to them. */
export function logitGradient(
  draft: ScheduleDraft,
  block: Block,
  window: Window,
  gradient: LogitMatrix,
): void {
  const at = { block, window, column: window.start - gradient.origin, row: gradient.row };
  if (draft.known("logit-gradient", at)) return;
  const { grid, work } = projection(draft, block, window);
  const { workspace } = draft;
  draft.dispatch(
    "logit-gradient",
    grid,
    [
      ...workspace.read("kept"),
      ...operands(draft, block, window),
      ...smoothingWeight(draft),
      ...workspace.read("coefficients"),
      ...workspace.storedBound(),
      ...workspace.writeLogits(gradient, block, window),
      ...flags(draft, "read_write"),
    ],
    at,
    work,
  );
}

/**
 * Turns a window of stored logits into the gradient with respect to them. Returns
 * where that is: in place, unless it is of another type.
 */
export function storedLogitGradient(
  draft: ScheduleDraft,
  block: Block,
  window: Window,
  logits: LogitMatrix,
): LogitMatrix {
  const { workspace, cuts } = draft;
  const gradient = workspace.gradientOf(logits, window.start, cuts.windows[0]!.count);
  const at = { block, window, column: window.start - logits.origin, row: logits.row };
  if (draft.known("stored-logit-gradient", at)) return gradient;
  const { grid, work } = overLogits(draft, block, window);
  draft.dispatch(
    "stored-logit-gradient",
    grid,
    [
      ...workspace.read("kept"),
      ...smoothingWeight(draft),
      ...workspace.read("coefficients"),
      ...workspace.storedBound(),
      ...(gradient === logits ? workspace.writeLogits(logits, block, window) : [
        ...workspace.readLogits(logits, block, window),
        ...workspace.writeLogits(gradient, block, window, "gradients"),
      ]),
      ...flags(draft, "read_write"),
    ],
    at,
    work,
  );
  return gradient;
}

/**
 * Computes the gradients that follow from a window of logit gradients, those that were asked for.
 *
 * @param heads whose logits they are.
 */
export function gradients(
  draft: ScheduleDraft,
  block: Block,
  window: Window,
  gradient: LogitMatrix,
  heads: readonly HeadBuffers[] = draft.workspace.heads,
): void {
  projectSubTokens(draft, block, window);
  listSample(draft, block, window);
  const { origin, row } = gradient;
  const at = { block, window, column: window.start - origin, row, first: block.index === 0 };
  if (draft.known(`gradients of ${heads.map(({ head }) => head.name).join(", ")}`, at)) return;
  for (const head of heads) {
    const wanted = wantedGradients(draft.problem, head.head);
    if (wanted.has("weight")) weightGradient(draft, head, block, window, gradient, at);
    if (wanted.has("hidden")) hiddenGradient(draft, head, block, window, gradient, at);
    if (wanted.has("bias")) biasGradient(draft, head, block, window, gradient, at);
  }
}

/** Finds what of a block's sub-tokens lies along the direction, at the first window, where that is wanted. */
function projectSubTokens(draft: ScheduleDraft, block: Block, window: Window): void {
  const { workspace, problem: { subTokens } } = draft;
  if (subTokens === undefined || window.start > 0 || draft.known("sub-tokens", { block })) return;
  const [head] = workspace.heads;
  draft.dispatch(
    "sub-tokens",
    [Math.ceil(subTokens / LINEAR_WORKGROUP), block.count],
    [
      ...workspace.read("kept"),
      head!.read("hidden", block),
      ...workspace.read("direction"),
      head!.write("projections", block),
    ],
    { block },
    { ...head!.of },
  );
}

/** Lists the tokens of a block that have a weight, at the first window, where a sample is wanted. */
function listSample(draft: ScheduleDraft, block: Block, window: Window): void {
  const { workspace, problem: { sampledTokens } } = draft;
  if (sampledTokens === undefined || window.start > 0 || draft.known("sample", { block })) return;
  const bindings = [...workspace.read("kept", "token_weights"), ...workspace.write("sample")];
  draft.dispatch("sample-tokens", [1, 1], bindings, { block });
}

/** Returns how many tokens of a block a weight's gradient is from: of a sample, its part by their number. */
function depthOf({ tokens, sampledTokens = tokens }: Problem, { count }: Block): number {
  return Math.ceil(count * Math.min(1, sampledTokens / tokens));
}

function weightGradient(
  draft: ScheduleDraft,
  head: HeadBuffers,
  block: Block,
  window: Window,
  gradient: LogitMatrix,
  at: Region,
): void {
  const { workspace, problem } = draft;
  const { grid, work } = draft.products.fitting(
    window.count,
    weightColumns(problem, head.head),
    depthOf(problem, block),
  );
  draft.dispatch(
    "weight-gradient",
    grid,
    [
      ...workspace.read("kept", "sample", "token_weights"),
      operand(work.tile, head.read(problem.subTokens ? "projections" : "hidden", block)),
      ...workspace.readLogits(gradient, block, window).map((logits) => operand(work.tile, logits)),
      ...workspace.gradientBound("read"),
      ...workspace.operandBounds("read"),
      ...head.halves("halves", "read"),
      draft.shape.gradientDtype
        ? { ...windowGradient(draft, head, window, "read_write"), slot: "grad_weight" }
        : head.write("grad_weight", window),
      ...flags(draft, "read"),
    ],
    // What is rounded afterwards is added to then.
    { ...at, mayAdd: !draft.shape.gradientDtype },
    { ...work, ...head.of },
  );
}

/** Binds the sums in f32 that a window's gradient is rounded from: a shorter window has fewer. */
function windowGradient(
  { workspace, cuts, problem }: ScheduleDraft,
  { head }: HeadBuffers,
  window: Window,
  access: Binding["access"],
): Binding {
  const columns = weightColumns(problem, head);
  const [binding] = workspace.bind("window_gradient", access, cuts.windows[0]!.count * columns);
  return { ...binding!, reached: window.count * columns * bytesPerElement(ACCUMULATED) };
}

/**
 * Rounds the gradient of a window of the weight to what it is stored as, where that is not f32.
 *
 * @throws {Infeasible} where windows of it are not aligned as bindings must be.
 */
export function roundGradients(draft: ScheduleDraft, window: Window): void {
  const { shape, workspace, cuts, problem } = draft;
  const { gradientDtype } = shape;
  if (!gradientDtype) return;
  const rowBytes = weightColumns(problem, headOf(problem)) * bytesPerElement(gradientDtype);
  const granule = rowGranule(rowBytes, workspace.limits);
  if (cuts.windowCount > 1 && shape.window % granule !== 0) {
    throw new Infeasible(
      `a window of ${shape.window} is not a multiple of ${granule}, as bindings of a gradient in ${gradientDtype} must be`,
    );
  }
  const at = { window, first: true, mayAdd: true };
  if (draft.known("round-gradient", at)) return;
  for (const head of draft.workspace.heads) {
    const words = Math.ceil(window.count * weightColumns(problem, head.head) / 2);
    const groups = Math.ceil(words / LINEAR_WORKGROUP);
    draft.dispatch(
      "round-gradient",
      [Math.min(groups, ROUNDING_COLUMNS), Math.ceil(groups / ROUNDING_COLUMNS)],
      [windowGradient(draft, head, window, "read"), head.write("grad_weight", window)],
      at,
      { ...head.of },
    );
  }
}

function biasGradient(
  draft: ScheduleDraft,
  head: HeadBuffers,
  block: Block,
  window: Window,
  gradient: LogitMatrix,
  at: Region,
): void {
  const { workspace } = draft;
  draft.dispatch(
    "bias-gradient",
    [Math.ceil(window.count / LINEAR_WORKGROUP), 1],
    [
      ...workspace.read("kept"),
      ...workspace.readLogits(gradient, block, window),
      ...workspace.storedBound(),
      ...head.biasGradient(),
      ...flags(draft, "read"),
    ],
    { ...at, mayAdd: true },
    { ...head.of },
  );
}

/**
 * The longest stretch of the vocabulary that one sum of a head's hidden gradient
 * goes over. One for all windows: it is a constant of the kernel. Where tiles are
 * filtered it is made of whole ones.
 */
function spanOf({ shape, cuts, products, workspace }: ScheduleDraft, hidden: number): number {
  const depth = cuts.windows[0]!.count;
  if (shape.oneSum) return depth;
  const product = { rows: cuts.blocks[0]!.count, cols: hidden, depth, unit: shape.tile.cols };
  return products.fittingSpan(product, workspace.limits);
}

/** Returns the most sums over parts of a window that any head's hidden gradient has: heads have them in turn. */
function mostPartSums(draft: ScheduleDraft): number {
  const { cuts, problem, workspace } = draft;
  const sums = workspace.heads
    .filter(({ head }) => wantedGradients(problem, head).has("hidden"))
    .map(({ head }) => {
      const hidden = trainedColumns(head);
      const parts = Math.ceil(cuts.windows[0]!.count / spanOf(draft, hidden));
      return parts === 1 ? 0 : parts * cuts.blocks[0]!.count * hidden;
    });
  return Math.max(...sums);
}

/**
 * The gradient of a block's hidden states from one window. The result is small
 * and the sum long: where its tiles leave the device idle, the window is cut into
 * parts that are summed at the same time, and added up afterwards.
 */
function hiddenGradient(
  draft: ScheduleDraft,
  head: HeadBuffers,
  block: Block,
  window: Window,
  gradient: LogitMatrix,
  at: Region,
): void {
  const { workspace, products } = draft;
  const hidden = trainedColumns(head.head);
  const span = spanOf(draft, hidden);
  const parts = Math.ceil(window.count / span);
  const { grid, work } = products.fitting(
    block.count,
    hidden,
    Math.min(span, window.count),
    parts,
  );
  const kept = workspace.read("kept");
  const bindings = [
    ...kept,
    operand(work.tile, head.read("weight", window)),
    ...workspace.readLogits(gradient, block, window).map((logits) => operand(work.tile, logits)),
    ...workspace.gradientBound("read"),
    ...workspace.operandBounds("read"),
    ...head.halves("halves", "read"),
    ...flags(draft, "read"),
  ];
  const result = head.write("grad_hidden", block);
  if (parts === 1) {
    draft.dispatch("hidden-gradient", grid, [...bindings, result], at, { ...work, ...head.of });
    return;
  }
  const partSums = (access: Binding["access"]) =>
    workspace.bind("hidden_parts", access, mostPartSums(draft)).map((binding) => ({
      ...binding,
      reached: parts * block.count * hidden * bytesPerElement(ACCUMULATED),
    }));
  const flops = projectionFlops({ tokens: block.count, vocab: window.count, hidden });
  draft.dispatch(
    "hidden-gradient",
    [grid[0], grid[1] * parts],
    [...bindings, ...partSums("read_write")],
    at,
    { ...work, flops, span, ...head.of },
  );
  draft.dispatch(
    "hidden-sum",
    [Math.ceil(hidden / LINEAR_WORKGROUP), block.count],
    [...kept, ...partSums("read"), result],
    at,
    { span, ...head.of },
  );
}

/**
 * A schedule in the making: one method per kernel, which binds the workspace's
 * buffers and adds a step. A strategy is the order in which it calls them.
 *
 * @module
 */
import type { DeviceProfile } from "../device.ts";
import { bytesPerElement } from "../dtype.ts";
import { ranges, roundUp } from "./matrix.ts";
import { type Params, PARAMS_BYTES, paramsKey } from "./params.ts";
import { heldThroughout, type MemoryPrediction } from "./memory.ts";
import { HostLives, type Use } from "./host_lives.ts";
import { filterThreshold, headOf, projectionFlops, wantedGradients } from "../problem.ts";
import type { Problem } from "../problem.ts";
import {
  type Binding,
  type Dispatch,
  type KernelName,
  PARAMS_BUFFER,
  type Schedule,
  type Share,
  type Slice,
  splitsVocabulary,
  type Step,
} from "./schedule.ts";
import { gatherHidden, meetStatistics, sumGradients, sumLoss, sumTotals } from "./collectives.ts";
import { hasReducedLoss, upstreamRows } from "./layout.ts";
import {
  type Block,
  Infeasible,
  MAX_PAIRS,
  pairsOf,
  type Shape,
  sketch,
  type Window,
} from "./shape.ts";
import { type Products, tiledProduct, tileOrder } from "./products.ts";
import { type LogitMatrix, Workspace } from "./workspace.ts";

/** Invocations of the kernels that work on tokens or columns, not on tiles. */
export const LINEAR_WORKGROUP = 64;

/**
 * `whole`: every step, to be run. `sketch`: of blocks and windows that are alike,
 * one for all: the same memory and cost, for the search to compare.
 */
export type Detail = "whole" | "sketch";

/** What a dispatch works on. */
interface Place {
  readonly block?: Block;
  readonly window?: Window;
  readonly column?: number;
  /** Row of the logit matrix that holds the block's first token. */
  readonly row?: number;
  readonly first?: boolean;
}

/** A dispatch of a sketch, which comes to stand for more, and the buffers that such a one uses. */
interface Counted {
  readonly step: Dispatch & { times?: number };
  readonly uses: readonly Use[];
}

/** Dispatches of a sketch on a block and a window of some sizes. */
interface Alike {
  readonly block: number | undefined;
  readonly window: number | undefined;
  readonly steps: Counted[];
}

/** How many dispatches one at a place stands for. */
function timesOf({ block, window }: Place): number {
  return (block?.stands ?? 1) * (window?.stands ?? 1);
}

/** A schedule in the making: steps so far, and one method per kernel. */
export class ScheduleDraft {
  readonly workspace: Workspace;
  readonly #products: Products;
  readonly #detail: Detail;
  #blocks: readonly Block[] | undefined;
  #windows: readonly Window[] | undefined;
  readonly #params: Params[] = [];
  #paramsCount = 0;
  readonly #paramsIndex = new Map<string, number>();
  readonly #steps: Step[] = [];
  /** Dispatches of a sketch that others may be like, by what they do and on how much. */
  readonly #alike = new Map<string, Alike[]>();
  readonly #sketched = new Set<number>();
  /** Those of the current kind. */
  #like: Counted[] | undefined;
  /** Blocks whose statistics wait for those of other ranks. */
  readonly #unmerged: Block[] = [];
  /** In a sketch of a schedule whose buffers come and go, when they do. */
  readonly #lives: HostLives | undefined;
  #backwardStart: number | undefined;
  #span: number | undefined;

  /** @throws {Infeasible} when the shape cannot be cut to the device's limits. */
  constructor(
    readonly problem: Problem,
    device: DeviceProfile,
    readonly shape: Shape,
    products: Products,
    detail: Detail = "whole",
    readonly share?: Share,
  ) {
    const pairs = pairsOf(problem, shape);
    if (pairs > MAX_PAIRS) {
      throw new Infeasible(`would take ${pairs} steps over the vocabulary, more than ${MAX_PAIRS}`);
    }
    this.workspace = new Workspace(problem, shape, device.limits, share, detail === "sketch");
    if (detail === "sketch" && shape.residency !== "caller") {
      this.#lives = new HostLives(shape.residency);
    }
    // Where tiles are filtered, the products' own tiles must lie within them.
    this.#products = filterThreshold(problem) === 0 ? products : products.only(shape.tile);
    this.#detail = detail;
    this.#add(gatherHidden(this.workspace));
  }

  /** Adds steps that are no dispatches. */
  #add(steps: readonly Step[]): void {
    for (const step of steps) {
      this.#steps.push(step);
      this.#lives?.step(step, this.workspace);
    }
  }

  #cut(total: number, size: number, of: "tokens" | "vocab"): Window[] {
    if (this.#detail === "sketch") {
      // Where buffers are there throughout, it does not matter which of them a step uses.
      const cuts = this.shape.residency === "caller" ? new Set<number>() : this.workspace.cuts(of);
      return sketch(total, size, cuts);
    }
    return ranges(total, size).map((range) => ({ ...range, stands: 1 }));
  }

  /** The token blocks, in order. */
  get blocks(): readonly Block[] {
    const { block } = this.shape;
    return this.#blocks ??= this.#cut(this.problem.tokens, block, "tokens")
      .map((range) => ({ ...range, index: Math.floor(range.start / block) }));
  }

  /** The windows of the vocabulary, in order. */
  get windows(): readonly Window[] {
    return this.#windows ??= this.#cut(headOf(this.problem).vocab, this.shape.window, "vocab");
  }

  /** The windows, for a loop inside one over the blocks. */
  windowsWithin(block: Block): readonly Window[] {
    if (!this.#lives || isOuter(block, this.blocks)) return this.windows;
    return this.#inner.windows ??= sketch(headOf(this.problem).vocab, this.shape.window, NO_CUTS);
  }

  /** The token blocks, for a loop inside one over the windows. */
  blocksWithin(window: Window): readonly Block[] {
    if (!this.#lives || isOuter(window, this.windows)) return this.blocks;
    const { block } = this.shape;
    return this.#inner.blocks ??= sketch(this.problem.tokens, block, NO_CUTS)
      .map((range) => ({ ...range, index: Math.floor(range.start / block) }));
  }

  /**
   * What a sketch's inner loops go over, but for the first and the last: a buffer is
   * first used in the first of the outer loop and last in the last, whatever is between.
   */
  readonly #inner: { blocks?: readonly Block[]; windows?: readonly Window[] } = {};

  get #blockCount(): number {
    return Math.ceil(this.problem.tokens / this.shape.block);
  }

  get #windowCount(): number {
    return Math.ceil(headOf(this.problem).vocab / this.shape.window);
  }

  /** Somewhere to store logits of `rows` tokens and `cols` ids, or their gradient. */
  logitMatrix(name: string, rows: number, cols: number, unit: number): LogitMatrix["matrix"] {
    return this.workspace.logitMatrix(name, rows, cols, unit);
  }

  #bias = () =>
    headOf(this.problem).bias ? [read("bias", this.workspace.perVocab("bias", "input"))] : [];
  #classWeight = () =>
    this.problem.classWeight ? [read("class_weight", this.workspace.classWeight())] : [];
  /** Class weights where they also weigh the smoothing term. */
  #smoothingWeight = () => this.problem.labelSmoothing > 0 ? this.#classWeight() : [];

  #dispatch(
    kernel: KernelName,
    grid: readonly [number, number],
    bindings: Binding[],
    at: Place,
    work: Partial<Dispatch> = {},
  ): void {
    const {
      maxComputeWorkgroupsPerDimension,
      maxStorageBufferBindingSize,
      maxStorageBuffersPerShaderStage,
      minStorageBufferOffsetAlignment,
    } = this.workspace.limits;
    if (bindings.length > maxStorageBuffersPerShaderStage) {
      throw new Infeasible(
        `${kernel} binds ${bindings.length} buffers, the device allows ${maxStorageBuffersPerShaderStage} (maxStorageBuffersPerShaderStage)`,
      );
    }
    if (Math.max(...grid) > maxComputeWorkgroupsPerDimension) {
      throw new Infeasible(
        `${kernel} needs a grid of ${
          grid.join(" x ")
        } workgroups, the device allows ${maxComputeWorkgroupsPerDimension} in a dimension`,
      );
    }
    for (const { slot, slice } of bindings) {
      if (slice.bytes > maxStorageBufferBindingSize) {
        throw new Infeasible(
          `${kernel} binds ${slice.bytes} bytes of ${slot}, the device allows ${maxStorageBufferBindingSize} (maxStorageBufferBindingSize)`,
        );
      }
      if (slice.offset % minStorageBufferOffsetAlignment !== 0) {
        throw new Infeasible(`${kernel} binds ${slot} at the unaligned offset ${slice.offset}`);
      }
    }
    const times = timesOf(at);
    const step = {
      kind: "dispatch" as const,
      kernel,
      grid,
      bindings,
      params: this.#paramsSlot(times, at),
      ...(times === 1 ? {} : { times }),
      flops: 0,
      workgroupFlops: 0,
      ...work,
    };
    this.#steps.push(step);
    if (this.#detail === "whole") return;
    const uses = this.#lives?.usesOf(step, this.workspace) ?? [];
    this.#lives?.use(uses, at);
    this.#like?.push({ step, uses });
  }

  /**
   * In a sketch, whether there are such steps already for a block and a window of
   * the same sizes: they then stand for these as well.
   */
  #known(what: string, at: Place): boolean {
    if (this.#detail === "whole") return false;
    let kind = this.#alike.get(what);
    if (!kind) this.#alike.set(what, kind = []);
    const alike = kind.find(({ block, window }) =>
      block === at.block?.count && window === at.window?.count
    );
    if (!alike) {
      kind.push({ block: at.block?.count, window: at.window?.count, steps: this.#like = [] });
      return false;
    }
    const times = timesOf(at);
    this.#paramsSlot(times, at);
    for (const { step, uses } of alike.steps) {
      step.times = (step.times ?? 1) + times;
      this.#lives?.use(uses, at);
    }
    return true;
  }

  /** Tells params of a sketch apart. A place without a block or a window is that of all of them. */
  #sketchedKey({ block, window, column, first }: Place): number {
    const [blocks, windows] = [this.#blockCount, this.#windowCount];
    const row = block ? block.index : blocks === 1 ? 0 : blocks;
    const place = window ? window.start / this.shape.window : windows === 1 ? 0 : windows;
    return 4 * (row * (windows + 1) + place) + 2 * Number(Boolean(column)) +
      Number(Boolean(first));
  }

  #paramsSlot(times: number, at: Place): number {
    if (this.#detail === "sketch") {
      const key = this.#sketchedKey(at);
      if (!this.#sketched.has(key)) this.#paramsCount += times;
      this.#sketched.add(key);
      return 0;
    }
    const params: Params = {
      tokenStart: at.block?.start ?? 0,
      tokens: at.block?.count ?? this.problem.tokens,
      block: at.block?.index ?? 0,
      vocabStart: (this.share?.vocabStart ?? 0) + (at.window?.start ?? 0),
      vocab: at.window?.count ?? headOf(this.problem).vocab,
      column: at.column ?? 0,
      vocabTile: this.#vocabTile(at.window?.start ?? 0),
      first: at.first ? 1 : 0,
    };
    const key = paramsKey(params);
    const known = this.#paramsIndex.get(key);
    if (known !== undefined) return known;
    this.#paramsCount += times;
    this.#paramsIndex.set(key, this.#params.length);
    return this.#params.push(params) - 1;
  }

  /** Vocabulary tiles in the windows before an id. */
  #vocabTile(vocabStart: number): number {
    const { window, tile } = this.shape;
    return Math.floor(vocabStart / window) * Math.ceil(window / tile.cols);
  }

  /** Whether each tile of logit gradients is worth multiplying with, where they are filtered. */
  #flags(access: typeof read): Binding[] {
    if (filterThreshold(this.problem) === 0) return [];
    const { tile } = this.shape;
    const last = this.windows.at(-1)!;
    const vocabTiles = this.#vocabTile(last.start) + Math.ceil(last.count / tile.cols);
    const tokenTiles = this.#blockCount * Math.ceil(this.blocks[0]!.count / tile.rows);
    return [
      access(
        "tile_flags",
        this.workspace.whole("tile_flags", 4 * vocabTiles * tokenTiles, "state"),
      ),
    ];
  }

  /** Lists the tokens that are not ignored, block by block, and adds up what `mean` divides by. */
  selectTokens(): void {
    this.#like = undefined;
    this.#dispatch("select-tokens", [1, 1], [
      read("targets", this.workspace.targets()),
      ...this.#classWeight(),
      write("kept", this.workspace.kept()),
      write("kept_targets", this.workspace.keptTargets()),
      write("totals", this.workspace.totals()),
    ], {});
    this.#add(sumTotals(this.workspace));
  }

  /** The product of a block with a window: its tiles are the shape's. */
  #projection(block: Block, window: Window) {
    const { hidden, dtype } = headOf(this.problem);
    const { tile } = this.shape;
    const { grid, work } = tiledProduct(block.count, window.count, hidden, tile);
    // One for all blocks: it is a constant of the kernel.
    const order = tileOrder(this.blocks[0]!.count, hidden * bytesPerElement(dtype), tile);
    return { grid, work: { ...work, ...order } };
  }

  /** Projects a block onto a window and folds the logits into the block's partial statistics. */
  forward(block: Block, window: Window): void {
    const at = { block, window, first: window.start === 0 };
    if (this.#known("forward", at)) return;
    const { grid, work } = this.#projection(block, window);
    this.#dispatch(
      "forward",
      [grid[1], grid[0]],
      [
        read("kept", this.workspace.kept()),
        read("kept_targets", this.workspace.keptTargets()),
        read("hidden", this.workspace.hidden(block)),
        read("weight", this.workspace.weight(window)),
        ...this.#bias(),
        ...this.#smoothingWeight(),
        write("partials", this.workspace.partials()),
      ],
      at,
      work,
    );
  }

  /** Projects a block onto a window and stores the logits. */
  project(block: Block, window: Window, logits: LogitMatrix): void {
    const at = { block, window, column: window.start - logits.origin, row: logits.row };
    if (this.#known("project", at)) return;
    const { grid, work } = this.#projection(block, window);
    this.#dispatch(
      "project",
      [grid[1], grid[0]],
      [
        read("kept", this.workspace.kept()),
        read("hidden", this.workspace.hidden(block)),
        read("weight", this.workspace.weight(window)),
        ...this.#bias(),
        write("logits", this.workspace.logits(logits, block)),
      ],
      at,
      work,
    );
  }

  /** Folds stored logits into the block's partial statistics. */
  rowStatistics(block: Block, logits: LogitMatrix): void {
    const at = { block, row: logits.row };
    if (this.#known("row-statistics", at)) return;
    this.#dispatch("row-statistics", [block.count, 1], [
      read("kept", this.workspace.kept()),
      read("kept_targets", this.workspace.keptTargets()),
      read("logits", this.workspace.logits(logits, block)),
      ...this.#smoothingWeight(),
      write("partials", this.workspace.partials()),
    ], at);
  }

  /**
   * Turns partial statistics into results per token. Where other ranks hold rows
   * of the weight too, blocks wait for one another until results are needed, so
   * that a pass has as few collectives as it can.
   */
  merge(block: Block): void {
    if (splitsVocabulary(this.share)) this.#unmerged.push(block);
    else this.#merge(block, this.workspace.partials());
  }

  /** Makes one set of statistics per token out of those of all ranks, and merges it. */
  #meet(): void {
    const blocks = this.#unmerged.splice(0);
    if (blocks.length === 0) return;
    const fold = (kernel: "local-max" | "fold-partials") => {
      for (const block of blocks) {
        if (this.#known(kernel, { block })) continue;
        this.#dispatch(kernel, [Math.ceil(block.count / LINEAR_WORKGROUP), 1], [
          read("kept", this.workspace.kept()),
          read("partials", this.workspace.partials()),
          write("statistics", this.workspace.statistics()),
        ], { block });
      }
    };
    const { max, others } = meetStatistics(this.workspace, blocks);
    fold("local-max");
    this.#add([max]);
    fold("fold-partials");
    this.#add(others);
    for (const block of blocks) this.#merge(block, this.workspace.statistics());
  }

  #merge(block: Block, partials: Slice): void {
    if (this.#known("merge", { block })) return;
    this.#dispatch("merge", [Math.ceil(block.count / LINEAR_WORKGROUP), 1], [
      read("kept", this.workspace.kept()),
      read("partials", partials),
      read("totals", this.workspace.totals()),
      ...(this.problem.classWeight ? [read("kept_targets", this.workspace.keptTargets())] : []),
      ...this.#classWeight(),
      write("tokens", this.workspace.tokenResults()),
    ], { block });
  }

  /** Turns results per token and the upstream gradient into the coefficients of the gradient. */
  coefficients(block: Block): void {
    this.#meet();
    if (this.#known("coefficients", { block })) return;
    const upstream = upstreamRows(this.problem).length;
    this.#dispatch("coefficients", [Math.ceil(block.count / LINEAR_WORKGROUP), 1], [
      read("kept", this.workspace.kept()),
      read("kept_targets", this.workspace.keptTargets()),
      read("totals", this.workspace.totals()),
      ...this.#classWeight(),
      ...(upstream
        ? [read("upstream", this.workspace.perToken("upstream", upstream, "input"))]
        : []),
      read("tokens", this.workspace.tokenResults()),
      write("coefficients", this.workspace.coefficients()),
    ], { block });
  }

  /** Adds the tokens' shares up to the loss, where there is one. */
  reduce(): void {
    this.#meet();
    if (!hasReducedLoss(this.problem)) return;
    this.#like = undefined;
    this.#dispatch("reduce", [1, 1], [
      read("tokens", this.workspace.tokenResults()),
      read("totals", this.workspace.totals()),
      write("loss", this.workspace.loss()),
    ], {});
    this.#add(sumLoss(this.workspace));
  }

  /** Recomputes a window's logits and stores the gradient with respect to them. */
  logitGradient(block: Block, window: Window, gradient: LogitMatrix): void {
    const at = { block, window, column: window.start - gradient.origin, row: gradient.row };
    if (this.#known("logit-gradient", at)) return;
    const { grid, work } = this.#projection(block, window);
    this.#dispatch(
      "logit-gradient",
      [grid[1], grid[0]],
      [
        read("kept", this.workspace.kept()),
        read("hidden", this.workspace.hidden(block)),
        read("weight", this.workspace.weight(window)),
        ...this.#bias(),
        ...this.#smoothingWeight(),
        read("coefficients", this.workspace.coefficients()),
        write("logits", this.workspace.logits(gradient, block)),
        ...this.#flags(write),
      ],
      at,
      work,
    );
  }

  /** Turns a window of stored logits into the gradient with respect to them, in place. */
  storedLogitGradient(block: Block, window: Window, logits: LogitMatrix): void {
    const at = { block, window, column: window.start - logits.origin, row: logits.row };
    if (this.#known("stored-logit-gradient", at)) return;
    const { tile } = this.shape;
    const grid = [Math.ceil(block.count / tile.rows), Math.ceil(window.count / tile.cols)] as const;
    this.#dispatch(
      "stored-logit-gradient",
      grid,
      [
        read("kept", this.workspace.kept()),
        ...this.#smoothingWeight(),
        read("coefficients", this.workspace.coefficients()),
        write("logits", this.workspace.logits(logits, block)),
        ...this.#flags(write),
      ],
      at,
      { tile, flops: 0, workgroupFlops: 0 },
    );
  }

  /** The gradients that follow from a window of logit gradients, those that were asked for. */
  gradients(block: Block, window: Window, gradient: LogitMatrix): void {
    const { hidden } = headOf(this.problem);
    const wanted = wantedGradients(this.problem);
    const { origin, row } = gradient;
    const at = { block, window, column: window.start - origin, row, first: block.index === 0 };
    if (this.#known("gradients", at)) return;
    const kept = read("kept", this.workspace.kept());
    const logits = read("logits", this.workspace.logits(gradient, block));
    const flags = this.#flags(read);
    if (wanted.has("weight")) {
      const { grid, work } = this.#products.fitting(window.count, hidden, block.count);
      this.#dispatch(
        "weight-gradient",
        grid,
        [
          kept,
          read("hidden", this.workspace.hidden(block)),
          logits,
          write("grad_weight", this.workspace.gradWeight(window)),
          ...flags,
        ],
        at,
        work,
      );
    }
    if (wanted.has("hidden")) this.#hiddenGradient(block, window, [logits, ...flags], at);
    if (wanted.has("bias")) {
      this.#dispatch("bias-gradient", [Math.ceil(window.count / LINEAR_WORKGROUP), 1], [
        kept,
        logits,
        write("grad_bias", this.workspace.perVocab("grad_bias", "output")),
        ...flags,
      ], at);
    }
  }

  /**
   * The gradient of a block's hidden states from one window. The result is small
   * and the sum long: where its tiles leave the device idle, the window is cut into
   * parts that are summed at the same time, and added up afterwards.
   */
  #hiddenGradient(block: Block, window: Window, operands: Binding[], at: Place): void {
    const { hidden } = headOf(this.problem);
    // One for all windows: it is a constant of the kernel. Where tiles are filtered it is made of
    // whole ones.
    const span = this.#span ??= this.shape.oneSum
      ? this.windows[0]!.count
      : this.#products.fittingSpan({
        rows: this.blocks[0]!.count,
        cols: hidden,
        depth: this.windows[0]!.count,
        unit: this.shape.tile.cols,
      }, this.workspace.limits);
    const parts = Math.ceil(window.count / span);
    const { grid, work } = this.#products.fitting(
      block.count,
      hidden,
      Math.min(span, window.count),
    );
    const bindings = [
      read("kept", this.workspace.kept()),
      read("weight", this.workspace.weight(window)),
      ...operands,
    ];
    const gradient = write("grad_hidden", this.workspace.gradHidden(block));
    if (parts === 1) {
      this.#dispatch("hidden-gradient", grid, [...bindings, gradient], at, work);
      return;
    }
    const sums = this.workspace.hiddenParts(Math.ceil(this.windows[0]!.count / span));
    const flops = projectionFlops({ tokens: block.count, vocab: window.count, hidden });
    this.#dispatch(
      "hidden-gradient",
      [grid[0], grid[1] * parts],
      [...bindings, write("hidden_parts", sums)],
      at,
      { ...work, flops, span },
    );
    this.#dispatch(
      "hidden-sum",
      [Math.ceil(hidden / LINEAR_WORKGROUP), block.count],
      [
        read("kept", this.workspace.kept()),
        read("hidden_parts", sums),
        gradient,
      ],
      at,
      { span },
    );
  }

  /** Marks the end of a complete forward pass: what follows needs the upstream gradient. */
  beginBackward(): void {
    this.#backwardStart = this.#steps.length;
  }

  /** Zeros for the rows that no window reaches: ignored tokens have exactly no gradient. */
  clearHiddenGradient(): void {
    if (!wantedGradients(this.problem).has("hidden")) return;
    this.#add(this.workspace.gradHiddenBuffers().map((slice) => ({ kind: "clear", slice })));
  }

  /** Ends the schedule with what is done once. */
  #end(): number {
    this.#add(sumGradients(this.workspace));
    const paramsStride = roundUp(
      PARAMS_BYTES,
      this.workspace.limits.minUniformBufferOffsetAlignment,
    );
    this.workspace.whole(PARAMS_BUFFER, this.#paramsCount * paramsStride, "state");
    return paramsStride;
  }

  /** Returns what a sketch is made for: memory, bytes between host and device, and the steps that cost time. */
  total(): {
    readonly memory: MemoryPrediction;
    readonly transferred: number;
    readonly steps: readonly Step[];
  } {
    this.#end();
    const { memory, transferred } = this.#lives?.total(this.workspace) ??
      { memory: heldThroughout(this.workspace.bytesByCategory), transferred: 0 };
    return { memory, transferred, steps: this.#steps };
  }

  /** The finished schedule. */
  finish(): Schedule {
    const paramsStride = this.#end();
    const { tile, strategy, splits } = this.shape;
    return {
      strategy,
      problem: this.problem,
      tile,
      window: { vocab: this.windows[0]!.count, count: this.#windowCount },
      block: { tokens: this.blocks[0]!.count, count: this.#blockCount },
      splits,
      logitStride: this.workspace.logitStride,
      buffers: this.workspace.buffers,
      params: this.#params,
      paramsStride,
      steps: this.#steps,
      backwardStart: this.#backwardStart,
      residency: this.shape.residency,
      ...(this.share ? { share: this.share } : {}),
    };
  }
}

const NO_CUTS: ReadonlySet<number> = new Set();

/** Whether a range is the first or the last of some. */
function isOuter(range: Window, all: readonly Window[]): boolean {
  return range === all[0] || range === all.at(-1);
}

function read(slot: string, slice: Slice): Binding {
  return { slot, slice, access: "read" };
}

function write(slot: string, slice: Slice): Binding {
  return { slot, slice, access: "read_write" };
}

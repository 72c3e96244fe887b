/**
 * A schedule in the making. The draft owns the buffers that every strategy
 * shares and has one method per kernel; a strategy is the order in which it
 * calls them.
 *
 * @module
 */
import { productSeconds } from "../cost.ts";
import type { DeviceLimits, DeviceProfile, DeviceRates } from "../device.ts";
import { bytesPerElement } from "../dtype.ts";
import {
  type Matrix,
  partition,
  ranges,
  roundUp,
  rowGranule,
  segmentBytes,
  sliceRows,
} from "../matrix.ts";
import { filterThreshold, projectionFlops, wantedGradients } from "../problem.ts";
import type { Problem } from "../problem.ts";
import {
  type Binding,
  type BufferSpec,
  type Category,
  type KernelName,
  type Params,
  PARAMS_BUFFER,
  type Range,
  type Schedule,
  type Slice,
  type Step,
  type StrategyName,
} from "../schedule.ts";
import type { Tile } from "../tile.ts";
import {
  COEFFICIENT_ROWS,
  hasReducedLoss,
  keptHeader,
  partialStatistics,
  tokenResults,
  tokenStride,
  TOTALS,
  upstreamRows,
} from "./layout.ts";

/** Why a schedule cannot run on a device. The search reports it as a reason, not a failure. */
export class Infeasible extends Error {
  override name = "Infeasible";
}

/** More block-window pairs than this make a schedule too long to be of use, or to be held as data. */
const MAX_PAIRS = 1 << 16;

/** Invocations of the kernels that work on tokens or columns, not on tiles. */
export const LINEAR_WORKGROUP = 64;

/** The free choices of a schedule. */
export interface Shape {
  readonly strategy: StrategyName;
  readonly tile: Tile;
  /** Tokens of a block, vocabulary ids of a window. */
  readonly block: number;
  readonly window: number;
  /** Sets of partial statistics per token. */
  readonly splits: number;
}

/** A token block and its place among the others. */
export interface Block extends Range {
  readonly index: number;
}

/** Where logits or their gradient are stored: rows are kept tokens of a block. */
export interface LogitMatrix {
  readonly matrix: Matrix;
  /** First row of the block in the matrix. */
  readonly row: number;
  /** Column of vocabulary id 0. */
  readonly origin: number;
}

/** A schedule in the making: buffers so far, steps so far, and one method per kernel. */
export class ScheduleDraft {
  readonly blocks: readonly Block[];
  readonly windows: readonly Range[];
  readonly #limits: DeviceLimits;
  readonly #rates: DeviceRates | undefined;
  readonly #productTiles: readonly Tile[];
  readonly #buffers = new Map<string, BufferSpec>();
  readonly #params: Params[] = [];
  readonly #paramsIndex = new Map<string, number>();
  readonly #steps: Step[] = [];
  #backwardStart: number | undefined;
  readonly #hidden: Matrix;
  readonly #weight: Matrix;
  readonly #gradHidden: Matrix;
  readonly #gradWeight: Matrix;
  #logitStride = 0;

  /** @throws {Infeasible} when the shape cannot be cut to the device's limits. */
  constructor(
    readonly problem: Problem,
    device: DeviceProfile,
    readonly shape: Shape,
    tiles: readonly Tile[],
  ) {
    const { tokens, vocab, hidden, dtype } = problem;
    const pairs = Math.ceil(tokens / shape.block) * Math.ceil(vocab / shape.window);
    if (pairs > MAX_PAIRS) {
      throw new Infeasible(`would take ${pairs} steps over the vocabulary, more than ${MAX_PAIRS}`);
    }
    this.#limits = device.limits;
    this.#rates = device.rates;
    // Where tiles are filtered, the products' own tiles must lie within them.
    this.#productTiles = filterThreshold(problem) === 0 ? tiles : [shape.tile];
    this.blocks = ranges(tokens, shape.block).map((range, index) => ({ ...range, index }));
    this.windows = ranges(vocab, shape.window);
    const rowBytes = hidden * bytesPerElement(dtype);
    this.#hidden = this.#matrix("hidden", tokens, rowBytes, shape.block);
    this.#weight = this.#matrix("weight", vocab, rowBytes, shape.window);
    this.#gradHidden = this.#matrix("grad_hidden", tokens, 4 * hidden, shape.block);
    this.#gradWeight = this.#matrix("grad_weight", vocab, 4 * hidden, shape.window);
  }

  #matrix(name: string, rows: number, rowBytes: number, unit: number): Matrix {
    return partition(name, rows, rowBytes, Math.min(unit, rows), this.#limits);
  }

  /** Bytes of logits for `rows` tokens and `cols` ids; rows are padded to whole vec4s. */
  logitMatrix(name: string, rows: number, cols: number, unit: number): Matrix {
    this.#logitStride = roundUp(cols, 4);
    return this.#matrix(name, rows, 4 * this.#logitStride, unit);
  }

  #buffer(
    name: string,
    bytes: number,
    category: Category,
    holds = { tensor: name, offset: 0 },
  ): void {
    if (this.#buffers.has(name)) return;
    if (bytes > this.#limits.maxBufferSize) {
      throw new Infeasible(
        `buffer ${name} takes ${bytes} bytes, the device allows ${this.#limits.maxBufferSize} (maxBufferSize)`,
      );
    }
    const external = category === "input" || category === "output";
    this.#buffers.set(name, { name, bytes, category, ...(external ? { holds } : {}) });
  }

  /** The whole of a buffer that is bound as one. */
  #whole(name: string, bytes: number, category: Category): Slice {
    this.#buffer(name, bytes, category);
    return { buffer: name, offset: 0, bytes };
  }

  /** Some rows of a matrix, whose buffer is declared on first use. */
  #rows(matrix: Matrix, rows: Range, category: Category): Slice {
    const slice = sliceRows(matrix, rows);
    if (!this.#buffers.has(slice.buffer)) {
      const segment = matrix.segments.find(({ buffer }) => buffer === slice.buffer)!;
      this.#buffer(slice.buffer, segmentBytes(matrix, segment.rows), category, {
        tensor: matrix.name,
        offset: segment.rows.start * matrix.rowBytes,
      });
    }
    return slice;
  }

  #perToken(name: string, rows: number, category: Category): Slice {
    return this.#whole(name, 4 * rows * tokenStride(this.problem), category);
  }

  #kept(): Slice {
    const words = keptHeader(this.blocks.length) + this.problem.tokens;
    return this.#whole("kept", 4 * words, "state");
  }

  #targets = () => this.#whole("targets", 4 * this.problem.tokens, "input");
  #totals = () => this.#whole("totals", 4 * TOTALS.length, "output");
  #tokenResults = () => this.#perToken("tokens", tokenResults(this.problem).length, "output");
  #coefficients = () => this.#perToken("coefficients", COEFFICIENT_ROWS.length, "state");
  #partials = () =>
    this.#perToken(
      "partials",
      this.shape.splits * partialStatistics(this.problem).length,
      "scratch",
    );

  #hiddenRows = (block: Range) => this.#rows(this.#hidden, block, "input");
  #weightRows = (window: Range) => this.#rows(this.#weight, window, "input");

  #perVocab(name: "bias" | "class_weight"): Binding[] {
    const slice = this.#whole(name, 4 * this.problem.vocab, "input");
    return [read(name, slice)];
  }
  #bias = () => this.problem.bias ? this.#perVocab("bias") : [];
  #classWeight = () => this.problem.classWeight ? this.#perVocab("class_weight") : [];
  /** Class weights where they also weigh the smoothing term. */
  #smoothingWeight = () => this.problem.labelSmoothing > 0 ? this.#classWeight() : [];

  #dispatch(
    kernel: KernelName,
    grid: readonly [number, number],
    bindings: Binding[],
    at: {
      block?: Block;
      window?: Range;
      column?: number;
      first?: boolean;
    },
    product?: { tile: Tile; flops: number; workgroupFlops: number },
  ): void {
    const { maxComputeWorkgroupsPerDimension, maxStorageBufferBindingSize } = this.#limits;
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
      if (slice.offset % this.#limits.minStorageBufferOffsetAlignment !== 0) {
        throw new Infeasible(`${kernel} binds ${slot} at the unaligned offset ${slice.offset}`);
      }
    }
    const params = this.#paramsSlot({
      tokenStart: at.block?.start ?? 0,
      tokens: at.block?.count ?? this.problem.tokens,
      block: at.block?.index ?? 0,
      vocabStart: at.window?.start ?? 0,
      vocab: at.window?.count ?? this.problem.vocab,
      column: at.column ?? 0,
      vocabTile: this.#vocabTile(at.window?.start ?? 0),
      first: at.first ? 1 : 0,
    });
    this.#steps.push({
      kind: "dispatch",
      kernel,
      grid,
      bindings,
      params,
      ...(product ?? { flops: 0, workgroupFlops: 0 }),
    });
  }

  #paramsSlot(params: Params): number {
    const key = Object.values(params).join();
    const known = this.#paramsIndex.get(key);
    if (known !== undefined) return known;
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
    const tokenTiles = this.blocks.length * Math.ceil(this.blocks[0]!.count / tile.rows);
    return [access("tile_flags", this.#whole("tile_flags", 4 * vocabTiles * tokenTiles, "output"))];
  }

  /** A matrix product of `rows x cols` results over `depth`, in the tile given. */
  #product(rows: number, cols: number, depth: number, tile = this.shape.tile) {
    return {
      grid: [Math.ceil(cols / tile.cols), Math.ceil(rows / tile.rows)] as const,
      work: {
        tile,
        flops: projectionFlops({ tokens: rows, vocab: cols, hidden: depth }),
        workgroupFlops: 2 * tile.rows * tile.cols * depth,
      },
    };
  }

  /** The same in whichever tile leaves least of the device idle; logits keep to the shape's. */
  #fittingProduct(rows: number, cols: number, depth: number) {
    const products = this.#productTiles.map((tile) => this.#product(rows, cols, depth, tile));
    const seconds = products.map(({ grid, work }) =>
      productSeconds(work.tile, grid[0] * grid[1], work.workgroupFlops, this.#rates)
    );
    return products[seconds.indexOf(Math.min(...seconds))]!;
  }

  /** Lists the tokens that are not ignored, block by block, and adds up what `mean` divides by. */
  selectTokens(): void {
    this.#dispatch("select-tokens", [1, 1], [
      read("targets", this.#targets()),
      ...this.#classWeight(),
      write("kept", this.#kept()),
      write("totals", this.#totals()),
    ], {});
  }

  /** Projects a block onto a window and folds the logits into the block's partial statistics. */
  forward(block: Block, window: Range): void {
    const { grid, work } = this.#product(block.count, window.count, this.problem.hidden);
    this.#dispatch(
      "forward",
      [grid[1], grid[0]],
      [
        read("kept", this.#kept()),
        read("targets", this.#targets()),
        read("hidden", this.#hiddenRows(block)),
        read("weight", this.#weightRows(window)),
        ...this.#bias(),
        ...this.#smoothingWeight(),
        write("partials", this.#partials()),
      ],
      { block, window, first: window.start === 0 },
      work,
    );
  }

  /** Projects a block onto a window and stores the logits. */
  project(block: Block, window: Range, logits: LogitMatrix): void {
    const { grid, work } = this.#product(block.count, window.count, this.problem.hidden);
    this.#dispatch(
      "project",
      [grid[1], grid[0]],
      [
        read("kept", this.#kept()),
        read("hidden", this.#hiddenRows(block)),
        read("weight", this.#weightRows(window)),
        ...this.#bias(),
        write("logits", this.#logits(logits, block)),
      ],
      { block, window, column: window.start - logits.origin },
      work,
    );
  }

  #logits(logits: LogitMatrix, block: Block): Slice {
    return this.#rows(logits.matrix, { start: logits.row, count: block.count }, "scratch");
  }

  /** Folds stored logits into the block's partial statistics. */
  rowStatistics(block: Block, logits: LogitMatrix): void {
    this.#dispatch("row-statistics", [block.count, 1], [
      read("kept", this.#kept()),
      read("targets", this.#targets()),
      read("logits", this.#logits(logits, block)),
      ...this.#smoothingWeight(),
      write("partials", this.#partials()),
    ], { block });
  }

  /** Turns partial statistics into results per token. */
  merge(block: Block): void {
    this.#dispatch("merge", [Math.ceil(block.count / LINEAR_WORKGROUP), 1], [
      read("kept", this.#kept()),
      read("targets", this.#targets()),
      read("partials", this.#partials()),
      read("totals", this.#totals()),
      ...this.#classWeight(),
      write("tokens", this.#tokenResults()),
    ], { block });
  }

  /** Turns results per token and the upstream gradient into the coefficients of the gradient. */
  coefficients(block: Block): void {
    const upstream = upstreamRows(this.problem).length;
    this.#dispatch("coefficients", [Math.ceil(block.count / LINEAR_WORKGROUP), 1], [
      read("kept", this.#kept()),
      read("targets", this.#targets()),
      read("totals", this.#totals()),
      ...this.#classWeight(),
      ...(upstream ? [read("upstream", this.#perToken("upstream", upstream, "input"))] : []),
      read("tokens", this.#tokenResults()),
      write("coefficients", this.#coefficients()),
    ], { block });
  }

  /** Adds the tokens' shares up to the loss, where there is one. */
  reduce(): void {
    if (!hasReducedLoss(this.problem)) return;
    this.#dispatch("reduce", [1, 1], [
      read("tokens", this.#tokenResults()),
      read("totals", this.#totals()),
      write("loss", this.#whole("loss", 4, "output")),
    ], {});
  }

  /** Recomputes a window's logits and stores the gradient with respect to them. */
  logitGradient(block: Block, window: Range, gradient: LogitMatrix): void {
    const { grid, work } = this.#product(block.count, window.count, this.problem.hidden);
    this.#dispatch(
      "logit-gradient",
      [grid[1], grid[0]],
      [
        read("kept", this.#kept()),
        read("hidden", this.#hiddenRows(block)),
        read("weight", this.#weightRows(window)),
        ...this.#bias(),
        ...this.#smoothingWeight(),
        read("coefficients", this.#coefficients()),
        write("logits", this.#logits(gradient, block)),
        ...this.#flags(write),
      ],
      { block, window, column: window.start - gradient.origin },
      work,
    );
  }

  /** Turns a window of stored logits into the gradient with respect to them, in place. */
  storedLogitGradient(block: Block, window: Range, logits: LogitMatrix): void {
    const { tile } = this.shape;
    const grid = [Math.ceil(block.count / tile.rows), Math.ceil(window.count / tile.cols)] as const;
    this.#dispatch(
      "stored-logit-gradient",
      grid,
      [
        read("kept", this.#kept()),
        ...this.#smoothingWeight(),
        read("coefficients", this.#coefficients()),
        write("logits", this.#logits(logits, block)),
        ...this.#flags(write),
      ],
      { block, window, column: window.start - logits.origin },
      { tile, flops: 0, workgroupFlops: 0 },
    );
  }

  /** The gradients that follow from a window of logit gradients, those that were asked for. */
  gradients(block: Block, window: Range, gradient: LogitMatrix): void {
    const { hidden } = this.problem;
    const wanted = wantedGradients(this.problem);
    const at = { block, window, column: window.start - gradient.origin, first: block.index === 0 };
    const kept = read("kept", this.#kept());
    const logits = read("logits", this.#logits(gradient, block));
    const flags = this.#flags(read);
    if (wanted.has("weight")) {
      const { grid, work } = this.#fittingProduct(window.count, hidden, block.count);
      this.#dispatch(
        "weight-gradient",
        grid,
        [
          kept,
          read("hidden", this.#hiddenRows(block)),
          logits,
          write("grad_weight", this.#rows(this.#gradWeight, window, "output")),
          ...flags,
        ],
        at,
        work,
      );
    }
    if (wanted.has("hidden")) {
      const { grid, work } = this.#fittingProduct(block.count, hidden, window.count);
      this.#dispatch(
        "hidden-gradient",
        grid,
        [
          kept,
          read("weight", this.#weightRows(window)),
          logits,
          write("grad_hidden", this.#rows(this.#gradHidden, block, "output")),
          ...flags,
        ],
        at,
        work,
      );
    }
    if (wanted.has("bias")) {
      this.#dispatch("bias-gradient", [Math.ceil(window.count / LINEAR_WORKGROUP), 1], [
        kept,
        logits,
        write("grad_bias", this.#whole("grad_bias", 4 * this.problem.vocab, "output")),
        ...flags,
      ], at);
    }
  }

  /** Marks the end of a complete forward pass: what follows needs the upstream gradient. */
  beginBackward(): void {
    this.#backwardStart = this.#steps.length;
  }

  /** Zeros for the rows that no window reaches: ignored tokens have exactly no gradient. */
  clearHiddenGradient(): void {
    if (!wantedGradients(this.problem).has("hidden")) return;
    for (const { rows } of this.#gradHidden.segments) {
      this.#steps.push({ kind: "clear", slice: this.#rows(this.#gradHidden, rows, "output") });
    }
  }

  /** The finished schedule. */
  finish(): Schedule {
    const { tile, strategy, splits } = this.shape;
    const paramsStride = roundUp(PARAMS_BYTES, this.#limits.minUniformBufferOffsetAlignment);
    this.#buffer(PARAMS_BUFFER, this.#params.length * paramsStride, "state");
    return {
      strategy,
      problem: this.problem,
      tile,
      window: { vocab: this.windows[0]!.count, count: this.windows.length },
      block: { tokens: this.blocks[0]!.count, count: this.blocks.length },
      splits,
      logitStride: this.#logitStride,
      buffers: [...this.#buffers.values()],
      params: this.#params,
      paramsStride,
      steps: this.#steps,
      backwardStart: this.#backwardStart,
      retained: false,
    };
  }
}

/** Bytes of the params of one dispatch, as the uniform buffer holds them. */
export const PARAMS_BYTES = 48;

function read(slot: string, slice: Slice): Binding {
  return { slot, slice, access: "read" };
}

function write(slot: string, slice: Slice): Binding {
  return { slot, slice, access: "read_write" };
}

/** Row counts that a window must be a multiple of, so that every matrix cut by windows is aligned. */
export function windowGranule(problem: Problem, limits: DeviceLimits): number {
  const { hidden, dtype } = problem;
  return Math.max(
    rowGranule(hidden * bytesPerElement(dtype), limits),
    wantedGradients(problem).has("weight") ? rowGranule(4 * hidden, limits) : 1,
    4,
  );
}

/** Row counts that a token block must be a multiple of. */
export function blockGranule(problem: Problem, limits: DeviceLimits): number {
  return Math.max(windowGranule(problem, limits), 64);
}

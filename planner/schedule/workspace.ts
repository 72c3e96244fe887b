/**
 * The buffers of a schedule in the making: declared on first use, cut to the
 * device's limits, handed out as the slices that kernels bind.
 *
 * @module
 */
import type { DeviceLimits } from "../device.ts";
import { bytesPerElement } from "../dtype.ts";
import {
  type Matrix,
  matrixBytes,
  partition,
  roundUp,
  rowsBytes,
  type Segment,
  segmentCount,
  segmentsOf,
  segmentWith,
  sliceRows,
} from "./matrix.ts";
import { emptyCategories } from "./memory.ts";
import { headOf, type Problem } from "../problem.ts";
import type { BufferSpec, Category, Range, Share, Slice } from "./schedule.ts";
import { COEFFICIENT_ROWS, keptHeader, tokenResults, tokenStride, TOTALS } from "./layout.ts";
import { statisticRows } from "./statistics.ts";
import { Infeasible, type Shape } from "./shape.ts";

/** Where logits or their gradient are stored: rows are kept tokens of a block. */
export interface LogitMatrix {
  readonly matrix: Matrix;
  /** First row of the block in the matrix. */
  readonly row: number;
  /** Column of vocabulary id 0. */
  readonly origin: number;
}

/** A buffer, or all those of a matrix. */
export type Used = BufferSpec | { readonly matrix: Matrix; readonly category: Category };

/** A matrix of more buffers than this is of no use, and cannot be held as data. */
const MAX_BUFFERS = 1 << 16;

/** The buffers of one schedule, by what they hold. */
export class Workspace {
  /** By name: a buffer, or all those of a matrix. */
  readonly #used = new Map<string, Used>();
  readonly #hidden: Matrix;
  readonly #weight: Matrix;
  readonly #gradHidden: Matrix;
  readonly #gradWeight: Matrix;
  /** The rank's own rows of hidden states and their gradient, where tokens are split too. */
  readonly #ownHidden: Matrix;
  readonly #ownGradHidden: Matrix;
  #logits: Matrix | undefined;
  #logitStride = 0;

  /** @throws {Infeasible} where no buffer can hold what the shape asks for. */
  constructor(
    readonly problem: Problem,
    readonly shape: Shape,
    readonly limits: DeviceLimits,
    readonly share?: Share,
    /** Whether it is known by its matrices alone: a sketch does not tell their buffers apart. */
    readonly sketched = false,
  ) {
    const { tokens } = problem;
    const { vocab, hidden, dtype } = headOf(problem);
    const rowBytes = hidden * bytesPerElement(dtype);
    const { block } = shape;
    const own = share?.sequence ? tokens / share.tensor : tokens;
    this.#ownHidden = this.#matrix("hidden", own, rowBytes, block);
    this.#ownGradHidden = this.#matrix("grad_hidden", own, 4 * hidden, block);
    this.#hidden = share?.sequence
      ? this.#matrix("gathered_hidden", tokens, rowBytes, block)
      : this.#ownHidden;
    this.#gradHidden = share?.sequence
      ? this.#matrix("partial_grad_hidden", tokens, 4 * hidden, block)
      : this.#ownGradHidden;
    this.#weight = this.#windowed("weight", vocab, rowBytes);
    this.#gradWeight = this.#windowed("grad_weight", vocab, 4 * hidden);
  }

  /** A matrix that windows are cut from: in as few buffers as the device allows, or in one for each. */
  #windowed(name: string, rows: number, rowBytes: number): Matrix {
    const { shape, limits } = this;
    const unit = Math.min(shape.window, rows);
    const most = shape.residency === "windows" ? unit * rowBytes : Infinity;
    const maxBufferSize = Math.min(limits.maxBufferSize, most);
    return partition(name, rows, rowBytes, unit, { ...limits, maxBufferSize });
  }

  #matrix(name: string, rows: number, rowBytes: number, unit: number): Matrix {
    return partition(name, rows, rowBytes, Math.min(unit, rows), this.limits);
  }

  /** Rows at which matrices are cut into buffers, of tokens or of the vocabulary. */
  cuts(of: "tokens" | "vocab"): Set<number> {
    const matrices = of === "vocab"
      ? this.shape.residency === "windows" ? [] : [this.#weight, this.#gradWeight]
      : [this.#hidden, this.#gradHidden, ...(this.#logits ? [this.#logits] : [])];
    const cuts = new Set<number>();
    for (const { rows, capacity } of matrices) {
      for (let start = 0; start < rows; start += capacity) cuts.add(start);
    }
    return cuts;
  }

  /** Every buffer used so far. */
  get buffers(): readonly BufferSpec[] {
    return [...this.#used.values()].flatMap((used) => {
      if (!("matrix" in used)) return [used];
      const { matrix, category } = used;
      return segmentsOf(matrix).map((segment) => segmentSpec(matrix, segment, category));
    });
  }

  /** Bytes of every buffer used so far. */
  get bytesByCategory(): Record<Category, number> {
    const bytes = emptyCategories();
    for (const used of this.#used.values()) {
      bytes[used.category] += "matrix" in used ? matrixBytes(used.matrix) : used.bytes;
    }
    return bytes;
  }

  /** What has been used so far, by name: a buffer, or all those of a matrix. */
  get used(): ReadonlyMap<string, Used> {
    return this.#used;
  }

  /** Row stride of the logit matrix in elements; 0 where there is none. */
  get logitStride(): number {
    return this.#logitStride;
  }

  #check(name: string, bytes: number): void {
    const { maxBufferSize } = this.limits;
    if (bytes <= maxBufferSize) return;
    throw new Infeasible(
      `buffer ${name} takes ${bytes} bytes, the device allows ${maxBufferSize} (maxBufferSize)`,
    );
  }

  /** The whole of a buffer that is bound as one. */
  whole(name: string, bytes: number, category: Category): Slice {
    if (!this.#used.has(name)) {
      this.#check(name, bytes);
      this.#used.set(name, bufferSpec(name, bytes, category, { tensor: name, offset: 0 }));
    }
    return { buffer: name, offset: 0, bytes };
  }

  /** Some rows of a matrix, whose buffers are declared on first use. */
  #rows(matrix: Matrix, rows: Range, category: Category): Slice {
    const { buffer, ...at } = sliceRows(matrix, rows);
    const slice = { buffer: this.sketched ? matrix.name : buffer, ...at };
    // Where buffers come and go, each is known from its first use on.
    const whole = this.sketched || this.shape.residency === "caller";
    const name = whole ? matrix.name : buffer;
    if (this.#used.has(name)) return slice;
    this.#check(matrix.name, rowsBytes(matrix, Math.min(matrix.rows, matrix.capacity)));
    const count = segmentCount(matrix);
    if (count > MAX_BUFFERS) {
      throw new Infeasible(
        `would cut ${matrix.name} into ${count} buffers, more than ${MAX_BUFFERS}`,
      );
    }
    const used = whole
      ? { matrix, category }
      : segmentSpec(matrix, segmentWith(matrix, rows.start), category);
    this.#used.set(name, used);
    return slice;
  }

  /** All rows of a matrix, buffer by buffer. */
  #buffers(matrix: Matrix, category: Category): Slice[] {
    // A sketch does not tell them apart: one stands for all.
    const segments = this.sketched ? [segmentWith(matrix, 0)] : segmentsOf(matrix);
    return segments.map(({ rows }) => this.#rows(matrix, rows, category));
  }

  hidden(block: Range): Slice {
    return this.#rows(this.#hidden, block, this.share?.sequence ? "scratch" : "input");
  }

  /** All hidden states that the kernels read, buffer by buffer. */
  hiddenBuffers(): Slice[] {
    return this.#buffers(this.#hidden, this.share?.sequence ? "scratch" : "input");
  }

  /** Those that the rank holds from the start. */
  ownHiddenBuffers(): Slice[] {
    return this.#buffers(this.#ownHidden, "input");
  }

  weight(window: Range): Slice {
    return this.#rows(this.#weight, window, "input");
  }

  gradHidden(block: Range): Slice {
    return this.#rows(this.#gradHidden, block, this.share?.sequence ? "scratch" : "output");
  }

  /** The rank's own rows of it, buffer by buffer. */
  ownGradHiddenBuffers(): Slice[] {
    return this.#buffers(this.#ownGradHidden, "output");
  }

  /** The whole gradient of the hidden states, buffer by buffer. */
  gradHiddenBuffers(): Slice[] {
    return this.#buffers(this.#gradHidden, this.share?.sequence ? "scratch" : "output");
  }

  gradWeight(window: Range): Slice {
    return this.#rows(this.#gradWeight, window, "output");
  }

  /** The whole gradient of the weight, buffer by buffer. */
  gradWeightBuffers(): Slice[] {
    return this.#buffers(this.#gradWeight, "output");
  }

  /** A matrix of logits for `rows` tokens and `cols` ids; rows are padded to whole vec4s. */
  logitMatrix(name: string, rows: number, cols: number, unit: number): Matrix {
    this.#logitStride = roundUp(cols, 4);
    this.#logits = this.#matrix(name, rows, 4 * this.#logitStride, unit);
    return this.#logits;
  }

  logits({ matrix, row }: LogitMatrix, block: Range): Slice {
    return this.#rows(matrix, { start: row, count: block.count }, "scratch");
  }

  /** Sums over parts of a window, `[parts, tokens of the block, hidden]`, on their way to the gradient. */
  hiddenParts(parts: number): Slice {
    const { problem, shape } = this;
    const rows = parts * Math.min(shape.block, problem.tokens);
    return this.whole("hidden_parts", 4 * rows * headOf(problem).hidden, "scratch");
  }

  /** A number for each vocabulary id that the rank holds. */
  perVocab(name: "bias" | "grad_bias", category: Category): Slice {
    return this.whole(name, 4 * headOf(this.problem).vocab, category);
  }

  /** Class weights are all on every rank: a target's is needed wherever its row of the weight is. */
  classWeight(): Slice {
    const vocab = this.share?.wholeVocab ?? headOf(this.problem).vocab;
    return this.whole("class_weight", 4 * vocab, "input");
  }

  /** Some rows of a number for each token. */
  perToken(name: string, rows: number, category: Category): Slice {
    return this.whole(name, 4 * rows * tokenStride(this.problem), category);
  }

  /**
   * Rows of each block's tokens, those that are kept first, behind the number of
   * kept ones for each block.
   */
  kept(): Slice {
    const { tokens } = this.problem;
    const words = keptHeader(Math.ceil(tokens / this.shape.block)) + tokens;
    return this.whole("kept", 4 * words, "state");
  }

  /** For each kept token the row of the whole weight that is its target. */
  keptTargets(): Slice {
    return this.whole("kept_targets", 4 * this.problem.tokens, "state");
  }

  targets(): Slice {
    return this.whole("targets", 4 * this.problem.tokens, "input");
  }

  totals(): Slice {
    return this.whole("totals", 4 * TOTALS.length, "output");
  }

  loss(): Slice {
    return this.whole("loss", 4, "output");
  }

  tokenResults(): Slice {
    return this.perToken("tokens", tokenResults(this.problem).length, "output");
  }

  coefficients(): Slice {
    return this.perToken("coefficients", COEFFICIENT_ROWS.length, "state");
  }

  partials(): Slice {
    const rows = this.shape.splits * statisticRows(this.problem);
    return this.perToken("partials", rows, "scratch");
  }

  /** One set of statistics per token, over the vocabulary of all ranks: a set of `partials`. */
  statistics(): Slice {
    return this.perToken("statistics", statisticRows(this.problem), "scratch");
  }
}

function segmentSpec(matrix: Matrix, { buffer, rows }: Segment, category: Category): BufferSpec {
  return bufferSpec(buffer, rowsBytes(matrix, rows.count), category, {
    tensor: matrix.name,
    offset: rows.start * matrix.rowBytes,
  });
}

/** Buffers of the schedule's own that people may want to see. */
const SHOWN: ReadonlySet<string> = new Set(["tile_flags"]);

/** A buffer; what comes from the host or goes to it says what it holds. */
function bufferSpec(
  name: string,
  bytes: number,
  category: Category,
  holds: { readonly tensor: string; readonly offset: number },
): BufferSpec {
  const external = category === "input" || category === "output" || SHOWN.has(name);
  return { name, bytes, category, ...(external ? { holds } : {}) };
}

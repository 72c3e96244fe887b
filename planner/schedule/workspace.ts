/**
 * The buffers of a schedule in the making: declared on first use, cut to the
 * device's limits, handed out as the slices that kernels bind. What there is to
 * declare stands in `tensors.ts`; the tensors that each head has are asked of it
 * ({@linkcode HeadBuffers}), all others of the workspace.
 *
 * @module
 */
import type { DeviceLimits } from "../device.ts";
import {
  type Matrix,
  matrixBytes,
  partition,
  rowsBytes,
  type Segment,
  segmentCount,
  segmentsOf,
  segmentWith,
  sliceRows,
} from "./matrix.ts";
import { emptyCategories } from "./memory.ts";
import type { Head, Problem } from "../problem.ts";
import type { Binding, BufferSpec, Category, Dispatch, Range, Share, Slice } from "./schedule.ts";
import { Infeasible, type Region, type Shape } from "./shape.ts";
import { kindOf, tierOf } from "./tile.ts";
import {
  becomeHalves,
  gradientRowBytes,
  gradientsApart,
  gradientStride,
  logitRowBytes,
  logitStride,
} from "./layout.ts";
import {
  CATEGORY_OF,
  elementBytes,
  elementType,
  type Extents,
  hasTensor,
  type HeadKey,
  type HeadMatrix,
  isExternal,
  paddingRows,
  type TensorKey,
  tensorName,
  tensorOf,
  tensorsOf,
} from "./tensors.ts";

/** A matrix of logits or of their gradient. */
interface IdsMatrix extends Matrix {
  /** Returns the bytes that so many ids of a row take. */
  readonly idsBytes: (ids: number) => number;
}

/** Where logits or their gradient are stored: rows are kept tokens of a block. */
export interface LogitMatrix {
  readonly matrix: IdsMatrix;
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
  /** The buffers of each head, in the order of the problem's. */
  readonly heads: readonly HeadBuffers[];
  #logitStride = 0;
  readonly #gradients = new Map<string, IdsMatrix>();
  #gradientStride: number | undefined;
  readonly #reached = new Map<string, number>();

  /** @throws {Infeasible} where no buffer can hold what the shape asks for. */
  constructor(
    readonly problem: Problem,
    readonly shape: Shape,
    readonly limits: DeviceLimits,
    readonly share?: Share,
    /** Whether it is known by its matrices alone: a sketch does not tell their buffers apart. */
    readonly sketched = false,
  ) {
    this.heads = problem.heads.map((head) => new HeadBuffers(this, head));
  }

  /** What the sizes of a head's tensors follow from. */
  extents(head: Head): Extents {
    const { problem, shape, share } = this;
    const blocks = Math.ceil(problem.tokens / shape.block);
    return { problem, head, share, blocks, splits: shape.splits };
  }

  /**
   * The buffers of a head's matrix: as few as the device allows, or one for each
   * window that comes and goes. Rows of ids that another head does not have stay on the host,
   * where that has the matrix.
   */
  matrix(key: HeadMatrix, head: Head): Matrix {
    const { problem, shape, limits } = this;
    const [whole, columns] = tensorOf(key).shape!(this.extents(head)) as [number, number];
    const type = elementType(key, head, shape.gradientDtype);
    const rowBytes = columns * elementBytes(type);
    const byWindow = tensorOf(key).axis === "vocab";
    const rows = whole - (byWindow ? paddingRows(problem, head, shape.residency) : 0);
    const unit = Math.min(byWindow ? shape.window : shape.block, rows);
    const most = byWindow && shape.residency === "windows" ? unit * rowBytes : Infinity;
    const maxBufferSize = Math.min(limits.maxBufferSize, most);
    const name = tensorName(problem, head, key);
    return partition(name, rows, rowBytes, unit, { ...limits, maxBufferSize });
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

  /** Row stride of the matrix of logit gradients in elements. */
  get gradientStride(): number {
    return this.#gradientStride ?? this.#logitStride;
  }

  #check(name: string, bytes: number): void {
    const { maxBufferSize } = this.limits;
    if (bytes <= maxBufferSize) return;
    throw new Infeasible(
      `buffer ${name} takes ${bytes} bytes, the device allows ${maxBufferSize} (maxBufferSize)`,
    );
  }

  /** The whole of a buffer that is bound as one. */
  whole(name: string, bytes: number, category: Category, external = false): Slice {
    if (!this.#used.has(name)) {
      this.#check(name, bytes);
      const holds = external ? { holds: { tensor: name, offset: 0 } } : {};
      this.#used.set(name, { name, bytes, category, ...holds });
    }
    return { buffer: name, offset: 0, bytes };
  }

  /**
   * The whole of a tensor.
   *
   * @param elements how many it has, where a strategy or a product decides.
   */
  tensor(
    key: TensorKey,
    { elements, head = this.problem.heads[0]! }: { elements?: number | undefined; head?: Head } =
      {},
  ): Slice {
    const name = tensorName(this.problem, head, key);
    const known = this.#used.get(name);
    if (known && "bytes" in known) return { buffer: name, offset: 0, bytes: known.bytes };
    const { role, shape } = tensorOf(key);
    const count = elements ?? shape!(this.extents(head)).reduce((a, b) => a * b, 1);
    const bytes = count * elementBytes(elementType(key, head));
    return this.whole(name, bytes, CATEGORY_OF[role], isExternal(role));
  }

  /** Binds tensors that are read, in the slots of their names: those that the problem has. */
  read(...keys: TensorKey[]): Binding[] {
    return this.#bind(keys, "read");
  }

  /** Binds tensors that are written. */
  write(...keys: TensorKey[]): Binding[] {
    return this.#bind(keys, "read_write");
  }

  #bind(keys: readonly TensorKey[], access: Binding["access"]): Binding[] {
    const { problem } = this;
    const bindings: Binding[] = [];
    for (const slot of keys) {
      if (!hasTensor(slot, problem, problem.heads[0]!)) continue;
      bindings.push({ slot, slice: this.tensor(slot), access });
    }
    return bindings;
  }

  /** Binds a tensor, if the problem has it; `elements` as in {@linkcode tensor}. */
  bind(slot: TensorKey, access: Binding["access"], elements?: number): Binding[] {
    const { problem } = this;
    if (!hasTensor(slot, problem, problem.heads[0]!)) return [];
    return [{ slot, slice: this.tensor(slot, { elements }), access }];
  }

  /** Some rows of a matrix, whose buffers are declared on first use. */
  rows(matrix: Matrix, rows: Range, category: Category): Slice {
    const { buffer, offset, bytes } = sliceRows(matrix, rows);
    const slice = { buffer: this.sketched ? matrix.name : buffer, offset, bytes };
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
  buffersOf(matrix: Matrix, category: Category): Slice[] {
    // A sketch does not tell them apart: one stands for all.
    const segments = this.sketched ? [segmentWith(matrix, 0)] : segmentsOf(matrix);
    return segments.map(({ rows }) => this.rows(matrix, rows, category));
  }

  /** A matrix of logits for `rows` tokens and `cols` ids. */
  logitMatrix(name: string, rows: number, cols: number, unit: number): IdsMatrix {
    this.#logitStride = logitStride(cols);
    const matrix = partition(name, rows, logitRowBytes(cols), Math.min(unit, rows), this.limits);
    return { ...matrix, idsBytes: logitRowBytes };
  }

  /** A matrix of gradients with respect to the logits of `rows` tokens and `cols` ids. */
  gradientMatrix(rows: number, cols: number, name = "logit_gradient"): IdsMatrix {
    const { limits, shape: { tile } } = this;
    const idsBytes = (ids: number) => gradientRowBytes(ids, tile);
    this.#gradientStride = gradientStride(cols, tile);
    return { ...partition(name, rows, idsBytes(cols), rows, limits), idsBytes };
  }

  /**
   * Where the gradient with respect to a window's stored logits goes: into their place,
   * or where it is of another type into a matrix, by its name, that each block and window has in
   * turn.
   */
  gradientOf(logits: LogitMatrix, start: number, widest: number, name?: string): LogitMatrix {
    const { shape: { tile, block }, problem } = this;
    if (!gradientsApart(tile)) return logits;
    const key = name ?? "";
    const matrix = this.#gradients.get(key) ??
      this.gradientMatrix(Math.min(block, problem.tokens), widest, name);
    this.#gradients.set(key, matrix);
    return { matrix, row: 0, origin: start };
  }

  /** Binds the largest logit gradient there may be, where products scale them by it. */
  gradientBound(access: Binding["access"]): Binding[] {
    return kindOf(this.shape.tile).scales ? this.bind("gradient_bound", access) : [];
  }

  /** Binds the same where they are stored scaled. */
  storedBound(): Binding[] {
    return gradientsApart(this.shape.tile) ? this.gradientBound("read") : [];
  }

  /** Binds the largest elements of hidden states and weight, where products scale them by these. */
  operandBounds(access: Binding["access"]): Binding[] {
    return tierOf(this.shape.tile) === "split" ? this.bind("operand_bounds", access) : [];
  }

  /** Binds the rows of a block in a matrix of logits of which a window is read, or all. */
  readLogits(logits: LogitMatrix, block: Range, window?: Range): Binding[] {
    return [{ slot: "logits", ...this.#logitRows(logits, block, window), access: "read" }];
  }

  /** Binds the rows of a block in a matrix of logits of which a window is written. */
  writeLogits(logits: LogitMatrix, block: Range, window: Range, slot = "logits"): Binding[] {
    return [{ slot, ...this.#logitRows(logits, block, window), access: "read_write" }];
  }

  #logitRows(
    { matrix, row }: LogitMatrix,
    { count }: Range,
    window?: Range,
  ): Pick<Binding, "slice" | "reached"> {
    const rows = { start: row, count };
    const slice = this.rows(matrix, rows, CATEGORY_OF[tensorOf("logits").role]);
    return { slice, ...(window ? { reached: count * matrix.idsBytes(window.count) } : {}) };
  }

  /**
   * Returns the bytes that a kernel goes through of what it binds, on a part of the job: of a
   * tensor that is bound as a whole, what it would take for those tokens and ids alone.
   */
  reached({ slice, reached = slice.bytes }: Binding, { block, window }: Region): number {
    const { problem } = this;
    const tensor = tensorsOf(problem).get(slice.buffer);
    if (!(block || window) || !tensor?.shape || tensor.inRows) return reached;
    const key = `${slice.buffer} ${block?.count} ${window?.count}`;
    let bytes = this.#reached.get(key);
    if (bytes === undefined) {
      const part = (head: Head) => window ? { ...head, vocab: window.count } : head;
      const extents = {
        ...this.extents(part(tensor.head)),
        problem: {
          ...problem,
          heads: problem.heads.map(part),
          ...(block ? { tokens: block.count } : {}),
        },
      };
      const elements = tensor.shape(extents).reduce((a, b) => a * b, 1);
      bytes = Math.min(reached, elements * elementBytes(elementType(tensor.key, tensor.head)));
      this.#reached.set(key, bytes);
    }
    return bytes;
  }
}

/** The matrices of a head that kernels bind rows of. */
type Bound = "hidden" | "projections" | "weight" | "grad_hidden" | "grad_weight";

/** What stands for a matrix of a head in kernels where tokens are split outside of the layer. */
const GATHERED: Readonly<Partial<Record<HeadKey, HeadMatrix>>> = {
  hidden: "gathered_hidden",
  grad_hidden: "partial_grad_hidden",
};

/**
 * The buffers of one head: hidden states, weight, bias, and their gradients. A kernel that
 * binds them is about this head alone, so slots have no head's name.
 */
export class HeadBuffers {
  readonly #workspace: Workspace;
  readonly #matrices = new Map<Bound, Matrix>();
  /** What a dispatch that binds them says of itself. */
  readonly of: Pick<Dispatch, "head">;

  constructor(workspace: Workspace, readonly head: Head) {
    this.#workspace = workspace;
    this.of = workspace.problem.heads.length === 1 ? {} : { head: head.name };
  }

  /** The tensor that kernels see in the slot of another. */
  #keyOf(key: Bound): HeadMatrix {
    return this.#workspace.share?.sequence ? GATHERED[key] ?? key : key;
  }

  #matrix(key: Bound): Matrix {
    let matrix = this.#matrices.get(key);
    if (!matrix) {
      this.#matrices.set(key, matrix = this.#workspace.matrix(this.#keyOf(key), this.head));
    }
    return matrix;
  }

  #category(key: Bound): Category {
    return CATEGORY_OF[tensorOf(this.#keyOf(key)).role];
  }

  /** Binds rows of a matrix that a kernel reads. */
  read(key: Bound, rows: Range): Binding {
    return this.#bind(key, rows, "read");
  }

  /** Binds rows of a matrix that a kernel writes. */
  write(key: Bound, rows: Range): Binding {
    return this.#bind(key, rows, "read_write");
  }

  #bind(key: Bound, rows: Range, access: Binding["access"]): Binding {
    const slice = this.#workspace.rows(this.#matrix(key), rows, this.#category(key));
    return { slot: key, slice, access };
  }

  /** Binds the bias that a kernel reads, where the head has one. */
  bias(): Binding[] {
    return this.#vector("bias", "read");
  }

  /** Binds the bias's gradient. */
  biasGradient(): Binding[] {
    return this.#vector("grad_bias", "read_write");
  }

  #vector(key: "bias" | "grad_bias", access: Binding["access"]): Binding[] {
    const { problem } = this.#workspace;
    if (!hasTensor(key, problem, this.head)) return [];
    return [{ slot: key, slice: this.vector(key), access }];
  }

  /** Whether operands are in bf16, and become halves on their way. */
  get becomeHalves(): boolean {
    return becomeHalves(this.head, this.#workspace.shape.tile);
  }

  /** Binds the scales by which rows become halves, or the record of that, where they do. */
  halves(slot: "scales" | "halves", access: Binding["access"]): Binding[] {
    if (!this.becomeHalves) return [];
    return [{ slot, slice: this.#workspace.tensor(slot, { head: this.head }), access }];
  }

  /** The whole of a vector. */
  vector(key: "bias" | "grad_bias"): Slice {
    return this.#workspace.tensor(key, { head: this.head });
  }

  /** All of a matrix as kernels see it, buffer by buffer. */
  buffers(key: Bound): Slice[] {
    return this.#workspace.buffersOf(this.#matrix(key), this.#category(key));
  }

  /** The rows of a matrix that are the rank's own, buffer by buffer. */
  ownBuffers(key: "hidden" | "grad_hidden"): Slice[] {
    const own = this.#keyOf(key) === key
      ? this.#matrix(key)
      : this.#workspace.matrix(key, this.head);
    return this.#workspace.buffersOf(own, CATEGORY_OF[tensorOf(key).role]);
  }
}

function segmentSpec(matrix: Matrix, { buffer, rows }: Segment, category: Category): BufferSpec {
  const bytes = rowsBytes(matrix, rows.count);
  const external = category === "input" || category === "output";
  const holds = { tensor: matrix.name, offset: rows.start * matrix.rowBytes };
  return { name: buffer, bytes, category, ...(external ? { holds } : {}) };
}

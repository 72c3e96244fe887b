/**
 * The token blocks and the windows of the vocabulary that a schedule works
 * through: all of them, or in a sketch those that tell all there is to know.
 *
 * @module
 */
import { ranges } from "./matrix.ts";
import { headOf, type Problem } from "../problem.ts";
import { type Block, type Shape, sketch, type Window } from "./shape.ts";
import type { Workspace } from "./workspace.ts";

const NO_CUTS: ReadonlySet<number> = new Set();

/** Blocks and windows of one schedule. */
export class Cuts {
  readonly #workspace: Workspace;
  readonly #problem: Problem;
  readonly #shape: Shape;
  #blocks: readonly Block[] | undefined;
  #windows: readonly Window[] | undefined;
  /**
   * What a sketch's inner loops go over, but for the first and the last: a buffer is
   * first used in the first of the outer loop and last in the last, whatever is between.
   */
  readonly #inner: { blocks?: readonly Block[]; windows?: readonly Window[] } = {};

  /** Takes the buffers that blocks and windows lie in. */
  constructor(workspace: Workspace) {
    this.#workspace = workspace;
    this.#problem = workspace.problem;
    this.#shape = workspace.shape;
  }

  /** The token blocks, in order. */
  get blocks(): readonly Block[] {
    return this.#blocks ??= this.#numbered(
      this.#cut(this.#problem.tokens, this.#shape.block, "tokens"),
    );
  }

  /** The windows of the vocabulary, in order. */
  get windows(): readonly Window[] {
    return this.#windows ??= this.#cut(headOf(this.#problem).vocab, this.#shape.window, "vocab");
  }

  /** Returns the windows, for a loop inside one over the blocks. */
  windowsWithin(block: Block): readonly Window[] {
    if (!this.#abridged || isOuter(block, this.blocks)) return this.windows;
    const { vocab } = headOf(this.#problem);
    return this.#inner.windows ??= sketch(vocab, this.#shape.window, NO_CUTS);
  }

  /** Returns the token blocks, for a loop inside one over the windows. */
  blocksWithin(window: Window): readonly Block[] {
    if (!this.#abridged || isOuter(window, this.windows)) return this.blocks;
    const { tokens } = this.#problem;
    return this.#inner.blocks ??= this.#numbered(sketch(tokens, this.#shape.block, NO_CUTS));
  }

  /** How many token blocks there are, whether or not a sketch has them all. */
  get blockCount(): number {
    return Math.ceil(this.#problem.tokens / this.#shape.block);
  }

  /** How many windows there are, whether or not a sketch has them all. */
  get windowCount(): number {
    return Math.ceil(headOf(this.#problem).vocab / this.#shape.window);
  }

  /** Returns the vocabulary tiles in the windows before an id. */
  vocabTile(vocabStart: number): number {
    const { window, tile } = this.#shape;
    return Math.floor(vocabStart / window) * Math.ceil(window / tile.cols);
  }

  /** Whether inner loops may be shorter: in a sketch of a schedule whose buffers come and go. */
  get #abridged(): boolean {
    return this.#workspace.sketched && this.#shape.residency !== "caller";
  }

  #cut(total: number, size: number, of: "tokens" | "vocab"): Window[] {
    if (this.#workspace.sketched) {
      // Where buffers are there throughout, it does not matter which of them a step uses.
      const cuts = this.#shape.residency === "caller" ? NO_CUTS : this.#workspace.cuts(of);
      return sketch(total, size, cuts);
    }
    return ranges(total, size).map((range) => ({ ...range, stands: 1 }));
  }

  #numbered(ranges: readonly Window[]): Block[] {
    return ranges.map((range) => ({
      ...range,
      index: Math.floor(range.start / this.#shape.block),
    }));
  }
}

/** Whether a range is the first or the last of some. */
function isOuter(range: Window, all: readonly Window[]): boolean {
  return range === all[0] || range === all.at(-1);
}

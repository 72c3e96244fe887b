/**
 * The token blocks and the windows of the vocabulary that a schedule works
 * through: all of them, or in a sketch those that tell all there is to know.
 *
 * @module
 */
import { ranges } from "./matrix.ts";
import { type Problem, vocabOf } from "../problem.ts";
import { type Block, type Shape, sketch, type Window } from "./shape.ts";
import type { Workspace } from "./workspace.ts";

/** Blocks and windows of one schedule. */
export class Cuts {
  readonly #workspace: Workspace;
  readonly #problem: Problem;
  readonly #shape: Shape;
  #blocks: readonly Block[] | undefined;
  #windows: readonly Window[] | undefined;

  /** Takes the buffers that blocks and windows lie in. */
  constructor(workspace: Workspace) {
    this.#workspace = workspace;
    this.#problem = workspace.problem;
    this.#shape = workspace.shape;
  }

  /** Returns the token blocks, in order. */
  get blocks(): readonly Block[] {
    return this.#blocks ??= this.#numbered(
      this.#cut(this.#problem.tokens, this.#shape.block),
    );
  }

  /** Returns the windows of the vocabulary, in order. */
  get windows(): readonly Window[] {
    return this.#windows ??= this.#cut(vocabOf(this.#problem), this.#shape.window);
  }

  /** Returns how many token blocks there are, whether or not a sketch has them all. */
  get blockCount(): number {
    return Math.ceil(this.#problem.tokens / this.#shape.block);
  }

  /** Returns how many windows there are, whether or not a sketch has them all. */
  get windowCount(): number {
    return Math.ceil(vocabOf(this.#problem) / this.#shape.window);
  }

  /** Returns the vocabulary tiles in the windows before an id. */
  vocabTile(vocabStart: number): number {
    const { window, tile } = this.#shape;
    return Math.floor(vocabStart / window) * Math.ceil(window / tile.cols);
  }

  #cut(total: number, size: number): readonly Window[] {
    if (this.#workspace.sketched) return sketch(total, size);
    return ranges(total, size).map((range) => ({ ...range, times: 1 }));
  }

  #numbered(ranges: readonly Window[]): Block[] {
    return ranges.map((range) => ({
      ...range,
      index: Math.floor(range.start / this.#shape.block),
    }));
  }
}

/**
 * The one matrix product that every matrix kernel is made of: a workgroup
 * computes a tile of `C = A B`. How it multiplies is its body's affair; a body
 * hands its results out in rounds, so that whoever uses them need not know which
 * invocation holds which.
 *
 * @module
 */
import { kindOf, type Layout, type Tile } from "../../planner/schedule/tile.ts";
import { block, comment } from "./text.ts";

/** One operand of the product. */
export interface Operand {
  readonly layout: Layout;
  /**
   * `inner`: the operand's row for a row of the tile, evaluated once per tile.
   * `outer`, in subgroup matrices: the operand's row for a depth, where it is read from
   * memory; it is then known a step before the row is loaded.
   */
  readonly row?: (local: string) => string;
  /**
   * A vector of the operand: at (row, vector of the depth), or at (depth, vector of the
   * tile's rows). Four elements as a `vec4<f32>`; in a tile whose matrices take halves as they are
   * stored eight of 16 bits as a `vec4<u32>` ({@linkcode elementsAtOnce}).
   */
  readonly load: (row: string, vector: string) => string;
  /** The bits of its largest element in size, where bodies may scale it by them. */
  readonly bound?: string;
  /**
   * In subgroup matrices, where elements are in bf16 and become halves on their way: the power of two
   * that those of a row of the tile are multiplied by. One for all where the layout is `outer`.
   */
  readonly scale?: (local: string) => string;
}

/** The range of the depth that a workgroup sums: expressions that are uniform. */
export interface Depth {
  readonly from: string;
  readonly to: string;
}

/** Stretches of the depth that may be left out. */
export interface Skip {
  /** Length of a stretch, a multiple of the tile's depth. */
  readonly every: number;
  /** Whether the stretch that begins at a depth is left out; uniform. */
  readonly idle: (depth: string) => string;
}

/** Returns the elements of the vectors that a tile's operands are loaded in. */
export function elementsAtOnce(tile: Tile): number {
  return kindOf(tile).vector;
}

/** Returns statements at the top of a loop over the depth that leave out what is idle. */
export function leaveOut({ every, idle }: Skip, depth: number): string[] {
  const onwards = every - depth;
  return [
    comment(`A stretch of ${every} that adds nothing is left out.`),
    `if (k % ${every}u == 0u && ${idle("k")}) {`,
    ...(onwards > 0 ? [`  k += ${onwards}u;`] : []),
    `  continue;`,
    `}`,
  ];
}

/** Workgroup memory as lines of vec4s of f32: how many lines, how long, and how to get at one. */
export interface Scratch {
  readonly height: number;
  readonly width: number;
  /** The expression for a vec4. */
  readonly read: (line: string, column: string) => string;
  /** The statement that stores one. */
  readonly write: (line: string, column: string, value: string) => string;
}

/** Returns memory that is declared as vec4s of f32, whose places have names. */
export function scratchOf(
  height: number,
  width: number,
  at: (line: string, column: string) => string,
): Scratch {
  return {
    height,
    width,
    read: at,
    write: (line, column, value) => `${at(line, column)} = ${value};`,
  };
}

/**
 * Results that are at hand at the same time. In registers, all of them are; a
 * body whose results cannot be taken apart stores a part of them to workgroup
 * memory in each of several rounds, for its invocations to read.
 */
export interface Round {
  /** Statements before the results are used. */
  readonly before: readonly string[];
  /** The rows that the invocation has results of, by their numbers among the body's. */
  readonly rows: readonly number[];
  /**
   * The columns of the tile that it has results of in each of them: by fours that follow
   * each other, the first of which is a multiple of four.
   */
  readonly columns: readonly string[];
  /** The result in the `i`-th of these rows and the `j`-th of the columns. */
  readonly value: (i: number, j: number) => string;
  /** Statements after the last use, such as a barrier before memory is written again. */
  readonly after: readonly string[];
}

/** Directives and builtin values that a body needs of the kernel it is part of. */
export interface Needs {
  /** Language extensions. */
  readonly enables: readonly string[];
  /** Checks of the language that are switched off. */
  readonly diagnosticsOff: readonly string[];
  /** Values of an invocation, besides the workgroup and the number in it. */
  readonly builtins: readonly ("subgroup" | "in_subgroup")[];
}

/** The needs of a body that has none. */
export const NOTHING: Needs = { enables: [], diagnosticsOff: [], builtins: [] };

/** The text of a product, in the pieces that a kernel puts together. */
export interface Body {
  /** What the kernel's text has at its top. */
  readonly needs: Needs;
  /** Functions that its statements call. */
  readonly functions: readonly string[];
  /** Declarations in workgroup memory. */
  readonly memory: readonly string[];
  /** Statements that name what the other pieces refer to; at the top of `main`. */
  readonly names: readonly string[];
  /** Sums the tile over a range of the depth; ends with a barrier. */
  readonly sum: (depth: Depth, skip?: Skip) => readonly string[];
  /** The rows of the tile that an invocation has results of in any round. */
  readonly rows: readonly string[];
  /** Every result is in one round, of one invocation. */
  readonly rounds: readonly Round[];
  /** The invocations that have results of the same row: how many, and which of them this is. */
  readonly sharers: { readonly count: number; readonly index: string };
  /** Workgroup memory that is free for other use after the rounds. */
  readonly scratch: readonly Scratch[];
}

/** Writes the product of two operands over a tile. */
export type BodyMaker = (tile: Tile, a: Operand, b: Operand) => Body;

/** Returns the text for each round in turn, in scopes of their own where there are several. */
export function eachRound(
  { rounds }: Pick<Body, "rounds">,
  text: (round: Round) => readonly string[],
): string[] {
  return rounds.flatMap((round, number) => {
    const lines = [...round.before, ...text(round), ...round.after];
    if (rounds.length === 1) return lines;
    return [`// Round ${number + 1} of ${rounds.length}.`, block(lines)];
  });
}

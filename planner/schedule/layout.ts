/**
 * How what kernels hand to each other, and to whoever reads results, lies in memory: the
 * numbers of each token and their rows, rows of logits and of their gradients, powers of
 * two by which rows become halves, and the words of small buffers. Kernels and readers
 * both look here.
 *
 * @module
 */
import { ACCUMULATED, bytesPerElement, type Dtype } from "../dtype.ts";
import { keptOf } from "../heads/distill.ts";
import { DISTRIBUTIONS } from "../heads/fusion.ts";
import { roundUp } from "./matrix.ts";
import { type Head, type Problem, teacherLearns, vocabOf } from "../problem.ts";
import type { Sizes } from "./shape.ts";
import { kindOf, takesHalves, type Tile } from "./tile.ts";
import { type StatisticResult, statisticResults } from "./statistics.ts";

/** Results per token. `share` is the token's part of the reduced loss. */
export type TokenResult = "loss" | "share" | StatisticResult;

/**
 * Returns the results that a problem has per token, in the order of their rows. One that is a
 * list has as many rows as that is long, and in them each token's numbers together: `[tokens, K]`.
 */
export function tokenResults(problem: Problem): TokenResult[] {
  return [
    ...(problem.objective === "cross-entropy" ? ["loss" as const] : []),
    ...(hasReducedLoss(problem) ? ["share" as const] : []),
    ...statisticResults(problem).flatMap(({ row, width }) =>
      Array.from({ length: width }, () => row)
    ),
  ];
}

/** Returns how many numbers a token has of a result, one behind the other: 0 where a problem has none. */
export function resultWidth(problem: Problem, result: TokenResult): number {
  return tokenResults(problem).filter((name) => name === result).length;
}

/**
 * Returns what the upstream gradient buffer holds: a row of one number per token
 * for each of these names.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseProblem } from "@lce/lce";
 * const sizes = { tokens: 3, hidden: 4, vocab: 9, pass: "train" } as const;
 * assert.deepEqual(upstreamRows(parseProblem(sizes)), []); // a mean needs none
 * assert.deepEqual(upstreamRows(parseProblem({ ...sizes, reduction: "none" })), ["loss"]);
 * ```
 */
export function upstreamRows(problem: Problem): string[] {
  if (problem.pass === "forward") return [];
  if (problem.objective === "statistics") return ["logprob", "lse", "entropy"];
  return problem.reduction === "none" ? ["loss"] : [];
}

/**
 * Lays upstream gradients out as the kernels read them: `[rows, stride]` in f32,
 * a row for each name of {@linkcode upstreamRows}, `tokenStride` apart.
 *
 * @param values `[tokens]` each: of `loss` under reduction `none`; of `logprob`, `lse` and
 *   `entropy` for the objective `statistics`.
 * @param tokens of the step, where it has fewer than the problem.
 * @throws {RangeError} when one is missing or has another length.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseProblem } from "@lce/lce";
 * const problem = parseProblem({
 *   tokens: 3,
 *   hidden: 4,
 *   vocab: 9,
 *   pass: "train",
 *   reduction: "none",
 * });
 * const packed = packUpstream(problem, { loss: [1, 0.5, 2] });
 * assert.deepEqual([...packed.subarray(0, 3)], [1, 0.5, 2]);
 * assert.equal(packed.length, tokenStride(problem));
 * ```
 */
export function packUpstream(
  problem: Problem,
  values: Readonly<Record<string, ArrayLike<number>>>,
  tokens: number = problem.tokens,
): Float32Array<ArrayBuffer> {
  const stride = tokenStride(problem);
  const names = upstreamRows(problem);
  const packed = new Float32Array(names.length * stride);
  names.forEach((name, row) => {
    const length = values[name]?.length ?? 0;
    if (length !== tokens) {
      throw new RangeError(
        `Cannot differentiate without an upstream gradient of ${name} for each of ${tokens} tokens: ${length} given`,
      );
    }
    packed.set(values[name]!, row * stride);
  });
  return packed;
}

/**
 * What the logit-gradient kernel reads per token: the four coefficients, the
 * log-sum-exp and the target id (as bits).
 */
const COEFFICIENT_ROWS = ["a", "b", "c", "d", "lse", "target"] as const;

/**
 * What it reads besides where there is a teacher: the derivative of the loss by the divergence
 * over the temperature, and what the divergence asks for.
 */
type DistillRow = "pull" | ReturnType<typeof keptOf>["coefficients"][number];

/** Name of a number per token that the logit-gradient kernel reads. */
export type CoefficientRow = typeof COEFFICIENT_ROWS[number] | DistillRow;

/** Returns whether a logit's gradient has a part of the cross-entropy: it may all be a teacher's. */
export function followsTargets({ distill }: Problem): boolean {
  return distill === undefined || distill.ceWeight > 0;
}

/** Returns the numbers per token that the logit-gradient kernel reads, in the order of their rows. */
export function coefficientRows(problem: Problem): readonly CoefficientRow[] {
  const { distill } = problem;
  return [
    ...(followsTargets(problem) ? COEFFICIENT_ROWS : []),
    ...(distill ? ["pull" as const, ...keptOf(distill).coefficients] : []),
  ];
}

/** What the record of a gradient filter says of a tile of logit gradients; 0 is a tile without a kept token. */
export const TILE_FLAG = { busy: 1, idle: 2 } as const;

/** Returns whether a problem ends in one number. */
export function hasReducedLoss(problem: Problem): boolean {
  return problem.objective === "cross-entropy" && problem.reduction !== "none";
}

/**
 * Returns the elements between rows of per-token buffers: rows start at multiples
 * of 256 bytes.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseProblem } from "@lce/lce";
 * assert.equal(tokenStride(parseProblem({ tokens: 100, hidden: 4, vocab: 9 })), 128);
 * ```
 */
export function tokenStride(problem: Problem): number {
  return roundUp(problem.tokens, 64);
}

/** Bytes of an f32, an i32 or a u32. */
export const WORD = 4;

/** The type in which logits and their gradient are stored. */
export const LOGIT_TYPE: Dtype = ACCUMULATED;

/** Returns the bytes of so many logits, without padding. */
export function logitBytes(count: number): number {
  return count * bytesPerElement(LOGIT_TYPE);
}

/** Returns the elements between rows of stored logits for `ids` ids: rows are padded to whole vec4s. */
export function logitStride(ids: number): number {
  return roundUp(ids, 4);
}

/** Returns the bytes of a row of stored logits for `ids` ids. */
export function logitRowBytes(ids: number): number {
  return logitBytes(logitStride(ids));
}

/** Returns the type in which logit gradients are stored: as an operand of the products that follow. */
export function gradientType(tile: Tile): Dtype {
  return kindOf(tile).gradients;
}

/** Returns the elements between rows of stored logit gradients for `ids` ids: whole vectors of those products. */
export function gradientStride(ids: number, tile: Tile): number {
  return roundUp(ids, kindOf(tile).vector);
}

/** Returns the bytes of so many logit gradients, without padding. */
export function gradientBytes(count: number, tile: Tile): number {
  return count * bytesPerElement(gradientType(tile));
}

/** Returns the bytes of a row of stored logit gradients for `ids` ids. */
export function gradientRowBytes(ids: number, tile: Tile): number {
  return gradientBytes(gradientStride(ids, tile), tile);
}

/** Returns whether gradients of stored logits are of another type, and have a place of their own. */
export function gradientsApart(tile: Tile): boolean {
  return gradientType(tile) !== LOGIT_TYPE;
}

/**
 * Returns the bytes of the gradients of stored logits of a block and a window, of each head that
 * learns, where they have a place of their own.
 */
export function apartBytes(problem: Problem, { tile, block, window }: Sizes): number {
  if (problem.pass === "forward" || !gradientsApart(tile)) return 0;
  return (teacherLearns(problem) ? 2 : 1) * gradientBytes(block * window, tile);
}

/** Returns whether a head's operands are in bf16, and become halves on their way to a tile's products. */
export function becomeHalves({ dtype }: Head, tile: Tile): boolean {
  return takesHalves(tile) && dtype === "bf16";
}

/** The matrices whose rows become halves, in the order in which their scales lie. */
export const HALVED = ["hidden", "weight"] as const;

/** A matrix whose rows become halves. */
export type Halved = typeof HALVED[number];

/** Returns where the scales of a matrix begin: kept tokens by their position, then rows of the weight. */
export function scalesStart(problem: Problem, matrix: Halved): number {
  return matrix === "hidden" ? 0 : problem.tokens;
}

/** Returns how many scales a head has. */
export function scalesCount(problem: Problem): number {
  return problem.tokens + vocabOf(problem);
}

/**
 * What is recorded of a matrix whose rows become halves: how many values these do not hold
 * exactly, the most by which those of one row are off together, and the largest value.
 */
export const HALVES_FACTS = ["rounded", "error", "largest"] as const;

/** Returns the word of the record that a fact is in. */
export function halvesWord(matrix: Halved, fact: typeof HALVES_FACTS[number]): number {
  return HALVED.indexOf(matrix) * HALVES_FACTS.length + HALVES_FACTS.indexOf(fact);
}

/**
 * Most by which halves may move a logit of values in bf16: a tenth of the 1e-5 that the
 * results of their products are held to.
 */
export const MOST_MOVED = 1e-6;

/** Words of the kept-token buffer that hold the count of each block, before the row ids. */
export function keptHeader(blocks: number): number {
  return roundUp(blocks, 64);
}

/** What is kept of each distribution that a search for strengths looks at. */
export const MOMENTS = ["max", "sum", "weighted", "argmax"] as const;

/** A row of the moments of a token: the first of what is kept of each distribution, or of its target. */
export type MomentsRow = typeof MOMENTS[number] | "largeTarget" | "differenceTarget";

/** Returns where a row of moments begins: the first distribution's, with those of the others behind it. */
export function momentsRow(row: MomentsRow): number {
  const rows = MOMENTS.length * DISTRIBUTIONS.length;
  if (row === "largeTarget") return rows;
  return row === "differenceTarget" ? rows + 1 : MOMENTS.indexOf(row) * DISTRIBUTIONS.length;
}

/** Rows of the moments of all tokens. */
export const MOMENTS_ROWS = momentsRow("differenceTarget") + 1;

/** Words of the totals buffer: kept tokens, kept weight, sum of class weights, first bad target + 1. */
export const TOTALS = ["kept", "keptWeight", "totalWeight", "badTarget"] as const;

/** Name of a word of the totals buffer. */
export type Total = typeof TOTALS[number];

/** Index of a word of the totals buffer. */
export function totalIndex(name: Total): number {
  return TOTALS.indexOf(name);
}

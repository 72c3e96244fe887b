/**
 * Errors in products in subgroup matrices, and in logit gradients of 16 bits: noticed
 * where matrices are made of plain WGSL, on any device.
 *
 * @module
 */
import {
  GRADIENTS,
  MATRICES,
  OPERAND_BOUND,
  PROJECT,
  RANDOM_HALVES,
  RANDOM_SPLIT,
  SPLIT_ORACLE,
} from "./killers.ts";
import type { Mutant } from "./mutant.ts";

/** Errors in matrices. */
export const IN_MATRICES: readonly Mutant[] = [
  {
    name: "matrices: a round's results are taken for those of the rows eight above",
    file: "kernels/wgsl/matrices.ts",
    find: 'plus("own_row", "row_of_round", ROUND_ROWS * round)',
    replace: 'plus("own_row", "row_of_round", 8 * round)',
    why: "statistics and gradients would go to other tokens, where a subgroup has several rounds",
    killers: [PROJECT],
  },
  {
    name: "matrices: the loads ahead are those of this step again",
    file: "kernels/wgsl/matrices.ts",
    find: "`let next = min(k + ${depth}u, last_step);`",
    replace: "`let next = min(k, last_step);`",
    why: "every sum would take one part of the depth twice and leave another out",
    killers: [PROJECT, GRADIENTS, MATRICES],
  },
  {
    name: "matrices: rows that are looked up belong to the step before",
    file: "kernels/wgsl/matrices.ts",
    find: "`let after = min(k + ${2 * depth}u, last_step);`",
    replace: "`let after = min(k + ${depth}u, last_step);`",
    why: "weights' gradients would be of other tokens' hidden states",
    killers: [GRADIENTS, MATRICES],
  },
  {
    name: "matrices: the right operand's copies begin where the left one's do",
    file: "kernels/wgsl/matrices.ts",
    find: '{ extent: cols, first: left.size, own: "own_column", fragment: n }',
    replace: '{ extent: cols, first: 0, own: "own_column", fragment: n }',
    why: "both operands would be one",
    killers: [PROJECT, GRADIENTS],
  },
  {
    name: "matrices: a run of tiles keeps to its first tile's columns",
    file: "kernels/wgsl/project.ts",
    find: 'over("first_of_run", run * tile.cols)',
    replace: 'over("first_of_run", tile.cols)',
    why: "sets of statistics would lie apart, and merge would read what nobody wrote",
    killers: [PROJECT, MATRICES],
  },
  {
    name: "split: the lower halves of the left operand are not multiplied",
    file: "kernels/wgsl/matrices.ts",
    find: '[["", "_lower"], ["_lower", ""], ["", ""]]',
    replace: '[["", "_lower"], ["", ""]]',
    why: "hidden states and logit gradients would have eleven bits",
    killers: [SPLIT_ORACLE, RANDOM_SPLIT],
  },
  {
    name: "split: what is left is nothing, as where a driver takes what it packed for what it was",
    file: "kernels/wgsl/matrix_operand.ts",
    find: "packed(first - high, second - next)",
    replace: "packed(high - high, next - next)",
    why: "operands would have eleven bits",
    killers: [SPLIT_ORACLE],
  },
  {
    name: "split: only the first sum of a gradient is kept",
    file: "kernels/wgsl/gradients.ts",
    find: "from_sum < ${range.to}",
    replace: "from_sum < ${range.from}",
    why: "gradients would be of the first 2048 tokens or ids alone",
    killers: [GRADIENTS],
  },
  {
    name: "split: a gradient's later sums take the place of earlier ones",
    file: "kernels/wgsl/gradients.ts",
    find: 'inSums ? ["later"] : []',
    replace: 'inSums ? ["false"] : []',
    why: "gradients would be of the last tokens or ids alone",
    killers: [GRADIENTS],
  },
  {
    name: "operand-bound: negative elements are none",
    file: "kernels/wgsl/operand_bound.ts",
    find: "let size = abs(",
    replace: "let size = (",
    why: "what is larger and negative would leave a half's range",
    killers: [OPERAND_BOUND],
  },
  {
    name: "operand-bound: tokens that do not count are looked at",
    file: "kernels/wgsl/operand_bound.ts",
    find: 'slot === "hidden" ? keptRow(context, row) : row',
    replace: "row",
    why: "infinities in padding would reach every logit",
    killers: [OPERAND_BOUND],
  },
  {
    name: "halves: past the window there is something left",
    file: "kernels/wgsl/project.ts",
    find: "select(0f, ${gradient}${scale}, exists)",
    replace: "${gradient}${scale}",
    why: "hidden gradients would take in ids that are not there",
    killers: [PROJECT],
  },
  {
    name: "halves: the scale leaves no room for the largest gradient",
    file: "kernels/wgsl/halves.ts",
    find: "scale: `bitcast<f32>((268u - ${exponent}) << 23u)`",
    replace: "scale: `bitcast<f32>((272u - ${exponent}) << 23u)`",
    why: "sure targets' gradients would be infinite",
    killers: [PROJECT, MATRICES],
  },
  {
    name: "halves: gradients are scaled by the smallest bound",
    file: "kernels/wgsl/tokens.ts",
    find: "`atomicMax(&gradient_bound[0], bitcast<u32>(bound) & 0x7fffffffu);`",
    replace: "`atomicMin(&gradient_bound[0], bitcast<u32>(bound) & 0x7fffffffu);`",
    why: "gradients larger than it would overflow",
    killers: [MATRICES],
  },
  {
    name: "halves: gradients are left as they were scaled",
    file: "kernels/wgsl/gradients.ts",
    find: 'halves ? " * unscale" : ""',
    replace: 'halves ? "" : ""',
    why: "gradients would be larger by some power of two",
    killers: [GRADIENTS, MATRICES, RANDOM_HALVES],
  },
  {
    name: "halves: a quad is stored over what earlier blocks summed",
    file: "kernels/wgsl/gradients.ts",
    find: "const add = `sum += ${output}[at];`;",
    replace: "const add = `sum += 0f * ${output}[at];`;",
    why: "only the last token block would count in the weight's gradient",
    killers: [GRADIENTS, MATRICES],
  },
];

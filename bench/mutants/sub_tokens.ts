/**
 * Errors in weight gradients of rank one in sub-tokens.
 *
 * @module
 */
import { SUB_TOKEN_PLANS, SUB_TOKENS } from "./killers.ts";
import type { Mutant } from "./mutant.ts";

/** Errors in what is kept of hidden states, and in what of the gradient is stored. */
export const IN_SUB_TOKENS: readonly Mutant[] = [
  {
    name: "sub-tokens are of every so many numbers",
    file: "kernels/wgsl/sub_tokens.ts",
    find: 'plus(scaled("sub_token", length), "i")',
    replace: 'plus(scaled("i", count), "sub_token")',
    why: "a direction would be of other numbers than it is taken along",
    killers: [SUB_TOKENS],
  },
  {
    name: "what is kept of a token lies where it is in the list of those that count",
    file: "kernels/wgsl/sub_tokens.ts",
    find: 'scaled("row", count)',
    replace: 'scaled("position", count)',
    why: "tokens behind an ignored one would have another's",
    killers: [SUB_TOKENS],
  },
  {
    name: "the scale is left out",
    file: "kernels/wgsl/sub_tokens.ts",
    find: "subTokenScale === 1 ?",
    replace: "true ?",
    why: "steps would be of another size than was asked for",
    killers: [SUB_TOKENS],
  },
  {
    name: "sub-tokens are found at every window",
    file: "planner/schedule/backward.ts",
    find: "subTokens === undefined || window.start > 0 ||",
    replace: "subTokens === undefined ||",
    why: "they would be computed as often as there are windows",
    killers: [SUB_TOKEN_PLANS],
  },
  {
    name: "the gradient is as wide as the weight",
    file: "planner/problem.ts",
    find: "return subTokens ?? trainedColumns(head);",
    replace: "return subTokens && trainedColumns(head);",
    why: "nothing would be saved",
    killers: [SUB_TOKENS],
  },
  {
    name: "the direction of a fixture is not of length 1",
    file: "planner/heads/sub_tokens.ts",
    find: "(sum) => sum / norm)",
    replace: "(sum) => sum / norm / norm)",
    why: "gradients would go by how large a batch is",
    killers: [SUB_TOKENS],
  },
];

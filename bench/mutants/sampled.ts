/**
 * Errors in weight gradients from a sample of tokens.
 *
 * @module
 */
import { SAMPLED } from "./killers.ts";
import type { Mutant } from "./mutant.ts";

/** Errors in what a sample is drawn by, and in what is added up of it. */
export const IN_SAMPLES: readonly Mutant[] = [
  {
    name: "a sample's terms have no weight",
    file: "kernels/wgsl/gradients.ts",
    find: 'token_weights[${inBlocks("row")}] * load_hidden(row, quad)',
    replace: "load_hidden(row, quad)",
    why: "the mean over samples would not be the gradient",
    killers: [SAMPLED],
  },
  {
    name: "a token's weight is that of its position",
    file: "kernels/wgsl/sample_tokens.ts",
    find: 'inBlocks(keptRow(context, "position"))',
    replace: 'inBlocks("position")',
    why: "tokens behind an ignored one would be in the sample by another's weight",
    killers: [SAMPLED],
  },
  {
    name: "a sample is listed without those before a chunk",
    file: "kernels/wgsl/sample_tokens.ts",
    find: "listed + counts[lane] - mine",
    replace: "counts[lane] - mine + 1u",
    why: "places would be of other tokens",
    killers: [SAMPLED],
  },
  {
    name: "squares are rescaled as sums are",
    file: "kernels/wgsl/logit_statistics.ts",
    find: '`${at("squares")} *= rescale * rescale;`',
    replace: '`${at("squares")} *= rescale;`',
    why: "norms would go by the order of the logits",
    killers: [SAMPLED],
  },
  {
    name: "squares of two sets are added as sums are",
    file: "kernels/wgsl/logit_statistics.ts",
    find: "(theirs * theirs);",
    replace: "theirs;",
    why: "norms would go by how many sets there are",
    killers: [SAMPLED],
  },
  {
    name: "norms leave out what is upstream",
    file: "fixtures/sampled.ts",
    find: "Math.abs(upstream!.loss![token]!)",
    replace: "1",
    why: "tokens that count much would be drawn as often as those that count little",
    killers: [SAMPLED],
  },
];

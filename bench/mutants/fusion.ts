/**
 * Errors in sums of heads and in the search for their strengths.
 *
 * @module
 */
import { FUSION, FUSION_RUN, MISMATCH, SUM_OF_HEADS } from "./killers.ts";
import type { Mutant } from "./mutant.ts";

const KERNELS = "kernels/wgsl/fusion.ts";

/** Errors in logit fusion. */
export const FUSIONS: readonly Mutant[] = [
  {
    name: "both divergences are of the large model from what is fused",
    file: "planner/heads/fusion.ts",
    find: "sub(mul(strength, fused.mean), sub(fused.lse, large.lse))",
    replace: "sub(mul(strength, large.mean), sub(fused.lse, large.lse))",
    why: "strengths would follow from another rule than the paper's",
    killers: [MISMATCH, FUSION],
  },
  {
    name: "a window forgets the moments of those before",
    file: KERNELS,
    find: "`if (params.first == 0u)`",
    replace: "`if (params.first == 2u)`",
    why: "strengths would go by the last words of the vocabulary alone",
    killers: [FUSION],
  },
  {
    name: "columns past a window count",
    file: KERNELS,
    find: "`z.${component} = select(${LOWEST}, z.${component}, exists${index});`",
    replace: "`z.${component} = select(z.${component}, z.${component}, exists${index});`",
    why: "what an earlier window left would be words of the vocabulary",
    killers: [FUSION],
  },
  {
    name: "the part of a row that other invocations took is left out",
    file: KERNELS,
    find: "for (var part_of_row = 1u; part_of_row < ${PARTS}u; part_of_row++)",
    replace: "for (var part_of_row = 1u; part_of_row < 1u; part_of_row++)",
    why: "half of the vocabulary would be missing",
    killers: [FUSION],
  },
  {
    name: "weighted sums are not rescaled",
    file: KERNELS,
    find: "`weighted = weighted * rescale + dot(shares, difference);`",
    replace: "`weighted = weighted + dot(shares, difference);`",
    why: "means would be wrong wherever a larger logit comes late",
    killers: [FUSION],
  },
  {
    name: "the strength that is tried is one step off",
    file: KERNELS,
    find: "`let tried = f32(which) / 10f;`",
    replace: "`let tried = f32(which + 1u) / 10f;`",
    why: "divergences would be those of another softmax",
    killers: [FUSION],
  },
  {
    name: "the target's logit is the large model's",
    file: KERNELS,
    find: 'target: `${word("largeTarget")} + strength * ${word("differenceTarget")}`,',
    replace: 'target: word("largeTarget"),',
    why: "losses would be of no softmax at all",
    killers: [FUSION],
  },
  {
    name: "all heads are projected as the first",
    file: "kernels/wgsl/generate.ts",
    find: "problem.heads.filter((head) => head.name === name)",
    replace: "problem.heads.slice(0, 1)",
    why: "heads of other widths would be read past their rows",
    killers: [FUSION],
  },
  {
    name: "a factor for each token is the first one's",
    file: "fixtures/sum_of_heads.ts",
    find: "factor[token]!",
    replace: "factor[0]!",
    why: "a fused head would have one strength for all tokens",
    killers: [SUM_OF_HEADS],
  },
  {
    name: "weights side by side begin in the same column",
    file: "fixtures/sum_of_heads.ts",
    find: "column += rowBytes;",
    replace: "column += 0;",
    why: "one head's weight would lie over another's",
    killers: [SUM_OF_HEADS],
  },
  {
    name: "a strength that no search tried is taken for one of those it did",
    file: "fixtures/reference/fused.ts",
    find: "< 1e-6);",
    replace: "< 0.05);",
    why: "a run would call agreement what is none",
    killers: [FUSION_RUN],
  },
  {
    name: "a run's strength is compared with the best without rounding",
    file: "fixtures/reference/fused.ts",
    find: "<= least + 2 * noise",
    replace: "<= least - 2 * noise",
    why: "where strengths are as good as each other a right one would be refused",
    killers: [FUSION_RUN],
  },
  {
    name: "what is fused is compared at twice the base",
    file: "fixtures/reference/fused.ts",
    find: "(strength) => -strength",
    replace: "(strength) => -2 * strength",
    why: "loss and most likely ids would be of other logits than the device's",
    killers: [FUSION_RUN],
  },
];

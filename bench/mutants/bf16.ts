/**
 * Errors in values in bf16 that become halves for products in subgroup matrices.
 *
 * @module
 */
import { HALVES, ROW_SCALES } from "./killers.ts";
import type { Mutant } from "./mutant.ts";

/** Errors in what becomes of bf16. */
export const IN_BF16: readonly Mutant[] = [
  {
    name: "bf16: rows are scaled past a half's range",
    file: "kernels/wgsl/row_scales.ts",
    find: "clamp(269u - (largest >> 23u), 15u, 253u)",
    replace: "clamp(270u - (largest >> 23u), 15u, 253u)",
    why: "the largest value of each row would be infinite",
    killers: [ROW_SCALES, HALVES],
  },
  {
    name: "bf16: logits are left as their rows were scaled",
    file: "kernels/wgsl/logit_tile.ts",
    find: "return scaled ? unscaled(body, scales) : body;",
    replace: "return body;",
    why: "logits would be larger by the powers of two of both rows",
    killers: [HALVES],
  },
  {
    name: "bf16: gradients are left as the operand was scaled",
    file: "kernels/wgsl/gradients.ts",
    find: "unscale: scaled ? `inverse_of(${scaleOfAll(scaled)})` : undefined,",
    replace: "unscale: undefined,",
    why: "gradients would be larger by a power of two",
    killers: [HALVES],
  },
  {
    name: "bf16: rows of the weight have the scales of tokens",
    file: "planner/schedule/layout.ts",
    find: 'return matrix === "hidden" ? 0 : problem.tokens;',
    replace: "return matrix ? 0 : problem.tokens;",
    why: "the scales of one matrix would overwrite those of the other",
    killers: [ROW_SCALES, HALVES],
  },
  {
    name: "bf16: a row's scale is taken from the row of the window",
    file: "kernels/wgsl/row_scales.ts",
    find: ': ownRow(context, plus("params.vocab_start", row));',
    replace: ": row;",
    why: "windows after the first would overwrite the first one's scales",
    killers: [ROW_SCALES, HALVES],
  },
  {
    name: "bf16: what halves do not hold is no reason for f32",
    file: "kernels/run/halves.ts",
    find: "if (halves && halves.moved > MOST_MOVED) throw new HalvesError(halves);",
    replace: "if (halves && halves.moved > 1e300) throw new HalvesError(halves);",
    why: "results would be of other values than were given",
    killers: [HALVES],
  },
  {
    name: "bf16: the record is that of all steps so far",
    file: "planner/schedule/forward.ts",
    find:
      'head.halves("halves", "read_write").map(({ slice }) => ({ kind: "clear" as const, slice }))',
    replace: 'head.halves("halves", "read_write").flatMap(() => [])',
    why: "one step that halves do not hold would refuse every later one",
    killers: [HALVES],
  },
];

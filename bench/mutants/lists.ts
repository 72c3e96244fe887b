/**
 * Errors in the lists of the most likely ids.
 *
 * @module
 */
import { LISTED } from "./killers.ts";
import type { Mutant } from "./mutant.ts";

/** Errors in lists. */
export const LISTS: readonly Mutant[] = [
  {
    name: "among equal logits the id that came first stays in its place",
    file: "kernels/wgsl/logit_statistics.ts",
    find: "moving > held || (moving == held && moving_id < held_id)",
    replace: "moving > held",
    why: "a list would depend on the order of tiles",
    killers: [LISTED],
  },
  {
    name: "a candidate that equals the last of a list is not looked at",
    file: "kernels/wgsl/logit_statistics.ts",
    find: "if (logit > last || (logit == last && id < ",
    replace: "if (logit > last || (logit == last && false && id < ",
    why: "the smaller of two equal ids would be missing where it came later",
    killers: [LISTED],
  },
  {
    name: "a rank folds its own list for each of the others",
    file: "kernels/wgsl/statistics.ts",
    find: 'plus(scaled("rank", stride), rowOf(word) * this.#stride, token)',
    replace: 'plus(scaled("rank", 0), rowOf(word) * this.#stride, token)',
    why: "a list would be of the first rank's ids alone",
    killers: [LISTED],
  },
];

/**
 * Errors in the ids of a token: those listed as most likely, and the one drawn.
 *
 * @module
 */
import { DRAWN, LISTED } from "./killers.ts";
import type { Mutant } from "./mutant.ts";

/** Errors in lists, and in what is drawn. */
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
  {
    name: "what is drawn goes by a token's position, and not its row",
    file: "kernels/wgsl/logit.ts",
    find: "kept_targets[${plus(problem.tokens, inBlocks(row))}]",
    replace: 'kept_targets[${plus(problem.tokens, inBlocks("0u"))}]',
    why: "every token would be drawn by the same numbers",
    killers: [DRAWN],
  },
  {
    name: "a number is Gumbel's of what is left, and not of its logarithm",
    file: "kernels/wgsl/draw_statistics.ts",
    find: "return -log(-select(log(rest), log_of_one_and(-v), v < 0.5f));",
    replace: "return -log(-select(log(rest), -v, v < 0.5f));",
    why: "unlikely ids would be drawn too often",
    killers: [DRAWN],
  },
  {
    name: "a round's seeds are those of the first",
    file: "fixtures/verify/rounds.ts",
    find: "seeds.set(tensors.seeds?.subarray(start, start + rounds.tokens) ?? []);",
    replace: "seeds.set(tensors.seeds?.subarray(0, rounds.tokens) ?? []);",
    why: "rounds would draw alike",
    killers: [DRAWN],
  },
  {
    name: "the logit of what is drawn stays that of another set",
    file: "kernels/wgsl/draw_statistics.ts",
    find: '`${at("drawnLogit")} = select(${at("drawnLogit")}, ${other("drawnLogit")}, ${',
    replace: '`${at("drawnLogit")} = select(${at("drawnLogit")}, ${at("drawnLogit")}, ${',
    why: "a policy would be weighed by the probability of an id that it did not draw",
    killers: [DRAWN],
  },
  {
    name: "what an id is drawn from is summed at temperature 1",
    file: "kernels/wgsl/draw_statistics.ts",
    find: "const factor = literal(Math.LOG2E / temperature);",
    replace: "const factor = literal(Math.LOG2E);",
    why: "log-probabilities as they were drawn would not be those of any softmax",
    killers: [DRAWN],
  },
];

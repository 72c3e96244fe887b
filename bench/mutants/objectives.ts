/**
 * Errors in objectives on log-probabilities.
 *
 * @module
 */
import { PAPERS } from "./killers.ts";
import type { Mutant } from "./mutant.ts";

/** Errors in objectives of policies and preferences. */
export const OBJECTIVES: readonly Mutant[] = [
  {
    name: "a ratio that is clipped still pulls",
    file: "objectives/policy.ts",
    find: "(free <= clipped ? free : 0)",
    replace: "free",
    why: "a policy would go on where its objective says it has gone far enough",
    killers: [PAPERS],
  },
  {
    name: "tokens of weight 0 count in means",
    file: "objectives/policy.ts",
    find: "weight[token] === 0 ? 0 : 1",
    replace: "1",
    why: "what a tool wrote would make an answer's other tokens count less",
    killers: [PAPERS],
  },
  {
    name: "the odds of what was rejected are differentiated as a probability",
    file: "objectives/orpo.ts",
    find: "slope * notW / notL / rejected.length",
    replace: "slope * notW / rejected.length",
    why: "rejected answers would be pushed down too little",
    killers: [PAPERS],
  },
];

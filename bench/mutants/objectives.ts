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
  {
    name: "a graph's scores are compared as they come",
    file: "objectives/graph.ts",
    find: ".nodes.toSorted();",
    replace: ".nodes;",
    why: "graphs whose nodes are in another order would differ",
    killers: [{ test: "objectives/graph_test.ts" }],
  },
  {
    name: "an edge is differentiated by one of its ends",
    file: "objectives/graph.ts",
    find: "share * (pull[node]! * ours.sums[token]! + pulled)",
    replace: "share * (pull[node]! * ours.sums[token]!)",
    why: "gradients would be half of what they are",
    killers: [{ test: "objectives/graph_test.ts" }],
  },
];

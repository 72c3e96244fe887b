/**
 * What is wrong with a problem whose fields are each in their range: settings that
 * contradict others, sizes that nothing can count.
 *
 * @module
 */
import { LISTING } from "./heads/distill.ts";
import { type Problem, vocabOf, wantedGradients } from "./problem.ts";

/** Something that is wrong. */
export interface Fault {
  /** Index of the head that it is about, where it is one's. */
  readonly head?: number;
  readonly field: string;
  readonly message: string;
}

/** Yields what is wrong with a problem. */
export function* faultsOf(problem: Problem): Generator<Fault> {
  const { heads, tokens, statistics, gradients, gradientFilter, labelSmoothing } = problem;
  const twice = statistics.find((name, index, all) => all.indexOf(name) !== index);
  if (twice !== undefined) yield { field: "statistics", message: `has ${twice} twice` };
  if (gradients?.includes("bias") && !heads.some(({ bias }) => bias)) {
    const message = "cannot include bias where the problem has none: set bias to true";
    yield { field: "gradients", message };
  }
  const constant = gradients?.find((name) => name !== "hidden");
  if (constant !== undefined && heads.every(({ frozen }) => frozen)) {
    yield { field: "gradients", message: `cannot include ${constant} where every head is frozen` };
  }
  if (gradientFilter !== 0 && labelSmoothing > 0) {
    yield {
      field: "gradientFilter",
      message: "cannot be used with label smoothing, which moves every logit of every token",
    };
  }
  if (problem.topK > vocabOf(problem)) {
    const message = `is ${problem.topK}, but there are ${vocabOf(problem)} ids: ask for no more`;
    yield { field: "topK", message };
  }
  yield* subTokenFaults(problem);
  yield* sampleFaults(problem);
  yield* fusionFaults(problem);
  yield* distillFaults(problem);
  for (const [head, { name, hidden, vocab, frozen, adapter }] of heads.entries()) {
    if (adapter !== undefined && adapter >= hidden) {
      const message = `has ${adapter} columns, but must leave some of the ${hidden} to the weight`;
      yield { head, field: "adapter", message };
    }
    if (adapter !== undefined && frozen) {
      yield { head, field: "adapter", message: "cannot be trained where the head is frozen" };
    }
    if (heads.findIndex((other) => other.name === name) !== head) {
      yield { head, field: "name", message: "is another head's: give each one of its own" };
    }
    const matrices = [
      ["hidden", tokens, hidden],
      ["hidden", vocab, hidden],
      ["vocab", tokens, vocab],
    ] as const;
    for (const [field, rows, columns] of matrices) {
      if (rows * columns * 4 <= Number.MAX_SAFE_INTEGER) continue;
      yield {
        head,
        field,
        message:
          `makes a matrix of ${rows} x ${columns} elements, past the 2^53 bytes that can be counted exactly`,
      };
    }
  }
}

function* subTokenFaults(problem: Problem): Generator<Fault> {
  const { heads, subTokens, subTokenScale } = problem;
  if (subTokens === undefined) {
    if (subTokenScale === undefined) return;
    const message = "is of a weight gradient in sub-tokens: give subTokens, or leave it out";
    return yield { field: "subTokenScale", message };
  }
  const fault = (message: string): Fault => ({ field: "subTokens", message });
  const { hidden, adapter } = heads[0]!;
  if (hidden % subTokens !== 0) {
    yield fault(`must divide the ${hidden} columns of a hidden state, and ${subTokens} does not`);
  }
  if (adapter !== undefined) {
    yield fault("cannot be beside an adapter, whose gradient is narrow already: leave one out");
  }
  const learning = heads.filter((head) => wantedGradients(problem, head).has("weight"));
  if (learning.length > 1) {
    yield fault("is of one head's gradient: freeze the teacher, or leave it out");
  }
  if (learning.length === 0) {
    yield fault(
      "is of the weight's gradient, which is not asked for: set the pass to train, and ask for it, or leave it out",
    );
  }
}

function* sampleFaults(problem: Problem): Generator<Fault> {
  const { heads, tokens, sampledTokens, subTokens, gradientFilter, distill } = problem;
  if (sampledTokens === undefined) return;
  const fault = (message: string): Fault => ({ field: "sampledTokens", message });
  if (sampledTokens > tokens) {
    yield fault(`is ${sampledTokens}, but there are ${tokens} tokens: ask for no more`);
  }
  if (!heads.some((head) => wantedGradients(problem, head).has("weight"))) {
    yield fault(
      "is of the weight's gradient, which is not asked for: set the pass to train, and ask for it, or leave it out",
    );
  }
  if (subTokens !== undefined) {
    yield fault("cannot be beside subTokens, which is another estimate: leave one out");
  }
  if (gradientFilter !== 0) {
    yield fault("cannot be filtered: a filter leaves out tiles of tokens that follow each other");
  }
  if (distill) yield fault("cannot be of a student: a token's weight does not know its teacher");
}

function* fusionFaults({ heads, fusion, ...task }: Problem): Generator<Fault> {
  if (!fusion) return;
  const fault = (message: string): Fault => ({ field: "fusion", message });
  if (heads.length !== 3) {
    yield fault(`needs three heads, large, expert and base, and there are ${heads.length}`);
  }
  if (task.pass === "train") {
    yield fault("is for generation: it has no gradients, so the pass must be forward");
  }
  if (task.objective !== "cross-entropy") {
    yield fault(`has the cross-entropy of what is fused alone, not ${task.objective}`);
  }
  if (task.labelSmoothing > 0) yield fault("cannot be smoothed: labelSmoothing must be 0");
  const after = "once strengths are found, ask it of the sum of heads that they make (factorsOf)";
  if (task.topK > 0) yield fault(`has no lists of ids, topK must be 0: ${after}`);
  if (task.sampleTemperature !== undefined) yield fault(`has no drawing of ids: ${after}`);
  const lacking = task.statistics.find((name) => name !== "predicted");
  if (lacking !== undefined) yield fault(`has no ${lacking}: leave it out`);
}

function* distillFaults({ heads, fusion, distill, ...task }: Problem): Generator<Fault> {
  if (distill === undefined) return;
  const fault = (message: string): Fault => ({ field: "distill", message });
  if (fusion) yield fault("cannot be of heads that are fused: leave one out");
  const { listed, divergence } = distill;
  if (listed !== undefined) {
    if (heads.length !== 1) {
      yield fault(`has a listed teacher, which has no head, and there are ${heads.length} heads`);
    }
    if (!LISTING.includes(divergence)) {
      const able = LISTING.join(" or ");
      yield fault(`by ${divergence} is not finite beyond a list: a listed teacher needs ${able}`);
    }
    if (listed > heads[0]!.vocab) {
      yield fault(`lists ${listed} ids, and there are ${heads[0]!.vocab}`);
    }
    if (task.subTokens !== undefined) yield fault("cannot have sub-tokens yet");
  } else if (heads.length !== 2) {
    yield fault(`needs two heads, a student and a teacher, and there are ${heads.length}`);
  }
  if (heads.some(({ adapter }) => adapter !== undefined)) yield fault("cannot have an adapter yet");
  if (task.topK > 0) yield fault("cannot have lists of the most likely ids yet: topK must be 0");
  if (task.sampleTemperature !== undefined) yield fault("cannot draw ids: that is for generation");
  if (distill.beta !== undefined && distill.divergence !== "jsd") {
    yield fault(`has a beta of ${distill.beta}, which only jsd has, not ${distill.divergence}`);
  }
  if (distill.weight === 0) yield fault("has a weight of 0, which leaves nothing to learn");
  if (task.objective !== "cross-entropy") {
    yield fault(`cannot be part of the objective ${task.objective}, which has no loss of its own`);
  }
  if (task.gradientFilter !== 0) {
    yield fault("cannot be filtered: a logit's gradient goes by the teacher as well");
  }
  if (distill.ceWeight > 0) return;
  const idle = {
    labelSmoothing: task.labelSmoothing > 0,
    zLoss: task.zLoss > 0,
    classWeight: task.classWeight,
  };
  for (const [field, given] of Object.entries(idle)) {
    if (!given) continue;
    yield { field, message: "is part of the cross-entropy, whose ceWeight beside distill is 0" };
  }
}

/**
 * Requests that contradict themselves: said before anything is planned, for it is
 * the request that is at fault, not the device.
 *
 * @module
 */
import { ACCUMULATED, type Dtype } from "../../planner/dtype.ts";
import type { Divergence } from "../../planner/heads/distill.ts";
import { headOf, type Problem, wantedGradients } from "../../planner/problem.ts";
import { parseProblem } from "../../planner/problem_schema.ts";
import type { StrategyName } from "../../planner/schedule/schedule.ts";
import { ALL_STRATEGIES, strategyNamed } from "../../planner/strategies/mod.ts";
import { type Strategy, unsuited } from "../../planner/strategies/strategy.ts";
import { UsageError } from "../exit.ts";

/** What contradicts itself: the setting at fault, and its value with why. */
export interface Contradiction {
  readonly setting:
    | "strategy"
    | "gradients"
    | "weights"
    | "gradientFilter"
    | "gradientDtype"
    | "reduction"
    | "labelSmoothing"
    | "zLoss";
  readonly text: string;
}

/** Returns the first contradiction of a request, if there is any. */
export function contradictionOf(
  problem: Problem,
  choices: {
    strategy?: StrategyName | undefined;
    window?: number | undefined;
    weights?: string | undefined;
    gradientDtype?: Dtype | undefined;
    hostIo?: boolean | undefined;
    distill?: Divergence | undefined;
    fusion?: boolean | undefined;
    ranks: boolean;
  },
): Contradiction | undefined {
  const asked = taughtBy(problem, choices);
  const strategy = strategyFault(asked, choices.strategy) ?? windowFault(problem, choices);
  if (strategy !== undefined) return { setting: "strategy", text: strategy };
  const weights = streamingFault(choices);
  if (weights !== undefined) return { setting: "weights", text: weights };
  if (problem.gradients && problem.pass === "forward") {
    const text = `${problem.gradients.join(",")}: the forward pass has no gradients. ` +
      "Set the pass to train, or leave the gradients out";
    return { setting: "gradients", text };
  }
  const rounded = roundingFault(problem, choices);
  if (rounded !== undefined) return { setting: "gradientDtype", text: rounded };
  return withoutEffect(problem);
}

/** Returns why the weight's gradient cannot be rounded to what was asked for. */
function roundingFault(
  problem: Problem,
  { gradientDtype = ACCUMULATED, weights, hostIo, ranks }: {
    gradientDtype?: Dtype | undefined;
    weights?: string | undefined;
    hostIo?: boolean | undefined;
    ranks: boolean;
  },
): string | undefined {
  if (gradientDtype === ACCUMULATED) return undefined;
  if (!problem.heads.some((head) => wantedGradients(problem, head).has("weight"))) {
    const why = problem.pass === "forward" ? "the forward pass has none. Set the pass to train" : (
      "no gradient of the weight is asked for. Ask for that"
    );
    return `${gradientDtype}: is of the weight's gradient, and ${why}, or leave it out`;
  }
  const other = ranks
    ? "ranks add up their gradients in f32"
    : hostIo || weights === "streamed"
    ? "lce run, which that plans, gives back gradients in f32"
    : undefined;
  return other && `${gradientDtype}: ${other}. Leave one of them out`;
}

/** Returns a setting that would change nothing. */
function withoutEffect(problem: Problem): Contradiction | undefined {
  const { gradientFilter, pass, objective, reduction, labelSmoothing, zLoss } = problem;
  if (gradientFilter !== 0 && pass === "forward") {
    const text = `${gradientFilter}: the forward pass has no gradients to filter. ` +
      "Set the pass to train, or leave the filter out";
    return { setting: "gradientFilter", text };
  }
  if (objective !== "statistics") return undefined;
  const text = (value: string | number) =>
    `${value}: the objective is statistics, which has no loss of its own. ` +
    "Leave it out, or choose cross-entropy";
  if (reduction !== "mean") return { setting: "reduction", text: text(reduction) };
  if (labelSmoothing > 0) return { setting: "labelSmoothing", text: text(labelSmoothing) };
  if (zLoss > 0) return { setting: "zLoss", text: text(zLoss) };
  return undefined;
}

/**
 * Returns why a strategy cannot serve a problem's pass, and what can; the text begins with its
 * name.
 */
function strategyFault(
  problem: Problem,
  strategy: StrategyName | undefined,
): string | undefined {
  const reason = strategy && unsuited(strategyNamed(strategy), problem);
  if (reason === undefined) return undefined;
  const able = ALL_STRATEGIES.filter((each) => unsuited(each, problem) === undefined)
    .map(({ name }) => name);
  return `${strategy}: ${reason}, and the pass is ${problem.pass}. ` +
    `For this pass there are ${able.join(", ")}`;
}

/** Returns why a strategy cannot work on a window that was asked for. */
function windowFault(
  problem: Problem,
  { strategy, window }: { strategy?: StrategyName | undefined; window?: number | undefined },
): string | undefined {
  if (strategy === undefined || strategyNamed(strategy).cuts) return undefined;
  if (window === undefined || window >= headOf(problem).vocab) return undefined;
  return `${strategy}: works on the whole vocabulary, so a window of ${window} ids is of no use. ` +
    `Leave the window out, or choose ${CUTTING}`;
}

/** Strategies that take one window after the other, for people. */
const STREAMING = namesOf(({ streams }) => streams);

/** Strategies whose windows may be fixed, for people. */
const CUTTING = namesOf(({ cuts }) => cuts);

function namesOf(which: (strategy: Strategy) => boolean): string {
  return ALL_STRATEGIES.filter(which).map(({ name }) => name).join(" or ");
}

/** Returns whether a strategy keeps the logits of every id at once, so that it takes no windows. */
function keepsWhole(strategy: StrategyName | undefined): boolean {
  return strategy !== undefined && !strategyNamed(strategy).streams;
}

/** Returns why a weight cannot be streamed. */
function streamingFault(
  { strategy, weights, ranks }: {
    strategy?: StrategyName | undefined;
    weights?: string | undefined;
    ranks: boolean;
  },
): string | undefined {
  if (weights !== "streamed") return undefined;
  if (ranks) {
    return "streamed: the weight is split over ranks, and each keeps its share. Leave one out";
  }
  if (!keepsWhole(strategy)) return undefined;
  return `streamed: ${strategy} needs the whole weight at hand. Choose ${STREAMING}`;
}

/** Returns a problem as it will be, so far as a strategy asks, with the heads that a request adds to it. */
function taughtBy(
  problem: Problem,
  { distill: divergence, fusion = problem.fusion }: {
    distill?: Divergence | undefined;
    fusion?: boolean | undefined;
  },
): Problem {
  const distill = divergence && { divergence, temperature: 1, weight: 1, ceWeight: 0 };
  return { ...problem, fusion, ...(distill ? { distill } : {}) };
}

/**
 * Checks a strategy against a problem; or against a pass where no problem is known yet, of one head
 * or, where it may be one, of a student. @throws {UsageError}
 */
export function checkStrategy(
  strategy: StrategyName | undefined,
  of: Problem | Problem["pass"] | undefined,
  { orStudent = false } = {},
): void {
  if (of === undefined) return;
  const problem = typeof of === "string" ? parseProblem({ hidden: 1, vocab: 1, pass: of }) : of;
  const fault = strategyFault(problem, strategy);
  if (fault === undefined) return;
  const student = taughtBy(problem, { distill: "forward-kl" });
  if (orStudent && strategyFault(student, strategy) === undefined) return;
  throw new UsageError(`--strategy ${fault}`);
}

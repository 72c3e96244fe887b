/**
 * WGSL for every kernel that a schedule can dispatch.
 *
 * @module
 */
import type { Dispatch, KernelName, Schedule } from "../../planner/schedule/schedule.ts";
import { formatTile } from "../../planner/schedule/tile.ts";
import { roundGradient } from "./round_gradient.ts";
import { biasGradient, hiddenGradient, hiddenSum, weightGradient } from "./gradients.ts";
import { fusionMoments, fusionStrength } from "./fusion.ts";
import { forward, logitGradient, project } from "./project.ts";
import { foldPartials, localMax } from "./vocab_parallel.ts";
import { rowStatistics } from "./row_statistics.ts";
import { listLogits } from "./list_logits.ts";
import { topList } from "./top_list.ts";
import { distillMixture } from "./mixture.ts";
import { storedLogitGradient } from "./stored_logits.ts";
import { subTokens } from "./sub_tokens.ts";
import { operandBound } from "./operand_bound.ts";
import { rowScales } from "./row_scales.ts";
import { sampleTokens } from "./sample_tokens.ts";
import { selectTokens } from "./select_tokens.ts";
import { coefficientsKernel, merge, reduce } from "./tokens.ts";
import type { KernelContext } from "./context.ts";
import type { BodyMaker } from "./product.ts";

const GENERATORS: Readonly<Record<KernelName, (context: KernelContext) => string>> = {
  "select-tokens": selectTokens,
  "operand-bound": operandBound,
  "row-scales": rowScales,
  forward,
  project,
  "row-statistics": rowStatistics,
  "top-list": topList,
  "local-max": localMax,
  "fold-partials": foldPartials,
  "fusion-moments": fusionMoments,
  "fusion-strength": fusionStrength,
  "list-logits": listLogits,
  "distill-statistics": rowStatistics,
  "distill-mixture": distillMixture,
  "distill-gradient": storedLogitGradient,
  merge,
  reduce,
  coefficients: coefficientsKernel,
  "sub-tokens": subTokens,
  "sample-tokens": sampleTokens,
  "logit-gradient": logitGradient,
  "stored-logit-gradient": storedLogitGradient,
  "weight-gradient": weightGradient,
  "hidden-gradient": hiddenGradient,
  "hidden-sum": hiddenSum,
  "round-gradient": roundGradient,
  "bias-gradient": biasGradient,
};

/**
 * Returns the WGSL of a dispatch, shared by all dispatches of its schedule with the same
 * {@linkcode kernelKey}. `body` writes the products, where it is not to be the
 * body that the tile is for.
 */
export function wgslOf(schedule: Schedule, dispatch: Dispatch, body?: BodyMaker): string {
  const context = { schedule: seenBy(dispatch, schedule), dispatch };
  return GENERATORS[dispatch.kernel]({ ...context, ...(body ? { body } : {}) });
}

/** A kernel that is about one head of several sees a problem of that head alone. */
function seenBy({ head: name }: Dispatch, schedule: Schedule): Schedule {
  const { problem } = schedule;
  if (name === undefined || problem.heads.length === 1) return schedule;
  return {
    ...schedule,
    problem: { ...problem, heads: problem.heads.filter((head) => head.name === name) },
  };
}

/** Tells the kernels of one schedule apart: dispatches with the same key run the same text. */
export function kernelKey({ kernel, head, tile, span, order, bindings }: Dispatch): string {
  const slots = bindings.map(({ slot }) => slot).join(",");
  return `${kernel} ${head ?? ""} ${tile ? formatTile(tile) : ""} ${span ?? ""} ${
    order?.band ?? ""
  } ${order?.run ?? ""} ${slots}`;
}

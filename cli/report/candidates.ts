/**
 * The search's candidates, as text and as JSON: what each needs and takes, and
 * why it lost.
 *
 * @module
 */
import { strategyOf, verdict } from "../../planner/search/choice.ts";
import type { Candidate, Plan } from "../../planner/plan.ts";
import { formatTile } from "../../planner/schedule/tile.ts";
import { formatBytes } from "../../planner/units.ts";
import { placeOfWeight } from "./plan_words.ts";
import { indented, type Layout, table, within } from "./table.ts";

/**
 * Returns a candidate's choices, its memory in bytes, and its time relative to the chosen one's.
 */
export function candidateJson({ shape, memory, cost }: Candidate, plan: Plan) {
  const { strategy, block, window, splits, tile } = shape;
  return {
    strategy,
    weights: placeOfWeight(shape),
    ...(shape.oneSum ? { oneSum: true } : {}),
    block,
    window,
    splits,
    tile: formatTile(tile),
    peakBytes: memory.peakBytes,
    extraPeakBytes: memory.extraPeakBytes,
    relativeTime: cost.seconds / plan.cost.seconds,
    estimatedMs: cost.measuredRates ? cost.seconds * 1000 : null,
  };
}

/** Returns the same with why it lost. */
export function explainedJson(candidate: Candidate, plan: Plan) {
  return {
    ...candidateJson(candidate, plan),
    onFront: plan.front.includes(candidate),
    verdict: verdict(candidate, plan, plan.front, plan.budget),
  };
}

/** Returns every candidate for people, the smallest first; those that none beats are starred. */
export function candidatesText(plan: Plan, layout: Layout = {}): string {
  const { candidates, front, budget } = plan;
  const rows = [...candidates]
    .sort((a, b) => a.memory.peakBytes - b.memory.peakBytes || a.cost.seconds - b.cost.seconds)
    .map((candidate) => {
      const { shape, memory, cost } = candidate;
      return [
        front.includes(candidate) ? "*" : "",
        strategyOf(shape),
        `${shape.block}`,
        `${shape.window}`,
        formatTile(shape.tile),
        formatBytes(memory.peakBytes),
        formatBytes(memory.extraPeakBytes),
        `${(cost.seconds / plan.cost.seconds).toFixed(2)} x`,
        verdict(candidate, plan, front, budget),
      ];
    });
  const heads = ["", "strategy", "block", "window", "tile", "peak", "extra", "time", "verdict"];
  const align = ["left", "left", "right", "right", "left", "right", "right", "right"] as const;
  return `candidates (* none needs less and is as fast)\n${
    indented(table([heads, ...rows], align, within({ ...layout, keys: 5 })))
  }`;
}

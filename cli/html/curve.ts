/**
 * Memory by method against the number of tokens, and how many fit.
 *
 * @module
 */
import type { DeviceProfile } from "../../planner/device.ts";
import { type Largest, planLargest, planLargestParallel } from "../../planner/largest.ts";
import type { Parallelism, ParallelPlan } from "../../planner/parallel.ts";
import { DoesNotFitError, type PlanOptions } from "../../planner/plan.ts";
import type { Problem } from "../../planner/problem.ts";
import { logSpaced, sweep } from "../../planner/sweep.ts";
import { exactBytes, formatBytes } from "../../planner/units.ts";
import { type ChartRow, chartRow, sweepChart, USUAL_PEERS } from "../chart/sweep_chart.ts";
import { type Html, html } from "./html.ts";
import { picture } from "./pictures.ts";

/** Points of the curve. */
const POINTS = 12;

/** Where it begins, and ends at the least. */
const [FIRST, LAST] = [64, 65536];

/**
 * Draws memory by method over numbers of tokens around the problem's. It yields
 * after each point, which may take a while, so that a page can do other things.
 */
export function* curve(
  problem: Problem,
  device: DeviceProfile,
  options: PlanOptions,
  parallelism?: Parallelism,
): Generator<undefined, Html> {
  // Where ranks split hidden states by tokens, each has as many.
  const unit = parallelism?.sequence ? parallelism.tensor * parallelism.data : 1;
  const values = [
    ...new Set(
      logSpaced(FIRST, Math.max(LAST, 4 * problem.tokens), POINTS)
        .map((value) => Math.ceil(value / unit) * unit),
    ),
  ];
  const axes = [{ name: "tokens", values }] as const;
  const rows: ChartRow[] = [];
  // Published methods know no ranks.
  const methods = parallelism ? [] : USUAL_PEERS;
  for (const point of sweep(problem, device, options, axes, parallelism)) {
    rows.push(chartRow(point, options, methods));
    yield;
  }
  const about = { problem, device, axes, parallelism, named: {} };
  return picture(sweepChart(about, rows), "Memory of each method against the number of tokens");
}

/**
 * Says how many tokens a step can have at most; the budget, or else the device, decides, of each
 * rank where there are several.
 */
export function largestView(
  problem: Problem,
  device: DeviceProfile,
  options: PlanOptions,
  parallelism?: Parallelism,
): Html {
  const { budget } = options;
  const within = budget === undefined
    ? "on this device"
    : `within ${formatBytes(budget)} (${exactBytes(budget)})`;
  try {
    const { value, limit, plan } = parallelism
      ? largestRank(planLargestParallel("tokens", problem, device, parallelism, options))
      : planLargest("tokens", problem, device, options);
    return html`<p>At most <strong>${
      value.toLocaleString("en")
    } tokens</strong> fit ${within}: ${plan.outline.strategy}, ${
      formatBytes(plan.memory.peakBytes)
    } at the peak. ${limit ? html`One more: ${limit}` : ""}</p>`;
  } catch (error) {
    if (!(error instanceof DoesNotFitError)) throw error;
    return html`<p role="alert">No token fits ${within}: ${error.message}</p>`;
  }
}

/** Returns what was found with the plan of the largest rank, beside which no other takes more. */
function largestRank({ plan, ...found }: Largest<ParallelPlan>): Largest {
  return { ...found, plan: plan.largest };
}

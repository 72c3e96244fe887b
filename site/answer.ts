/**
 * The answer to a question: a plan, or why there is none, and what fits in the budget.
 *
 * @module
 */
import { type ChartRow, chartRow, sweepChart, USUAL_PEERS } from "../cli/chart/sweep_chart.ts";
import { type Html, html } from "../cli/html/html.ts";
import { picture } from "../cli/html/pictures.ts";
import { planView } from "../cli/html/plan_view.ts";
import { SPECIFICATION_DEFAULTS } from "../planner/device.ts";
import type { DeviceProfile } from "../planner/device.ts";
import { planLargest } from "../planner/largest.ts";
import { DoesNotFitError, makePlan, type Plan, type PlanOptions } from "../planner/plan.ts";
import { logSpaced, sweep } from "../planner/sweep.ts";
import { exactBytes, formatBytes } from "../planner/units.ts";
import { budgetOf, deviceOf, problemOf, type Question } from "./question.ts";

/** A plan, or why there is none. */
export type Answer = { readonly plan: Plan } | { readonly reason: string };

/** Returns the device that an answer is for, and what is to be said of that. */
export function plannedFor(
  question: Question,
  here: DeviceProfile | undefined,
): { readonly device: DeviceProfile; readonly note: string | undefined } {
  const device = deviceOf(question, here);
  return {
    device: device ?? SPECIFICATION_DEFAULTS,
    note: device
      ? undefined
      : "There is no WebGPU adapter here, so this plan is for the limits that every WebGPU device has.",
  };
}

/** The job of a trainer who owns the tensors, as `plan()` of the library has it. */
function optionsOf(question: Question): PlanOptions {
  return { budget: budgetOf(question), hostIo: false, weights: "resident" };
}

/** Plans what was asked. */
export function answer(question: Question, device: DeviceProfile): Answer {
  try {
    return { plan: makePlan(problemOf(question), device, optionsOf(question)) };
  } catch (error) {
    if (error instanceof DoesNotFitError) return { reason: error.message };
    throw error;
  }
}

/** Shows an answer. */
export function answerView(found: Answer): Html {
  return "plan" in found
    ? planView(found.plan)
    : html`<p role="alert" class="refusal"><strong>This does not fit.</strong> ${found.reason}</p>`;
}

/** Points of the curve. */
const POINTS = 12;

/**
 * Draws memory by method over numbers of tokens around the question's. It yields
 * after each point, which may take a while, so that a page can do other things.
 */
export function* curve(question: Question, device: DeviceProfile): Generator<undefined, Html> {
  const problem = problemOf(question);
  const options = optionsOf(question);
  const values = logSpaced(64, Math.max(65536, 4 * question.tokens), POINTS);
  const axes = [{ name: "tokens", values }] as const;
  const rows: ChartRow[] = [];
  for (const point of sweep(problem, device, options, axes)) {
    rows.push(chartRow(point, options, USUAL_PEERS));
    yield;
  }
  const about = { problem, device, axes, named: {} };
  return picture(sweepChart(about, rows), "Memory of each method against the number of tokens");
}

/** Says how many tokens a step can have at most; the budget, or else the device, decides. */
export function largestView(question: Question, device: DeviceProfile): Html {
  const budget = budgetOf(question);
  const within = budget === undefined
    ? "on this device"
    : `within ${formatBytes(budget)} (${exactBytes(budget)})`;
  try {
    const { value, plan, limit } = planLargest(
      "tokens",
      problemOf(question),
      device,
      optionsOf(question),
    );
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

/**
 * The answer to a question: a plan, or why there is none.
 *
 * @module
 */
import { type Html, html } from "../cli/html/html.ts";
import { planView } from "../cli/html/plan_view.ts";
import { SPECIFICATION_DEFAULTS } from "../planner/device.ts";
import type { DeviceProfile } from "../planner/device.ts";
import { DoesNotFitError, makePlan, type Plan, type PlanOptions } from "../planner/plan.ts";
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

/** Returns the job of a trainer who owns the tensors, as `plan()` of the library has it. */
export function optionsOf(question: Question): PlanOptions {
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

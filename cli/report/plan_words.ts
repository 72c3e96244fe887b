/**
 * Words that several reports have for a plan's choices.
 *
 * @module
 */
import type { DeviceProfile } from "../../planner/device.ts";
import type { Problem } from "../../planner/problem.ts";
import type { Residency } from "../../planner/schedule/schedule.ts";

/** Returns where the rates come from that plans for a device are chosen by. */
export function sourceOfRates({ rates }: Pick<DeviceProfile, "rates">): string {
  return rates ? rates.source ?? "of the device's profile" : "assumed";
}

/** Returns where a plan keeps the weight. */
export function placeOfWeight({ residency }: { readonly residency: Residency }) {
  return residency === "windows" ? "streamed" : "resident";
}

/** Says that the weight's gradient is not the exact one, where it is not. */
export function estimateText({ subTokens, subTokenScale = 1, sampledTokens }: Problem): string {
  if (sampledTokens !== undefined) {
    return `, weight gradient estimated from ${sampledTokens} tokens: not the exact one`;
  }
  if (subTokens === undefined) return "";
  const times = subTokenScale === 1 ? "" : `, times ${subTokenScale}`;
  return `, weight gradient of rank one in ${subTokens} sub-tokens${times}: not the exact one`;
}

/**
 * Words that several reports have for a plan's choices.
 *
 * @module
 */
import type { DeviceProfile } from "../../planner/device.ts";
import type { Residency } from "../../planner/schedule/schedule.ts";

/** Returns where the rates come from that plans for a device are chosen by. */
export function sourceOfRates({ rates }: Pick<DeviceProfile, "rates">): string {
  return rates ? rates.source ?? "of the device's profile" : "assumed";
}

/** Returns where a plan keeps the weight. */
export function placeOfWeight({ residency }: { readonly residency: Residency }) {
  return residency === "windows" ? "streamed" : "resident";
}

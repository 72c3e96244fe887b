/**
 * Words that several reports have for a plan's choices.
 *
 * @module
 */
import type { Residency } from "../../planner/schedule/schedule.ts";

/** Returns where a plan keeps the weight. */
export function placeOfWeight({ residency }: { readonly residency: Residency }) {
  return residency === "windows" ? "streamed" : "resident";
}

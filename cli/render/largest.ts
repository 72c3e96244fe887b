/**
 * The largest problem that fits, as text and as JSON.
 *
 * @module
 */
import type { Largest } from "../../planner/largest.ts";

/** What `lce plan --largest --json` says besides the plan. */
export function largestJson({ dimension, value, limit }: Largest) {
  return { largest: { dimension, value, limit: limit ?? null } };
}

/** The same for people: a line or two above the plan. */
export function largestText({ dimension, value, limit }: Largest): string {
  return [
    `The largest ${dimension} that fits is ${value}.`,
    ...(limit ? [`With ${value + 1}: ${limit}`] : []),
  ].join("\n");
}

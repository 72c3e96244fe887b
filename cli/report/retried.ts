/**
 * A run that was done once more, for people.
 *
 * @module
 */
import type { Retry } from "../../fixtures/verify/once_more.ts";
import { formatBytes } from "../../planner/units.ts";
import { indented, type Layout, within } from "./table.ts";
import { wrapped } from "./wrap.ts";

/** Says why a run was done once more, and within what. */
export function retriedText(
  { refusedBytes, heldBytes, budgetBytes }: Retry,
  layout: Layout = {},
): string {
  return indented(wrapped(
    `retried once: the device refused ${formatBytes(refusedBytes)} with ${
      formatBytes(heldBytes)
    } in use; this run was planned within ${formatBytes(budgetBytes)}`,
    within(layout).width,
  ));
}

/**
 * A run that was done once more, for people.
 *
 * @module
 */
import type { Halves } from "../../kernels/run/halves.ts";
import type { Retry } from "../../fixtures/verify/once_more.ts";
import { formatBytes } from "../../planner/units.ts";
import { indented, type Layout, within } from "./table.ts";
import { wrapped } from "./wrap.ts";

/** Says why a run was done once more, and how. */
export function retriedText(retry: Retry, layout: Layout = {}): string {
  return indented(wrapped(`retried once: ${why(retry)}`, within(layout).width));
}

function why(retry: Retry): string {
  if ("halves" in retry) {
    return `halves ${
      halvesText(retry.halves)
    }, more than results allow; this run's products are in f32`;
  }
  const { refusedBytes, heldBytes, budgetBytes } = retry;
  return `the device refused ${formatBytes(refusedBytes)} with ${
    formatBytes(heldBytes)
  } in use; this run was planned within ${formatBytes(budgetBytes)}`;
}

/** Says what halves do not hold, and what that does. */
export function halvesText({ hidden, weight, moved }: Halves): string {
  if (hidden + weight === 0) {
    return "hold every value in bf16 exactly, its row times a power of two";
  }
  return `round ${hidden} values of the hidden states and ${weight} of the weight, which moves a logit by up to ${
    moved.toExponential(1)
  }`;
}

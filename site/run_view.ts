/**
 * What a run on the visitor's device found, as part of the page and as lines of a card.
 *
 * @module
 */
import { type Html, html } from "../cli/html/html.ts";
import { rows } from "../cli/html/plan_view.ts";
import { checkRows, lossRows } from "../cli/report/run.ts";
import { problemLine } from "../cli/report/plan.ts";
import { formatBytes, formatSeconds } from "../planner/units.ts";
import type { Found } from "./here.ts";

/** Returns what is to be told of a run, a name and a sentence each. */
export function tellings({ verification, ms }: Found): [string, string][] {
  const { plan, agreement, memory, ok } = verification;
  const { coverage } = agreement;
  return [
    ["verdict", ok ? "agrees, with memory as predicted" : "DISAGREES"],
    ["problem", problemLine(plan)],
    ["strategy", plan.outline.strategy],
    [
      "numbers",
      `${
        agreement.ok ? "agree" : "DISAGREE"
      } with float64 in ${coverage.rows} of ${coverage.ofRows} rows`,
    ],
    [
      "extra memory",
      `${memory.measuredExtraPeakBytes} bytes measured, ${memory.predictedExtraPeakBytes} predicted`,
    ],
    [
      "peak",
      `${memory.measuredPeakBytes} bytes measured, ${memory.predictedPeakBytes} predicted`,
    ],
    ["two stages", `${formatBytes(plan.twoStage.extraPeakBytes)} extra, with logits in memory`],
    ["time", timeText(ms)],
  ];
}

function timeText({ lce, twoStage }: Found["ms"]): string {
  const own = formatSeconds(lce / 1000, 3);
  if (twoStage === undefined) return `${own}; two stages do not fit this device`;
  return `${own}; two stages ${formatSeconds(twoStage / 1000, 3)}, ${
    (lce / twoStage).toFixed(2)
  } times that`;
}

/** Shows a run. */
export function runView(found: Found): Html {
  const { verification } = found;
  return html`<p class="${verification.ok ? "good" : "refusal"}" role="status"><strong>${
    verification.ok ? "Verified on this device." : "This device disagrees."
  }</strong></p>
${rows("Result", tellings(found))}
<details><summary>Loss and every comparison</summary>${rows("Loss", lossRows(verification))}${
    rows("Comparisons with float64", checkRows(verification.agreement))
  }</details>`;
}

/**
 * Every split of a job over so many ranks, as text and as JSON: what each takes, and
 * why it lost.
 *
 * @module
 */
import type { Parallelism } from "../../planner/parallel.ts";
import type { SplitCandidate, Splits } from "../../planner/splits.ts";
import { formatBytes, formatSeconds } from "../../planner/units.ts";
import { timeJson } from "./parallel.ts";
import { wrapped } from "./wrap.ts";
import { indented, type Layout, table, within } from "./table.ts";

/** The splits in the contract of `lce plan --ranks --json`. Sizes are bytes, times milliseconds. */
export function splitsJson({ candidates, best }: Splits) {
  return candidates.map(({ parallelism, planned, verdict }) => ({
    parallel: parallelism,
    strategy: planned?.plan.largest.outline.strategy ?? null,
    largestPeakBytes: planned?.plan.largest.memory.peakBytes ?? null,
    relativeTime: planned ? planned.time.seconds / best.planned.time.seconds : null,
    ...(planned ? timeJson(planned.time) : {}),
    verdict,
  }));
}

/** Returns the name of a split: `8 x 4`, and whether hidden states are split too. */
export function splitName({ tensor, data, sequence }: Parallelism): string {
  return `${tensor} x ${data}${sequence ? " seq" : ""}`;
}

/** Said where times only rank. */
const ASSUMED =
  "Ranked by assumed rates, where device (lce tune) or links (lce tune --mpi) were not measured.";

/** Returns every split for people, the best first. */
export function splitsText({ candidates, best, ranks }: Splits, layout: Layout = {}): string {
  const rows = candidates.map(({ parallelism, planned, verdict }: SplitCandidate) => {
    if (!planned) return [splitName(parallelism), "-", "-", "-", "-", verdict];
    const { plan: { largest }, time } = planned;
    const seconds = (value: number) => time.measured ? formatSeconds(value) : "-";
    return [
      splitName(parallelism),
      formatBytes(largest.memory.peakBytes),
      seconds(time.compute),
      seconds(time.collectives),
      `${(time.seconds / best.planned.time.seconds).toFixed(2)} x`,
      verdict,
    ];
  });
  const heads = ["tensor x data", "peak of a rank", "own work", "collectives", "time", "verdict"];
  return `splits over ${ranks} ranks\n${
    indented(
      table(
        [heads, ...rows],
        ["left", "right", "right", "right", "right"],
        within({ ...layout, keys: 1 }),
      ),
    )
  }${best.planned.time.measured ? "" : `\n\n${wrapped(ASSUMED, layout.width)}`}`;
}

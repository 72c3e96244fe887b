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

/** Returns what is to be said of times that only rank. */
export function splitsNotes({ best }: Splits): string[] {
  return best.planned.time.measured ? [] : [
    "Ranked by assumed rates, where device (lce tune) or links (lce tune --mpi) were not measured.",
  ];
}

/** Returns names of columns, and a line for every split, the best first. */
export function splitsRows({ candidates, best }: Splits): string[][] {
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
  return [heads, ...rows];
}

/** Returns every split for people. */
export function splitsText(splits: Splits, layout: Layout = {}): string {
  const { ranks } = splits;
  return [
    `splits over ${ranks} ranks\n${
      indented(
        table(
          splitsRows(splits),
          ["left", "right", "right", "right", "right"],
          within({ ...layout, keys: 1 }),
        ),
      )
    }`,
    ...splitsNotes(splits).map((note) => wrapped(note, layout.width)),
  ].join("\n\n");
}

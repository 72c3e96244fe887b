/**
 * How a job's time changes with its ranks, as text and as JSON.
 *
 * @module
 */
import type { DeviceProfile } from "../../planner/device.ts";
import type { LinkRates } from "../../planner/links.ts";
import type { Problem } from "../../planner/problem.ts";
import { problemJson } from "../../planner/problem_schema.ts";
import { dominatedFrom, type Scaling, type ScalingPoint } from "../../planner/scaling.ts";
import { formatBytes, formatSeconds } from "../../planner/units.ts";
import { timeJson } from "./parallel.ts";
import { problemLine } from "./plan.ts";
import { splitName } from "./splits.ts";
import { indented, type Layout, table, within } from "./table.ts";
import { wrapped } from "./wrap.ts";

/** A curve with what it is of. */
export interface ScalingReport {
  readonly problem: Problem;
  readonly device: DeviceProfile;
  readonly links: LinkRates | undefined;
  readonly scaling: Scaling;
  readonly points: readonly ScalingPoint[];
}

/** The contract of `lce plan --scaling --json`. Sizes are bytes, times milliseconds. */
export function scalingJson({ problem, device, links, scaling, points }: ScalingReport) {
  return {
    problem: problemJson(problem),
    device,
    links: links ?? null,
    scaling,
    // Simulated by the rates of device and links; null where either was not measured.
    points: points.map(({ ranks, tokens, best, reason, efficiency }) => ({
      ranks,
      tokens,
      parallel: best?.parallelism ?? null,
      largestPeakBytes: best?.planned.plan.largest.memory.peakBytes ?? null,
      ...(best ? timeJson(best.planned.time) : {}),
      efficiency: best?.planned.time.measured ? efficiency : null,
      reason: reason ?? null,
    })),
    trafficDominatesFrom: isMeasured(points) ? dominatedFrom(points) ?? null : null,
  };
}

/** Whether times are by measured rates. */
export function isMeasured(points: readonly ScalingPoint[]): boolean {
  return points.every(({ best }) => !best || best.planned.time.measured);
}

/** Returns what times are by, and what that leaves out. */
export function scalingNotes({ device, links, points }: ScalingReport): string[] {
  if (!isMeasured(points)) {
    return [
      "Times are left out: rates of the device (lce tune) or of links (lce tune --mpi) were not measured.",
    ];
  }
  const from = dominatedFrom(points);
  const last = points.findLast(({ best }) => best)?.ranks;
  return [
    `Simulated by rates: device ${device.rates?.source ?? "as its profile says"}; links ${
      links?.source ?? "as their file says"
    }.`,
    ...(links?.across
      ? []
      : ["Links between hosts were not measured: all ranks count as ranks of one host."]),
    from === undefined
      ? `Collectives take less than a rank's own work up to ${last} ranks.`
      : `Traffic dominates from ${from} ranks on: collectives take longer than a rank's own work.`,
  ];
}

/** Returns the curve for people. */
export function scalingText(report: ScalingReport, layout: Layout = {}): string {
  const { scaling, points } = report;
  const rows = points.map(({ ranks, tokens, best, reason, efficiency }) => {
    if (!best) return [`${ranks}`, `${tokens}`, "-", "-", "-", "-", "-", "-", reason ?? ""];
    const { planned: { plan, time }, parallelism } = best;
    const seconds = (value: number) => time.measured ? formatSeconds(value) : "-";
    return [
      `${ranks}`,
      `${tokens}`,
      splitName(parallelism),
      formatBytes(plan.largest.memory.peakBytes),
      seconds(time.compute),
      seconds(time.collectives),
      seconds(time.seconds),
      time.measured ? `${(100 * efficiency!).toFixed(0)} %` : "-",
      "",
    ];
  });
  const heads = [
    ...["ranks", "tokens", "tensor x data", "peak of a rank", "own work", "collectives", "time"],
    ...["efficiency", ""],
  ];
  return [
    wrapped(problemLine(report), layout.width),
    `${scaling} scaling: ${scaling === "weak" ? "so many tokens for each rank" : "the same job"}`,
    "",
    indented(
      table(
        [heads, ...rows],
        ["right", "right", "left", "right", "right", "right", "right", "right"],
        within({ ...layout, keys: 3 }),
      ),
    ),
    "",
    ...scalingNotes(report).map((note) => wrapped(note, layout.width)),
  ].join("\n");
}

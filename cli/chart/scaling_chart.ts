/**
 * The chart of a scaling: a rank's own work, collectives and both against the ranks.
 *
 * @module
 */
import type { ScalingPoint } from "../../planner/scaling.ts";
import type { RankTime } from "../../planner/splits.ts";
import { formatSeconds } from "../../planner/units.ts";
import { problemLine } from "../report/plan.ts";
import { scalingNotes, type ScalingReport } from "../report/scaling.ts";
import { drawChart, type Series } from "./chart.ts";
import { shortCount } from "./scale.ts";

/** Draws a scaling whose times are by measured rates. */
export function scalingChart(report: ScalingReport): string {
  const { points, scaling } = report;
  const series = (
    y: (time: RankTime, point: ScalingPoint) => number,
    look: Omit<Series, "points">,
  ): Series => ({
    ...look,
    points: points.map((point) => ({
      x: point.ranks,
      // A rank that is alone tells nobody anything, which has no place on a logarithmic axis.
      y: point.best && (1e3 * y(point.best.planned.time, point) || undefined),
    })),
  });
  const ideal = points.find(({ best }) => best)!;
  const perToken = ideal.best!.planned.time.seconds * ideal.ranks / ideal.tokens;
  return drawChart({
    title: `${scaling === "weak" ? "Weak" : "Strong"} scaling of the output layer`,
    subtitle: problemLine(report),
    xLabel: "ranks",
    yLabel: "time",
    formatX: shortCount,
    // Powers of two of milliseconds are round.
    formatY: (milliseconds) => formatSeconds(milliseconds / 1e3, 3),
    series: [
      series(({ seconds }) => seconds, { name: "lce, simulated", colour: "a", classes: "main" }),
      series(({ compute }) => compute, { name: "a rank's own work", colour: "c" }),
      series(({ collectives }) => collectives, { name: "collectives", colour: "b" }),
      series((_, { ranks, tokens }) => perToken * tokens / ranks, {
        name: "ideal",
        colour: "g",
        classes: "dashed",
      }),
    ],
    levels: [],
    notes: scalingNotes(report),
  });
}

/**
 * What `lce plan --ranks` does: looks for the best split over so many ranks, or shows how
 * time changes up to them.
 *
 * @module
 */
import type { DeviceProfile } from "../../planner/device.ts";
import type { LinkRates } from "../../planner/links.ts";
import { DoesNotFitError, type Plan, type PlanOptions } from "../../planner/plan.ts";
import type { Problem } from "../../planner/problem.ts";
import { scale, type Scaling, type ScalingPoint } from "../../planner/scaling.ts";
import { planSplits } from "../../planner/splits.ts";
import { scalingChart } from "../chart/scaling_chart.ts";
import { UsageError } from "../exit.ts";
import { savePicture } from "../files/new_file.ts";
import type { Output } from "../output.ts";
import { parallelPlanJson, parallelPlanText, type RanksExtras } from "../report/parallel.ts";
import { isMeasured, scalingJson, scalingText } from "../report/scaling.ts";
import { splitsJson, splitsText } from "../report/splits.ts";

/** A job, and how many ranks there are for it. */
export interface RanksQuestion {
  readonly problem: Problem;
  readonly device: DeviceProfile;
  readonly ranks: number;
  readonly links: LinkRates | undefined;
  readonly options: PlanOptions;
}

/** Something to print, and to draw. */
export interface Answer {
  json(): object;
  text(): string;
}

/** Chooses the split over so many ranks; the plan is of the largest rank. */
export function answerSplits(
  { problem, device, ranks, links, options }: RanksQuestion,
  { explain = false, ...extras }: RanksExtras,
): Answer & { readonly plan: Plan } {
  const splits = planSplits(problem, device, ranks, options, links);
  const { plan } = splits.best.planned;
  // What is explained is the choice of the split: the plan's own candidates are of its largest rank.
  return {
    plan: plan.largest,
    json: () => ({
      ...parallelPlanJson(plan, extras),
      ...(explain ? { splits: splitsJson(splits) } : {}),
    }),
    text: () =>
      [
        parallelPlanText(plan, extras),
        ...(explain ? [splitsText(splits, extras)] : []),
      ].join("\n\n"),
  };
}

/**
 * Simulates a job up to so many ranks, and draws it where asked to.
 *
 * @throws {UsageError} where there is a picture to draw, and no measured times to draw in it.
 * @throws {DoesNotFitError} where nothing fits, however many ranks.
 */
export async function answerScaling(
  { problem, device, ranks, links, options }: RanksQuestion,
  { scaling, svg, force }: {
    readonly scaling: Scaling;
    readonly svg: string | undefined;
    readonly force: boolean;
  },
  output: Output,
): Promise<Answer> {
  const points: ScalingPoint[] = [];
  for (const point of scale(problem, device, { scaling, most: ranks }, options, links)) {
    output.progress(`${point.ranks} of ${ranks} ranks`);
    points.push(point);
    // Known of the first ranks already, and all of them may take half a minute.
    if (svg !== undefined) checkTimes(svg, point, device);
  }
  if (points.every(({ best }) => !best)) throw new DoesNotFitError(points.at(-1)!.reason!);
  const report = { problem, device, links, scaling, points };
  if (svg !== undefined) await savePicture("--svg", svg, scalingChart(report), { force, output });
  return {
    json: () => scalingJson(report),
    text: () => scalingText(report, { width: output.width }),
  };
}

/** Refuses a picture of times that are not known. @throws {UsageError} */
function checkTimes(svg: string, point: ScalingPoint, device: DeviceProfile): void {
  if (isMeasured([point])) return;
  throw new UsageError(
    `--svg ${svg}: there are no times to draw, as ${
      device.rates ? "links were not measured: --links" : "the device was not measured: --device"
    } auto takes what lce tune${device.rates ? " --mpi" : ""} found here`,
  );
}

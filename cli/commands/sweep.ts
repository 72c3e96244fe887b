/**
 * What `lce plan --sweep` does: plans every point, and draws them.
 *
 * @module
 */
import { PEERS } from "../../planner/peers/mod.ts";
import { DoesNotFitError, type PlanOptions } from "../../planner/plan.ts";
import { type Axis, sweep } from "../../planner/sweep.ts";
import { UsageError } from "../exit.ts";
import type { Modes } from "../request/modes_shape.ts";
import { checkPicture, savePicture } from "../files/new_file.ts";
import type { Output } from "../output.ts";
import { type ChartRow, chartRow, sweepChart, USUAL_PEERS } from "../chart/sweep_chart.ts";
import {
  renderSweep,
  splitNotes,
  type SweepAbout,
  type SweepRow,
  sweepRow,
} from "../report/sweep.ts";
import { parseSweeps } from "../request/sweep_flag.ts";

/** Returns names of the published methods to compare with; `undefined` where nothing was said. */
function peersWanted(names: readonly string[] | undefined): readonly string[] | undefined {
  if (names?.[0] === "none") return [];
  if (names?.[0] === "all") return PEERS.map(({ method }) => method);
  return names && [...new Set(names)];
}

/** Settings that only a sweep or a picture knows. */
export interface PictureFlags
  extends Pick<Modes, "sweep" | "format" | "peers" | "svg" | "timeline" | "scaling"> {
  readonly force?: boolean | undefined;
}

/** The parts of those flags that have been checked, before anything is planned. */
export interface PictureRequest {
  readonly axes: readonly Axis[];
  readonly methods: readonly string[] | undefined;
}

/**
 * Checks sweep and pictures against each other, the other flags and the disk.
 *
 * @throws {UsageError}
 */
export async function checkPictures(
  { sweep = [], format, peers, svg, timeline, scaling, force = false }: PictureFlags,
  flags: Record<string, unknown>,
): Promise<PictureRequest> {
  const axes = parseSweeps([sweep].flat(), flags);
  const curve = scaling === undefined ? { svg } : {};
  const needsSweep = Object.entries({ format, peers, ...curve }).find(([, value]) =>
    value !== undefined
  );
  if (axes.length === 0 && needsSweep) {
    throw new UsageError(
      `--${needsSweep[0]} ${
        [needsSweep[1]].flat().join(",")
      }: needs --sweep, such as tokens=1k..64k${needsSweep[0] === "svg" ? ", or --scaling" : ""}`,
    );
  }
  if (axes.length > 0 && timeline !== undefined) {
    throw new UsageError(`--timeline ${timeline}: draws one plan, not a sweep; leave --sweep out`);
  }
  if (axes.length > 1 && svg !== undefined) {
    throw new UsageError(
      `--svg ${svg}: draws a sweep over one dimension, not over ${
        axes.map(({ name }) => name).join(" and ")
      }; --format csv has them all`,
    );
  }
  if (force && svg === undefined && timeline === undefined) {
    throw new UsageError("--force: needs --svg or --timeline");
  }
  await checkPicture("--svg", svg, force);
  await checkPicture("--timeline", timeline, force);
  return { axes, methods: peersWanted(peers) };
}

/**
 * Plans a sweep, prints it, and draws it where asked to.
 *
 * @throws {DoesNotFitError} after printing, where no point fits.
 * @throws {UsageError} after printing, where no point's sizes are a job.
 */
export async function runSweep(
  about: SweepAbout,
  options: PlanOptions,
  methods: readonly string[] | undefined,
  { format = "table", svg, force = false }: PictureFlags,
  output: Output,
): Promise<void> {
  const forFiles = methods ?? (about.parallelism ? [] : USUAL_PEERS);
  const rows = sweepRows(about, options, { methods: forFiles, draw: svg !== undefined, output });
  const forPeople = format === "table" || format === "markdown";
  const shown = methods ?? (forPeople ? [] : forFiles);
  // A table says it itself.
  if (format !== "table") splitNotes(about).forEach(output.note);
  output.print(renderSweep(about, rows, format, shown, { width: output.width }));
  if (svg !== undefined) {
    await savePicture("--svg", svg, sweepChart(about, rows), { force, output });
  }
  checkSomeFit(rows);
}

/**
 * Refuses a sweep of which no point can be done.
 *
 * @throws {DoesNotFitError} where no point fits.
 * @throws {UsageError} where no point's sizes are a job.
 */
export function checkSomeFit(rows: readonly SweepRow[]): void {
  // Where some are no job and the others do not fit, what is in the way is room.
  const { reason } = rows.find(({ problem }) => problem !== undefined) ?? rows[0]!;
  const none = (are: string, is: string) =>
    `${
      rows.length === 1
        ? `The sweep's only point ${is}`
        : `None of the sweep's ${rows.length} points ${are}`
    }: ${reason}`;
  if (rows.every(({ problem }) => problem === undefined)) {
    throw new UsageError(none("is a job", "is no job"));
  }
  if (rows.every(({ chosen }) => chosen === undefined)) {
    throw new DoesNotFitError(none("fits", "does not fit"));
  }
}

/** Plans every point and keeps its numbers; `draw` asks for each strategy's too. */
export function sweepRows(
  { problem, device, axes, parallelism }: SweepAbout,
  options: PlanOptions,
  { methods, draw, output }: { methods: readonly string[]; draw: boolean; output: Output },
): ChartRow[] {
  const rows: ChartRow[] = [];
  for (const point of sweep(problem, device, options, axes, parallelism)) {
    output.progress(
      Object.entries(point.values).map(([name, value]) => `${name} ${value}`).join(", "),
    );
    rows.push(
      draw
        ? chartRow(point, options, methods)
        : { ...sweepRow(point, options.budget, methods), strategies: new Map() },
    );
  }
  return rows;
}

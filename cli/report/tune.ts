/**
 * What tuning found, as text and as JSON.
 *
 * @module
 */
import type { Peaks } from "../../kernels/measure/peaks.ts";
import type { DeviceRates } from "../../planner/device.ts";
import { headOf, type Problem } from "../../planner/problem.ts";
import { formatTile, tierOf } from "../../planner/schedule/tile.ts";
import { formatCount, formatSeconds } from "../../planner/units.ts";
import type { TileResult } from "../bench/tune.ts";
import { indented, type Layout, table, within } from "./table.ts";

/** A tuning with what it was made on. */
export interface TuneReport {
  readonly device: string;
  readonly problem: Problem;
  readonly peaks: Peaks;
  readonly rates: DeviceRates;
  readonly results: readonly TileResult[];
  /** The file that the rates are kept in, if they are. */
  readonly kept: string | undefined;
}

/** Returns the contract of `lce tune --json`. */
export function tuneJson({ device, problem, peaks, rates, results, kept }: TuneReport) {
  const { tokens } = problem;
  const { hidden, vocab, dtype } = headOf(problem);
  return {
    device,
    problem: { tokens, hidden, vocab, dtype },
    peaks,
    rates,
    tiles: results.map(({ tile, flopsPerSecond, missing }) => ({
      ...tile,
      flopsPerSecond: flopsPerSecond ?? null,
      missing: missing ?? null,
    })),
    kept: kept ?? null,
  };
}

/** Returns the tuning for people. */
export function tuneText(
  { device, problem, peaks, rates, results, kept }: TuneReport,
  layout: Layout = {},
): string {
  const { tokens } = problem;
  const { hidden, vocab, dtype } = headOf(problem);
  const found = [["f32", rates], ["matrix", rates.matrix], ["split", rates.split]] as const;
  const kernels = found.flatMap(([tier, one]) =>
    one
      ? [
        [
          `kernels, ${tier}`,
          formatCount(one.flopsPerSecond, "FLOP/s"),
          `${((100 * one.flopsPerSecond) / peaks.flopsPerSecond).toFixed(0)} % of that peak`,
        ],
        ["busy from", `${one.parallelInvocations}`, "invocations"],
      ]
      : []
  );
  const best = new Map<string, number | undefined>(
    found.map(([tier, one]) => [tier, one?.flopsPerSecond]),
  );
  const rows = results.map(({ tile, flopsPerSecond, missing }) => [
    formatTile(tile),
    flopsPerSecond === undefined ? "-" : formatCount(flopsPerSecond, "FLOP/s"),
    flopsPerSecond === undefined
      ? ""
      : `${((100 * flopsPerSecond) / best.get(tierOf(tile))!).toFixed(0)} %`,
    missing ?? "",
  ]);
  return [
    `${device}, tuned on ${tokens} tokens x ${hidden} hidden x ${vocab} vocab, ${dtype}`,
    "",
    table(
      [
        ["peak arithmetic", formatCount(peaks.flopsPerSecond, "FLOP/s"), "f32, in registers"],
        ["peak bandwidth", formatCount(peaks.bytesPerSecond, "B/s"), "reading"],
        ["a dispatch", formatSeconds(peaks.secondsPerDispatch), "that does nothing"],
        ...kernels,
      ],
      ["left", "right"],
      layout,
    ),
    "",
    "tiles",
    indented(table(rows, ["left", "right", "right"], within(layout))),
    "",
    kept ? `Kept in ${kept}; plans on this machine use it.` : "Not kept.",
  ].join("\n");
}

/**
 * Measurements as table, Markdown, CSV and JSON.
 *
 * @module
 */
import type { Peaks } from "../../kernels/calibration.ts";
import { formatBytes } from "../../planner/units.ts";
import type { Against, BenchRow } from "./bench_row.ts";
import { csv, type Format, markdown } from "./formats.ts";
import { roofText } from "./roof.ts";
import { table } from "./table.ts";

/** A row, compared with an earlier run or not. */
type ShownRow = BenchRow & Partial<Against>;

/** What is shown besides the usual columns. */
export interface BenchOptions {
  readonly kernels: boolean;
  /** Rows are {@linkcode Against} an earlier run. */
  readonly against?: boolean;
  /** The roof over all rows, said below them. */
  readonly peaks?: Peaks | undefined;
}

/** Writes rows in a format. */
export function renderBench(
  rows: readonly ShownRow[],
  format: Format,
  options: BenchOptions,
): string {
  const below = options.peaks ? `\n\n${roofText(rows, options.peaks)}` : "";
  switch (format) {
    case "json":
      return JSON.stringify(rows, null, 2);
    case "csv":
      return csv(rows);
    case "markdown":
      return markdown(cells(rows, options)) + below;
    case "table":
      return `${rows[0]?.device ?? "nothing measured"}\n\n${
        table(cells(rows, options), [
          "left",
          "left",
          "left",
          "right",
          "left",
          "right",
          "right",
        ])
      }${below}`;
  }
}

function cells(rows: readonly ShownRow[], { kernels, against }: BenchOptions): string[][] {
  const header = [
    "shape",
    "pass",
    "strategy",
    "ms",
    "from to",
    "expected",
    "TFLOP/s",
    "to two-stage",
    ...(against ? ["against"] : []),
    "extra",
    "tile",
    "window, block, splits",
    ...(kernels ? ["kernels"] : []),
  ];
  return [
    header,
    ...rows.map((row) => [
      `${row.tokens}x${row.hidden}x${row.vocab} ${row.dtype}`,
      row.pass,
      row.strategy,
      row.ms?.toFixed(2) ?? "-",
      row.ms === null ? "" : `${row.fastest!.toFixed(2)} ${row.slowest!.toFixed(2)}`,
      row.estimatedMs?.toFixed(2) ?? "",
      row.tflops?.toPrecision(3) ?? "-",
      ratio(row, rows),
      ...(against ? [row.against ?? "-"] : []),
      row.extraPeakBytes === null ? "" : formatBytes(row.extraPeakBytes),
      row.tile ?? row.missing!,
      row.tile === null ? "" : `${row.window} ${row.block} ${row.splits}`,
      ...(kernels
        ? [Object.entries(row.kernels).map(([name, ms]) => `${name} ${ms.toFixed(2)}`).join(", ")]
        : []),
    ]),
  ];
}

/** Time relative to the two-stage baseline of the same problem in the same run. */
function ratio(row: BenchRow, rows: readonly BenchRow[]): string {
  const baseline = rows.find((other) =>
    other.strategy === "two-stage" && other.pass === row.pass && other.dtype === row.dtype &&
    other.tokens === row.tokens && other.hidden === row.hidden && other.vocab === row.vocab
  );
  return row.ms === null || !baseline?.ms ? "" : `${(row.ms / baseline.ms).toFixed(2)} x`;
}

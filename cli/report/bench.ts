/**
 * Measurements as table, Markdown, CSV and JSON.
 *
 * @module
 */
import type { Peaks } from "../../kernels/measure/peaks.ts";
import { ALL_STRATEGIES } from "../../planner/strategies/mod.ts";
import { formatBytes, formatCount, formatSeconds } from "../../planner/units.ts";
import type { EarlierRow } from "../bench/against.ts";
import { type Against, type BenchRow, jobText, placeText } from "../bench/bench_row.ts";
import { csv, type Format, markdown } from "./formats.ts";
import { roofText } from "./roof.ts";
import { table } from "./table.ts";
import { wrapped } from "./wrap.ts";

/** A row, compared with an earlier run or not. */
type ShownRow = BenchRow & Partial<Against>;

/** What is shown besides the usual columns. */
export interface BenchOptions {
  readonly kernels: boolean;
  /** Rows are {@linkcode Against} an earlier run. */
  readonly against?: boolean;
  /** The roof over all rows, said below them. */
  readonly peaks?: Peaks | undefined;
  /** Most characters of a line of a table. */
  readonly width?: number | undefined;
}

/** Writes rows in a format. */
export function renderBench(
  rows: readonly ShownRow[],
  format: Format,
  options: BenchOptions,
): string {
  switch (format) {
    case "json":
      return JSON.stringify(rows, null, 2);
    case "csv":
      return csv(rows);
    case "markdown":
      return [markdown(cells(rows, options)), ...remarks(rows, options)].join("\n\n");
    case "table":
      return [
        rows[0] ? placeText(rows[0]) : "nothing measured",
        table(cells(rows, options), ALIGN, { width: options.width, keys: KEYS }),
        ...remarks(rows, options).map((text) => wrapped(text, options.width)),
      ].join("\n\n");
  }
}

/** Columns that say what was measured. */
const KEYS = 3;

const ALIGN = ["left", "left", "left", "right", "left", "right", "right", "right"] as const;

function cells(rows: readonly ShownRow[], { kernels, against }: BenchOptions): string[][] {
  const header = [
    "shape",
    "pass",
    "strategy",
    "time",
    "fastest to slowest",
    "expected",
    "rate",
    "to two-stage",
    ...(against ? ["against", "memory against"] : []),
    "extra",
    "tier",
    "tile",
    "window, block, splits",
    ...(kernels ? ["kernels"] : []),
  ];
  return [
    header,
    ...rows.map((row) => [
      ...keysOf(row),
      timeText(row.ms) || "-",
      row.ms === null ? "" : `${timeText(row.fastest)} to ${timeText(row.slowest)}`,
      timeText(row.estimatedMs),
      row.tflops === null ? "-" : formatCount(1e12 * row.tflops, "FLOP/s"),
      ratioText(row.ms, baselineOf(row, rows)?.ms),
      ...(against ? [row.against ?? "-", row.againstMemory ?? "-"] : []),
      row.extraPeakBytes === null ? "" : formatBytes(row.extraPeakBytes),
      row.tier ?? "-",
      row.tile ?? "-",
      row.tile === null ? "" : `${row.window} ${row.block} ${row.splits}`,
      ...(kernels
        ? [Object.entries(row.kernels).map(([name, ms]) => `${name} ${timeText(ms)}`).join(", ")]
        : []),
    ]),
  ];
}

function keysOf(row: ShownRow): string[] {
  return [jobText(row), row.pass, row.strategy];
}

function timeText(ms: number | null): string {
  return ms === null ? "" : formatSeconds(ms / 1000, 3);
}

/** Returns what stands below the rows: why some have no time, and the roof over all. */
function remarks(rows: readonly ShownRow[], { peaks }: BenchOptions): string[] {
  const missing = rows.flatMap((row) =>
    row.missing === null ? [] : [`${keysOf(row).join(" ")}: ${row.missing}`]
  );
  return [
    ...(missing.length > 0 ? [missing.join("\n")] : []),
    ...(peaks ? [roofText(rows, peaks)] : []),
  ];
}

/** What a row is compared by. */
type Compared = Pick<EarlierRow, "ms" | "strategy" | keyof typeof SAME>;

/** What two rows of the same problem share. */
const SAME = { pass: 0, dtype: 0, tokens: 0, hidden: 0, vocab: 0, inputs: 0 };

/** Returns whether two rows are of the same problem. */
export function sameProblem(one: Compared, other: Compared): boolean {
  return (Object.keys(SAME) as (keyof typeof SAME)[]).every((key) => one[key] === other[key]);
}

/** Returns the two-stage baseline of the same problem in the same run. */
export function baselineOf<Row extends Compared>(
  row: Row,
  rows: readonly Row[],
): Row | undefined {
  return rows.find((other) => BASELINES.has(other.strategy) && sameProblem(row, other));
}

const BASELINES: ReadonlySet<string> = new Set(
  ALL_STRATEGIES.filter(({ baseline }) => baseline).map(({ name }) => name),
);

/** Returns one figure relative to another; nothing where either is not known. */
export function ratioText(
  figure: number | null | undefined,
  baseline: number | null | undefined,
): string {
  return typeof figure !== "number" || !baseline ? "" : `${(figure / baseline).toFixed(2)} x`;
}

/**
 * Measurements as table, Markdown, CSV and JSON.
 *
 * @module
 */
import type { Problem } from "../../planner/problem.ts";
import type { StrategyName } from "../../planner/schedule.ts";
import { formatTile } from "../../planner/tile.ts";
import { formatBytes } from "../../planner/units.ts";
import type { Measurement } from "../measure.ts";
import { table } from "./table.ts";

/** Ways to write measurements. */
export const BENCH_FORMATS = ["table", "markdown", "csv", "json"] as const;

/** One measurement, flat, as files keep it. Times are milliseconds, sizes bytes. */
export interface BenchRow {
  readonly device: string;
  readonly strategy: StrategyName;
  readonly pass: Problem["pass"];
  readonly tokens: number;
  readonly hidden: number;
  readonly vocab: number;
  readonly dtype: string;
  readonly ms: number | null;
  readonly fastest: number | null;
  readonly slowest: number | null;
  /** What the planner expected, where the device's rates were measured. */
  readonly estimatedMs: number | null;
  readonly tflops: number | null;
  readonly extraPeakBytes: number | null;
  readonly tile: string | null;
  readonly window: number | null;
  readonly block: number | null;
  readonly splits: number | null;
  readonly compileMs: number | null;
  readonly clock: string | null;
  readonly kernels: Readonly<Record<string, number>>;
  /** Why there is no measurement. */
  readonly missing: string | null;
  readonly date: string;
}

/** A row from a measurement, or from the reason for having none. */
export function benchRow(
  { tokens, hidden, vocab, dtype, pass }: Problem,
  strategy: StrategyName,
  device: string,
  outcome: Measurement | string,
): BenchRow {
  const measured = typeof outcome === "string" ? undefined : outcome;
  const schedule = measured?.plan.schedule;
  return {
    device,
    strategy,
    pass,
    tokens,
    hidden,
    vocab,
    dtype,
    ms: measured?.ms ?? null,
    fastest: measured?.fastest ?? null,
    slowest: measured?.slowest ?? null,
    estimatedMs: measured?.plan.cost.measuredRates ? measured.plan.cost.seconds * 1000 : null,
    tflops: measured?.tflops ?? null,
    extraPeakBytes: measured?.plan.memory.extraPeakBytes ?? null,
    tile: schedule ? formatTile(schedule.tile) : null,
    window: schedule?.window.vocab ?? null,
    block: schedule?.block.tokens ?? null,
    splits: schedule?.splits ?? null,
    compileMs: measured?.compileMs ?? null,
    clock: measured?.clock ?? null,
    kernels: Object.fromEntries(measured?.byKernel ?? []),
    missing: measured ? null : String(outcome),
    date: new Date().toISOString().slice(0, 10),
  };
}

/** Writes rows in a format. */
export function renderBench(
  rows: readonly BenchRow[],
  format: typeof BENCH_FORMATS[number],
  options: { kernels: boolean },
): string {
  switch (format) {
    case "json":
      return JSON.stringify(rows, null, 2);
    case "csv":
      return csv(rows);
    case "markdown":
      return markdown(cells(rows, options.kernels));
    case "table":
      return `${rows[0]?.device ?? "nothing measured"}\n\n${
        table(cells(rows, options.kernels), [
          "left",
          "left",
          "left",
          "right",
          "left",
          "right",
          "right",
        ])
      }`;
  }
}

function cells(rows: readonly BenchRow[], kernels: boolean): string[][] {
  const header = [
    "shape",
    "pass",
    "strategy",
    "ms",
    "from to",
    "expected",
    "TFLOP/s",
    "to two-stage",
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

function markdown([header, ...rows]: string[][]): string {
  const line = (row: string[]) => `| ${row.join(" | ")} |`;
  return [line(header!), line(header!.map(() => "---")), ...rows.map(line)].join("\n");
}

function csv(rows: readonly BenchRow[]): string {
  const names = Object.keys(rows[0] ?? {}) as (keyof BenchRow)[];
  const quote = (value: unknown) => {
    const text = value === null
      ? ""
      : typeof value === "object"
      ? JSON.stringify(value)
      : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [
    names.join(","),
    ...rows.map((row) => names.map((name) => quote(row[name])).join(",")),
  ].join("\n");
}

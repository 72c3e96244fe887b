/**
 * The chart of a sweep: memory of each method against what is swept.
 *
 * @module
 */
import type { StrategyName } from "../../planner/schedule.ts";
import { inputBytes, type Swept } from "../../planner/sweep.ts";
import { formatBytes } from "../../planner/units.ts";
import { type RowMemory, type SweepAbout, sweepLine, type SweepRow } from "../render/sweep.ts";
import { type Chart, drawChart, type Level, type Series } from "./chart.ts";
import { shortBytes, shortCount } from "./scale.ts";
import { STRATEGY_COLOUR } from "./style.ts";

/** A row, and what each strategy would need there. */
export interface ChartRow extends SweepRow {
  readonly strategies: ReadonlyMap<StrategyName, RowMemory>;
}

/** Strategies that get a line of their own: two stages have one as the baseline. */
const DRAWN: readonly StrategyName[] = ["fused", "windowed", "chunked"];

/** Colours of published methods, none of which is a colour of ours. */
const PEER_COLOURS = ["f", "e", "h", "i"];

const X_LABELS: Readonly<Record<Swept, string>> = {
  tokens: "tokens",
  hidden: "hidden size",
  vocab: "vocabulary (ids)",
  window: "window (ids)",
  block: "token block (tokens)",
  budget: "budget (bytes of GPU buffers)",
};

/**
 * Draws a sweep over one axis. Under a budget the chart shows what the budget
 * counts, every buffer; otherwise what a method adds to its inputs, which is what
 * methods differ by.
 */
export function sweepChart(about: SweepAbout, rows: readonly ChartRow[]): string {
  return drawChart(chartOf(about, rows));
}

/** What {@linkcode sweepChart} draws, as data. */
export function chartOf(about: SweepAbout, rows: readonly ChartRow[]): Chart {
  const { name } = about.axes[0]!;
  const sorted = rows.toSorted((a, b) => a.values[name]! - b.values[name]!);
  const budgeted = rows.some(({ budget }) => budget !== undefined);
  const bytesOf = (memory: RowMemory | undefined) =>
    budgeted ? memory?.peakBytes : memory?.beyondInputsBytes;
  const series = (
    of: (row: ChartRow) => number | undefined,
    look: Omit<Series, "points">,
  ): Series => ({
    ...look,
    points: sorted.map((row) => ({ x: row.values[name]!, y: of(row) })),
  });
  const methods = [...rows[0]?.peers.keys() ?? []];
  const results = about.problem.pass === "train" ? ", gradients included" : "";
  return {
    title: `Memory of the output layer against ${X_LABELS[name].replace(/ \(.*/, "")}`,
    subtitle: sweepLine(about),
    xLabel: X_LABELS[name],
    yLabel: budgeted ? "GPU memory at the peak" : `GPU memory beyond inputs${results}`,
    formatX: name === "budget" ? shortBytes : shortCount,
    series: [
      series(({ chosen }) => bytesOf(chosen?.memory), {
        name: "lce, as planned",
        colour: "a",
        classes: "main",
      }),
      ...DRAWN.map((strategy) =>
        series(({ strategies }) => bytesOf(strategies.get(strategy)), {
          name: `lce ${strategy}`,
          colour: STRATEGY_COLOUR[strategy],
        })
      ),
      series(({ twoStage }) => bytesOf(twoStage), {
        name: "two-stage",
        colour: STRATEGY_COLOUR["two-stage"],
        classes: "dashed",
      }),
      ...methods.map((method, index) =>
        series((row) => {
          const beyond = row.peers.get(method);
          const inputs = budgeted && row.problem ? inputBytes(row.problem) : 0;
          return beyond === undefined ? undefined : inputs + beyond;
        }, {
          name: method,
          colour: PEER_COLOURS[index % PEER_COLOURS.length]!,
          classes: "dotted",
        })
      ),
      ...(name === "budget"
        ? [series(({ budget }) => budget, { name: "budget", colour: "alert", classes: "dashed" })]
        : []),
    ],
    levels: levelsOf(about, name === "budget" ? undefined : rows[0]?.budget),
  };
}

function levelsOf({ device }: SweepAbout, budget: number | undefined): Level[] {
  const { maxBufferSize, maxStorageBufferBindingSize } = device.limits;
  const limits = maxBufferSize === maxStorageBufferBindingSize
    ? [{ name: "maxBufferSize and maxStorageBufferBindingSize", bytes: maxBufferSize }]
    : [
      { name: "maxBufferSize", bytes: maxBufferSize },
      { name: "maxStorageBufferBindingSize", bytes: maxStorageBufferBindingSize },
    ];
  return [
    ...(budget === undefined
      ? []
      : [{ label: `budget, ${formatBytes(budget)}`, bytes: budget, alert: true }]),
    ...limits.map(({ name, bytes }) => ({
      label: `${name}, ${formatBytes(bytes)}`,
      bytes,
    })),
  ];
}

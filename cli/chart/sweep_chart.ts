/**
 * The chart of a sweep: memory of each method against what is swept.
 *
 * @module
 */
import type { PlanOptions } from "../../planner/plan.ts";
import type { MemoryPrediction } from "../../planner/schedule/memory.ts";
import type { StrategyName } from "../../planner/schedule/schedule.ts";
import { inputBytes, memoryByStrategy, type SweepPoint, type Swept } from "../../planner/sweep.ts";
import { ALL_STRATEGIES } from "../../planner/strategies/mod.ts";
import { formatBytes } from "../../planner/units.ts";
import {
  type RowMemory,
  rowMemory,
  splitNotes,
  type SweepAbout,
  sweepLine,
  type SweepRow,
  sweepRow,
} from "../report/sweep.ts";
import { type Chart, drawChart, type Level, type Series } from "./chart.ts";
import { shortBytes, shortCount } from "./scale.ts";
import { STRATEGY_COLOUR } from "./style.ts";

/** A row, and what each strategy would need there. */
export interface ChartRow extends SweepRow {
  readonly strategies: ReadonlyMap<StrategyName, RowMemory>;
}

/**
 * Published methods to compare with unless told otherwise, one of each kind. Tables
 * for people have no room for them.
 */
export const USUAL_PEERS = ["pytorch-two-stage", "pytorch-compile", "liger", "cut-cross-entropy"];

/** Returns the row of a point with what each strategy would need there, and methods of some names. */
export function chartRow(
  point: SweepPoint,
  options: PlanOptions,
  methods: readonly string[],
): ChartRow {
  const { plan, values } = point;
  const { window, block, budget } = { ...options, ...values };
  const strategies = plan
    ? memoryByStrategy(plan, { ...options, window, block, budget })
    : new Map<StrategyName, MemoryPrediction>();
  return {
    ...sweepRow(point, options.budget, methods),
    strategies: new Map([...strategies].map(([name, memory]) => [name, rowMemory(memory)])),
  };
}

/** Strategies that get a line of their own: two stages have one as the baseline. */
const DRAWN = ALL_STRATEGIES.filter(({ baseline }) => !baseline).map(({ name }) => name);

/** Colours of published methods, none of which is a colour of ours. */
const PEER_COLOURS = ["f", "e", "h", "i"];

/** Their lines, dotted or broken: with each colour a look that no other line has. */
const PEER_LINES = ["dotted", "broken"];

/** As many published methods as can be told apart. */
const MOST_PEERS = PEER_COLOURS.length * PEER_LINES.length;

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

/** Returns what {@linkcode sweepChart} draws, as data. */
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
  const methods = distinctMethods(sorted);
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
      ...methods.drawn.map((method, index) =>
        series((row) => {
          const beyond = row.peers.get(method);
          const inputs = budgeted && row.problem ? inputBytes(row.problem) : 0;
          return beyond === undefined ? undefined : inputs + beyond;
        }, {
          name: method,
          colour: PEER_COLOURS[index % PEER_COLOURS.length]!,
          classes: PEER_LINES[Math.floor(index / PEER_COLOURS.length)]!,
        })
      ),
      ...(name === "budget"
        ? [series(({ budget }) => budget, { name: "budget", colour: "alert", classes: "dashed" })]
        : []),
    ],
    levels: levelsOf(name === "budget" ? undefined : rows[0]?.budget),
    notes: [
      ...splitNotes(about),
      ...(methods.near.length === 0 ? [] : [
        `Not drawn, each beside the drawn one that it is nearest to: ${
          methods.near.map(([method, drawn]) => `${method} (${drawn})`).join(", ")
        }.`,
      ]),
    ],
  };
}

/** The budget is the one limit on all buffers together; those of one buffer have no place here. */
function levelsOf(budget: number | undefined): Level[] {
  return budget === undefined
    ? []
    : [{ label: `budget, ${formatBytes(budget)}`, bytes: budget, alert: true }];
}

/** The published methods to draw, and which of them each other one is nearest to. */
interface Methods {
  readonly drawn: readonly string[];
  readonly near: readonly (readonly [name: string, drawn: string])[];
}

/**
 * Returns as many methods as can be told apart: one that takes the most, and then again and again
 * the one whose line is the farthest from all that were taken before.
 */
function distinctMethods(rows: readonly ChartRow[]): Methods {
  const lines = new Map(
    [...rows[0]?.peers.keys() ?? []]
      .map((name) => [name, rows.map(({ peers }) => peers.get(name))] as const)
      .filter(([, bytes]) => bytes.some((each) => each !== undefined)),
  );
  const all = [...lines.keys()];
  if (all.length <= MOST_PEERS) return { drawn: all, near: [] };
  const distance = (one: string, other: string) => apart(lines.get(one)!, lines.get(other)!);
  const last = (name: string) => lines.get(name)!.at(-1) ?? 0;
  const drawn = [all.reduce((most, name) => last(name) > last(most) ? name : most)];
  const nearest = (name: string) =>
    drawn.reduce((best, each) => distance(name, each) < distance(name, best) ? each : best);
  const distanceToDrawn = (name: string) => distance(name, nearest(name));
  while (drawn.length < MOST_PEERS) {
    const left = all.filter((name) => !drawn.includes(name));
    drawn.push(
      left.reduce((far, name) => distanceToDrawn(name) > distanceToDrawn(far) ? name : far),
    );
  }
  return {
    drawn: all.filter((name) => drawn.includes(name)),
    near: all.filter((name) => !drawn.includes(name)).map((name) => [name, nearest(name)]),
  };
}

/** Returns how far two lines are apart on a logarithmic axis where they are the farthest. */
function apart(one: readonly (number | undefined)[], other: readonly (number | undefined)[]) {
  return one.reduce<number>((most, bytes, index) => {
    const beside = other[index];
    if (bytes === undefined || beside === undefined) return most;
    return Math.max(most, Math.abs(Math.log(bytes / beside)));
  }, 0);
}

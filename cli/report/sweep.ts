/**
 * A sweep as rows, and rows as table, Markdown, CSV and JSON.
 *
 * @module
 */
import type { DeviceProfile } from "../../planner/device.ts";
import type { MemoryPrediction } from "../../planner/schedule/memory.ts";
import type { Parallelism } from "../../planner/parallel.ts";
import { peersOf } from "../../planner/peers/mod.ts";
import { dimensionsOf, headOf, type Problem } from "../../planner/problem.ts";
import { problemJson } from "../../planner/problem_schema.ts";
import { type Axis, beyondInputs, type SweepPoint, type Values } from "../../planner/sweep.ts";
import { formatBytes, formatSeconds } from "../../planner/units.ts";
import { csv, type Format, markdown } from "./formats.ts";
import { splitLine } from "./parallel.ts";
import { estimateText, placeOfWeight } from "./plan_words.ts";
import { type Layout, table } from "./table.ts";
import { wrapped } from "./wrap.ts";

/** Memory of one plan. Bytes. */
export interface RowMemory {
  /** Every GPU buffer. */
  readonly peakBytes: number;
  /** Without inputs and results. */
  readonly extraPeakBytes: number;
  /** Without inputs: what models of published methods count. */
  readonly beyondInputsBytes: number;
}

/** One point of a sweep, as numbers. What is unknown or does not exist is `undefined`. */
export interface SweepRow {
  readonly values: Values;
  /** `undefined` where the sizes together are no job. */
  readonly problem: Problem | undefined;
  readonly budget: number | undefined;
  /** What the plan of the device, or of the largest rank, chose. */
  readonly chosen: {
    readonly strategy: string;
    /** Where the weight is. */
    readonly weights: "resident" | "streamed";
    readonly window: number;
    readonly block: number;
    /** Estimate, from measured rates only. */
    readonly ms: number | undefined;
    readonly memory: RowMemory;
  } | undefined;
  /** The baseline on a device without size limits. */
  readonly twoStage: RowMemory | undefined;
  /** Bytes beyond inputs, by the method's name. */
  readonly peers: ReadonlyMap<string, number | undefined>;
  /** Why it does not fit. */
  readonly reason: string | undefined;
  /** The smallest budget that would do. */
  readonly smallestBudget: number | undefined;
}

/** Returns the numbers of a plan's memory that rows and charts show. */
export function rowMemory(memory: MemoryPrediction): RowMemory {
  const { peakBytes, extraPeakBytes } = memory;
  return { peakBytes, extraPeakBytes, beyondInputsBytes: beyondInputs(memory) };
}

/** Returns the row of a point, with the published methods of some names. */
export function sweepRow(
  point: SweepPoint,
  budget: number | undefined,
  methods: readonly string[],
): SweepRow {
  const { values, problem, plan } = point;
  const common = {
    values,
    problem,
    budget: values.budget ?? budget,
    peers: peerBytes(problem, methods),
  };
  if (!plan) {
    const { reason, smallestBudget } = point;
    return { ...common, chosen: undefined, twoStage: undefined, reason, smallestBudget };
  }
  const { outline, cost, memory, twoStage } = plan;
  return {
    ...common,
    chosen: {
      strategy: outline.strategy,
      weights: placeOfWeight(outline),
      window: outline.window.vocab,
      block: outline.block.tokens,
      ms: cost.measuredRates ? 1000 * cost.seconds : undefined,
      memory: rowMemory(memory),
    },
    twoStage: rowMemory(twoStage),
    reason: undefined,
    smallestBudget: undefined,
  };
}

function peerBytes(
  problem: Problem | undefined,
  methods: readonly string[],
): ReadonlyMap<string, number | undefined> {
  const known = new Map(
    (problem ? peersOf(problem) : []).map((peer) => [
      peer.method,
      problem!.pass === "train" ? peer.trainExtraBytes : peer.forwardExtraBytes,
    ]),
  );
  return new Map(methods.map((method) => [method, known.get(method)]));
}

/** What a sweep is about, besides its points. */
export interface SweepAbout {
  /** The problem that the swept values replace parts of. */
  readonly problem: Problem;
  readonly device: DeviceProfile;
  readonly axes: readonly Axis[];
  /** How each point's job is split over ranks; `undefined` for one device. */
  readonly parallelism?: Parallelism | undefined;
  /** What more JSON says, such as the model. */
  readonly named: Readonly<Record<string, unknown>>;
}

/** Writes a sweep in a format, with those of the published methods that are named. */
export function renderSweep(
  about: SweepAbout,
  all: readonly SweepRow[],
  format: Format,
  methods: readonly string[],
  layout: Layout = {},
): string {
  const rows = all.map((row) => ({
    ...row,
    peers: new Map(methods.map((method) => [method, row.peers.get(method)])),
  }));
  switch (format) {
    case "json":
      return JSON.stringify(sweepJson(about, rows), null, 2);
    case "csv":
      return csv(rows.map((row) => {
        const { peers, ...flat } = flatRow(about, row);
        return { ...flat, ...peers };
      }));
    case "markdown":
      return markdown(sweepCells(about, rows));
    case "table": {
      const lines = sweepCells(about, rows);
      const align = lines[0]!.map((head) => isWords(head) ? "left" : "right");
      const heading = [sweepLine(about), ...splitNotes(about)]
        .map((line) => wrapped(line, layout.width));
      return `${heading.join("\n")}\n\n${
        table(lines, align, { ...layout, keys: about.axes.length + 1 })
      }`;
    }
  }
}

/** Columns of words; the others hold numbers. */
const WORDS = new Set(["strategy", "weights", "why not"]);

/** Returns the contract of `lce plan --sweep --json`. Sizes are bytes, times milliseconds. */
export function sweepJson(about: SweepAbout, rows: readonly SweepRow[]) {
  const swept = Object.fromEntries(about.axes.map(({ name, values }) => [name, values]));
  return {
    ...about.named,
    // What the points share.
    problem: Object.fromEntries(
      Object.entries(problemJson(about.problem)).filter(([name]) => !(name in swept)),
    ),
    device: about.device,
    ...(about.parallelism ? { parallel: about.parallelism } : {}),
    sweep: swept,
    points: rows.map((row) => flatRow(about, row)),
  };
}

/**
 * Returns a row as files keep it: null where there is nothing to say. Sizes are the whole job's; of
 * several ranks, what was chosen and what it takes are the largest's.
 */
function flatRow({ problem: base, device, parallelism }: SweepAbout, row: SweepRow) {
  const { values, chosen, twoStage, peers } = row;
  const { hidden, vocab, dtype } = headOf(base);
  return {
    device: device.name,
    tokens: values.tokens ?? base.tokens,
    hidden: values.hidden ?? hidden,
    vocab: values.vocab ?? vocab,
    dtype,
    pass: base.pass,
    ...(parallelism
      ? {
        tensorParallel: parallelism.tensor,
        dataParallel: parallelism.data,
        sequenceParallel: parallelism.sequence,
      }
      : {}),
    budget: row.budget ?? null,
    fits: chosen !== undefined,
    strategy: chosen?.strategy ?? null,
    weights: chosen?.weights ?? null,
    // A window or block that was asked for is known even where it does not fit.
    window: chosen?.window ?? values.window ?? null,
    block: chosen?.block ?? values.block ?? null,
    peakBytes: chosen?.memory.peakBytes ?? null,
    extraPeakBytes: chosen?.memory.extraPeakBytes ?? null,
    beyondInputsBytes: chosen?.memory.beyondInputsBytes ?? null,
    twoStagePeakBytes: twoStage?.peakBytes ?? null,
    twoStageExtraPeakBytes: twoStage?.extraPeakBytes ?? null,
    ms: chosen?.ms ?? null,
    reason: row.reason ?? null,
    smallestBudget: row.smallestBudget ?? null,
    peers: Object.fromEntries([...peers].map(([method, bytes]) => [method, bytes ?? null])),
  };
}

/** Returns one line that says what is swept, and on what. */
export function sweepLine({ problem, device, axes }: SweepAbout): string {
  const { pass } = problem;
  const { dtype } = headOf(problem);
  const dimensions = dimensionsOf(problem);
  const ranges = new Map(axes.map(({ name, values }) => [name, span(values)]));
  const sizes = (["tokens", "hidden", "vocab"] as const)
    .map((name) => `${ranges.get(name) ?? dimensions[name]} ${name}`).join(" x ");
  return `${sizes}, ${dtype}, ${pass} pass${estimateText(problem)}, on ${device.name}`;
}

/** Returns what is to be said of a sweep over ranks beside its line; nothing of one device's. */
export function splitNotes({ parallelism }: SweepAbout): string[] {
  return parallelism
    ? [`${splitLine(parallelism)}. What is shown is rank 0's, the largest. ${NO_PEERS}.`]
    : [];
}

/** Why no published method stands beside a rank. */
export const PEERS_OF_ONE_DEVICE = "the published methods' models are of one device";

const NO_PEERS = `No peers: ${PEERS_OF_ONE_DEVICE}`;

function span(values: readonly number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return least === most ? `${least}` : `${least} to ${most}`;
}

/** Returns whether a column holds words; the others hold numbers. */
export function isWords(head: string): boolean {
  return WORDS.has(head);
}

/** Returns cells for people, with those of the published methods that rows have; columns that would be empty throughout are left out. */
export function sweepCells(
  { axes }: Pick<SweepAbout, "axes">,
  rows: readonly SweepRow[],
): string[][] {
  const methods = [...rows[0]?.peers.keys() ?? []]
    .filter((method) => rows.some(({ peers }) => peers.get(method) !== undefined));
  const timed = rows.some(({ chosen }) => chosen?.ms !== undefined);
  const streaming = rows.some(({ chosen }) => chosen?.weights === "streamed");
  const failing = rows.some(({ reason }) => reason !== undefined);
  const size = (bytes: number | undefined) => bytes === undefined ? "-" : formatBytes(bytes);
  const header = [
    ...axes.map(({ name }) => name),
    "strategy",
    ...(streaming ? ["weights"] : []),
    "peak",
    "extra",
    "two-stage extra",
    ...(methods.length ? ["beyond inputs", ...methods] : []),
    ...(timed ? ["estimated time"] : []),
    ...(failing ? ["why not"] : []),
  ];
  return [
    header,
    ...rows.map(({ values, problem, chosen, twoStage, peers, reason }) => [
      ...axes.map(({ name }) =>
        name === "budget" ? formatBytes(values.budget!) : `${values[name]}`
      ),
      chosen?.strategy ?? (problem === undefined ? "impossible" : "does not fit"),
      ...(streaming ? [chosen?.weights ?? ""] : []),
      size(chosen?.memory.peakBytes),
      size(chosen?.memory.extraPeakBytes),
      size(twoStage?.extraPeakBytes),
      ...(methods.length
        ? [chosen?.memory.beyondInputsBytes, ...methods.map((name) => peers.get(name))].map(size)
        : []),
      ...(timed ? [chosen?.ms === undefined ? "-" : formatSeconds(chosen.ms / 1000, 3)] : []),
      ...(failing ? [reason ?? ""] : []),
    ]),
  ];
}

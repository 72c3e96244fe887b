/**
 * A plan for several ranks as text and as JSON.
 *
 * @module
 */
import { problemJson } from "../../planner/problem_schema.ts";
import {
  type Parallelism,
  type ParallelPlan,
  type Rank,
  sentBytes,
} from "../../planner/parallel.ts";
import type { Collective } from "../../planner/schedule/schedule.ts";
import { collectiveSeconds, type LinkRates } from "../../planner/links.ts";
import { type RankTime, rankTime } from "../../planner/splits.ts";
import { formatBytes, formatSeconds } from "../../planner/units.ts";
import { type PlanExtras, planJson, planText, problemLine } from "./plan.ts";
import { indented, type Layout, table, within } from "./table.ts";
import { wrapped } from "./wrap.ts";

/**
 * Returns the contract of `lce plan --json` for several ranks: the plan of rank 0, whose part is
 * the largest, but the problem of them all. Sizes are bytes.
 */
export function parallelPlanJson(plan: ParallelPlan, extras: RanksExtras = {}) {
  const { largest, problem, parallelism, ranks, collectives } = plan;
  const { links } = extras;
  return {
    ...planJson(largest, extras),
    problem: problemJson(problem),
    parallel: parallelism,
    perRank: ranks.map((rank) => ({ ...rankJson(rank), host: rank.host ?? null })),
    collectives: collectives.map((step) => collectiveJson(step, parallelism, links)),
    time: timeJson(rankTime(plan, links)),
    links: links ?? null,
    totals: {
      peakBytes: ranks.reduce((sum, { memory }) => sum + memory.peakBytes, 0),
      largestPeakBytes: Math.max(...ranks.map(({ memory }) => memory.peakBytes)),
      collectiveBytes: collectives.reduce((sum, { bytes }) => sum + bytes, 0),
      sentBytes: totalSent(plan),
    },
  };
}

/** What is said about a plan of ranks beyond itself. */
export interface RanksExtras extends PlanExtras {
  /** How fast ranks are joined, where that was measured. */
  readonly links?: LinkRates | undefined;
}

/** Returns a rank's time in milliseconds; nothing where device or links were not measured. */
export function timeJson({ compute, collectives, overlapped, seconds, measured }: RankTime) {
  const ms = (seconds: number) => measured ? 1e3 * seconds : null;
  return {
    computeMs: ms(compute),
    collectivesMs: ms(collectives),
    overlappedMs: ms(overlapped),
    estimatedMs: ms(seconds),
  };
}

/** Returns one entry of `perRank`. */
export function rankJson({ rank, tensorRank, dataRank, tokens, vocab, memory }: Rank) {
  const { peakBytes, extraPeakBytes, byCategory } = memory;
  return {
    rank,
    tensorRank,
    dataRank,
    tokens,
    vocab,
    peakBytes,
    extraPeakBytes,
    peakByCategory: byCategory,
  };
}

/** Returns one entry of `collectives`. */
export function collectiveJson(step: Collective, parallelism: Parallelism, links?: LinkRates) {
  const { op, what, pass, group, type, elements, bytes } = step;
  return {
    op,
    what,
    pass,
    group,
    ranks: parallelism[group],
    type,
    elements,
    bytes,
    sentBytes: sentBytes(step, parallelism),
    ...(links ? { estimatedMs: 1e3 * collectiveSeconds(step, parallelism, links) } : {}),
  };
}

function totalSent({ collectives, parallelism }: ParallelPlan): number {
  return collectives.reduce((sum, step) => sum + sentBytes(step, parallelism), 0);
}

/** Returns the plan for people: ranks, collectives, then the largest rank's plan. */
export function parallelPlanText(plan: ParallelPlan, extras: RanksExtras = {}): string {
  const { problem, largest } = plan;
  const { width, links } = extras;
  const inner = within({ width });
  return [
    wrapped(problemLine({ problem, device: largest.device }), width),
    "",
    wrapped(splitLine(plan.parallelism), width),
    "",
    "memory of each rank",
    indented(table(rankRows(plan.ranks), ["left", ...Array(5).fill("right")], inner)),
    "",
    "collectives",
    indented(collectiveTable(plan, links, inner)),
    "",
    "rank 0, the largest",
    indented(planText(largest, { ...extras, ...inner })),
  ].join("\n");
}

/** Returns who splits what. */
export function splitLine({ tensor, data, sequence, overlap }: Parallelism): string {
  const ranks = tensor * data;
  const parts = [
    ...(tensor > 1 ? [`the vocabulary split over ${tensor}`] : []),
    ...(sequence ? ["hidden states split by tokens over the same"] : []),
    ...(data > 1 ? [`tokens split over ${data} replicas`] : []),
    ...(overlap ? ["gradients told while others are computed"] : []),
  ];
  return `${ranks} rank${ranks === 1 ? "" : "s"}${parts.length > 0 ? `: ${parts.join(", ")}` : ""}`;
}

/** Returns names of columns, and a line for all ranks whose parts are as large. */
export function rankRows(ranks: readonly Rank[]): string[][] {
  const sizes = Map.groupBy(ranks, ({ tokens, vocab }) => `${tokens.count} x ${vocab.count}`);
  return [
    ["ranks", "vocabulary", "tokens", "peak", "extra peak", ...(ranks[0]?.host ? ["host"] : [])],
    ...[...sizes.values()].map((alike) => {
      const { tokens, vocab, memory, host } = alike[0]!;
      return [
        spans(alike.map(({ rank }) => rank)),
        `${vocab.count} ids`,
        `${tokens.count}`,
        formatBytes(memory.peakBytes),
        formatBytes(memory.extraPeakBytes),
        ...(host ? [formatBytes(host.peakBytes)] : []),
      ];
    }),
  ];
}

/** Returns numbers in order as people write them: `0-2, 4`. */
function spans(numbers: readonly number[]): string {
  const found: [number, number][] = [];
  for (const number of numbers) {
    const last = found.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else found.push([number, number]);
  }
  return found.map(([from, to]) => from === to ? `${from}` : `${from}-${to}`).join(", ");
}

/**
 * Returns a line for each collective, those of one kind in one line where there are many blocks.
 */
export function collectiveRows(
  { collectives, parallelism }: ParallelPlan,
  links: LinkRates | undefined,
): string[][] {
  const kinds = Map.groupBy(collectives, ({ op, what }) => `${op} ${what}`);
  const sum = (steps: readonly Collective[], of: (step: Collective) => number) =>
    steps.reduce((total, step) => total + of(step), 0);
  return [...kinds.values()].map((steps) => {
    const { op, what, pass, group, type } = steps[0]!;
    return [
      pass,
      op,
      what,
      `over ${parallelism[group]} ${group === "tensor" ? "ranks" : "replicas"}`,
      `${sum(steps, ({ elements }) => elements)} ${type}`,
      formatBytes(sum(steps, ({ bytes }) => bytes)),
      ...(links
        ? [formatSeconds(sum(steps, (step) => collectiveSeconds(step, parallelism, links)))]
        : []),
      steps.length === 1 ? "" : `in ${steps.length} steps`,
    ];
  });
}

/** Returns what collectives send, and how long they take where that is known. */
export function collectiveNotes(plan: ParallelPlan, links: LinkRates | undefined): string[] {
  return [
    `by the ring algorithm rank 0 sends ${formatBytes(totalSent(plan))}`,
    ...(links ? [timeLine(rankTime(plan, links), links)] : []),
  ];
}

function collectiveTable(
  plan: ParallelPlan,
  links: LinkRates | undefined,
  layout: Layout,
): string {
  if (plan.collectives.length === 0) return "none";
  const numbers = ["right", "right", ...(links ? ["right"] as const : [])] as const;
  return [
    table(collectiveRows(plan, links), ["left", "left", "left", "left", ...numbers], {
      ...layout,
      keys: 3,
    }),
    ...collectiveNotes(plan, links).map((note) => wrapped(note, layout.width)),
  ].join("\n");
}

/** Returns how long collectives take, and beside what. */
function timeLine(
  { compute, collectives, overlapped, measured }: RankTime,
  { source }: LinkRates,
): string {
  const hidden = overlapped > 0 ? `, of which ${formatSeconds(overlapped)} goes on meanwhile` : "";
  const own = measured ? `, beside ${formatSeconds(compute)} of a rank's own work${hidden}` : "";
  return `they take about ${formatSeconds(collectives)}${own} (links: ${
    source ?? "as their file says"
  })`;
}

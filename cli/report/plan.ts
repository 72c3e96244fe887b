/**
 * A plan as text and as JSON.
 *
 * @module
 */
import type { DeviceProfile } from "../../planner/device.ts";
import { ACCUMULATED } from "../../planner/dtype.ts";
import type { Outline, Plan } from "../../planner/plan.ts";
import { learnerOf, logitsBytes, type Problem } from "../../planner/problem.ts";
import { problemJson } from "../../planner/problem_schema.ts";
import { becomeHalves } from "../../planner/schedule/layout.ts";
import { type BufferSpec, type Residency, wholeOf } from "../../planner/schedule/schedule.ts";
import { strategyNamed } from "../../planner/strategies/mod.ts";
import { planHostMemory } from "../../planner/schedule/host_memory.ts";
import { streamedTensors } from "../../planner/schedule/streaming.ts";
import {
  kindOf,
  type Tier,
  tierOf,
  type Tile,
  unsuitedTo,
  workgroupBytes,
  workgroupSize,
} from "../../planner/schedule/tile.ts";
import { DISPATCH_SECONDS } from "../../planner/tuning.ts";
import { formatBytes, formatCount, formatSeconds } from "../../planner/units.ts";
import { candidateJson, candidatesText, explainedJson } from "./candidates.ts";
import { peersJson, peersText } from "./peers.ts";
import { estimateText, placeOfWeight, sourceOfRates } from "./plan_words.ts";
import { indented, table, within } from "./table.ts";
import { wrapped } from "./wrap.ts";

/** What is said about a plan beyond itself. */
export interface PlanExtras {
  /** Published methods' memory beside the plan's. */
  readonly compare?: boolean;
  /** Every candidate, and why it lost. */
  readonly explain?: boolean;
  /** Most characters of a line of the text. */
  readonly width?: number | undefined;
}

/** Returns the contract of `lce plan --json`. Sizes are bytes. */
export function planJson(plan: Plan, { compare = false, explain = false }: PlanExtras = {}) {
  const { problem, device, outline, memory, cost, twoStage, alternatives } = plan;
  const { tile } = outline;
  const savedBytes = savedBy(plan);
  return {
    problem: problemJson(problem),
    device,
    strategy: outline.strategy,
    weights: placeOfWeight(outline),
    hostIo: outline.residency !== "caller",
    gradientDtype: outline.gradientDtype ?? ACCUMULATED,
    reason: plan.reason,
    window: outline.window,
    block: outline.block,
    splits: outline.splits,
    tier: tierOf(tile),
    tile: {
      tokens: tile.rows,
      vocab: tile.cols,
      hidden: tile.depth,
      ...kindOf(tile).facts(tile.body),
      workgroupSize: workgroupSize(tile),
      workgroupBytes: workgroupBytes(tile),
    },
    memory: {
      // Of both heads, where one learns from the other.
      logitsBytes: problem.heads.reduce(
        (sum, { vocab }) => sum + logitsBytes({ tokens: problem.tokens, vocab }),
        0,
      ),
      twoStagePeakBytes: twoStage.peakBytes,
      twoStageExtraPeakBytes: twoStage.extraPeakBytes,
      peakBytes: memory.peakBytes,
      extraPeakBytes: memory.extraPeakBytes,
      savedBytes,
      // Of what two stages would take beside inputs and outputs.
      savedRatio: savedBytes / twoStage.extraPeakBytes,
      peakByCategory: memory.byCategory,
      buffers: outline.buffers.map(({ name, bytes, category }) => ({ name, bytes, category })),
    },
    host: planHostMemory(plan.schedule) ?? null,
    cost: {
      flops: cost.flops,
      bytesMoved: cost.bytesMoved,
      dispatches: cost.dispatches,
      // An estimate only where the device's speed was measured.
      estimatedMs: cost.measuredRates ? cost.seconds * 1000 : null,
      longestDispatchMs: cost.longestDispatch === undefined ? null : cost.longestDispatch * 1000,
      rates: sourceOfRates(device),
      transferredBytes: cost.transferred,
    },
    alternatives: alternatives.map((alternative) => ({
      ...alternative,
      extraPeakBytes: alternative.extraPeakBytes ?? null,
    })),
    front: plan.front.map((candidate) => candidateJson(candidate, plan)),
    ...(explain
      ? { candidates: plan.candidates.map((candidate) => explainedJson(candidate, plan)) }
      : {}),
    ...(compare ? { peers: peersJson(plan) } : {}),
  };
}

/** Returns the extra bytes that a plan saves beside two stages: never less than none. */
function savedBy({ memory, twoStage }: Pick<Plan, "memory" | "twoStage">): number {
  return Math.max(0, twoStage.extraPeakBytes - memory.extraPeakBytes);
}

/** Returns one line that says what is to be done, on what. */
export function problemLine({ problem, device }: Pick<Plan, "problem" | "device">): string {
  const { tokens, pass } = problem;
  const { hidden, vocab, dtype, adapter } = learnerOf(problem);
  const part = adapter === undefined ? "" : ` (${adapter} of them an adapter's)`;
  return `${tokens} tokens x ${hidden} hidden${part} x ${vocab} vocab, ${dtype}, ${pass} pass${
    teacherText(problem)
  }${fusionText(problem)}${estimateText(problem)}, on ${device.name}`;
}

/** Says what the problem's head learns from, where it does. */
function teacherText({ heads, distill }: Problem): string {
  if (!distill) return "";
  const { divergence, beta, temperature, listed } = distill;
  const mixture = beta === undefined ? "" : ` (beta ${beta})`;
  const at = temperature === 1 ? "" : ` at temperature ${temperature}`;
  const by = `by ${divergence}${mixture}${at}`;
  if (listed !== undefined) return ` beside a teacher of ${listed} ids a token, ${by}`;
  const { hidden, vocab, dtype, frozen } = heads[1]!;
  const learns = frozen ? "" : ", both learning";
  return ` beside a teacher of ${hidden} hidden x ${vocab} vocab, ${dtype}, ${by}${learns}`;
}

/** Says what guides the problem's head, where something does. */
function fusionText({ heads, fusion }: Problem): string {
  if (!fusion) return "";
  const [, expert, base] = heads;
  return ` guided by an expert of ${expert!.hidden} hidden over its base of ${base!.hidden}`;
}

/** Returns what the plan chose, in a few lines. */
export function choiceLines(
  { outline, problem, device }: Pick<Plan, "outline" | "problem" | "device">,
): string[][] {
  const { strategy, tile, window, block, splits, residency, gradientDtype } = outline;
  const summary = strategyNamed(strategy).summary;
  return [
    ["strategy", `${strategy}: ${summary}`],
    ...(residency === "caller" ? [] : [["buffers", OWNERS[residency]]]),
    [
      "window",
      `${window.vocab} ids${many(window.count, "windows")}${
        many(splits, kindOf(tile).runs ? "runs of tiles each" : "tiles each")
      }`,
    ],
    ["token block", `${block.tokens} tokens${many(block.count, "blocks")}`],
    ["tier", tierText(tile, problem, device)],
    ...(gradientDtype === undefined ? [] : [[
      "gradient",
      `of the weight in ${gradientDtype}: a window is added up in f32 and rounded once`,
    ]]),
    [
      "tile",
      `${tile.rows} tokens x ${tile.cols} ids x ${tile.depth} hidden, ${
        kindOf(tile).describe(tile.body)
      }, ${workgroupSize(tile)} invocations, ${workgroupBytes(tile)} bytes`,
    ],
  ];
}

/** What each tier is. */
const TIERS: Readonly<Record<Tier, string>> = {
  f32: "f32: products in f32, on any device",
  matrix: "matrix: products of halves in subgroup matrices, sums in f32",
  split: "split: products of f32 in subgroup matrices, each operand split in two halves",
};

/** What is to be said of bf16 in matrices. */
const BECOME_HALVES =
  "bf16 becomes halves on the way, each row times a power of two; lce run tells of values that halves do not hold, and takes f32 where they matter";

/** Returns a tier, with what becomes of bf16, and why it is not that of matrices, where a device has these. */
function tierText(tile: Tile, problem: Problem, { matrices }: DeviceProfile): string {
  const tier = tierOf(tile);
  if (problem.heads.some((head) => becomeHalves(head, tile))) {
    return `${TIERS[tier]}; ${BECOME_HALVES}`;
  }
  const kind = learnerOf(problem).dtype === "f32" ? "split" : "matrix";
  const reason = tier === "f32" && matrices ? unsuitedTo(kind, problem) : undefined;
  return reason === undefined ? TIERS[tier] : `f32: that of subgroup matrices ${reason}`;
}

/** Who owns the buffers, where the caller does not. */
const OWNERS: Readonly<Record<Exclude<Residency, "caller">, string>> = {
  host: "inputs come from the host and results go back: what lce run does",
  windows:
    "weights streamed: the host keeps them, the device holds one window at a time; only lce run can do it",
};

function many(count: number, what: string): string {
  return count === 1 ? "" : `, ${count} ${what}`;
}

/** Returns the plan for people. */
export function planText(
  plan: Plan,
  { compare = false, explain = false, width }: PlanExtras = {},
): string {
  const inner = within({ width });
  const { outline, alternatives } = plan;
  const sizes = (rows: readonly MemoryRow[]) =>
    table(
      rows.map(([name, bytes, note]) => [name, formatBytes(bytes), note]),
      ["left", "right"],
      inner,
    );
  return [
    wrapped(problemLine(plan), width),
    "",
    table([...choiceLines(plan), ["because", plan.reason]], [], { width }),
    "",
    "memory",
    indented(sizes(memoryRows(plan))),
    "",
    "work",
    indented(wrapped(workLine(plan), inner.width)),
    "",
    "buffers",
    indented(table(bufferRows(outline), ["left", "right"], inner)),
    ...(alternatives.length === 0 ? [] : [
      "",
      "alternatives",
      indented(table(
        alternatives.map(({ strategy, extraPeakBytes, reason }) => [
          strategy,
          extraPeakBytes === undefined ? "-" : formatBytes(extraPeakBytes),
          reason,
        ]),
        ["left", "right"],
        inner,
      )),
    ]),
    ...(explain ? ["", candidatesText(plan, { width })] : []),
    ...(compare ? ["", peersText(plan, { width })] : []),
  ].join("\n");
}

/** What takes memory: its name, bytes and what is to be said of it. */
export type MemoryRow = readonly [name: string, bytes: number, note: string];

/** Returns what a plan takes at its peak, beside what two stages would. */
export function memoryRows(plan: Plan): MemoryRow[] {
  const { memory, twoStage } = plan;
  const host = planHostMemory(plan.schedule);
  return [
    ["inputs", memory.byCategory.input, ""],
    ["outputs", memory.byCategory.output, ""],
    ["extra peak", memory.extraPeakBytes, "state, scratch and staging at the worst step"],
    ["peak", memory.peakBytes, "every GPU buffer"],
    [
      "two-stage peak",
      twoStage.peakBytes,
      `of which ${formatBytes(twoStage.extraPeakBytes)} extra`,
    ],
    savedRow(plan),
    ...(host
      ? [["host", host.peakBytes, "small inputs, what is read ahead, and results"] as const]
      : []),
  ];
}

/** Returns one line that says how much there is to do, and how long it takes where that is known. */
export function workLine(plan: Plan): string {
  const { flops, bytesMoved, dispatches } = plan.cost;
  return `${formatCount(flops, "FLOP")}, ${
    formatCount(bytesMoved, "B")
  } moved, ${dispatches} dispatches${timeText(plan)}${watchdogText(plan)}`;
}

/** Warns of a dispatch that takes so long that a watchdog may end it. */
function watchdogText({ cost: { longestDispatch = 0 } }: Plan): string {
  if (longestDispatch <= DISPATCH_SECONDS) return "";
  return `; the longest takes about ${
    formatSeconds(longestDispatch)
  }, and a watchdog may end it: smaller blocks or windows take less`;
}

/** Returns the estimated time, where all that it rests on was measured, and where rates come from. */
function timeText({ cost, device }: Plan): string {
  const rates = ` (rates: ${sourceOfRates(device)})`;
  if (cost.measuredRates) return `, about ${formatSeconds(cost.seconds)}${rates}`;
  return device.rates ? "" : `, no estimate of time${rates}`;
}

/** Returns what is saved beside two stages, if anything is. */
function savedRow(plan: Plan): MemoryRow {
  const saved = savedBy(plan);
  const { twoStage, memory } = plan;
  if (saved === 0) {
    const more = memory.extraPeakBytes - twoStage.extraPeakBytes;
    return ["saved", 0, more === 0 ? "nothing" : `nothing: it takes ${formatBytes(more)} more`];
  }
  const share = (100 * saved) / twoStage.extraPeakBytes;
  return ["saved", saved, `${share.toFixed(share > 99.9 ? 3 : 1)} % of two-stage's extra`];
}

/** Returns a line for each buffer, or for all the buffers that hold one matrix: name, size, category, note. */
export function bufferRows(outline: Outline): string[][] {
  const { buffers } = outline;
  const streamed = streamedTensors(outline);
  return [...Map.groupBy(buffers, wholeOf)]
    .map(([name, parts]) => ({
      name,
      bytes: heldBytes(parts),
      category: parts[0]!.category,
      count: new Set(parts.map(({ name, holds }) => holds?.offset ?? name)).size,
    }))
    .sort((a, b) => b.bytes - a.bytes)
    .map(({ name, bytes, category, count }) => {
      return [
        name,
        formatBytes(bytes),
        category,
        count === 1 ? "" : streamed.has(name) ? "one window at a time" : `in ${count} buffers`,
      ];
    });
}

/**
 * Returns the bytes that buffers hold: those that hold the same, one after the other, count once.
 */
function heldBytes(parts: readonly BufferSpec[]): number {
  const distinct = new Map(parts.map((part) => [part.holds?.offset ?? part.name, part.bytes]));
  return [...distinct.values()].reduce((sum, bytes) => sum + bytes, 0);
}

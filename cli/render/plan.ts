/**
 * A plan as text and as JSON.
 *
 * @module
 */
import type { Plan } from "../../planner/plan.ts";
import { logitsBytes } from "../../planner/problem.ts";
import type { Schedule } from "../../planner/schedule.ts";
import { ALL_STRATEGIES } from "../../planner/strategies/mod.ts";
import { workgroupBytes, workgroupSize } from "../../planner/tile.ts";
import { formatBytes } from "../../planner/units.ts";
import { candidateJson, candidatesText, explainedJson } from "./candidates.ts";
import { peersJson, peersText } from "./peers.ts";
import { formatCount, indented, table } from "./table.ts";

/** What is said about a plan beyond itself. */
export interface PlanExtras {
  /** Published methods' memory beside the plan's. */
  readonly compare?: boolean;
  /** Every candidate, and why it lost. */
  readonly explain?: boolean;
}

/** The contract of `lce plan --json`. Sizes are bytes. */
export function planJson(plan: Plan, { compare = false, explain = false }: PlanExtras = {}) {
  const { problem, device, schedule, memory, cost, twoStage, alternatives } = plan;
  const { tile } = schedule;
  const savedBytes = twoStage.peakBytes - memory.peakBytes;
  return {
    problem,
    device,
    strategy: schedule.strategy,
    weights: schedule.streamed ? "streamed" : "resident",
    reason: plan.reason,
    window: schedule.window,
    block: schedule.block,
    splits: schedule.splits,
    tile: {
      tokens: tile.rows,
      vocab: tile.cols,
      hidden: tile.depth,
      microTokens: tile.microRows,
      microVocab: tile.microCols,
      workgroupSize: workgroupSize(tile),
      workgroupBytes: workgroupBytes(tile),
    },
    memory: {
      logitsBytes: logitsBytes(problem),
      twoStagePeakBytes: twoStage.peakBytes,
      twoStageExtraPeakBytes: twoStage.extraPeakBytes,
      peakBytes: memory.peakBytes,
      extraPeakBytes: memory.extraPeakBytes,
      savedBytes,
      // Relative to the logits: what of them is saved.
      savedRatio: savedBytes / logitsBytes(problem),
      peakByCategory: memory.byCategory,
      buffers: schedule.buffers.map(({ name, bytes, category }) => ({ name, bytes, category })),
    },
    cost: {
      flops: cost.flops,
      bytesMoved: cost.bytesMoved,
      dispatches: cost.dispatches,
      // An estimate only where the device's speed was measured.
      estimatedMs: cost.measuredRates ? cost.seconds * 1000 : null,
      rates: device.rates?.source ?? null,
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

/** One line that says what is to be done, on what. */
export function problemLine({ problem, device }: Pick<Plan, "problem" | "device">): string {
  const { tokens, hidden, vocab, dtype, pass } = problem;
  return `${tokens} tokens x ${hidden} hidden x ${vocab} vocab, ${dtype}, ${pass} pass, on ${device.name}`;
}

/** What the plan chose, in a few lines. */
export function choiceLines({ schedule }: Pick<Plan, "schedule">): string[][] {
  const { strategy, tile, window, block, splits } = schedule;
  const summary = ALL_STRATEGIES.find(({ name }) => name === strategy)!.summary;
  return [
    ["strategy", `${strategy}: ${summary}`],
    ["window", `${window.vocab} ids${many(window.count, "windows")}${many(splits, "tiles each")}`],
    ...(schedule.streamed
      ? [["weights", "streamed: the host keeps them, the device holds one window at a time"]]
      : []),
    ["token block", `${block.tokens} tokens${many(block.count, "blocks")}`],
    [
      "tile",
      `${tile.rows} tokens x ${tile.cols} ids x ${tile.depth} hidden, ${tile.microRows} x ${tile.microCols} per invocation, ${
        workgroupSize(tile)
      } invocations, ${workgroupBytes(tile)} bytes`,
    ],
  ];
}

function many(count: number, what: string): string {
  return count === 1 ? "" : `, ${count} ${what}`;
}

/** The plan for people. */
export function planText(
  plan: Plan,
  { compare = false, explain = false }: PlanExtras = {},
): string {
  const { memory, twoStage, cost, schedule, alternatives, problem } = plan;
  const { byCategory } = memory;
  const saved = twoStage.peakBytes - memory.peakBytes;
  const share = (100 * saved) / logitsBytes(problem);
  const sizes = (rows: [string, number, string][]) =>
    table(rows.map(([name, bytes, note]) => [name, formatBytes(bytes), note]), ["left", "right"]);
  return [
    problemLine(plan),
    "",
    table([...choiceLines(plan), ["because", plan.reason]]),
    "",
    "memory",
    indented(sizes([
      ["inputs", byCategory.input, ""],
      ["outputs", byCategory.output, ""],
      ["extra peak", memory.extraPeakBytes, "state, scratch and staging at the worst step"],
      ["peak", memory.peakBytes, "every GPU buffer"],
      [
        "two-stage peak",
        twoStage.peakBytes,
        `of which ${formatBytes(twoStage.extraPeakBytes)} extra`,
      ],
      [
        "saved",
        saved,
        `${share.toFixed(share > 99.9 ? 3 : 1)} % of the logits' ${
          formatBytes(logitsBytes(problem))
        }`,
      ],
    ])),
    "",
    "work",
    indented(
      `${formatCount(cost.flops, "FLOP")}, ${
        formatCount(cost.bytesMoved, "B")
      } moved, ${cost.dispatches} dispatches${timeText(plan)}`,
    ),
    "",
    "buffers",
    indented(table(bufferRows(schedule), ["left", "right"])),
    "",
    "alternatives",
    indented(table(
      alternatives.map(({ strategy, extraPeakBytes, reason }) => [
        strategy,
        extraPeakBytes === undefined ? "-" : formatBytes(extraPeakBytes),
        reason,
      ]),
      ["left", "right"],
    )),
    ...(explain ? ["", candidatesText(plan)] : []),
    ...(compare ? ["", peersText(plan)] : []),
  ].join("\n");
}

/** The estimated time and where the device's rates come from; nothing where none were measured. */
function timeText({ cost, device }: Plan): string {
  if (!cost.measuredRates) return "";
  const ms = cost.seconds * 1000;
  return `, about ${ms.toFixed(ms < 10 ? 1 : 0)} ms (rates: ${
    device.rates?.source ?? "of the device's profile"
  })`;
}

/** A line for each buffer, or for all the buffers that hold one matrix. */
function bufferRows({ buffers }: Schedule): string[][] {
  const groups = Map.groupBy(buffers, ({ name, holds }) => holds?.tensor ?? name);
  return [...groups]
    .map(([name, parts]) => ({
      name,
      bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
      category: parts[0]!.category,
      count: parts.length,
    }))
    .sort((a, b) => b.bytes - a.bytes)
    .map(({ name, bytes, category, count }) => [
      name,
      formatBytes(bytes),
      category,
      count === 1 ? "" : `in ${count} buffers`,
    ]);
}
